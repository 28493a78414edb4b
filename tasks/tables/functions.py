"""The functions that xCAT's rules may call (Table.pm): letters, dimensions and addresses as numbers.  Pure."""

from collections.abc import Callable, Sequence

Texts = Sequence[str]
Count = Callable[[str], int]  # a text as Perl's sums take it
LARGEST = 2**53  # Perl calculates these in floating point


def called(name: str, given: Texts, count: Count) -> str:
    """Return what a function comes to; `ValueError` where Perl would die, or calculate with fractions."""
    result = KNOWN[name](given, count)
    if isinstance(result, int) and abs(result) >= LARGEST:
        message = f"{name}: a number of more than 53 bits"
        raise ValueError(message)
    return str(result)


def letter(given: Texts, first: int) -> int:
    """Return the place of a letter in the alphabet; of a longer text the first one counts."""
    return (ord(given[0][0].lower()) if given[0] else 0) - ord("a") + first


def dim2idx(given: Texts, count: Count) -> int:
    """Return the number of a place in rows of racks of …: row, racks in a row, rack, nodes in a rack, node."""
    value = 0
    for index, text in enumerate(given):
        value = value * count(text) if index % 2 else value + count(text) - 1
    return value + 1


def skip(given: Texts, count: Count) -> str:
    """Return an index without those that are left out (``3:2,6``: 3, 4 and 6); -1 is one of these."""
    index = value = count(given[0])
    for item in filter(None, (given[1] if len(given) > 1 else "").split(",")):
        start, _, more = item.partition(":")
        size = count(more) if more else 1
        if index < count(start):
            break
        if index < count(start) + size:
            return "-1"
        value -= size
    return given[0] if value == index else str(value)


def ipadd(given: Texts, count: Count) -> str:
    """Return an address (four octets) plus a number; some at the start and at the end of the last octet are skipped."""
    first, second = (*given, "", "")[:2]
    third, fourth, more, start, end = (count(text) for text in (*given[2:7], *[""] * 7)[:5])
    size = 256 - start - end
    if size < 1:
        message = "ipadd: more than 255 addresses are skipped"
        raise ValueError(message)
    if more < 0 or len(given) > 7:
        message = "ipadd: adds what is no number from 0 on"
        raise ValueError(message)
    offset = max(fourth - start, 0) + more
    return f"{first}.{second}.{third + offset // size}.{offset % size + start}"


KNOWN: dict[str, Callable[[Texts, Count], int | str]] = {
    "a2idx": lambda given, count: letter(given, 1),
    "a2zidx": lambda given, count: letter(given, 0),
    "dim2idx": dim2idx,
    "ipadd": ipadd,
    "mknum": lambda given, count: sum(given[0].encode()),
    "skip": skip,
}
