"""In which order modules are loaded: after what they need, else as they were asked for.  Pure.

The order is the same whether all dependencies of a module are given or only its direct ones, so it does not matter
where they were read.  Cycles end: soft dependencies give way first, as in modprobe.
"""

import heapq
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

Edges = Mapping[str, Set[str]]


@dataclass(kw_only=True)
class Queue:
    """Modules that wait: `unmet` counts, for each, what is to be loaded before it; `ready` are those with none left."""

    unmet: dict[str, int]
    later: dict[str, list[str]]
    ready: list[tuple[int, str]] = field(default_factory=list)

    def loaded(self, name: str, rank: Mapping[str, int]) -> None:
        """Tell those that waited for a module that it is loaded."""
        for other in self.later.get(name, ()):
            self.unmet[other] -= 1
            if not self.unmet[other]:
                heapq.heappush(self.ready, (rank[other], other))


def loading_order(rank: Mapping[str, int], hard: Edges, soft: Edges) -> list[str]:
    """Return all names of `rank` so that each comes after those that its edges name.

    Where several could be next, the one with the lowest rank, then by name.  `hard` edges hold as long as they form no
    cycle; `soft` ones as long as they form none together with the hard ones.  n log n.
    """
    both = {name: hard.get(name, set()) | soft.get(name, set()) for name in rank}
    strict, whole = queue(rank, hard), queue(rank, both)
    rest = sorted((rank[name], name) for name in rank)
    heapq.heapify(rest)
    order: dict[str, None] = {}
    while len(order) < len(rank):
        heap = next(heap for heap in (whole.ready, strict.ready, rest) if discarded(heap, order))
        name = heapq.heappop(heap)[1]
        order[name] = None
        strict.loaded(name, rank)
        whole.loaded(name, rank)
    return list(order)


def queue(rank: Mapping[str, int], edges: Edges) -> Queue:
    """Return who waits for whom; what is not to be loaded keeps nobody waiting."""
    unmet: dict[str, int] = {}
    later: dict[str, list[str]] = {}
    for name in rank:
        needs = [other for other in edges.get(name, ()) if other in rank and other != name]
        unmet[name] = len(needs)
        for other in needs:
            later.setdefault(other, []).append(name)
    ready = sorted((rank[name], name) for name, count in unmet.items() if not count)
    return Queue(unmet=unmet, later=later, ready=ready)


def discarded(heap: list[tuple[int, str]], order: Mapping[str, None]) -> bool:
    """Drop from a heap's top what is loaded already; return whether something is left."""
    while heap and heap[0][1] in order:
        heapq.heappop(heap)
    return bool(heap)
