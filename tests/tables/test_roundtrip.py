"""Any cluster survives the way to xCAT's tables and back: import(export(x)) is x."""

import string
import tempfile
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tasks import inventory
from tasks.inventory.load import read
from tasks.inventory.model import (
    Bmc,
    BootState,
    Cluster,
    Console,
    Firmware,
    FstabEntry,
    Media,
    Netboot,
    Network,
    Node,
    OsImage,
    SecretKind,
    SecretRef,
    Site,
    Switch,
    SwitchPort,
)
from tasks.tables import exported, imported, yamltext

SAMPLE = inventory.load(Path(__file__).parents[2] / "inventory")
LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True).filter(lambda name: "-" not in name)
KERNEL_WORDS = st.sampled_from(
    ["console=tty0", "quiet", "/x/y/", "a=1,2", "#no", "*", "-", "~", "null", "!x", "[a]", "%"]
)
TEXTS = st.text(string.printable[:95] + "äß", min_size=1, max_size=12)
SECRETS = st.none() | st.builds(
    SecretRef,
    kind=st.sampled_from(SecretKind),
    where=st.sampled_from(["BMC_PASSWORD", "keys/a b", "keys/#1", "x: y", '"quoted"']),
)
IMAGES = {
    f"{os}-{arch}-netboot-compute": (os, arch) for os in ("debian12", "centos5.5") for arch in ("x86_64", "aarch64")
}


@st.composite
def images(draw: st.DrawFn) -> tuple[OsImage, ...]:
    """Draw osimages."""
    names = draw(st.lists(st.sampled_from(sorted(IMAGES)), unique=True, max_size=3))
    entry = FstabEntry(device="none", mountpoint="/tmp", type="tmpfs", options="defaults,size=10m", dump=0, check=2)
    return tuple(
        OsImage(
            name=name,
            os=IMAGES[name][0],
            arch=IMAGES[name][1],
            method="netboot",
            profile="compute",
            media="-".join(IMAGES[name]),
            packages=tuple(sorted(draw(st.sets(st.sampled_from(["udev", "kmod", "g++", "libc6"]))))),
            exclude=tuple(
                draw(st.lists(st.sampled_from(["/boot/*", "+/boot/x", "/#a", "/", '+/"', "/a,b"]), max_size=3))
            ),
            drivers=tuple(draw(st.lists(st.sampled_from(["tg3", "bnx2", "null"]), max_size=3, unique=True))),
            kernel=draw(st.none() | st.sampled_from(["6.1.0-17-amd64", "1~rc"])),
            kernel_args=tuple(draw(st.lists(KERNEL_WORDS, max_size=3))),
            fstab=tuple(draw(st.lists(st.just(entry), max_size=2))),
            services_off=tuple(draw(st.lists(st.sampled_from(["a.timer", "b@c.service"]), max_size=2))),
        )
        for name in names
    )


@st.composite
def nodes(draw: st.DrawFn, images: tuple[OsImage, ...], switch: str) -> tuple[Node, ...]:
    """Draw nodes; each one's addresses follow from its place in the list."""
    shape = draw(st.sampled_from(["n{:02d}", "n{}", "r1c{}", "x{}"]))
    result = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        name = shape.format(number)
        image = draw(st.none() | st.sampled_from(images)) if images else None
        states = [state for state in BootState if image or state not in {"netboot", "install", "shell"}]
        firmware = draw(st.sampled_from(Firmware))
        netboots = [kind for kind in Netboot if kind is not Netboot.PXE or firmware is Firmware.BIOS]
        bmc = Bmc(
            name=f"{name}-ipmi",
            address=IPv4Address(f"10.1.0.{100 + number}"),
            user=draw(st.just("root") | TEXTS | st.sampled_from(["|a|", "/a/b/", "{{ name }}", "~", "{% x"])),
            password=draw(SECRETS),
        )
        port = SwitchPort(switch=switch, port=draw(st.sampled_from([str(number), f"Gi1/{number}", f"/{number}/x/"])))
        groups = draw(st.lists(st.sampled_from(["compute", "pe860", "all", "rack"]), unique=True, max_size=3))
        result.append(
            Node(
                name=name,
                groups=tuple(dict.fromkeys([*groups, "all"])),
                aliases=tuple(draw(st.lists(st.just(f"alias{number}"), max_size=1))),
                ip=IPv4Address(f"10.1.0.{number}"),
                mac=draw(st.none() | st.just(f"52:54:00:00:00:{number:02x}")),
                model=draw(st.sampled_from(["generic", "PE 860", " x ", "null", "1.0", "é", "-"])),
                firmware=firmware,
                netboot=draw(st.sampled_from(netboots)),
                osimage=image.name if image else None,
                state=draw(st.sampled_from(states)),
                console=draw(
                    st.none() | st.builds(Console, port=st.integers(0, 7), speed=st.sampled_from([300, 115200]))
                ),
                kernel_args=tuple(draw(st.lists(KERNEL_WORDS, max_size=3))),
                bmc=draw(st.none() | st.just(bmc)),
                port=draw(st.none() | st.just(port)),
                memory=draw(st.sampled_from([64, 1024, 4096])),
                nic=draw(st.sampled_from(["e1000", "virtio_net", "virtio", "tg3"])),
            )
        )
    return tuple(result)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Draw a cluster that an inventory could have."""
    made = draw(images())
    switch = draw(st.sampled_from(["linksys-mgt", "sw"]))
    all_nodes = draw(nodes(made, switch))
    site = Site(
        domain=draw(st.sampled_from(["renci.ben", "x"])),
        master=draw(st.sampled_from(all_nodes)).name,
        destdir=draw(st.sampled_from(["build", "/", "out: put #1", "~"])),
        nameservers=tuple(draw(st.lists(st.just(IPv4Address("10.9.9.9")), min_size=1, max_size=1))),
        forwarders=tuple(draw(st.lists(st.just(IPv4Address("10.9.9.8")), max_size=1))),
        ssh_key="keys/site_ed25519",
        dns_contact=draw(st.sampled_from(["hostmaster.renci.ben", "a.b"])),
    )
    ends = (IPv4Address("10.1.0.200"), IPv4Address("10.1.0.230"))
    first = Network(
        name="mgmt",
        subnet=IPv4Network("10.1.0.0/24"),
        gateway=draw(st.none() | st.just(IPv4Address("10.1.0.254"))),
        dynamic_range=draw(st.none() | st.just(ends)),
        next_server=draw(st.sampled_from([IPv4Address("10.1.0.1"), IPv4Address("10.7.7.7")])),
    )
    second = Network(
        name="a-net",
        subnet=IPv4Network("10.2.0.0/23"),
        gateway=None,
        dynamic_range=None,
        next_server=IPv4Address("10.1.0.1"),
    )
    return Cluster(
        site=site,
        networks=draw(st.sampled_from([(first,), (first, second), (second, first)])),
        switches=(
            Switch(
                name=switch, ip=IPv4Address("10.1.0.250"), ports=draw(st.sampled_from([6, 48])), community=draw(SECRETS)
            ),
        ),
        nodes=all_nodes,
        osimages=made,
        media=tuple(
            Media(name=name, os=os, arch=arch, iso="/srv/x: y.iso" if os == "centos5.5" else None, suite=suite)
            for name, os, arch in dict.fromkeys((image.media, image.os, image.arch) for image in made)
            for suite in [None if os == "centos5.5" else "bookworm"]
        ),
    )


def there_and_back(cluster: Cluster, folder: Path) -> Cluster:
    """Return what is left of a cluster after an export and an import; nothing may be listed as lost."""
    exported.write(cluster, folder / "tables")
    result = imported.converted(folder / "tables")
    assert result.lost == ()
    assert result.secrets == {}
    imported.write(result, folder / "inventory")
    return inventory.load(folder / "inventory")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters())
@example(SAMPLE)
def test_there_and_back(cluster: Cluster) -> None:
    """What was exported and imported again is the same cluster, to the last value."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        assert there_and_back(cluster, Path(folder)) == cluster


@settings(max_examples=300, deadline=None)
@given(
    TEXTS
    | st.sampled_from(["~", "null", "a: b", "a #b", "a:", "- a", "", "{{ x }}", "'", '"', "!secret x", "&a", "*a"])
)
def test_any_text_is_the_same_in_yaml(text: str) -> None:
    """A text comes out of the YAML that we write as it went in, in a block and in braces."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(yamltext.lines({"a": {"b": text, "c": (text,)}}) + yamltext.block({"d": {"e": text}}))
        document = read(path)
        assert document.mistakes == []
        assert document.value == {"a": {"b": text, "c": [text]}, "d": {"e": text}}
