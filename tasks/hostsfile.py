"""The hosts file of a machine that has lines of its own: ours go between two marks, all else stays.  Pure.

127.0.0.1 localhost         the machine's own lines: kept byte for byte, in their place
# BEGIN bootmill
10.1.0.11 n01.renci.ben …   ours: replaced as a whole; loopback lines only where the machine has none
# END bootmill
192.0.2.7 printer           its own again
"""

import re
from collections.abc import Container, Iterator
from typing import NoReturn

from tasks.errors import BootmillError

BEGIN, END = "# BEGIN bootmill", "# END bootmill"
# Nothing behind it but blanks and the CR of an editor: "# BEGIN bootmill-like block of puppet" is somebody else's.
MARK = re.compile(rf"^(?:(?P<begin>{BEGIN})|(?P<end>{END}))[ \t]*\r?$", re.MULTILINE)
LINE = re.compile(r"[^\n]*\n|[^\n]+")
WHOLE = "# Made by Bootmill"  # how a file begins that Bootmill made as a whole
WIDTH = 15  # of the addresses in our lines, at least
LOOPBACK = re.compile(r"127\.|::1$|f[ef]0[0-9a-f]::", re.IGNORECASE)


def merged(existing: str, ours: str) -> str:
    """Return an existing hosts file with our lines in it; merging again changes nothing.

    Our block stays where it is; a file that has none gets it at its end.  In a file that Bootmill made as a whole it
    takes the place of the lines that we made; those that somebody added are kept.  `BootmillError` where the marks do
    not pair: what lies between them would be a guess.
    (Read and write the file with ``newline=""`` and ``errors="surrogateescape"``: its bytes are not ours.)
    """
    own, place = own_lines(existing, ours)
    before, after = ("".join(line for _, line in part) for part in (own[:place], own[place:]))
    if before and not before.endswith("\n"):
        before += "\n"
    return f"{before}{BEGIN}\n{''.join(block(ours, before + after))}{END}\n{after}"


def staged(existing: str, ours: str) -> str:
    """Return what is written over an existing hosts file: ours as a whole where nobody else has a line in it."""
    own, _ = own_lines(existing, ours)
    return merged(existing, ours) if own else ours


def contradictions(existing: str, ours: str) -> list[str]:
    """Return a sentence for each of the machine's own lines that gives a name of ours another address.

    Debian's ``127.0.1.1 <this machine>`` is one: programs on the head node would tell it to the others as its address.
    """
    told: dict[tuple[str, bool], list[str]] = {}
    for line in ours.splitlines():
        address, names = entry(line)
        for name in names:
            told.setdefault((name, ":" in address), []).append(address)
    found = []
    for number, line in own_lines(existing, ours)[0]:
        address, names = entry(line)
        for name in dict.fromkeys(names):
            known = told.get((name.lower(), ":" in address), [address])
            if address not in known:
                found.append(
                    f"line {number} of the hosts file says that {name} is {address}, the inventory says "
                    f"{' or '.join(known)}: programs believe the first; take the name out of that line"
                )
    return found


# -- lines -----------------------------------------------------------------------------------------------------------


def own_lines(existing: str, ours: str) -> tuple[list[tuple[int, str]], int]:
    """Return the machine's own lines with their numbers and ends, and before which of them our block stands.

    A second block of ours is no line of the machine's own.  Nor is, in a file that Bootmill made as a whole, a line
    that looks like one of ours: it may be that of a machine that is gone from the inventory.
    """
    own: list[tuple[int, str]] = []
    place, begun = -1, 0  # the line of the mark that began a block
    header = re.search(rf"^{WHOLE}\b", existing, re.MULTILINE) is not None
    known = frozenset(" ".join(line.split()) for line in ours.splitlines()) if header else frozenset()
    for number, line in enumerate(LINE.findall(existing), start=1):
        mark = MARK.match(line)
        if mark and bool(mark["end"]) != bool(begun):
            refuse(number if mark["end"] else begun)
        elif mark:
            begun = number if mark["begin"] else 0
            place = len(own) if place < 0 else place
        elif header and not begun and line.startswith(WHOLE):
            place = len(own) if place < 0 else place
        elif not begun and not (header and made(line, known)):
            own.append((number, line))
    if begun:
        refuse(begun)
    return own, len(own) if place < 0 else place


def made(line: str, known: Container[str]) -> bool:
    """Whether a line of a file that we made as a whole is ours: by its form, or because we say the same now.

    The form is that of tasks/configs/hosts.py: the address, blanks up to a column, the full and the short name.
    """
    text = line.rstrip()
    if not text or " ".join(text.split()) in known:
        return True
    address, names = entry(text)
    if LOOPBACK.match(address) and all(name == "localhost" or name.startswith("ip6-") for name in names):
        return True
    if len(names) < 2 or text != f"{address:<{WIDTH}} {' '.join(names)}":
        return False
    return names[0].startswith(f"{names[1]}.") or names[1].startswith(f"{names[0]}.")


def refuse(number: int) -> NoReturn:
    """Raise the error for a mark without its partner."""
    message = f"line {number} of the hosts file has no partner: {BEGIN!r} and {END!r} stand around our lines"
    raise BootmillError(message, hint="remove that line, and the lines beside it that Bootmill wrote")


def block(ours: str, own: str) -> Iterator[str]:
    """Yield the lines of our block: those of the loopback only where the machine's own do not name it.

    Not the header, by which a file is known that is ours as a whole.
    """
    named = {(address, name) for address, names in map(entry, own.split("\n")) for name in names}
    for line in ours.splitlines(keepends=True):
        address, names = entry(line)
        if line.startswith(WHOLE) or MARK.match(line):  # a mark: ours was itself staged over somebody's lines
            continue
        if not (names and LOOPBACK.match(address) and (address, names[0]) in named):
            yield line


def entry(line: str) -> tuple[str, list[str]]:
    """Return the address and the names in a line (hosts(5)); no names where it is a comment or empty."""
    address, *names = line.partition("#")[0].split() or [""]
    return address, names
