"""Which reverse zones there are, and what an address is called in its own.

Reverse zones end at octets (IPv4) or nibbles (IPv6), subnets do not:

    10.1.0.0/16      1.10.in-addr.arpa            10.1.0.0/22      four /24 zones: cut at the next octet
    192.0.2.0/26     the /24 zone around it       fd00:1::/62      four /64 zones: cut at the next nibble
    192.0.2.0/26     0-26.2.0.192.in-addr.arpa    with ``delegation``: a zone of its own (RFC 2317)

So we never claim more than the /24 that a subnet lies in (for IPv6: than its last nibble), and no subnet makes more
than 128 zones.  Where the zone around a delegated one is ours, too, it leads there: NS, and a CNAME for each address.
Where it is somebody else's (a provider's), that somebody has these CNAMEs.

**The name of a delegated zone** is free (RFC 2317, section 4); its examples have a slash, ``0/26``.  Ours have a dash:
a slash can be in no file name, so zone and file could not be called the same, and many tools take it for no name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network

from tasks.inventory.model import Network

Part = IPv4Network | IPv6Network


@dataclass(frozen=True, kw_only=True)
class Reverse:
    """A reverse zone and the addresses that it holds."""

    part: Part
    delegated: bool = False

    @cached_property
    def name(self) -> str:
        """Return the zone's name (RFC 1035 3.5, RFC 3596 2.5) without its last dot: ``0.1.10.in-addr.arpa``."""
        if isinstance(self.part, IPv6Network):
            nibbles = f"{int(self.part.network_address):032x}"[: self.part.prefixlen // 4]
            return ".".join([*reversed(nibbles), "ip6", "arpa"])
        octets = str(self.part.network_address).split(".")
        if self.delegated:
            return ".".join([f"{octets[3]}-{self.part.prefixlen}", octets[2], octets[1], octets[0], "in-addr", "arpa"])
        return ".".join([*reversed(octets[: self.part.prefixlen // 8]), "in-addr", "arpa"])

    def rest(self, number: int) -> str:
        """Return what follows an IPv4 address's last octet in its label: in 10.1.0.0/16, ``.2`` for 10.1.2.3."""
        if self.delegated:
            return ""
        octets = number.to_bytes(4)[self.part.prefixlen // 8 : 3]
        return "".join(f".{octet}" for octet in reversed(octets))

    def octets(self) -> range:
        """Return the last octets of a delegated zone's addresses."""
        first = int(self.part.network_address) & 255
        return range(first, first + self.part.num_addresses)


def reverses(networks: Iterable[tuple[Part, bool]]) -> tuple[Reverse, ...]:
    """Return the reverse zones of subnets (True: with a delegation), in the order of their addresses, IPv4 first."""
    found = {zone.name: zone for subnet, delegation in networks for zone in cut(subnet, delegation=delegation)}
    return tuple(
        sorted(found.values(), key=lambda zone: (zone.part.version, int(zone.part.network_address), zone.name))
    )


def cut(subnet: Part, *, delegation: bool) -> Iterator[Reverse]:
    """Yield the zones that a subnet's addresses lie in (see above)."""
    if isinstance(subnet, IPv6Network):
        length = max(4, -(-subnet.prefixlen // 4) * 4)
        parts: Iterable[Part] = subnet.subnets(new_prefix=length)
        if subnet.prefixlen > 124:  # zones of a single address would have no names in them
            parts = [subnet.supernet(new_prefix=124)]
    elif subnet.prefixlen > 24 and delegation:
        yield Reverse(part=subnet, delegated=True)
        return
    elif subnet.prefixlen >= 24:
        parts = [subnet.supernet(new_prefix=24)]
    else:
        parts = subnet.subnets(new_prefix=max(8, -(-subnet.prefixlen // 8) * 8))
    yield from (Reverse(part=part) for part in parts)


def subnets(networks: Iterable[Network]) -> tuple[tuple[Part, bool], ...]:
    """Return the subnets of both families in the order of their addresses, and which are delegated."""
    pairs = [(subnet, network.delegation) for network in networks for subnet in network.subnets]
    return tuple(sorted(pairs, key=lambda pair: (pair[0].version, int(pair[0].network_address), pair[0].prefixlen)))


class Homes:
    """Finds the reverse zone around an address."""

    def __init__(self, zones: Iterable[Reverse]) -> None:
        """Sort the zones by family, length and address."""
        self.zones: dict[tuple[int, int, int], Reverse] = {
            (zone.part.version, zone.part.prefixlen, int(zone.part.network_address)): zone for zone in zones
        }
        self.lengths = {
            version: sorted({length for family, length, _ in self.zones if family == version}, reverse=True)
            for version in (4, 6)
        }

    def of(self, version: int, number: int) -> Reverse | None:
        """Return the smallest zone around an address; None where we have none."""
        bits = 32 if version == 4 else 128
        for length in self.lengths[version]:
            shift = bits - length
            zone = self.zones.get((version, length, number >> shift << shift))
            if zone is not None:
                return zone
        return None

    def finest(self, version: int, bits: int) -> int:
        """Return how many last bits of an address never decide about its zone; `bits` at most."""
        longest = max([0, *self.lengths[version]])
        return min(bits, (32 if version == 4 else 128) - longest)


def nibbles(number: int, zone: Reverse) -> str:
    """Return an IPv6 address's label in its zone: what is left of the nibbles, last first."""
    return ".".join(f"{number:032x}"[: zone.part.prefixlen // 4 - 1 : -1])
