"""Clusters that an inventory could have, for property tests: every field of the model is drawn."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from hypothesis import strategies as st

from tasks.inventory import grouping
from tasks.inventory.model import (
    Bmc,
    BootState,
    Cluster,
    Compression,
    Console,
    DnsRecord,
    Export,
    Firmware,
    FstabEntry,
    Group,
    Management,
    Media,
    Netboot,
    Network,
    Nic,
    Node,
    OsImage,
    Password,
    RecordType,
    SecretKind,
    SecretRef,
    Site,
    SnmpVersion,
    Switch,
    SwitchPort,
    Vm,
    Whole,
)

HEAD = IPv4Address("10.1.0.1")
KERNEL_WORDS = st.sampled_from(["console=tty0", "quiet", "/x/y/", "a=1,2", "#no", "*", "-", "~", "null", "!x", "[a]"])
FILES = st.sampled_from(["keys/a", "keys/bmc.2", "keys/x_y"])
SECRETS = st.builds(SecretRef, kind=st.just(SecretKind.ENV), where=st.sampled_from(["BMC_PASSWORD", "X"])) | st.builds(
    SecretRef, kind=st.just(SecretKind.FILE), where=FILES
)
VALUES = st.sampled_from(
    ["1", "x y", "|a|", "/a/b/", "{{ name }}", "~", "null", "a: b", '"', "{% x", "é", "a,b!c", "!secret x"]
)
IMAGES = {
    f"{os}-{arch}-netboot-compute": (os, arch) for os in ("debian12", "centos5.5") for arch in ("x86_64", "aarch64")
}
PARENTS = {"rack1": ("row1",), "row1": ("hall",), "compute": ("hall",)}


def maybe(value: Any) -> st.SearchStrategy[Any]:
    """Draw a value or nothing."""
    return st.none() | st.just(value)


def some(*values: Any) -> st.SearchStrategy[Any]:
    """Draw a few of the values, each once."""
    return st.lists(st.sampled_from(values), unique=True, max_size=3).map(tuple)


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
            packages=tuple(sorted(draw(some("udev", "kmod", "g++", "libc6")))),
            exclude=draw(some("/boot/*", "+/boot/x", "/#a", "/", '+/"', "/a,b")),
            drivers=draw(some("tg3", "bnx2", "null", "nics", "pci:v000014E4d*")),
            kernel=draw(st.none() | st.sampled_from(["6.1.0-17-amd64", "1~rc"])),
            kernel_args=tuple(draw(st.lists(KERNEL_WORDS, max_size=3))),
            fstab=tuple(draw(st.lists(st.just(entry), max_size=1))),
            services_off=draw(some("a.timer", "b@c.service")),
            compression=draw(st.none() | st.sampled_from(Compression)),
            waive=draw(some("E12", "E13")),
        )
        for name in names
    )


@st.composite
def interfaces(draw: st.DrawFn, name: str, number: int) -> tuple[Nic, ...]:
    """Draw a node's further interfaces; addresses follow from its number."""
    devices = draw(some("eth1", "ib0", "bond0.12", "Eno_2"))
    found = []
    for index, device in enumerate(devices):
        usual = f"{name}-{device}".replace(".", "-").replace("_", "-").lower()
        names = draw(
            st.sampled_from(
                [
                    (usual,),
                    (f"{name}-x{index}", f"y{index}{name}"),
                    (f"z{index}-{name}",),
                    (f"q{index}w{number}", f"{usual}"),
                ]
            )
        )
        found.append(
            Nic(
                name=device,
                names=names,
                ip=draw(maybe(IPv4Address(f"10.2.{index}.{number}"))),
                ip6=draw(maybe(IPv6Address(f"fd00:2::{index}:{number}"))),
                mac=draw(maybe(f"52:54:00:01:{index:02x}:{number:02x}")),
                vlan=draw(st.none() | st.sampled_from([12, 4094])),
                mtu=draw(st.none() | st.sampled_from([576, 9000])),
            )
        )
    return tuple(found)


@st.composite
def bmcs(draw: st.DrawFn, name: str, number: int) -> Bmc:
    """Draw a BMC."""
    return Bmc(
        name=f"{name}-ipmi",
        address=IPv4Address(f"10.1.0.{100 + number}"),
        mac=draw(maybe(f"52:54:00:02:00:{number:02x}")),
        port=draw(st.sampled_from([623, 6230])),
        user=draw(st.sampled_from(["root", "ADMIN", "a@b"])),
        password=draw(st.none() | SECRETS),
        model=draw(st.none() | st.sampled_from(["PE 860", "null"])),
    )


@st.composite
def nodes(draw: st.DrawFn, images: tuple[OsImage, ...], switch: str, groups: tuple[Group, ...]) -> tuple[Node, ...]:
    """Draw nodes; each one's addresses follow from its place in the list."""
    shape = draw(st.sampled_from(["n{:02d}", "n{}", "r1c{}", "x{}"]))
    names = [shape.format(number) for number in range(1, draw(st.integers(1, 5)) + 1)]
    return tuple(draw(node(name, number, images, switch, groups, names)) for number, name in enumerate(names, 1))


@st.composite
def node(
    draw: st.DrawFn,
    name: str,
    number: int,
    images: tuple[OsImage, ...],
    switch: str,
    groups: tuple[Group, ...],
    names: list[str],
) -> Node:
    """Draw one node."""
    image = draw(st.none() | st.sampled_from(images)) if images else None
    states = [state for state in BootState if image or state not in {"netboot", "install", "shell"}]
    firmware = draw(st.sampled_from(Firmware))
    netboots = [kind for kind in Netboot if kind is not Netboot.PXE or firmware is Firmware.BIOS]
    port = SwitchPort(switch=switch, port=draw(st.sampled_from([str(number), f"Gi1/{number}", f"/{number}/x/"])))
    bmc = draw(st.none() | bmcs(name, number))
    guest = Vm(
        host=names[0],
        cpus=draw(st.sampled_from([1, 8])),
        disk=draw(st.none() | st.sampled_from(["20G", "/dev/vg/", "dir:///vms", "a,b"])),
        bridge=draw(st.none() | st.sampled_from(["virbr0", "br0.1"])),
    )
    more = {name: draw(VALUES) for name in draw(some("rack", "serial", "owner", "u"))}
    made = Node(
        name=name,
        groups=grouping.order(draw(some("compute", "pe860", "all", "rack1")), {one.name: one.groups for one in groups}),
        aliases=tuple(draw(st.lists(st.just(f"alias{number}"), max_size=1))),
        ip=IPv4Address(f"10.1.0.{number}"),
        ip6=draw(maybe(IPv6Address(f"fd00:1::{number}"))),
        mac=draw(maybe(f"52:54:00:00:00:{number:02x}")),
        model=draw(st.sampled_from(["generic", "PE 860", "null", "1.0", "-"])),
        firmware=firmware,
        netboot=draw(st.sampled_from(netboots)),
        osimage=image.name if image else None,
        state=draw(st.sampled_from(states)),
        console=draw(
            st.none()
            | st.builds(Console, port=st.integers(0, 7), speed=st.sampled_from([300, 115200]), flow=st.booleans())
        ),
        kernel_args=tuple(draw(st.lists(KERNEL_WORDS, max_size=3))),
        bmc=bmc,
        port=draw(maybe(port)),
        memory=draw(st.sampled_from([64, 1024, 4096])),
        nic=draw(st.sampled_from(["e1000", "virtio_net", "virtio", "tg3"])),
        interface=draw(st.none() | st.sampled_from(["eth0", "eno1"])),
        driver=draw(st.none() | st.sampled_from(["tg3", "virtio_net"])),
        nics=draw(interfaces(name, number)),
        management=draw(st.sampled_from([one for one in Management if bmc or one is not Management.IPMI])),
        service_node=draw(maybe(names[0])) if number > 1 else None,
        vm=draw(maybe(guest)) if number > 1 else None,
        vars=tuple(sorted(more.items())),
    )
    joined = [one.name for one in groups if one.where and grouping.joined(made, one.where)]
    return Node(**{**vars(made), "groups": (*made.groups[:-1], *joined, "all")})


@st.composite
def groupings(draw: st.DrawFn) -> tuple[Group, ...]:
    """Draw groups: static ones in each other, and dynamic ones."""
    questions = [
        ("netboot", "pxe"),
        ("model", "PE 860"),
        ("firmware", "uefi"),
        ("management", "ipmi"),
        ("bmc.user", "a::b"),
    ]
    names = draw(st.permutations(["compute", "rack1", "row1", "hall", "asked", "spare"]))
    found = []
    for name in names[: draw(st.integers(0, 6))]:
        asked = (
            draw(st.lists(st.sampled_from(questions), min_size=1, max_size=2, unique=True)) if name == "asked" else []
        )
        found.append(
            Group(
                name=name,
                groups=PARENTS.get(name, ()) if draw(st.booleans()) else (),
                where=tuple(sorted(asked)),
            )
        )
    return tuple(found)


@st.composite
def switches(draw: st.DrawFn, name: str) -> Switch:
    """Draw a switch of any version of SNMP."""
    version = draw(st.sampled_from(SnmpVersion))
    three = version is SnmpVersion.V3
    auth = draw(st.none() | st.sampled_from(["md5", "sha256"])) if three else None
    privacy = draw(st.none() | st.sampled_from(["des", "aes256"])) if auth else None
    return Switch(
        name=name,
        ip=IPv4Address("10.1.0.250"),
        mac=draw(maybe("52:54:00:03:00:01")),
        ports=draw(st.sampled_from([6, 48])),
        model=draw(st.sampled_from(["generic", "Cisco 2960"])),
        snmp=version,
        community=None if three else draw(st.none() | SECRETS),
        user=draw(SECRETS.map(lambda secret: "admin")) if three else None,
        auth=auth,
        auth_password=draw(SECRETS) if auth else None,
        privacy=privacy,
        privacy_password=draw(SECRETS) if privacy else None,
    )


@st.composite
def networks(draw: st.DrawFn) -> tuple[Network, ...]:
    """Draw networks: the nodes' own, one of their further interfaces, and one behind a relay agent."""
    first = Network(
        name="mgmt",
        subnet=IPv4Network("10.1.0.0/24"),
        gateway=draw(maybe(IPv4Address("10.1.0.254"))),
        dynamic_range=draw(maybe((IPv4Address("10.1.0.200"), IPv4Address("10.1.0.230")))),
        next_server=draw(st.sampled_from([HEAD, IPv4Address("10.7.7.7")])),
        subnet6=IPv6Network("fd00:1::/64"),
        gateway6=draw(maybe(IPv6Address("fd00:1::fe"))),
        dynamic_range6=draw(maybe((IPv6Address("fd00:1::f00"), IPv6Address("fd00:1::fff")))),
        next_server6=draw(maybe(IPv6Address("fd00:1::1"))),
        nameservers=draw(some(IPv4Address("10.9.9.9"), IPv6Address("fd00::53"))),
        ntp_servers=draw(some("10.9.9.9", "ntp.example.org", "fd00::7")),
        link=draw(st.sampled_from(["mgmt", "wire"])),
        vlan=draw(st.none() | st.sampled_from([1, 4094])),
        interface=draw(st.none() | st.sampled_from(["eth0", "eth1"])),
        dhcp=draw(st.booleans()),
    )
    second = Network(
        name="a-net",
        subnet=IPv4Network("10.2.0.0/16"),
        gateway=None,
        dynamic_range=None,
        next_server=HEAD,
        subnet6=IPv6Network("fd00:2::/48"),
        mtu=draw(st.none() | st.sampled_from([576, 9000])),
        domain=draw(st.none() | st.sampled_from(["ib.renci.ben"])),
        link="a-net",
        interface=draw(st.none() | st.sampled_from(["eth0", "ib0"])),
    )
    gateway = draw(maybe(IPv4Address("10.5.0.1")))
    third = Network(
        name="far",
        subnet=IPv4Network("10.5.0.0/27"),
        gateway=gateway,
        dynamic_range=None,
        next_server=HEAD,
        link="far",
        relay=draw(st.sampled_from([IPv4Address("10.5.0.1"), IPv4Address("10.5.0.2")])),
        interface=draw(st.none() | st.just("eth0")),
        delegation=draw(st.booleans()),
    )
    return tuple(draw(st.permutations([first, second, *draw(some(third))])))


@st.composite
def sites(draw: st.DrawFn, nodes: tuple[Node, ...]) -> Site:
    """Draw a site."""
    domain = draw(st.sampled_from(["renci.ben", "x"]))
    uses = draw(some("ipmi", "system", "switch"))
    return Site(
        domain=domain,
        master=draw(st.sampled_from(nodes)).name,
        destdir=draw(st.sampled_from(["build", "/", "~", "null"])),
        nameservers=draw(
            st.sampled_from([(IPv4Address("10.9.9.9"),), (IPv6Address("fd00::53"), IPv4Address("10.9.9.8"))])
        ),
        forwarders=draw(some(IPv4Address("10.9.9.8"), IPv6Address("fd00::54"))),
        ssh_key="keys/site_ed25519",
        dns_contact=draw(st.sampled_from(["hostmaster.renci.ben", "a.b"])),
        search=(domain, *draw(some("one.example", "two.example"))),
        ntp_servers=draw(some("10.9.9.9", "ntp.example.org")),
        log_servers=draw(some(IPv4Address("10.9.9.7"), IPv4Address("10.9.9.6"))),
        secondaries=draw(some(IPv4Address("10.9.9.5"), IPv6Address("fd00::55"))),
        serial_floor=draw(st.sampled_from([1, 2026010100])),
        records=draw(
            some(
                DnsRecord(name="@", type=RecordType.TXT, value="v=spf1 -all"),
                DnsRecord(name="www", type=RecordType.A, value="10.1.0.1"),
            )
        ),
        exports=draw(some(Export(path="/home", networks=("mgmt",), options=("rw", "no_root_squash")))),
        short_names_first=draw(st.booleans()),
        passwords=tuple(Password(key=key, user="root", password=draw(SECRETS)) for key in sorted(uses)),
        dhcp_server=draw(st.sampled_from(["isc", "kea"])),
    )


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Draw a cluster that an inventory could have."""
    made = draw(images())
    switch = draw(st.sampled_from(["linksys-mgt", "sw"]))
    groups = draw(groupings())
    all_nodes = draw(nodes(made, switch, groups))
    return Cluster(
        site=draw(sites(all_nodes)),
        networks=draw(networks()),
        switches=(draw(switches(switch)),),
        shards=(Whole(all_nodes),),
        osimages=made,
        media=tuple(
            Media(name=name, os=os, arch=arch, iso="/srv/x: y.iso" if os == "centos5.5" else None, suite=suite)
            for name, os, arch in dict.fromkeys((image.media, image.os, image.arch) for image in made)
            for suite in [None if os == "centos5.5" else "bookworm"]
        ),
        groups=groups,
        service_nodes=served(all_nodes),
    )


def served(nodes: tuple[Node, ...]) -> tuple[tuple[str, IPv4Address], ...]:
    """Return the service nodes as a cluster has them."""
    wanted = {node.service_node for node in nodes}
    return tuple(sorted((node.name, node.ip) for node in nodes if node.name in wanted))


def plain_cluster(count: int, *, groups: tuple[Group, ...] = ()) -> Cluster:
    """Return a cluster of nodes that are all alike."""
    found = tuple(
        Node(
            name=f"n{number:02d}",
            groups=("compute", "all"),
            aliases=(),
            ip=IPv4Address(f"10.1.0.{number}"),
            mac=f"52:54:00:00:00:{number:02x}",
            model="PE 860",
            firmware=Firmware.BIOS,
            netboot=Netboot.PXE,
            osimage=None,
            state=BootState.LOCAL,
            console=Console(port=0, speed=115200),
            kernel_args=(),
            bmc=None,
            port=None,
            memory=1024,
            nic="e1000",
            nics=(Nic(name="eth1", names=(f"n{number:02d}-eth1",), ip=IPv4Address(f"10.2.0.{number}")),),
        )
        for number in range(1, count + 1)
    )
    nets = (
        Network(name=name, subnet=IPv4Network(subnet), gateway=None, dynamic_range=None, next_server=HEAD, link=name)
        for name, subnet in (("mgmt", "10.1.0.0/24"), ("data", "10.2.0.0/24"))
    )
    site = Site(
        domain="renci.ben",
        master="n01",
        destdir="build",
        nameservers=(HEAD,),
        forwarders=(),
        ssh_key="keys/site_ed25519",
        dns_contact="hostmaster.renci.ben",
        search=("renci.ben",),
    )
    return Cluster(
        site=site,
        networks=tuple(nets),
        switches=(),
        osimages=(),
        media=(),
        shards=(Whole(found),),
        groups=groups,
    )
