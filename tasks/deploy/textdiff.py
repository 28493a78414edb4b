"""Two texts → unified hunks, in time that grows with their length and not with its square.  Pure.

difflib alone needs minutes for a dhcpd.conf with a changed line for each of ten thousand nodes.  Lines that are in both
texts once, in the same order, are anchors (patience diff, Bram Cohen); difflib looks at what is between two anchors.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

CONTEXT = 3  # lines around a change
SMALL = 400_000  # lines times lines that difflib may look at
Lines = Sequence[str]
Block = tuple[int, int, int, int]  # old lines [a, b) are replaced by new lines [c, d)


class Diff(NamedTuple):
    """How many lines come and go, and the hunks: each a tuple of lines, ``@@ -1,7 +1,7 @@`` first."""

    added: int
    removed: int
    hunks: tuple[tuple[str, ...], ...]
    more: int  # hunks that were left out


def diff(old: str, new: str, *, most: int | None = None) -> Diff:
    """Return how a text becomes another; of many hunks only the first `most`."""
    before, after = lines(old), lines(new)
    blocks = [*changed(before, after)]
    groups = [*grouped(blocks)]
    shown = groups if most is None else groups[:most]
    return Diff(
        added=sum(d - c for _, _, c, d in blocks),
        removed=sum(b - a for a, b, _, _ in blocks),
        hunks=tuple(hunk(group, before, after) for group in shown),
        more=len(groups) - len(shown),
    )


def lines(text: str) -> Lines:
    """Return a text's lines; a last one without its end says so, as diff and patch have it."""
    found = text.split("\n")
    if found[-1]:
        found[-1] += "\n\\ No newline at end of file"
    else:
        found.pop()
    return found


def changed(old: Lines, new: Lines) -> Iterator[Block]:
    """Yield the blocks in which two texts differ, in their order."""
    start, limit = 0, min(len(old), len(new))
    while start < limit and old[start] == new[start]:
        start += 1
    end = 0
    while end < limit - start and old[-1 - end] == new[-1 - end]:
        end += 1
    a, c = start, start
    for anchor_old, anchor_new in [*anchors(old, new, start, end), (len(old) - end, len(new) - end)]:
        yield from between(old, new, (a, anchor_old, c, anchor_new))
        a, c = anchor_old + 1, anchor_new + 1


def anchors(old: Lines, new: Lines, start: int, end: int) -> list[tuple[int, int]]:
    """Return the pairs of line numbers that hold the texts together: the longest rising row of lines found once."""
    first, second = range(start, len(old) - end), range(start, len(new) - end)
    if not first or not second:
        return []
    once_old, once_new = Counter(old[i] for i in first), Counter(new[i] for i in second)
    places = {new[i]: i for i in second if once_new[new[i]] == 1}
    pairs = [(i, places[old[i]]) for i in first if once_old[old[i]] == 1 and old[i] in places]
    return rising(pairs)


def rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest row of pairs whose second numbers rise, as the first ones do (patience sorting)."""
    tops: list[int] = []  # the smallest second number that ends a row of each length
    last: list[int] = []  # which pair that is
    before: list[int] = []  # the pair before each pair in its row
    for index, (_, number) in enumerate(pairs):
        length = bisect_left(tops, number)
        before.append(last[length - 1] if length else -1)
        tops[length : length + 1] = [number]
        last[length : length + 1] = [index]
    row = []
    index = last[-1] if last else -1
    while index >= 0:
        row.append(pairs[index])
        index = before[index]
    return row[::-1]


def between(old: Lines, new: Lines, block: Block) -> Iterator[Block]:
    """Yield the blocks that differ between two anchors."""
    a, b, c, d = block
    while a < b and c < d and old[a] == new[c]:
        a, c = a + 1, c + 1
    while a < b and c < d and old[b - 1] == new[d - 1]:
        b, d = b - 1, d - 1
    if a == b or c == d or (b - a) * (d - c) > SMALL:
        if a < b or c < d:
            yield a, b, c, d
        return
    for tag, i, j, k, m in SequenceMatcher(None, old[a:b], new[c:d], autojunk=False).get_opcodes():
        if tag != "equal":
            yield a + i, a + j, c + k, c + m


def grouped(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Yield blocks together whose surroundings touch."""
    group: list[Block] = []
    for block in blocks:
        if group and block[0] - group[-1][1] > 2 * CONTEXT:
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def hunk(group: Sequence[Block], old: Lines, new: Lines) -> tuple[str, ...]:
    """Return one hunk as ``diff -u`` writes it."""
    a, c = max(group[0][0] - CONTEXT, 0), max(group[0][2] - CONTEXT, 0)
    b, d = min(group[-1][1] + CONTEXT, len(old)), min(group[-1][3] + CONTEXT, len(new))
    lines = [f"@@ -{span(a, b)} +{span(c, d)} @@"]
    for first, last, start, end in group:
        lines += [f" {line}" for line in old[a:first]]
        lines += [f"-{line}" for line in old[first:last]]
        lines += [f"+{line}" for line in new[start:end]]
        a = last
    return (*lines, *(f" {line}" for line in old[a:b]))


def span(start: int, end: int) -> str:
    """Return a range of lines as diff writes it: from one, with the length; an empty one names the line before."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
