"""The files that linuximage names: package lists and exclusion lists, where they lie beside the tables."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from tasks.tables.csvtext import Row
from tasks.tables.dump import Dump

PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
PATTERN = re.compile(r"(?P<again>\+?)\.?(?P<path>/[\x21-\x7e]*)")
DIRECTIVE = re.compile(r"\s*#[A-Z_]+[:#]")  # #INCLUDE:file#, #NEW_INSTALL_LIST#, #ENV:…#
MOST_BYTES = 1 << 20


def lines(dump: Dump, row: Row, column: str) -> tuple[str, ...]:
    """Return the lines of the file that a cell names, without comments; a file that is not there is listed as lost.

    A relative name leads below the folder of the tables; of an absolute one only the last part counts, there.
    """
    text = row.get(column)
    if not text:
        return ()
    name = PurePosixPath(text.split(",")[0])
    path = dump.folder / (name.name if name.is_absolute() else name)
    try:
        content = text_of(path, dump.folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        dump.lose(row, column, f"the list cannot be read ({reason}): put it beside the tables as {name.name}")
        return ()
    dump.take(row, column)
    if "," in text:
        dump.lose(row, column, "only the first of several lists is read")
    for line in content.splitlines():
        if DIRECTIVE.match(line):
            dump.lose(row, column, f"{line.strip()[:60]!r} is not followed")
    return tuple(line.strip() for line in content.splitlines() if line.strip() and line.strip()[0] != "#")


def text_of(path: Path, folder: Path) -> str:
    """Return a file's text; it has to be a file below the folder, and no larger than lists are."""
    if not path.resolve().is_relative_to(folder.resolve()) or (path.exists() and not path.is_file()):
        message = "it is no file beside the tables"
        raise ValueError(message)
    if path.stat().st_size > MOST_BYTES:
        message = "it is too large for a list"
        raise ValueError(message)
    return path.read_text()


def packages(dump: Dump, row: Row) -> tuple[str, ...]:
    """Return the packages of an osimage; groups, removals and what is no Debian name are listed as lost."""
    found = []
    for line in lines(dump, row, "pkglist"):
        for word in line.split(","):
            if PACKAGE.fullmatch(word.strip()):
                found.append(word.strip())
            else:
                dump.lose(row, "pkglist", f"{word.strip()!r} is no Debian package")
    return tuple(sorted(set(found)))


def excluded(dump: Dump, row: Row, patterns: Iterable[str]) -> Iterator[str]:
    """Yield paths that are left out: xCAT's ``./usr/share/man*`` is ``/usr/share/man*`` here."""
    for text in patterns:
        found = PATTERN.fullmatch(text)
        if found is None or ".." in found["path"].split("/"):
            dump.lose(row, "exlist", f"{text!r} is no path pattern")
        else:
            yield found["again"] + found["path"]
