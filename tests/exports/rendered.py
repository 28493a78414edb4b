"""What the tests of the exports share: nodes made by hand, clusters with odd values, and whole files."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tasks.family import Aggregate, Family
from tasks.inventory.model import (
    Bmc,
    BootState,
    Cluster,
    Console,
    Firmware,
    Group,
    Netboot,
    Network,
    Node,
    SecretKind,
    SecretRef,
    Switch,
    SwitchPort,
    Whole,
)
from tests.samples import SITE

FIRST = int(IPv4Address("10.1.0.10"))
SECRET = SecretRef(kind=SecretKind.ENV, where="BMC_PASSWORD")
BMC = Bmc(name="n01-ipmi", address=IPv4Address("10.1.0.110"), user="root", password=SECRET)
PLAIN = Node(
    name="n01",
    groups=("compute", "all"),
    aliases=(),
    ip=IPv4Address("10.1.0.10"),
    mac="00:18:8b:f8:e3:58",
    model="PE 860",
    firmware=Firmware.BIOS,
    netboot=Netboot.PXE,
    osimage="debian12-x86_64-netboot-compute",
    state=BootState.NETBOOT,
    console=Console(port=0, speed=115200),
    kernel_args=(),
    bmc=BMC,
    port=SwitchPort(switch="s1", port="1"),
    memory=1024,
    nic="e1000",
)
NETWORK = Network(
    name="mgmt",
    subnet=IPv4Network("10.0.0.0/8"),
    gateway=None,
    dynamic_range=None,
    next_server=IPv4Address("10.1.0.1"),
)
SWITCH = Switch(name="s1", ip=IPv4Address("10.1.0.253"), ports=48, community=SECRET)


def node(name: str, **values: Any) -> Node:
    """Return a node; what is not given is as n01 has it."""
    return replace(PLAIN, name=name, **values)


def cluster(*shards: Sequence[Node], groups: Sequence[Group] = (), **values: Any) -> Cluster:
    """Return a cluster of shards."""
    return Cluster(
        site=replace(SITE, **values),
        networks=(NETWORK,),
        switches=(SWITCH,),
        osimages=(),
        media=(),
        shards=tuple(Whole(tuple(nodes)) for nodes in shards),
        groups=tuple(groups),
    )


def whole(form: Family[Any] | Aggregate[Any], cluster: Cluster) -> dict[str, str]:
    """Return an export's whole files by their path below etc/bootmill, accepted by its own check."""
    frame = form.frame(cluster)
    rows = [form.rows(frame, shard.nodes()) for shard in cluster.shards]
    if isinstance(form, Aggregate):
        texts = dict(form.text(frame, rows))
        form.check(frame, texts)
    else:
        around = form.around(frame, {})
        parts = [form.text(frame, some) for some in rows]
        keyed = {key: one.head + "".join(part[key] for part in parts) + one.tail for key, one in around.items()}
        form.check(frame, keyed)
        texts = {around[key].path: text for key, text in keyed.items()}
    assert sorted(texts) == sorted(form.outputs(frame))
    return {str(path.relative_to(Path("build/etc/bootmill"))): text for path, text in texts.items()}


# -- odd values ------------------------------------------------------------------------------------------------------

LABELS = st.one_of(
    st.from_regex(r"(?!-)[a-z0-9-]{1,12}(?<!-)", fullmatch=True),
    st.builds("n{:02}".format, st.integers(0, 120)),
    st.builds("r{}n{}".format, st.integers(0, 3), st.integers(8, 12)),
    st.sampled_from(["no", "on", "null", "1e3", "123", "0x10", "true", "y", "all"]),
)
VARIABLES = st.one_of(
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
    st.sampled_from(["no", "rack", "model", "groups", "bootmill", "ansible_host", "instance"]),
)
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["no", "0123", "1:30", "{{ x }}", 'a"b', "a\nb", "'; x #", "${HOME}", "\\", "PE 860", "r1", "%n"]),
)
PAIRS = st.dictionaries(VARIABLES, VALUES, max_size=3).map(lambda found: tuple(sorted(found.items())))


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Draw a cluster with the oddest names and values that the inventory lets through, and some that it does not."""
    names = draw(st.lists(LABELS, unique=True, min_size=1, max_size=12))
    groups = draw(st.lists(LABELS, unique=True, max_size=4))
    nested = [
        Group(name=name, groups=tuple(draw(st.lists(st.sampled_from(groups[:index]), max_size=2, unique=True))))
        if index
        else Group(name=name, vars=draw(PAIRS))
        for index, name in enumerate(groups)
    ]
    some = st.lists(st.sampled_from(groups), max_size=3, unique=True) if groups else st.just([])
    nodes = [
        node(
            name,
            ip=IPv4Address(FIRST + index),
            groups=tuple(dict.fromkeys([*draw(some), "all"])),
            model=draw(st.sampled_from(["generic", "PE 860", "PE_860", "R-6.1+"])),
            osimage=draw(st.sampled_from([None, PLAIN.osimage])),
            port=draw(st.sampled_from([None, PLAIN.port])),
            vars=draw(PAIRS),
        )
        for index, name in enumerate(names)
    ]
    cut = draw(st.integers(0, len(nodes)))
    return cluster(nodes[:cut], nodes[cut:], groups=nested)
