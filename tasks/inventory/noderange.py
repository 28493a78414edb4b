"""Noderange: an expression that names nodes, in xCAT's grammar."""

import re
from collections.abc import Iterable

PIECES = re.compile(r"(\d+)")
RANGE = re.compile(r"\[([^\]]*)\]")


def natural(names: Iterable[str]) -> list[str]:
    """Sort as people count: n2 before n10."""
    return sorted(names, key=natural_key)


def natural_key(name: str) -> tuple[object, ...]:
    """Return a key that compares the numbers in a name as numbers."""
    return tuple((int(piece), len(piece)) if piece.isdigit() else piece for piece in PIECES.split(name))


def names(text: str) -> tuple[str, ...]:
    """Return the names that a key of nodes.yaml stands for, without looking at any inventory: ``n[01-04]`` → four."""
    found: list[str] = []
    for part in re.split(r",(?![^\[]*\])", text):
        prefix, bracket, rest = part.partition("[")
        if not bracket:
            found.append(part)
            continue
        inner, _, suffix = rest.partition("]")
        for item in inner.split(","):
            first, dash, last = item.partition("-")
            for number in range(int(first), int(last if dash else first) + 1):
                found.append(f"{prefix}{number:0{len(first)}d}{suffix}")
    return tuple(found)
