"""The hosts file, the zones and the time before the programs that read them: checkers, and real name servers."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import inventory, paths, system
from tasks.configs import chrony, zone
from tasks.errors import BootmillError, MissingToolError
from tasks.inventory.model import Cluster, DnsRecord, Network, Nic, Node, RecordType, Whole
from tests.configs.whole import SAMPLE, plain, render, write

pytestmark = pytest.mark.integration
Address = IPv4Address | IPv6Address


def tool(name: str) -> str:
    """Return a program's path, or skip the test and say which package brings it."""
    found = shutil.which(name, path=system.PATH)
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {system.package_of(name)}")
    return found


@pytest.fixture
def cluster(cluster: Cluster) -> Cluster:
    """Return the sample, made plain."""
    return plain(cluster)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty checkout."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def network(cluster: Cluster, subnet: str, **values: Any) -> Network:
    """Return the sample's network, changed."""
    return replace(cluster.networks[0], subnet=IPv4Network(subnet), dynamic_range=None, **values)


def with_nodes(cluster: Cluster, *nodes: Node) -> Cluster:
    """Return the cluster with other nodes, 500 in a shard."""
    shards = tuple(Whole(nodes[start : start + 500]) for start in range(0, len(nodes), 500))
    return replace(cluster, shards=shards, switches=())


def full(cluster: Cluster, nodes: int = 40) -> Cluster:
    """Return a cluster with everything that a zone can have, and this many nodes."""
    networks = (
        network(cluster, "10.1.0.0/16", subnet6=IPv6Network("fd00:1::/64")),
        network(
            cluster,
            "192.0.2.0/26",
            name="ib",
            subnet6=IPv6Network("fd00:2::/62"),
            domain="ib.renci.ben",
            delegation=True,
        ),
        network(cluster, "192.0.2.128/25", name="dmz", domain="dmz.example"),
        network(cluster, "172.16.8.0/22", name="storage"),
    )
    records = (
        DnsRecord(name="_ntp._udp", type=RecordType.SRV, value="0 0 123 mgt"),
        DnsRecord(name="@", type=RecordType.MX, value="10 mgt"),
        DnsRecord(name="@", type=RecordType.TXT, value='v=spf1 "x"; -all'),
        DnsRecord(name="www.ib", type=RecordType.CNAME, value="mgt"),
        DnsRecord(name="*.web", type=RecordType.A, value="10.1.9.9"),
        DnsRecord(name="gone", type=RecordType.CNAME, value="left"),
        DnsRecord(name="@", type=RecordType.MX, value="20 left"),
    )
    site = replace(cluster.site, secondaries=(IPv4Address("10.1.0.3"),), records=records, forwarders=())
    head = replace(cluster.node("mgt"), ip6=IPv6Address("fd00:1::1"))
    made = (machine(cluster, number) for number in range(nodes))
    return replace(with_nodes(cluster, head, *made), site=site, networks=networks)


def machine(cluster: Cluster, number: int) -> Node:
    """Return a node with addresses of both families, interfaces in several networks, an alias and a BMC."""
    node, name = cluster.node("n01"), f"c{number:05}"
    assert node.bmc
    nics = [Nic(name="st0", names=(name,), ip=IPv4Address("172.16.8.1") + number)] if number < 1000 else []
    if number < 60:
        nics.append(
            Nic(
                name="ib0",
                names=(f"{name}-ib", f"fast{number}"),
                ip=IPv4Address("192.0.2.1") + number,
                ip6=IPv6Address("fd00:2:0:3::1") + number,
            )
        )
    return replace(
        node,
        name=name,
        aliases=(f"alias{number}",),
        ip=IPv4Address("10.1.1.0") + number,
        ip6=IPv6Address("fd00:1::100") + number,
        nics=tuple(nics),
        bmc=replace(node.bmc, name=f"{name}-ipmi", address=IPv4Address("10.1.128.0") + number),
    )


# -- checkers --------------------------------------------------------------------------------------------------------


def test_the_sample_passes_the_checker(scratch: Path) -> None:
    """What we render is accepted, every file is where the task says, and the check leaves nothing behind."""
    tool("named-checkconf")
    cluster = inventory.load(SAMPLE)
    write(zone.FAMILY, cluster)
    assert all(path.is_file() for path in zone.FAMILY.outputs(zone.FAMILY.frame(cluster)))
    assert tree(scratch / "build/checks") == {}


def test_everything_at_once_passes_the_checker(cluster: Cluster) -> None:
    """Both families, delegations, secondaries, records that lead nowhere: named would load all of it."""
    tool("named-checkconf")
    write(zone.FAMILY, full(cluster))


def test_ten_thousand_nodes_pass_the_checker(cluster: Cluster) -> None:
    """The size of a real site, in parts."""
    tool("named-checkconf")
    many = full(cluster, 10_000)
    text = render(zone.FAMILY, many, chunks=20, check=True)[paths.zone_dir(cluster.site) / "db.renci.ben"]
    assert text.count(" IN A ") > 20_000
    assert text.count(" IN AAAA ") > 10_000


def test_a_part_passes_without_the_others(cluster: Cluster) -> None:
    """Where only some nodes changed only those are asked about: the head node may not be one of them."""
    tool("named-checkconf")
    family = zone.FAMILY
    frame = family.frame(cluster)
    part = family.text(frame, family.rows(frame, [cluster.node("n01")]))
    family.check(frame, {key: one.head + part.get(key, "") for key, one in family.around(frame, {}).items()})
    broken = {**part, "db.renci.ben": "n01 IN A 10.1.0\n"}
    with pytest.raises(BootmillError, match=r"db\.renci\.ben: not replaced"):
        family.check(frame, {key: one.head + broken.get(key, "") for key, one in family.around(frame, {}).items()})


@pytest.mark.parametrize("name", ["10", "0a", "1e3", "host", "in", "ptr", "a", "mx", "a--b", "x" * 63])
def test_any_host_name_is_a_host_name_for_named(cluster: Cluster, name: str) -> None:
    """Names that look like numbers, keywords, types or record classes are names all the same."""
    tool("named-checkconf")
    nodes = (replace(node, name=name, bmc=None) if node.name == "n01" else node for node in cluster.nodes)
    write(zone.FAMILY, with_nodes(cluster, *nodes))
    assert f"\n{name} IN A 10.1.0.11\n" in (paths.zone_dir(cluster.site) / "db.renci.ben").read_text()


def test_a_refused_zone_replaces_nothing(cluster: Cluster, scratch: Path) -> None:
    """One bad record: neither that zone nor another nor named.conf nor a serial is replaced; the zone is named."""
    tool("named-checkconf")
    write(zone.FAMILY, cluster)
    before = tree(scratch / "build/etc"), tree(scratch / "inventory")
    nodes = (
        replace(node, ip=IPv4Address("10.1.0.99"), aliases=("n02",)) if node.name == "n01" else node
        for node in cluster.nodes
    )  # a CNAME beside an A record
    with pytest.raises(BootmillError, match=r"^build/etc/bind/zones/db\.renci\.ben: not replaced") as caught:
        write(zone.FAMILY, with_nodes(cluster, *nodes))
    assert "CNAME and other data" in caught.value.message
    assert (tree(scratch / "build/etc"), tree(scratch / "inventory")) == before
    command = caught.value.hint.removeprefix("try it by hand: ")
    done = subprocess.run(command, shell=True, env={"PATH": system.PATH}, capture_output=True, check=False)  # noqa: S602
    assert done.returncode == 1


def test_among_many_zones_the_refused_one_is_named(cluster: Cluster) -> None:
    """What the checker says of the other hundred, and of records that lead nowhere, does not hide it."""
    tool("named-checkconf")
    many = full(cluster)
    wide = replace(many, networks=(network(cluster, "10.0.0.0/9"), *many.networks[1:]))
    write(zone.FAMILY, wide)
    *others, last = wide.nodes
    nics = (*last.nics, Nic(name="x", names=("other", "alias1"), ip=IPv4Address("10.1.7.7")))
    twice = with_nodes(wide, *others, replace(last, nics=nics))  # the alias of another node
    with pytest.raises(BootmillError, match=r"db\.renci\.ben: not replaced") as caught:
        write(zone.FAMILY, twice)
    said = caught.value.message.splitlines()
    assert any("alias1" in line and "multiple RRs of singleton type" in line for line in said)
    assert len(said) < 6


def test_a_checkout_may_lie_anywhere(cluster: Cluster, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes and blanks in its path do not disturb the checker, and no byte of it gets into a file."""
    tool("named-checkconf")
    other = scratch / 'a "checkout" with \\blanks'
    other.mkdir()
    write(zone.FAMILY, cluster)
    monkeypatch.chdir(other)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    write(zone.FAMILY, cluster)
    for folder in ("build/etc", "inventory"):
        assert tree(other / folder) == tree(scratch / folder)


def test_the_zone_of_a_network_that_left_is_gone(cluster: Cluster) -> None:
    """A network that moved takes its reverse zone along; a zone file of the user's own stays."""
    tool("named-checkconf")
    write(zone.FAMILY, cluster)
    folder = paths.zone_dir(cluster.site)
    (folder / "db.own").write_text("$TTL 300\n")
    head = replace(cluster.node("mgt"), ip=IPv4Address("10.2.0.1"))
    write(zone.FAMILY, replace(with_nodes(cluster, head), networks=(network(cluster, "10.2.0.0/24"),)))
    assert sorted(path.name for path in folder.iterdir()) == ["db.0.2.10.in-addr.arpa", "db.own", "db.renci.ben"]


def test_a_missing_checker_is_named_with_its_package(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its checker nothing is published unseen: the error names the package to install."""
    monkeypatch.setattr("tasks.run.PATH", "/nowhere")
    with pytest.raises(MissingToolError, match="named-checkconf") as caught:
        write(zone.FAMILY, cluster)
    assert "bind9-utils" in caught.value.hint
    with pytest.raises(MissingToolError, match="chronyd") as caught:
        write(chrony.FAMILY, cluster)
    assert "package chrony" in caught.value.hint
    assert not Path("build/etc").exists()


def test_chronyd_takes_both_files(cluster: Cluster) -> None:
    """With servers and without, IPv6 included; what it does not know is refused."""
    tool("chronyd")
    site = replace(cluster.site, ntp_servers=("ntp.example.org", "fd00::1"))
    six = network(cluster, "10.1.0.0/24", subnet6=IPv6Network("fd00:1::/64"))
    write(chrony.FAMILY, cluster)
    write(chrony.FAMILY, replace(cluster, site=site, networks=(six,)))
    frame = chrony.FAMILY.frame(cluster)
    with pytest.raises(BootmillError, match="not replaced: chronyd failed"):
        chrony.FAMILY.check(frame, {"head": "servr 10.1.0.1\n"})


# -- any inventory ---------------------------------------------------------------------------------------------------


@st.composite
def inventories(draw: st.DrawFn, sample: Cluster) -> Cluster:
    """Return a cluster with networks of any size, and nodes with any of their addresses."""
    start, networks = int(IPv4Address("10.0.0.0")), []
    for number in range(draw(st.integers(1, 5))):
        length = draw(st.integers(24, 30) if number else st.integers(8, 30))
        size = 1 << (32 - length)
        start = -(-start // size) * size + draw(st.integers(0, 3)) * size * (length > 16)
        length6 = draw(st.sampled_from([None, 32, 47, 48, 62, 64, 65, 112, 120, 125, 127]))
        networks.append(
            replace(
                sample.networks[0],
                name=f"net{number}",
                subnet=IPv4Network((start, length)),
                subnet6=None if length6 is None else IPv6Network(((0xFD00 + number) << 112, length6)),
                domain=draw(st.sampled_from([None, "renci.ben", "ib.renci.ben", "a.b.renci.ben", "other.example"])),
                delegation=draw(st.booleans()),
                dynamic_range=None,
            )
        )
        start += size
    used: set[Address] = set()

    def address(family: str) -> Any:
        subnet = getattr(draw(st.sampled_from(networks)), family)
        if subnet is None:
            return None
        found = subnet.network_address + draw(st.integers(0, min(subnet.num_addresses, 1 << 20) - 1))
        if found in used:
            return None
        used.add(found)
        return found

    nodes = []
    for name in ["mgt", *(f"n{number}" for number in range(draw(st.integers(0, 6))))]:
        nics = []
        for number in range(draw(st.integers(0, 2))):
            names = draw(st.sampled_from([(name,), (f"{name}-{number}", f"x{number}-{name}")]))
            nics.append(Nic(name=f"e{number}", names=names, ip=address("subnet"), ip6=address("subnet6")))
        ip = address("subnet")
        if ip is not None:
            aliases = draw(st.sampled_from([(), (f"{name}a",), (f"{name}a", f"{name}b")]))
            node = replace(sample.node("n01"), name=name, aliases=aliases, ip=ip, nics=tuple(nics), bmc=None)
            nodes.append(replace(node, ip6=address("subnet6")))
    secondaries = draw(st.sampled_from([(), (IPv4Address("192.0.2.3"), IPv6Address("2001:db8::3"))]))
    site = replace(sample.site, secondaries=secondaries)
    return replace(with_nodes(sample, *nodes), networks=tuple(networks), site=site)


@dataclass(frozen=True)
class Zones:
    """The records of zone files: zone → full name → type → data."""

    found: Mapping[str, Mapping[str, list[tuple[str, str]]]]

    @classmethod
    def of(cls, texts: Mapping[Path, str]) -> "Zones":
        """Read zone files as a server does."""
        found: dict[str, dict[str, list[tuple[str, str]]]] = {}
        for path, text in texts.items():
            if path.name.startswith("db."):
                own = found.setdefault(path.name.removeprefix("db."), {})
                for name, kind, data in re.findall(r"^(\S+) IN ((?!SOA)[A-Z]+) (.*)$", text, re.MULTILINE):
                    full_name = path.name.removeprefix("db.") if name == "@" else f"{name}.{path.name[3:]}"
                    own.setdefault(full_name, []).append((kind, data))
        return cls(found)

    def ask(self, name: str, kind: str) -> list[str]:
        """Return the answers from the smallest zone around a name; follow CNAMEs."""
        zones = [one for one in self.found if f".{name}".endswith(f".{one}")]
        if not zones:
            return []
        own = max(zones, key=len)
        records = self.found[own].get(name, [])
        for alias in [data for type_, data in records if type_ == "CNAME"]:
            return self.ask(alias.removesuffix(".") if alias.endswith(".") else f"{alias}.{own}", kind)
        return [data for type_, data in records if type_ == kind]


def domain_of(cluster: Cluster, address: Address) -> str:
    """Return the domain of an address's network."""
    return cluster.network_of(address).domain or cluster.site.domain


def told(cluster: Cluster) -> Iterator[tuple[str, Address]]:
    """Yield every full name with an address that it has."""
    for node in cluster.nodes:
        pairs = [
            (node.name, node.ip),
            (node.name, node.ip6),
            *((nic.names[0], ip) for nic in node.nics for ip in (nic.ip, nic.ip6)),
        ]
        if node.bmc:
            pairs.append((node.bmc.name, node.bmc.address))
        yield from ((f"{name}.{domain_of(cluster, ip)}", ip) for name, ip in pairs if ip is not None)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_inventory_passes_and_answers(cluster: Cluster, data: st.DataObject) -> None:
    """Networks of any size, domains, delegations, secondaries: named takes it, and each address is found both ways."""
    tool("named-checkconf")
    made = data.draw(inventories(cluster))
    texts = render(zone.FAMILY, made, chunks=data.draw(st.integers(1, 4)), check=True)
    zones = Zones.of(texts)
    for name, ip in told(made):
        assert str(ip) in zones.ask(name, "A" if ip.version == 4 else "AAAA")
        assert zones.ask(pointer(made, zones, ip), "PTR") == [f"{name}."]


def pointer(cluster: Cluster, zones: Zones, ip: Address) -> str:
    """Return the name that leads back from an address; where somebody else has the /24, what he leads to."""
    home = cluster.network_of(ip)
    around = ip.reverse_pointer.partition(".")[2]
    ours = any(f".{around}".endswith(f".{one}") for one in zones.found)
    if ip.version == 6 or not home.delegation or home.subnet.prefixlen <= 24 or ours:
        return ip.reverse_pointer
    return f"{int(ip) & 255}.{int(home.subnet.network_address) & 255}-{home.subnet.prefixlen}.{around}"


# -- name servers ----------------------------------------------------------------------------------------------------

PRIMARY, SECONDARY, CLIENT = "10.1.0.1", "10.1.0.3", "10.1.0.9"


@dataclass(frozen=True)
class Places:
    """Two machines that are joined by a wire: command line → command line that runs there."""

    primary: Callable[..., list[str]]
    secondary: Callable[..., list[str]]


@pytest.fixture
def places() -> Iterator[Places]:
    """Make two network name spaces; they end with their last process."""
    for name in ("unshare", "nsenter", "ip"):
        tool(name)
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    same_user = ["--user", "--preserve-credentials"] if user else []

    def inside(pid: int) -> Callable[..., list[str]]:
        return lambda *words: ["nsenter", f"--target={pid}", *same_user, "--net", *words]

    with ExitStack() as stack:
        first = stack.enter_context(held(["unshare", *user, "--net", "sleep", "infinity"]))
        second = stack.enter_context(held(inside(first)("unshare", "--net", "sleep", "infinity")))
        wire(inside(first), f"link add wire type veth peer name wire netns {second}", PRIMARY)
        wire(inside(second), "link set lo up", SECONDARY, CLIENT)
        yield Places(inside(first), inside(second))


def wire(inside: Callable[..., list[str]], before: str, address: str, *others: str) -> None:
    """Give one end of the wire its addresses, for IPv6 the same last number."""
    addresses = [f"addr add {one}/16 dev wire" for one in (address, *others)]
    six = f"-6 addr add fd00:1::{address.rpartition('.')[2]}/64 dev wire nodad"
    for command in (before, *addresses, six, "link set wire up", "link set lo up"):
        subprocess.run(inside("ip", *command.split()), check=True)


@contextmanager
def held(argv: list[str]) -> Iterator[int]:
    """Run a program that holds a name space, and wait until it does: until it is `sleep`."""
    with subprocess.Popen(argv) as process:
        try:
            wait(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n", lambda: " ".join(argv))
            yield process.pid
        finally:
            process.kill()


def wait(ready: Callable[[], bool], said: Callable[[], str]) -> None:
    """Wait until something is so; say what was said where it never is."""
    end = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < end, said()
        time.sleep(0.02)


@contextmanager
def named(inside: Callable[..., list[str]], folder: Path, *parts: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a name server with these parts of named.conf until the block ends."""
    folder.mkdir()
    conf = "\n".join(["controls { };", *parts])
    conf = conf.replace("/var/cache/bind", str(folder)).replace(
        "/etc/bind/zones", str(Path("build/etc/bind/zones").absolute())
    )
    conf = conf.replace("options {", f'options {{ pid-file "{folder}/pid"; session-keyfile none; notify-delay 0;')
    (folder / "named.conf").write_text(conf)
    log = folder / "log"
    argv = inside(tool("named"), "-g", "-n", "1", "-c", str(folder / "named.conf"))
    with log.open("wb") as output, subprocess.Popen(argv, stdout=output, stderr=output) as process:
        try:
            wait(lambda: "all zones loaded" in log.read_text() or process.poll() is not None, log.read_text)
            assert process.poll() is None, log.read_text()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


Ask = Callable[..., dict[tuple[str, str], list[str]]]


def asker(inside: Callable[..., list[str]], scratch: Path) -> Ask:
    """Return a function that asks a server many questions by one dig, and returns the answers by name and type."""
    dig = tool("dig")

    def ask(server: str, *questions: tuple[str, str]) -> dict[tuple[str, str], list[str]]:
        batch = scratch / "questions"
        batch.write_text("".join(f"{name} {kind}\n" for name, kind in dict.fromkeys(questions)))
        argv = [dig, f"@{server}", "+tries=1", "+time=5", "+noall", "+answer", "-f", str(batch)]
        done = subprocess.run(inside(*argv), capture_output=True, text=True, check=False)
        answers: dict[tuple[str, str], list[str]] = {}
        for line in done.stdout.splitlines():
            if line and not line.startswith(";"):
                name, _, _, kind, data = line.split(maxsplit=4)
                answers.setdefault((name, kind), []).append(data)
        return answers

    return ask


def texts(cluster: Cluster) -> tuple[str, str, str]:
    """Return the three parts of named.conf as they were published."""
    site = cluster.site
    found = [
        path.read_text() for path in (paths.named_options(site), paths.named_conf(site), paths.named_secondary(site))
    ]
    return found[0], found[1], found[2]


def test_named_answers_what_the_inventory_says(cluster: Cluster, places: Places, scratch: Path) -> None:
    """Forward and reverse, both families, aliases, records of the site's, a delegated network: over IPv4 and IPv6."""
    made = full(cluster, 2000)
    write(zone.FAMILY, made)
    options, conf, _ = texts(made)
    ask = asker(places.secondary, scratch)
    sampled = random.Random(7).sample(list(told(made)), 300)
    sampled += [pair for pair in told(made) if str(pair[1]).startswith("192.0.2.")][:10]
    with named(places.primary, scratch / "primary", options, conf):
        for server in (PRIMARY, "fd00:1::1"):
            forward = ask(server, *((name, "A" if ip.version == 4 else "AAAA") for name, ip in sampled))
            for name, ip in sampled:
                assert str(ip) in forward[f"{name}.", "A" if ip.version == 4 else "AAAA"]
        reverse = ask(PRIMARY, *((ip.reverse_pointer, "PTR") for _, ip in sampled))
        for name, ip in sampled:
            asked = f"{ip.reverse_pointer}."
            for target in reverse.get((asked, "CNAME"), [asked]):  # RFC 2317
                assert reverse[target, "PTR"] == [f"{name}."]
        assert ("5.2.0.192.in-addr.arpa.", "CNAME") in ask(PRIMARY, ("5.2.0.192.in-addr.arpa", "PTR"))
        found = ask(
            PRIMARY,
            ("alias7.renci.ben", "A"),
            ("fast7.ib.renci.ben", "AAAA"),
            ("_ntp._udp.renci.ben", "SRV"),
            ("renci.ben", "MX"),
            ("renci.ben", "TXT"),
            ("renci.ben", "NS"),
            ("www.ib.renci.ben", "A"),
            ("any.web.renci.ben", "A"),
            ("c00007.renci.ben", "A"),
        )
        assert found["alias7.renci.ben.", "CNAME"] == ["c00007.renci.ben."]
        assert found["fast7.ib.renci.ben.", "CNAME"] == ["c00007-ib.ib.renci.ben."]
        assert found["c00007-ib.ib.renci.ben.", "AAAA"] == ["fd00:2:0:3::8"]
        assert found["_ntp._udp.renci.ben.", "SRV"] == ["0 0 123 mgt.renci.ben."]
        assert sorted(found["renci.ben.", "MX"]) == ["10 mgt.renci.ben.", "20 left.renci.ben."]
        assert found["renci.ben.", "TXT"] == [r'"v=spf1 \"x\"; -all"']
        assert sorted(found["renci.ben.", "NS"]) == ["mgt.renci.ben.", "secondary-1.renci.ben."]
        assert found["www.ib.renci.ben.", "CNAME"] == ["mgt.renci.ben."]
        assert found["any.web.renci.ben.", "A"] == ["10.1.9.9"]
        assert sorted(set(found["c00007.renci.ben.", "A"])) == ["10.1.1.7", "172.16.8.8"]


def with_alias(cluster: Cluster, alias: str) -> Cluster:
    """Return the cluster with another name for its last node."""
    *others, last = cluster.nodes
    return with_nodes(cluster, *others, replace(last, aliases=(alias,)))


def test_a_secondary_follows_every_serial(cluster: Cluster, places: Places, scratch: Path) -> None:
    """It copies the zones by itself and takes each change, an undone one and one after build/ was deleted, too."""
    made = full(cluster)
    write(zone.FAMILY, made)
    options, conf, secondary = texts(made)
    ask = asker(places.secondary, scratch)

    def serial(server: str) -> int:
        (soa,) = ask(server, ("renci.ben", "SOA")).get(("renci.ben.", "SOA"), ["- - 0"])
        return int(soa.split()[2])

    with (
        named(places.primary, scratch / "primary", options, conf) as primary,
        named(places.secondary, scratch / "secondary", options, secondary),
    ):
        log = (scratch / "secondary/log").read_text
        wait(lambda: serial(SECONDARY) == 1, log)
        assert ask(SECONDARY, ("7.2.0.192.in-addr.arpa", "PTR"))["7.2.0.192.in-addr.arpa.", "CNAME"]
        steps = [("first", False), ("second", False), ("first", False), ("third", True), ("first", True)]
        for number, (alias, clean) in enumerate(steps, start=2):
            if clean:
                shutil.rmtree("build")
            write(zone.FAMILY, with_alias(made, alias))
            primary.send_signal(signal.SIGHUP)
            wait(lambda number=number: serial(PRIMARY) == number, (scratch / "primary/log").read_text)  # type: ignore[misc]
            wait(lambda alias=alias: bool(ask(SECONDARY, (f"{alias}.renci.ben", "A"))), log)  # type: ignore[misc]
            assert serial(SECONDARY) == number
        write(zone.FAMILY, with_alias(made, "first"))
        primary.send_signal(signal.SIGHUP)
        assert serial(PRIMARY) == len(steps) + 1  # nothing changed


def test_strangers_may_not_transfer(cluster: Cluster, places: Places, scratch: Path) -> None:
    """The zones are copied to the secondaries alone: another address of the same network is refused."""
    made = full(cluster)
    write(zone.FAMILY, made)
    options, conf, _ = texts(made)
    dig = tool("dig")
    with named(places.primary, scratch / "primary", options, conf):
        for source, copied in ((SECONDARY, True), (CLIENT, False)):
            argv = places.secondary(dig, f"@{PRIMARY}", "-b", source, "+tries=1", "renci.ben", "AXFR")
            said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
            assert ("c00007.renci.ben." in said) is copied
