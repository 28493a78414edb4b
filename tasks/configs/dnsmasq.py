"""dnsmasq's configuration as a DHCP server; names are named's matter (``port=0``).

The machines are in a file of their own (``dhcp-hostsfile``), which dnsmasq reads again at SIGHUP.  ``dnsmasq --test``
does not read it, and takes a time that grows with the square of such lines where they are in the configuration itself:
so each line is held against a pattern here.

Every condition is a tag (dnsmasq(8), --dhcp-match): architectures ``arch-7``, a running iPXE ``ipxe``, the network
``net-mgmt``, what the machine's own line sets (``ipxe-node``, ``plain``, ``service``), and the server whose files a
client is given ``at-10.1.0.1``.  Of several ``dhcp-boot`` that match any may be taken: no two match the same client.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tasks import paths, template
from tasks.configs import clients
from tasks.configs.bootpolicy import HTTP_CLIENT, By, Offer
from tasks.configs.check import ask, candidate
from tasks.configs.clients import IPXE, KNOWN_LEASE, PLAIN, UNKNOWN_LEASE, Client, Frame, Link, Served, quoted, walled
from tasks.errors import BootmillError
from tasks.family import Around, Family, Rows

TEMPLATE = Path(__file__).parent / "templates" / "dnsmasq.conf.j2"
LEAST_PREFIX6 = 64  # dnsmasq refuses a shorter one
INTERFACE = re.compile(r"^shared-network=(?![0-9.]+,)[^,]+,", re.MULTILINE)
HOSTS_HEADER = "# Made by Bootmill from inventory/: edits are lost.\n"
# In a dhcp-host line these are a lease time, or a word of its own: as names they need their domain behind them.
MISREAD = re.compile(r"[0-9]+[wdhms]?|infinite|ignore")
HOST_LINE = re.compile(
    r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}(?:,set:[a-z0-9.-]+)*(?:,[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?:,\[[0-9a-f:]+\])?"
    r"(?:,[a-z0-9.-]+)?"
)


# -- parts -----------------------------------------------------------------------------------------------------------


def text(frame: Frame, rows: Rows) -> Mapping[str, str]:
    """Return the lines of some nodes."""
    found = walled(rows)  # type: ignore[arg-type]  # the rows are Clients
    return {"conf": "", "hosts": "".join([line(client, frame.site.domain) for client in found])}


def line(client: Client | Sequence[str], domain: str) -> str:
    """Return a client's dhcp-host line: MAC, tags, addresses, name."""
    _, told, mac, ip, _, ip6, _, kind, server = client
    fields = [mac]
    if kind in (IPXE, PLAIN):
        fields.append("set:ipxe-node" if kind == IPXE else "set:plain")
    if server:
        fields += ["set:service", f"set:at-{server}"]
    if ip:
        fields.append(ip)
    if ip6:
        fields.append(f"[{ip6}]")
    if told:
        fields.append(f"{told}.{domain}" if MISREAD.fullmatch(told) else told)
    return ",".join(fields) + "\n"


# -- frames ----------------------------------------------------------------------------------------------------------


def around(frame: Frame, _sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return the configuration, and what stands before the nodes' lines."""
    links = clients.links(frame)
    networks = [network for link in links for network in link.networks if network.dhcp]
    networks6 = [network for network in networks if network.subnet6 and network.subnet6.prefixlen >= LEAST_PREFIX6]
    head = template.render(
        TEMPLATE,
        hosts=Path("/") / paths.dnsmasq_hosts(frame.site).relative_to(frame.site.destdir),
        archs=sorted({arch for _, offer in offers(frame) for arch in (*offer.archs, *offer.besides)}),
        networks=networks,
        shorter6=[network for network in networks if network.subnet6 and network not in networks6],
        shared=[line for link in links for line in shared(link)],
        boot=list(boot(frame, networks)),
        boot6=list(boot6(frame, networks6)),
        known=KNOWN_LEASE,
        unknown=UNKNOWN_LEASE,
        service=bool(frame.servers),
    )
    site = frame.site
    return {
        "conf": Around(path=paths.dnsmasq_conf(site), head=head),
        "hosts": Around(path=paths.dnsmasq_hosts(site), head=HOSTS_HEADER + text(frame, frame.switches)["hosts"]),
    }


def shared(link: Link) -> Iterator[str]:
    """Yield what makes each network of a link serve all others: ``shared-network=where,subnet``.

    By `where` dnsmasq knows the wire: the head node's address there or its interface, or the relay agent's address.
    """
    own = [network for network in link.networks if network.dhcp]
    for network in link.networks:
        if network.relay is not None:
            where: object = network.relay
        elif network.next_server in network.subnet:
            where = network.next_server
        elif network.interface:
            where = network.interface
        else:
            continue
        inside = network.subnet if network.relay is None or network.relay in network.subnet else None
        yield from (f"{where},{other.subnet.network_address}" for other in own if other.subnet != inside)


def offers(frame: Frame) -> Iterator[tuple[str, Offer]]:
    """Yield the offers over IPv4 with their tags."""
    return tagged(frame.offers(ipxe_node=False), frame.offers(ipxe_node=True))


def boot(frame: Frame, networks: Sequence[Served]) -> Iterator[str]:
    """Yield the lines of the boot policy for DHCPv4."""
    servers = dict.fromkeys([*(str(network.next_server) for network in networks), *frame.servers])
    for tags, offer in offers(frame):
        if offer.by is By.HTTP_CLIENT:
            yield f"dhcp-option-force={tags},option:vendor-class,{HTTP_CLIENT}"
        for server in servers:
            at = f"tag:at-{server},{tags}"
            if offer.by is By.PREFIX:
                yield f"dhcp-option-force={at},210,{quoted(offer.url(server))}"
            else:
                yield f"dhcp-boot={at},{offer.file if offer.by is By.NAME else offer.url(server)},,{server}"


def boot6(frame: Frame, networks: Sequence[Served]) -> Iterator[str]:
    """Yield the lines of the boot policy for DHCPv6.  A vendor class with its enterprise's number dnsmasq cannot send:
    UEFI's HTTP boot over IPv6 is left out.
    """
    own = {network.name: str(network.next_server6) for network in networks if network.next_server6}
    for tags, offer in tagged(frame.offers6(ipxe_node=False), frame.offers6(ipxe_node=True)):
        if offer.by is not By.HTTP_CLIENT:
            for name, server in own.items():
                yield f"dhcp-option={tags},tag:net-{name},option6:bootfile-url,{offer.url6(server)}"


def tagged(ordinary: Sequence[Offer], ipxe: Sequence[Offer]) -> Iterator[tuple[str, Offer]]:
    """Yield each offer with the tags that it asks for; an architecture at a time, for tags are joined by "and"."""
    for offer in dict.fromkeys([*ordinary, *ipxe]):
        kind = (
            [] if offer in ordinary and offer in ipxe else ["tag:!ipxe-node" if offer in ordinary else "tag:ipxe-node"]
        )
        common = ["tag:!plain", *kind, "tag:ipxe" if offer.running else "tag:!ipxe"]
        archs: Iterable[list[str]] = [[f"tag:arch-{arch}"] for arch in offer.archs]
        for arch in archs if offer.archs else [[f"tag:!arch-{arch}" for arch in offer.besides]]:
            yield ",".join([*common, *arch]), offer


# -- the family ------------------------------------------------------------------------------------------------------


def outputs(frame: Frame) -> Sequence[Path]:
    """Return the two files."""
    return [paths.dnsmasq_conf(frame.site), paths.dnsmasq_hosts(frame.site)]


def check(frame: Frame, texts: Mapping[str, str]) -> None:
    """Ask dnsmasq about its configuration; hold the machines' lines against their pattern.

    dnsmasq looks for the interfaces, which only the head node has: the check names one that every machine has.
    """
    about = {"conf": paths.dnsmasq_conf(frame.site), "hosts": paths.dnsmasq_hosts(frame.site)}
    for number, one in enumerate(texts.get("hosts", "").splitlines(), start=1):
        if not HOST_LINE.fullmatch(one) and not one.startswith("#"):
            message = f"{about['hosts']}: not replaced: line {number} is no dhcp-host line: {one!r}"
            raise BootmillError(message, hint="look at the node's name and addresses in inventory/")
    if "conf" in texts:
        with candidate("dnsmasq") as folder:
            path = folder / about["conf"].name
            path.write_text(INTERFACE.sub("shared-network=lo,", texts["conf"]))
            ask(["dnsmasq", "--test", f"--conf-file={path}"], about=about["conf"])


FAMILY: Family[Frame] = Family(
    name="dnsmasq",
    frame=clients.frame,
    rows=clients.rows,
    text=text,
    around=around,
    outputs=outputs,
    check=check,
)
