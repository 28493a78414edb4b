"""Names with numbers as ranges: ``n001 n002 n003 n007`` is the blocks ``n001-n003`` and ``n007``.

ClusterShell's library folds all dimensions of a name and takes 15 µs a name for it; here 100,000 nodes are folded for
every group that they are in.  So only the number at the end of a name counts, and the form is one that ClusterShell,
genders and Ansible read alike: within one pair of brackets the padding is the same.
"""

from collections.abc import Iterable, Iterator, Sequence

from tasks.inventory.model import natural_key

DIGITS = "0123456789"
LONGEST_NUMBER = 9  # digits; a longer one is part of the name: Ansible's and genders' numbers are machine words
# What the names begin with, how many digits follow (0: none, the name is all), the first and the last number.
Block = tuple[str, int, int, int]


def blocks(names: Iterable[str]) -> tuple[Block, ...]:
    """Return names as blocks of numbers that follow each other: disjoint, sorted as people count."""
    numbers: dict[tuple[str, int], list[int]] = {}
    for name in names:
        stem = name.rstrip(DIGITS)
        digits = name[len(stem) :]
        if 0 < len(digits) <= LONGEST_NUMBER:
            numbers.setdefault((stem, len(digits)), []).append(int(digits))
        else:
            numbers[name, 0] = [0]
    return joined((stem, width, *run) for (stem, width), many in numbers.items() for run in runs(sorted(set(many))))


def runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of numbers that follow each other."""
    first = before = numbers[0]
    for number in numbers[1:]:
        if number != before + 1:
            yield first, before
            first = number
        before = number
    yield first, before


def joined(parts: Iterable[Block]) -> tuple[Block, ...]:
    """Return blocks (of several shards) with those put together that follow each other."""
    found: list[Block] = []
    unique = set(parts)
    if len(unique) < 2:
        return tuple(unique)
    keys = {stem: natural_key(stem) for stem in {block[0] for block in unique}}
    for block in sorted(unique, key=lambda block: (keys[block[0]], block[1:])):
        if found and follows(found[-1], block):
            stem, width, first, _ = found[-1]
            found[-1] = stem, width, first, block[3]
        else:
            found.append(block)
    return tuple(found)


def follows(before: Block, after: Block) -> bool:
    """Return whether a block begins where the one before ends: ``n08-n09``, ``n10``; or ``n8-n9``, ``n10``."""
    same_form = before[1] == after[1] or (is_plain(before) and is_plain(after))
    return same_form and before[0] == after[0] and after[1] > 0 and after[2] == before[3] + 1


def is_plain(block: Block) -> bool:
    """Return whether the numbers have no leading zeros."""
    return len(str(block[2])) == block[1]


def split(parts: Iterable[Block], most: int) -> Iterator[Block]:
    """Yield blocks with `most` names at most."""
    for block in parts:
        stem, width, first, last = block
        for start in range(first, last + 1, most):
            yield stem, len(str(start)) if is_plain(block) else width, start, min(start + most - 1, last)


def span(block: Block, dash: str) -> str:
    """Return the numbers of a block: ``001-500``, ``7``."""
    _, width, first, last = block
    return f"{first:0{width}}{dash}{last:0{width}}" if first < last else f"{first:0{width}}"


def folded(parts: Iterable[Block]) -> str:
    """Return blocks as ClusterShell and genders read them: ``n[001-500,502],kvm1``."""
    terms: dict[tuple[str, int, bool], list[str]] = {}
    for block in parts:
        plain = is_plain(block)
        terms.setdefault((block[0], 1 if plain else block[1], plain), []).append(span(block, "-") if block[1] else "")
    return ",".join(term(stem, spans) for (stem, _, _), spans in terms.items())


def term(stem: str, spans: list[str]) -> str:
    """Return the names of one stem; brackets only where there is more than one."""
    one = len(spans) == 1 and "-" not in spans[0]
    return stem + spans[0] if one else f"{stem}[{','.join(spans)}]"
