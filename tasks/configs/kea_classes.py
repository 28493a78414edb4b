"""The boot policy in Kea's words: client classes.

Those that say what a client is are looked at for every packet or set by its reservation.  Those that give it a file are
looked at only where its subnet asks for them, at the very end (``only-if-required``).  A file that is named by its URL
has a class for each server; a node with a service node is in that server's class by its reservation.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from tasks.configs.bootpolicy import ENTERPRISE, HTTP_CLIENT, By, Offer
from tasks.configs.clients import IPXE, PLAIN, UNKNOWN_LEASE, Frame

Json = dict[str, Any]
# RFC 8415 21.16: the enterprise's number, the length of the text, the text.
VENDOR_CLASS = (ENTERPRISE.to_bytes(4, "big") + len(HTTP_CLIENT).to_bytes(2, "big") + HTTP_CLIENT.encode()).hex()


class Classes:
    """The classes of one DHCP version.  A guard is the beginning of a test: what kind of client an offer is for."""

    user_class: str  # the text that an iPXE sends there, without what is before it
    arch: str  # the first of the architectures that a client sends (RFC 4578 2.1): it is what it runs
    offers: tuple[Sequence[Offer], Sequence[Offer]]  # to ordinary nodes, to those with netboot: ipxe
    servers: Sequence[str]  # of the networks
    services: Sequence[str] = ()  # addresses of the service nodes
    short: Json = {"valid-lifetime": UNKNOWN_LEASE}  # noqa: RUF012 - leases of machines that are not known yet

    def all(self) -> Iterator[Json]:
        """Yield every class; one that another's test names comes before it."""
        yield {"name": "running-ipxe", "test": f"{self.user_class} == 'iPXE'"}
        yield {"name": f"{IPXE}-node"}
        yield {"name": f"{PLAIN}-node"}
        yield {"name": "unknown-machine", "test": "not member('KNOWN')", **self.short}
        if self.services:
            yield {"name": "service"}
        yield from ({"name": f"server-{server}"} for server in self.services)
        for index, (guard, offer) in enumerate(self.guarded()):
            yield from self.of_offer(f"boot-{index}", f"{guard} and {self.tested(offer)}", offer)

    def guarded(self) -> Iterator[tuple[str, Offer]]:
        """Yield each offer with its guard, in the order by which their classes are named."""
        ordinary, ipxe = self.offers
        for offer in ordinary:
            yield f"not member('{PLAIN}-node')" + ("" if offer in ipxe else f" and not member('{IPXE}-node')"), offer
        yield from ((f"member('{IPXE}-node')", offer) for offer in ipxe if offer not in ordinary)

    def of_offer(self, name: str, test: str, offer: Offer) -> Iterator[Json]:
        """Yield the classes of one offer: one, or one for each server."""
        if not self.by_server(offer):
            yield {"name": name, "test": test, "only-if-required": True, **self.said(offer, "")}
            return
        for server in self.servers:
            own = f"{test} and not member('service')" if self.services else test
            yield {"name": f"{name}-{server}", "test": own, "only-if-required": True, **self.said(offer, server)}
        for server in self.services:
            own = f"{test} and member('server-{server}')"
            yield {
                "name": f"{name}-service-{server}",
                "test": own,
                "only-if-required": True,
                **self.said(offer, server),
            }

    def asked(self, server: str) -> Iterator[str]:
        """Yield the names of the classes that a network asks for whose boot files come from this server."""
        for index, (_, offer) in enumerate(self.guarded()):
            if self.by_server(offer):
                yield f"boot-{index}-{server}"
                yield from (f"boot-{index}-service-{one}" for one in self.services)
            else:
                yield f"boot-{index}"

    def tested(self, offer: Offer) -> str:
        """Return the test for a client's architecture and for a running iPXE."""
        running = "member('running-ipxe')" if offer.running else "not member('running-ipxe')"
        if not offer.archs:
            return " and ".join([running, *(f"not ({self.arch} == 0x{one:04x})" for one in offer.besides)])
        return f"{running} and ({' or '.join(f'{self.arch} == 0x{one:04x}' for one in offer.archs)})"

    def by_server(self, offer: Offer) -> bool:
        """Return whether what an offer says names the server."""
        raise NotImplementedError

    def said(self, offer: Offer, server: str) -> Json:
        """Return what an offer says."""
        raise NotImplementedError


class Classes4(Classes):
    """The classes for DHCPv4."""

    user_class = "substring(option[77].hex,0,4)"
    arch = "substring(option[93].hex,0,2)"

    def __init__(self, frame: Frame) -> None:
        """Take the offers and the servers from the frame."""
        found: set[IPv4Address] = {network.next_server for network in frame.networks if network.dhcp}
        self.offers = frame.offers(ipxe_node=False), frame.offers(ipxe_node=True)
        self.servers = [str(server) for server in sorted(found)]
        self.services = frame.servers

    def by_server(self, offer: Offer) -> bool:
        """A file's name is looked for at the next-server, which is not the class's matter."""
        return offer.by is not By.NAME

    def said(self, offer: Offer, server: str) -> Json:
        """Return the file, the vendor class of an HTTP boot, or petitboot's prefix."""
        if offer.by is By.NAME:
            return {"boot-file-name": offer.file}
        url = offer.url(server)
        if offer.by is By.PREFIX:
            return {"option-data": [{"name": "path-prefix", "data": url, "always-send": True}]}
        http = {"name": "vendor-class-identifier", "data": HTTP_CLIENT, "always-send": True}
        return {"boot-file-name": url, **({"option-data": [http]} if offer.by is By.HTTP_CLIENT else {})}


class Classes6(Classes):
    """The classes for DHCPv6; before the text of a user class comes its length (RFC 8415 21.15)."""

    user_class = "substring(option[15].hex,2,4)"
    arch = "substring(option[61].hex,0,2)"
    short: Json = {"valid-lifetime": UNKNOWN_LEASE, "preferred-lifetime": UNKNOWN_LEASE}  # noqa: RUF012

    def __init__(self, frame: Frame) -> None:
        """Take the offers and the servers from the frame."""
        found: set[IPv6Address] = {
            network.next_server6
            for network in frame.networks
            if network.dhcp and network.subnet6 and network.next_server6
        }
        self.offers = frame.offers6(ipxe_node=False), frame.offers6(ipxe_node=True)
        self.servers = [str(server) for server in sorted(found)]

    def by_server(self, offer: Offer) -> bool:
        """DHCPv6 knows URLs only."""
        return True

    def said(self, offer: Offer, server: str) -> Json:
        """Return the URL, and the vendor class of an HTTP boot."""
        said: list[Json] = [{"name": "bootfile-url", "data": offer.url6(server)}]
        if offer.by is By.HTTP_CLIENT:
            said.append({"name": "vendor-class", "data": VENDOR_CLASS, "csv-format": False})
        return {"option-data": [{**one, "always-send": True} for one in said]}
