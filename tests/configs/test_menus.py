"""Boot menus."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks import configs, paths
from tasks.configs import menus
from tasks.configs.menus import SITE_WIDE, write_menus
from tasks.errors import BootmillError
from tasks.inventory.model import BootState, Cluster, Console, Node, Whole

FILES = paths.MENUS


def write(cluster: Cluster) -> None:
    """Render the cluster's menus as the task does."""
    write_menus(*configs.boot_menus(cluster)["actions"][0][1][-1])


def menu(cluster: Cluster, language: str, node: Node | None = None) -> str:
    """Return a node's menu (n01's) after rendering."""
    write(cluster)
    return (FILES / paths.menu_names(node or cluster.node("n01"))[language]).read_text()


def inodes() -> dict[str, int]:
    """Return every rendered file with its inode."""
    return {str(path.relative_to(FILES)): path.stat().st_ino for path in FILES.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def _checkout(scratch: Path) -> None:
    """Stand in a checkout of our own."""


@pytest.mark.parametrize("name", ["n01", "n05", "n06", "mgt"])
def test_the_sample_clusters_menus(cluster: Cluster, golden: Callable[[str, str], None], name: str) -> None:
    """A BIOS node, a UEFI node, an iPXE node and a local one have the menus that were read and found good."""
    write(cluster)
    for language, file in paths.menu_names(cluster.node(name)).items():
        golden(f"menus/{name}.{language}", (FILES / file).read_text())


@pytest.mark.parametrize("state", [BootState.DISCOVER, BootState.SHELL, BootState.OFFLINE])
def test_the_menus_of_rarer_states(
    edited: Callable[..., Cluster], golden: Callable[[str, str], None], state: BootState
) -> None:
    """The states that the sample does not have, in all three languages."""
    changed = edited("n01", state=state)
    for language in ("pxelinux", "grub", "ipxe"):
        golden(f"menus/{state}.{language}", menu(changed, language))


def test_the_menus_of_unknown_machines(cluster: Cluster, golden: Callable[[str, str], None]) -> None:
    """A machine that is not in the inventory loads the discovery image, which tells the head node what it is."""
    write(cluster)
    for name in SITE_WIDE:
        golden(f"menus/{name.replace('/', '.')}", (FILES / name).read_text())


@pytest.mark.parametrize("lack", ["range", "image"])
def test_unknown_machines_go_on_to_their_disk(cluster: Cluster, golden: Callable[[str, str], None], lack: str) -> None:
    """Without a dynamic range, or without a netboot osimage to make a discovery image of, they are told so."""
    network = replace(cluster.networks[0], dynamic_range=None)
    nodes = tuple(replace(node, state=BootState.LOCAL) for node in cluster.nodes)
    changes: dict[str, Any] = {
        "range": {"networks": (network,)},
        "image": {"osimages": (), "shards": (Whole(nodes),)},
    }
    write(replace(cluster, **changes[lack]))
    for name in SITE_WIDE:
        golden(f"menus/local.{name.replace('/', '.')}", (FILES / name).read_text())


def test_each_processor_is_given_a_kernel_of_its_own(cluster: Cluster) -> None:
    """GRUB and iPXE say for which processor they were made; PXELINUX is a PC's."""
    arm = replace(cluster.osimages[0], name="debian12-aarch64-netboot-compute", arch="aarch64")
    paths.discovery_dir("aarch64").mkdir(parents=True)
    paths.discovery_digest("aarch64").write_text("12" * 32 + "\n")
    write(replace(cluster, osimages=(*cluster.osimages, arm)))
    folders = {"x86_64": f"boot/discovery-x86_64/{'ef' * 8}", "aarch64": f"boot/discovery-aarch64/{'12' * 8}"}
    grub = (FILES / "grub/grub.cfg").read_text()
    for processor, arch in (("x86_64", "x86_64"), ("i386", "x86_64"), ("arm64", "aarch64")):
        block = grub.split(f'"$grub_cpu" = {processor} ')[1].split("fi")[0]
        assert f"linux /{folders[arch]}/kernel " in block
        assert f"initrd /{folders[arch]}/initrd.img\n" in block
    ipxe = (FILES / "ipxe/default.ipxe").read_text()
    assert "iseq ${buildarch} arm64 && goto aarch64 ||\n" in ipxe
    assert f"kernel /tftpboot/{folders['aarch64']}/kernel " in ipxe.split(":aarch64\n")[1]
    assert folders["aarch64"] not in (FILES / "pxelinux.cfg/default").read_text()


@pytest.mark.parametrize(
    ("osimage", "arch"),
    [("debian12-aarch64-install-login", "aarch64"), ("debian12-x86_64-install-login", "x86_64"), (None, "x86_64")],
)
def test_a_node_discovers_by_a_kernel_of_its_architecture(
    cluster: Cluster, edited: Callable[..., Cluster], osimage: str | None, arch: str
) -> None:
    """Its osimage says which; a node without one is taken for a PC where that can be."""
    arm = replace(cluster.osimages[0], name="debian12-aarch64-netboot-compute", arch="aarch64")
    paths.discovery_dir("aarch64").mkdir(parents=True)
    paths.discovery_digest("aarch64").write_text("12" * 32 + "\n")
    changed = edited("n01", state=BootState.DISCOVER, osimage=osimage)
    text = menu(replace(changed, osimages=(arm, *cluster.osimages)), "pxelinux")
    assert f"KERNEL boot/discovery-{arch}/" in text
    assert " discover=http://10.1.0.1/bootmill/discover console=tty0 console=ttyS0,115200n8\n" in text


@pytest.mark.parametrize("language", ["pxelinux", "grub", "ipxe"])
def test_every_language_loads_the_same(cluster: Cluster, language: str) -> None:
    """Kernel, initrd and root image are named by their digests, and the root image is checked by its whole one."""
    text = menu(cluster, language)
    image = cluster.osimages[0]
    folder = f"boot/{image.name}/{'ab' * 8}"
    assert f"{folder}/kernel" in text
    assert f"{folder}/initrd.img" in text
    root = "cd" * 8
    path = f"/install/netboot/debian12/x86_64/compute/{root}/rootimg.cpio.gz"
    words = f"imgurl=http://10.1.0.1{path} imgurl=tftp://10.1.0.1/boot/{image.name}/{root}/rootimg.cpio.gz"
    assert f" {words} imgsha256={'cd' * 32} console=tty0 console=ttyS0,115200n8" in text


def test_each_language_names_the_nic_once(cluster: Cluster) -> None:
    """PXELINUX appends BOOTIF by itself; GRUB and iPXE are told it."""
    word = "BOOTIF=01-00-18-8b-f8-e3-58"
    assert "IPAPPEND 2" in menu(cluster, "pxelinux")
    assert "BOOTIF=" not in menu(cluster, "pxelinux")
    assert menu(cluster, "grub").count(word) == 1
    assert menu(cluster, "ipxe").count(word) == 1


def test_a_nodes_words_come_behind_its_images(edited: Callable[..., Cluster]) -> None:
    """Where a word counts once, the node's own wins; the rescue shell is asked for last."""
    text = menu(edited("n01", kernel_args=("loglevel=7",), state=BootState.SHELL), "pxelinux")
    assert "console=tty0 console=ttyS0,115200n8 loglevel=7 rescue\n" in text


def test_grub_expands_no_kernel_argument(edited: Callable[..., Cluster]) -> None:
    """GRUB takes * and ? for file names: such a word stands in quotes there, and only there."""
    changed = edited("n01", kernel_args=("dyndbg=file_drivers/*", "quiet"))
    assert " 'dyndbg=file_drivers/*' quiet BOOTIF" in menu(changed, "grub")
    assert " dyndbg=file_drivers/* quiet\n" in menu(changed, "pxelinux")


@pytest.mark.parametrize(
    ("console", "first"),
    [
        (Console(port=1, speed=57600), "SERIAL 1 57600"),
        (Console(port=4, speed=115200), "# Made by"),  # PXELINUX would take 4 for an I/O address
        (Console(port=0, speed=230400), "# Made by"),  # beyond its clock
        (None, "# Made by"),
    ],
)
def test_pxelinux_speaks_on_the_consoles_that_it_knows(
    edited: Callable[..., Cluster], console: Console | None, first: str
) -> None:
    """SERIAL is the first line of the file where PXELINUX can use the port, and missing where it cannot."""
    text = menu(edited("n01", console=console), "pxelinux")
    assert text.startswith(first)
    assert ("console=ttyS" in text) == (console is not None)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"state": BootState.INSTALL}, "n01: nothing is built for the boot state install yet"),
        (
            {"state": BootState.DISCOVER, "osimage": "debian12-aarch64-install-compute"},
            "n01: no discovery image: no netboot osimage is of aarch64 architecture",
        ),
        ({"osimage": None}, "n01: the boot state netboot needs an osimage"),
        ({"osimage": "debian12-x86_64-install-compute"}, "n01: debian12-x86_64-install-compute is not an osimage"),
        ({"kernel_args": ("#quiet",)}, "n01: the kernel argument '#quiet' begins a comment"),
        ({"kernel_args": ("x" * 1000, "y" * 1000)}, "n01: the kernel command line has 2"),
    ],
)
def test_a_menu_never_pretends(edited: Callable[..., Cluster], values: dict[str, Any], sentence: str) -> None:
    """A boot state that cannot be served is an error that names the node, and no menu is written."""
    with pytest.raises(BootmillError, match=re.escape(sentence)):
        write(edited("n01", **values))
    assert not FILES.exists()


def test_all_nodes_that_cannot_be_served_are_named_at_once(cluster: Cluster) -> None:
    """One run tells every node that has to be mended."""
    nodes = tuple(replace(node, state=BootState.INSTALL) for node in cluster.nodes)
    with pytest.raises(BootmillError) as caught:
        write(replace(cluster, shards=(Whole(nodes),)))
    assert caught.value.message.count("nothing is built for the boot state install yet") == len(nodes)


def test_a_node_that_has_no_mac_has_no_menu_to_fail(edited: Callable[..., Cluster]) -> None:
    """A node that waits for discovery does not keep the others from their menus."""
    write(edited("n01", mac=None, state=BootState.DISCOVER))
    assert not list(FILES.rglob("*00-18-8b-f8-e3-58*"))


@pytest.mark.parametrize("text", ["", "abc\n", "AB" * 32 + "\n", "ab" * 32, "../../etc\n", "ab" * 32 + "\nmore\n"])
def test_a_damaged_digest_reaches_no_menu(cluster: Cluster, text: str) -> None:
    """A digest file that holds anything but one sha256 is an error that names it."""
    path = paths.root_image_digest(cluster.osimages[0])
    path.write_text(text)
    with pytest.raises(BootmillError, match=re.escape(str(path))):
        write(cluster)


def test_the_manifest_lists_every_menu(cluster: Cluster) -> None:
    """The manifest is what the menus are: five for all, then three for each node with a MAC."""
    write(cluster)
    lines = paths.menu_manifest().read_text().splitlines()
    names = [line[66:] for line in lines]
    assert sorted([*names, "manifest.sha256"]) == sorted(inodes())
    assert len(names) == 3 * len(cluster.nodes) + 5
    for line in lines:
        assert line[:66] == hashlib.sha256((FILES / line[66:]).read_bytes()).hexdigest() + "  "


def test_only_what_changed_is_written(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """nodeset of one node writes its three menus and the manifest; the other files are the very same ones."""
    write(cluster)
    before = inodes()
    write(edited("n01", state=BootState.LOCAL))
    after = inodes()
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {*paths.menu_names(cluster.node("n01")).values(), "manifest.sha256"}


def test_a_new_discovery_image_is_written_where_it_is_named(edited: Callable[..., Cluster]) -> None:
    """Its digest changes the menus of unknown machines and of nodes that are to discover, and no others."""
    changed = edited("n01", state=BootState.DISCOVER)
    write(changed)
    before = inodes()
    paths.discovery_digest("x86_64").write_text("12" * 32 + "\n")
    write(changed)
    after = inodes()
    assert {name for name in after if after[name] != before.get(name)} == {
        *paths.menu_names(changed.node("n01")).values(),
        *("pxelinux.cfg/default", "grub/grub.cfg", "ipxe/default.ipxe", "manifest.sha256"),
    }
    assert f"discovery-x86_64/{'12' * 8}/" in (FILES / "pxelinux.cfg/01-00-18-8b-f8-e3-58").read_text()


def test_no_slice_without_discovery_is_rendered_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, edited: Callable[..., Cluster]
) -> None:
    """Where no node is to discover, a new discovery image renders no node's menu."""
    write(cluster)
    paths.discovery_digest("x86_64").write_text("12" * 32 + "\n")

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(menus, "menu_rows", fail)
    write(cluster)
    assert f"discovery-x86_64/{'12' * 8}/" in (FILES / "pxelinux.cfg/default").read_text()


def test_nothing_is_written_twice(cluster: Cluster) -> None:
    """A second run leaves every file as it is."""
    write(cluster)
    before = inodes()
    write(cluster)
    assert inodes() == before


def test_menus_of_nodes_that_left_are_gone(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """A node that left, or got another NIC, boots nothing of ours by its old address."""
    write(cluster)
    old = set(paths.menu_names(cluster.node("n01")).values())
    write(edited("n01", mac="00:18:8b:f8:e3:77"))
    assert not old & set(inodes())
    assert set(paths.menu_names(edited("n01", mac="00:18:8b:f8:e3:77").node("n01")).values()) <= set(inodes())
