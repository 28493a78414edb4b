"""Serials: a zone's changes exactly when its content does, and never goes back, also after build/ was deleted.

The content is known by a digest.  Which serial it has is written down in two places: inventory/serials.yaml, which is
to be committed with the inventory, and the published zone file.  The newer of the two counts, so neither a deleted
build/ nor a forgotten commit takes a serial back.

    known serial and digest ──┬─ same content ──────────────▶ the same serial
    digest of the new content ┴─ another ──▶ the next one, RFC 1982 ──▶ never below site.serial_floor

"Newer" is meant as secondary servers mean it (RFC 1982): of two numbers the one that is less than half the way round
ahead.  A floor that is further ahead than that is behind: go there in two steps, each taken over by the secondaries.
"""

import re
from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import NoReturn

from tasks.errors import BootmillError
from tasks.serials import BEGINNING, CIRCLE, Known, is_newer, stated

HEADER = """\
# The serials of the zones; written by Bootmill, to be committed.  A serial never goes back: do not remove this file.
"""
LINE = re.compile(
    r"(?P<zone>[a-z0-9-]+(?:\.[a-z0-9-]+)*): \{serial: (?P<serial>[1-9][0-9]{0,9}), digest: (?P<digest>[0-9a-f]{16})\}"
)


def following(known: Iterable[Known], digest: str, floor: int) -> int:
    """Return the serial of the content with a digest, after those that are known; the first one is the floor."""
    all_known = list(known)
    if not all_known:
        return floor
    latest = reduce(later, (one.serial for one in all_known))
    same = all(one.digest == digest for one in all_known if one.serial == latest)
    serial = latest if same else (latest + 1) % CIRCLE or 1  # 0 is skipped, as named does
    # Below is what is both smaller and older: behind the half of the circle every small floor would be newer.
    return floor if serial < floor and is_newer(floor, latest) else serial


def later(one: int, other: int) -> int:
    """Return the newer of two serials; where they are opposite on the circle, and neither is, the larger."""
    if is_newer(one, other) or is_newer(other, one):
        return one if is_newer(one, other) else other
    return max(one, other)


# -- where they are written down -------------------------------------------------------------------------------------


def read(path: Path) -> dict[str, Known]:
    """Return the serials that a file knows, by zone; `BootmillError` names the line that is none."""
    try:
        lines = path.read_bytes().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise BootmillError(
            message, hint="a file that you may read belongs there; it is written by Bootmill"
        ) from error
    found: dict[str, Known] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            zone, known = parse(line, f"{path}:{number}")
            if zone in found:
                refuse(f"{path}:{number}", f"{zone} has a serial already")
            found[zone] = known
    return found


def parse(line: str, where: str) -> tuple[str, Known]:
    """Return a line's zone and what it knows."""
    match = LINE.fullmatch(line.rstrip())
    if match is None or int(match["serial"]) >= CIRCLE:
        refuse(where, f"{line[:100]!r} is no zone's serial")
    return match["zone"], Known(int(match["serial"]), match["digest"])


def refuse(where: str, what: str) -> NoReturn:
    """Raise the error for a line that is not as we write it."""
    hint = (
        "a line is: example.org: {serial: 12, digest: 0123456789abcdef}.  Bring the file back from your version "
        "control; where two versions met, keep the line with the higher serial"
    )
    message = f"{where}: {what}"
    raise BootmillError(message, hint=hint)


def text(known: Mapping[str, Known]) -> str:
    """Return the file's text.  A zone that is gone keeps its line: when it comes back its serial goes on from there."""
    lines = [f"{zone}: {{serial: {one.serial}, digest: {one.digest}}}\n" for zone, one in sorted(known.items())]
    return HEADER + "".join(lines)


def published(path: Path) -> list[Known]:
    """Return what a zone file of ours says of its serial; nothing where there is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            found = stated(file.read(BEGINNING))
    except OSError:
        return []
    return [found] if found else []
