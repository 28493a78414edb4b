"""The loading order keeps every promise that can be kept, and ends whatever it is given."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.initrd.kernel.loading import loading_order

NAMES = st.sampled_from("abcdefgh")
EDGES = st.dictionaries(NAMES, st.sets(NAMES, max_size=3), max_size=8)
RANKS = st.dictionaries(NAMES, st.integers(0, 3), max_size=8)


def reaches(edges: dict[str, set[str]], names: set[str], start: str, goal: str) -> bool:
    """Return whether edges lead from one name to another, within the names."""
    todo, seen = [start], set[str]()
    while todo:
        for other in edges.get(todo.pop(), set()) & names - seen:
            if other == goal:
                return True
            seen.add(other)
            todo.append(other)
    return False


@given(RANKS, EDGES, EDGES)
def test_promises_are_kept(rank: dict[str, int], hard: dict[str, set[str]], soft: dict[str, set[str]]) -> None:
    """Each name once; hard edges outside of hard circles always, soft edges where no edge at all runs in a circle."""
    order = loading_order(rank, hard, soft)
    assert sorted(order) == sorted(rank)
    place = {name: at for at, name in enumerate(order)}
    names = set(rank)
    both = {name: hard.get(name, set()) | soft.get(name, set()) for name in names}
    circular = any(reaches(both, names, name, name) for name in names)
    hard_circles = any(reaches(hard, names, name, name) for name in names)
    for edges, broken in ((hard, hard_circles), (soft, circular)):
        for name, others in edges.items():
            for other in others & names if name in names and not broken else ():
                assert place[other] < place[name]


@given(RANKS, EDGES)
def test_all_needs_or_the_direct_ones_make_one_order(rank: dict[str, int], hard: dict[str, set[str]]) -> None:
    """depmod lists what is needed indirectly too, modules do not: the order is the same."""
    names = set(rank)
    if not any(reaches(hard, names, name, name) for name in names):
        whole = {name: {other for other in names if reaches(hard, names, name, other)} for name in names}
        assert loading_order(rank, hard, {}) == loading_order(rank, whole, {})


def test_rank_decides_then_the_name() -> None:
    """What was asked for first comes first, as far as its needs allow."""
    assert loading_order({"b": 0, "a": 1, "c": 0}, {}, {}) == ["b", "c", "a"]
    assert loading_order({"b": 0, "a": 1, "c": 0}, {"b": {"a"}}, {}) == ["c", "a", "b"]


def test_large_circles_take_no_time() -> None:
    """A hundred thousand modules in one circle: seconds would be hours, were this quadratic."""
    count = 100_000
    names = [f"m{number:06}" for number in range(count)]
    order = loading_order(dict.fromkeys(names, 0), {name: {names[at - 1]} for at, name in enumerate(names)}, {})
    assert order == names
