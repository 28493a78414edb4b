"""ISC dhcpd's configurations: an address and a boot program for every node, a dynamic range for machines unknown yet.

What is true for every network stands once at the beginning: a ``filename`` that needs the server's address is an
expression, and dhcpd evaluates it when it answers, after the ``next-server`` of the client's subnet and host are known
(dhcp-eval(5)).  Statements of a class are executed after those of the subnet, those of a host last, so that a node
with ``netboot: ipxe`` (a subclass by its MAC) is given another program, and a BMC none.

DHCPv6 has neither next-server nor classes by MAC: there each subnet and each such host has statements of its own.  A
host is found by the MAC in its DUID (types DUID-LLT and DUID-LL, RFC 8415 11.2, 11.4); machines that make theirs from a
UUID (RFC 6355, UEFI does) are unknown to it: Kea and dnsmasq look at the packet and know them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks import paths, template
from tasks.configs import clients
from tasks.configs.bootpolicy import ENTERPRISE, HTTP_CLIENT, By, Offer
from tasks.configs.check import ask, candidate
from tasks.configs.clients import (
    IPXE,
    KNOWN_LEASE,
    LONGEST_LEASE,
    PLAIN,
    UNKNOWN_LEASE,
    Client,
    Frame,
    Link,
    Served,
    quoted,
    walled,
)
from tasks.family import Around, Family, Rows

TEMPLATES = Path(__file__).parent / "templates"
SERVER = 'binary-to-ascii(10, 8, ".", config-option server.next-server)'
# RFC 8415 21.16: the enterprise's number, the length of the text, the text.
VENDOR_CLASS = (ENTERPRISE.to_bytes(4, "big") + len(HTTP_CLIENT).to_bytes(2, "big") + HTTP_CLIENT.encode()).hex(":")


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One branch of an if statement: its condition, and what is done where it holds."""

    condition: str
    statements: tuple[str, ...]


# -- parts -----------------------------------------------------------------------------------------------------------


def text(frame: Frame, rows: Rows) -> Mapping[str, str]:
    """Return the hosts of some nodes, for DHCP and for DHCPv6."""
    found = walled(rows)  # type: ignore[arg-type]  # the rows are Clients
    chains = Chains(frame)
    return {"dhcpd": "".join(map(host, found)), "dhcpd6": "".join([host6(chains, client) for client in found])}


class Chains(dict[str, str]):
    """Network → what a host with ``netboot: ipxe`` is told in other words than its subnet is: made once for each."""

    def __init__(self, frame: Frame) -> None:
        """Keep the frame."""
        super().__init__()
        self.frame = frame

    def __missing__(self, name: str) -> str:
        server = self.frame.by_name[name].next_server6
        ordinary = self.frame.offers6(ipxe_node=False)
        offers = self.frame.offers6(ipxe_node=True)
        own = [
            offer for offer in offers if offer.running or offer not in ordinary
        ]  # those of a running iPXE come first
        chain = chained(branches6(own, str(server))) if server else ()
        self[name] = "".join(f" {line.strip()}" for line in chain)
        return self[name]


def host(client: Client | Sequence[str]) -> str:
    """Return a client's host declaration, empty where it has no address."""
    name, told, mac, ip, _, _, _, kind, server = client
    if not ip:
        return ""
    said = f' option host-name "{told}";' if told else ""
    if server:
        said += f" next-server {server};"
    if kind == PLAIN:
        said += ' filename "";'
    declared = f"host {name} {{ hardware ethernet {mac}; fixed-address {ip};{said} }}\n"
    return declared + f'subclass "ipxe" 1:{mac};\n' if kind == IPXE else declared


def host6(chains: Chains, client: Client | Sequence[str]) -> str:
    """Return a client's host declaration for DHCPv6, empty where it has no address."""
    name, _, mac, _, _, ip6, home6, kind, _ = client
    if not ip6:
        return ""
    own = chains[home6] if kind == IPXE else ' option dhcp6.bootfile-url "";' if kind == PLAIN else ""
    return f"host {name} {{ hardware ethernet {mac}; fixed-address6 {ip6};{own} }}\n"


# -- frames ----------------------------------------------------------------------------------------------------------


def around(frame: Frame, _sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return what stands before the nodes' hosts."""
    links = clients.links(frame)
    own = text(frame, frame.switches)
    leases = {"known": KNOWN_LEASE, "longest": LONGEST_LEASE, "unknown": UNKNOWN_LEASE}
    head = template.render(
        TEMPLATES / "dhcpd.conf.j2",
        leases=leases,
        ordinary="".join(chained(branches(frame.offers(ipxe_node=False)))),
        ipxe="".join(chained(branches(frame.offers(ipxe_node=True)), indent="    ")),
        links=links,
        is_shared=is_shared,
        quoted=quoted,
        listed=listed,
    )
    head6 = template.render(
        TEMPLATES / "dhcpd6.conf.j2",
        leases=leases,
        links=[link for link in links if any(network.subnet6 and network.dhcp for network in link.networks)],
        offers={network.name: offers6(frame, network) for link in links for network in link.networks},
        quoted=quoted,
        listed=listed,
    )
    site = frame.site
    return {
        "dhcpd": Around(path=paths.dhcpd_conf(site), head=head + own["dhcpd"]),
        "dhcpd6": Around(path=paths.dhcpd6_conf(site), head=head6 + own["dhcpd6"]),
    }


def is_shared(link: Link) -> bool:
    """Return whether a link needs a shared-network: it has several subnets, or a relay agent in none of them."""
    return len(link.networks) + len(link.relays) > 1


def listed(texts: Iterable[str]) -> str:
    """Return texts between quotes, with commas."""
    return ", ".join(map(quoted, texts))


def offers6(frame: Frame, network: Served) -> str:
    """Return the statements of a subnet6, none where nothing says who has its boot files."""
    if network.next_server6 is None:
        return ""
    chain = branches6(frame.offers6(ipxe_node=False), str(network.next_server6))
    return "".join(chained(chain, indent="    "))


# -- the policy in dhcpd's words -------------------------------------------------------------------------------------


def branches(offers: Iterable[Offer]) -> Iterator[Branch]:
    """Yield the branches of the if statement: no two hold for the same client.

    An option that the client did not send equals nothing.  A client may send several architectures (RFC 4578 2.1):
    the first is what it runs.
    """
    for offer in offers:
        said = tuple(statements(offer))
        yield from branched(offer, said, ipxe="option user-class, 0, 4", arch="option client-arch, 0, 2")


def branched(offer: Offer, said: tuple[str, ...], *, ipxe: str, arch: str) -> Iterator[Branch]:
    """Yield an offer's branches, one for each architecture.

    Comparisons bind tighter than ``and``.  ``or`` is avoided: it binds no weaker than ``and``, and dhcpd's parser
    takes no operator behind a closing parenthesis.
    """
    tests = [f'substring({ipxe}) = "iPXE"'] if offer.running else []
    if not offer.archs:
        tests += [f"substring({arch}) != {number(one)}" for one in offer.besides]
        yield Branch(condition=" and ".join(tests), statements=said)
    for one in offer.archs:
        yield Branch(condition=" and ".join([*tests, f"substring({arch}) = {number(one)}"]), statements=said)


def number(arch: int) -> str:
    """Return an architecture as dhcpd's data string."""
    return f"{arch >> 8:02x}:{arch & 0xFF:02x}"


def statements(offer: Offer) -> Iterator[str]:
    """Yield what an offer says."""
    url = f'concat("http://", {SERVER}, {quoted(offer.url("").removeprefix("http://"))})'
    if offer.by is By.PREFIX:
        yield f"option path-prefix = {url};"
        return
    yield f"filename {quoted(offer.file)};" if offer.by is By.NAME else f"filename = {url};"
    if offer.by is By.HTTP_CLIENT:
        yield f'option vendor-class-identifier "{HTTP_CLIENT}";'


def branches6(offers: Iterable[Offer], server: str) -> Iterator[Branch]:
    """Yield the branches for DHCPv6; each text of a user class has its length before it (RFC 8415 21.15)."""
    for offer in offers:
        said = [f'option dhcp6.bootfile-url "{offer.url6(server)}";']
        if offer.by is By.HTTP_CLIENT:
            said.append(f"option dhcp6.http-client {VENDOR_CLASS};")
        ipxe, arch = "option dhcp6.user-class, 2, 4", "option dhcp6.client-arch-type, 0, 2"
        yield from branched(offer, tuple(said), ipxe=ipxe, arch=arch)


def chained(branches: Iterable[Branch], *, indent: str = "") -> Iterator[str]:
    """Yield the lines of an if statement."""
    word = "if"
    for branch in branches:
        yield f"{indent}{word} {branch.condition} {{\n"
        yield from (f"{indent}    {statement}\n" for statement in branch.statements)
        word = "} elsif"
    if word != "if":
        yield f"{indent}}}\n"


# -- the family ------------------------------------------------------------------------------------------------------


def outputs(frame: Frame) -> Sequence[Path]:
    """Return the two files."""
    return [paths.dhcpd_conf(frame.site), paths.dhcpd6_conf(frame.site)]


def check(frame: Frame, texts: Mapping[str, str]) -> None:
    """Ask dhcpd."""
    about = {"dhcpd": paths.dhcpd_conf(frame.site), "dhcpd6": paths.dhcpd6_conf(frame.site)}
    version = {"dhcpd": "-4", "dhcpd6": "-6"}
    with candidate("dhcpd") as folder:
        for key, written in texts.items():
            path = folder / about[key].name
            path.write_text(written)
            ask(["dhcpd", version[key], "-t", "-cf", path], about=about[key])


FAMILY: Family[Frame] = Family(
    name="dhcpd",
    frame=clients.frame,
    rows=clients.rows,
    text=text,
    around=around,
    outputs=outputs,
    check=check,
)
