"""What a zone file of ours says of its serial, and which of two serials is newer.  Pure.

"Newer" is meant as secondary servers mean it (RFC 1982): of two numbers the one that is less than half the way round
ahead.
"""

import re
from typing import NamedTuple

CIRCLE = 1 << 32
STATED = re.compile(r"^ +(?P<serial>[1-9][0-9]{0,9}) ; serial(?:, content (?P<digest>[0-9a-f]{16}))?", re.MULTILINE)
BEGINNING = 4096  # characters of a zone file: the SOA record comes first


class Known(NamedTuple):
    """A serial, and the digest of the content that has it (empty where nobody wrote it down)."""

    serial: int
    digest: str


def is_newer(serial: int, other: int) -> bool:
    """Return whether a secondary server that has `other` would take `serial` for newer (RFC 1982 3.2)."""
    return 0 < (serial - other) % CIRCLE < CIRCLE // 2


def stated(text: str) -> Known | None:
    """Return what a zone file of ours says in its beginning, None where it says nothing."""
    match = STATED.search(text[:BEGINNING])
    if match is None or int(match["serial"]) >= CIRCLE:
        return None
    return Known(int(match["serial"]), match["digest"] or "")
