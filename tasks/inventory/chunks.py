"""Files of nodes, cut into pieces: a piece whose text was seen before is not parsed again.

A piece ends before a top-level key that its own text chooses, so that an edit changes one piece and moves no border.
What a piece holds is only believed when every piece can be read by itself; else the file is one piece.
"""

import hashlib
import itertools
import re
import zlib
from typing import Any, NamedTuple

from tasks.inventory import noderange
from tasks.inventory.reading import UnsureError, plain

KEY = re.compile(r"^[\w\"'^/@-][^\n]*?:", re.MULTILINE)
ANCHOR = re.compile(r"(?:^|[\s:\[{,-])[&*]\w", re.MULTILINE)
DOCUMENT = ("\n---", "\n...", "\n%")
WHOLE = 1 << 14  # a file below this many characters is one piece
USUAL = 128  # keys in a piece, on average


class Entry(NamedTuple):
    """A key of nodes.yaml with its attributes: the names that it stands for, and a digest of both."""

    names: tuple[str, ...]
    content: dict[str, Any] | None
    digest: str


def cut(text: str) -> list[str]:
    """Return the pieces of a file's text; put together, they are the text."""
    if len(text) < WHOLE or reaches_over(text):
        return [text]
    borders = [0]
    for match in KEY.finditer(text):
        if zlib.crc32(match[0].encode()) % USUAL == 0:
            borders.append(match.start())
    borders.append(len(text))
    return [text[begin:end] for begin, end in itertools.pairwise(borders) if begin < end]


def reaches_over(text: str) -> bool:
    """Return whether a file holds what may mean something beyond a border: anchors, documents."""
    if any(mark in text for mark in DOCUMENT):
        return True
    return ("&" in text or "*" in text) and ANCHOR.search(text) is not None


def entries(text: str) -> tuple[Entry, ...]:
    """Return what a piece says; `UnsureError` where anything is unusual."""
    return tuple(entry(key, content) for key, content in plain(text).items())


def entry(key: str, content: Any) -> Entry:
    """Return one entry; its names are expanded here, once."""
    if content is not None and not isinstance(content, dict):
        raise UnsureError  # no attributes
    try:
        names = noderange.names(key)
    except ValueError as error:
        raise UnsureError from error  # no noderange
    return Entry(names=names, content=content, digest=sha256(repr((key, content))))


def sha256(text: str) -> str:
    """Return the first half of a text's sha256, in hexadecimal: enough to name what nobody forges against himself."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
