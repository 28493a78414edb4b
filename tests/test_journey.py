"""The whole road on the sample inventory: one command makes everything, the next one nothing, an edit only its own."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.checkouts import Checkout, Done

pytestmark = pytest.mark.integration
IMAGE = "debian12-x86_64-netboot-compute"
MEDIUM = "debian12-x86_64"
DISCOVERY = "discovery:x86_64"


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One change to the sources, and exactly the artefacts that depend on it."""

    file: str
    old: str
    new: str
    made: frozenset[str]


PUBLISHING = frozenset({"menus", "stage"})
DHCP = frozenset({"dhcpd", "kea", "dnsmasq"})
EDITS = {
    "a MAC": Edit(
        file="inventory/nodes.yaml",
        old="00:18:8b:f8:e3:5b",
        new="00:18:8b:f8:e3:aa",
        made=PUBLISHING | DHCP,
    ),
    "a BMC's password": Edit(
        file="inventory/groups.yaml",
        old="env:BOOTMILL_BMC_PASSWORD",
        new="env:ANOTHER_BMC_PASSWORD",
        made=frozenset({"exports:consoles"}),  # what opens consoles is told where the password is
    ),
    "a switch port": Edit(
        file="inventory/groups.yaml",
        old='port: "{{ n[0] }}"',
        new='port: "{{ n[0] + 20 }}"',
        made=frozenset({"exports:ansible"}),
    ),
    "an fstab line": Edit(
        file="inventory/osimages.yaml",
        old="none /tmp tmpfs defaults,size=10m",
        new="none /tmp tmpfs defaults,size=20m",
        made=PUBLISHING | {f"pack:{IMAGE}.files", f"pack:{IMAGE}", f"prove:{IMAGE}"},
    ),
    "the init template": Edit(
        file="tasks/initrd/templates/firststage_handover.sh.j2",
        old="handing over to $init",
        new="handing over now",
        made=PUBLISHING | {f"initrd:{IMAGE}", f"prove:{IMAGE}", DISCOVERY},
    ),
    "a driver": Edit(
        file="inventory/osimages.yaml",
        old="[tg3, bnx2, e1000, virtio_net]",
        new="[tg3, bnx2, virtio_net]",
        made=PUBLISHING | {f"initrd:{IMAGE}", f"prove:{IMAGE}"},
    ),
    "a line of Python of the initrd step": Edit(
        file="tasks/initrd/kernel/modules.py",
        old="DAMAGED = ",
        new="# a remark\nDAMAGED = ",
        # the bytes are the same: nothing behind them is made
        made=frozenset({f"initrd:{IMAGE}", f"prove:{IMAGE}", DISCOVERY}),
    ),
    "a line of Python of the hosts file": Edit(
        file="tasks/configs/hosts.py",
        old="from tasks",
        new="# a remark\nfrom tasks",
        made=frozenset({"hosts"}),
    ),
    "the domain": Edit(
        file="inventory/site.yaml",
        old="domain: renci.ben",
        new="domain: renci.example",
        made=DHCP | {"hosts", "zone", "chrony", "resolv", "exports:ssh"},
    ),
}


def test_one_command_makes_everything(built: Checkout) -> None:
    """What nodes and daemons need is there, and the run told what it made and in how long."""
    text = (built.root / "build/first-run.txt").read_text()
    for name in (f"iso:{MEDIUM}", f"media:{MEDIUM}", f"rootimg:{IMAGE}", f"initrd:{IMAGE}", f"prove:{IMAGE}", "stage"):
        assert any(line.startswith("made") and f" {name} " in line for line in text.splitlines()), text
    build = built.root / "build"
    assert len(list((build / "tftpboot/pxelinux.cfg").glob("01-*"))) == 9
    assert (build / "tftpboot/grub/grub.cfg-01-00-19-b9-c4-17-05").exists()
    assert (build / "install/debian12/x86_64/install.amd64/vmlinuz").exists()
    assert len(list(build.glob(f"tftpboot/boot/{IMAGE}/*/initrd.img"))) == 1
    assert len(list(build.glob("install/netboot/debian12/x86_64/compute/*/rootimg.cpio.gz"))) == 1
    for name in ("hosts", "dhcp/dhcpd.conf", "bind/zones/db.renci.ben"):
        assert (build / "etc" / name).stat().st_size > 0


def test_the_second_run_does_nothing(built: Checkout) -> None:
    """Without a change nothing is made, and the run says so."""
    done = built.doit()
    assert done.code == 0
    assert "nothing to do" in done.text
    assert artefacts(built.report()) == set()


@pytest.fixture
def restored(built: Checkout) -> Iterator[Checkout]:
    """Give the built checkout and put its sources back afterwards, with everything built again."""
    saved = built.root / "build/saved"
    for name in ("tasks", "inventory"):
        shutil.copytree(built.root / name, saved / name)
    yield built
    for name in ("tasks", "inventory"):
        shutil.rmtree(built.root / name)
        shutil.move(saved / name, built.root / name)
    shutil.rmtree(saved)
    assert built.doit().code == 0


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_makes_exactly_what_depends_on_it(name: str, restored: Checkout) -> None:
    """Each source change is followed to its artefacts, and to no others."""
    edit = EDITS[name]
    restored.edit(edit.file, edit.old, edit.new)
    done = restored.report()
    assert done.code == 0, done.text
    assert artefacts(done) == edit.made


def test_a_driver_that_nodes_need_is_missed_before_power_on(restored: Checkout) -> None:
    """Without tg3 the PE 860 would have no network: the proof names them, and what nodes fetch stays as it was."""
    manifest = (restored.root / "build/tftpboot/manifest.sha256").read_bytes()
    restored.edit("inventory/osimages.yaml", "[tg3, bnx2, e1000, virtio_net]", "[bnx2, e1000, virtio_net]")
    done = restored.doit()
    assert done.code == 1
    assert "n[01-04] would not boot" in done.text
    assert "E12" in done.text
    assert (restored.root / "build/tftpboot/manifest.sha256").read_bytes() == manifest


def test_a_package_makes_medium_tree_and_image(restored: Checkout) -> None:
    """One more package goes through medium, tree and image; the initrd is looked at again and stays the same bytes."""
    initrd = (restored.root / "build/images" / IMAGE / "initrd.img").stat().st_mtime_ns
    restored.edit("inventory/osimages.yaml", "    - kmod\n", "    - kmod\n    - less\n")
    done = restored.report()
    assert done.code == 0, done.text
    assert artefacts(done) == PUBLISHING | {
        f"iso:{MEDIUM}",
        f"media:{MEDIUM}",
        f"rootimg:{IMAGE}",
        f"pack:{IMAGE}.base",
        f"pack:{IMAGE}.files",
        f"pack:{IMAGE}",
        f"initrd:{IMAGE}",
        f"prove:{IMAGE}",
        DISCOVERY,
    }
    assert (restored.root / "build/images" / IMAGE / "initrd.img").stat().st_mtime_ns == initrd
    assert (restored.root / "build/images" / IMAGE / "rootimg/usr/bin/less").exists()


def artefacts(done: Done) -> set[str]:
    """Return what was made, without the tasks that only name others."""
    return done.made - {"iso", "media", "rootimg", "pack", "initrd", "discovery", "prove", "exports", "configs"}


@pytest.mark.parametrize(
    ("pattern", "made"),
    [
        ("etc/hosts", {"hosts"}),
        ("tftpboot/pxelinux.cfg/default", {"stage"}),
        ("tftpboot/boot/*/*/kernel", {"stage"}),
        ("install/netboot/*/*/*/*/rootimg.cpio.gz", {"stage"}),
        ("tftpboot/ipxe/snponly.efi", {"nbp", "stage"}),
        ("menus/grub/grub.cfg", {"menus"}),
    ],
)
@pytest.mark.parametrize("harm", ["removed", "altered"])
def test_what_was_harmed_is_mended(pattern: str, made: set[str], harm: str, built: Checkout) -> None:
    """A removed or altered artefact is made again, and only it."""
    current = (
        built.root / "build/tftpboot/manifest.sha256"
    ).read_text()  # older generations lie beside the current one
    found = [
        path for path in (built.root / "build").glob(pattern) if str(path.relative_to(built.root / "build")) in current
    ]
    path = next(iter(found), built.root / "build" / pattern)
    before = path.read_bytes()
    if harm == "removed":
        path.unlink()
    else:
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    done = built.report()
    assert done.code == 0, done.text
    assert artefacts(done) <= made | {"stage"}
    assert path.read_bytes() == before
    assert artefacts(built.report()) == set()
