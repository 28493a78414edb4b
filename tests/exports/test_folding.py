"""Names as ranges, before ClusterShell's own library."""

import pytest
from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet
from hypothesis import given
from hypothesis import strategies as st

from tasks.exports.folding import blocks, folded, joined, split
from tests.exports.rendered import LABELS


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["kvm"], "kvm"),
        (["n1"], "n1"),
        (["n3", "n1", "n2"], "n[1-3]"),
        (["n9", "n10", "n99", "n100"], "n[9-10,99-100]"),
        (["n09", "n10"], "n[09-10]"),
        (["n099", "n100"], "n[099-100]"),
        (["n1", "n01", "n001"], "n1,n01,n001"),
        (["n2", "n1", "n02", "n01"], "n[1-2],n[01-02]"),
        (["n01-a", "n02-a"], "n01-a,n02-a"),
        (["r2n1", "r1n1", "r1n2"], "r1n[1-2],r2n1"),
        (["n0", "n1"], "n[0-1]"),
        (["7", "8"], "[7-8]"),
        (["n12345678901"], "n12345678901"),
    ],
)
def test_names_are_folded(names: list[str], text: str) -> None:
    """In the order in which people count; one padding in a bracket."""
    assert folded(blocks(names)) == text


def expanded(text: str) -> set[str]:
    """Return the names that ClusterShell reads."""
    return set(NodeSet(text, resolver=RESOLVER_NOGROUP))


@given(st.lists(LABELS, unique=True, max_size=40), st.integers(0, 40), st.integers(1, 5))
def test_clustershell_reads_the_same_names(names: list[str], cut: int, most: int) -> None:
    """Whatever the shards and the splits: the names, all of them and no others, each once."""
    parts = joined([*blocks(names[:cut]), *blocks(names[cut:])])
    assert parts == blocks(names)
    assert expanded(folded(parts)) == set(names)
    pieces = list(split(parts, most))
    assert all(last - first < most for _, _, first, last in pieces)
    assert expanded(",".join(folded([piece]) for piece in pieces)) == set(names)
