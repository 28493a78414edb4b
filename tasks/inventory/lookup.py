"""Looking things up in a large site: the network around an address, names in the order people count."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Generic, Protocol, TypeVar

PIECES = re.compile(r"([0-9]+)")


class Subnets(Protocol):
    """What has subnets: a network of both address families."""

    @property
    def subnets(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return the subnets."""


N = TypeVar("N", bound=Subnets)


class NetworkFinder(Generic[N]):
    """Finds the network of an address by bisection: a large site asks a hundred thousand times."""

    def __init__(self, networks: Iterable[N]) -> None:
        """Sort the subnets by their first address; those of a checked inventory do not overlap."""
        self.starts: dict[int, list[int]] = {4: [], 6: []}
        self.found: dict[int, list[tuple[int, N]]] = {4: [], 6: []}
        pairs = [(subnet, network) for network in networks for subnet in network.subnets]
        for subnet, network in sorted(pairs, key=lambda pair: (pair[0].version, int(pair[0].network_address))):
            self.starts[subnet.version].append(int(subnet.network_address))
            self.found[subnet.version].append((int(subnet.broadcast_address), network))

    def find(self, address: IPv4Address | IPv6Address) -> N | None:
        """Return the network around an address, None where there is none."""
        number = int(address)
        index = bisect_right(self.starts[address.version], number) - 1
        if index < 0:
            return None
        last, network = self.found[address.version][index]
        return network if number <= last else None


def natural_key(name: str) -> tuple[object, ...]:
    """Return a key that sorts n2 before n10: it compares the numbers in a name as numbers, however long they are.

    Texts and numbers take turns, so that like is always compared with like.
    """
    key: list[object] = list(PIECES.split(name))
    for index in range(1, len(key), 2):
        digits = str(key[index])
        plain = digits.lstrip("0")
        key[index] = (len(plain), plain, len(digits))
    return tuple(key)
