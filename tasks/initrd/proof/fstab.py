"""What is wrong with an fstab(5).  Pure."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

FIELDS = 6
NO_FOLDER = {"none", "swap"}
ESCAPES = re.compile(r"\\([0-7]{3})")  # getmntent(3): blanks in names
STAYS = ("noauto", "nofail")  # options with which a line that cannot be mounted does no harm


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A line's number, what is wrong, what it leads to; `grave`: it is certain."""

    line: int
    text: str
    cause: str
    grave: bool = True


def mistakes(text: str, there: Callable[[str], bool]) -> Iterator[Mistake]:
    """Yield what is wrong in an fstab; `there` says whether a path exists in the tree."""
    taken: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        shape = misshapen(fields)
        if shape:
            yield Mistake(line=number, text=shape, cause="the line means something else than it says, or nothing")
            continue
        place = ESCAPES.sub(lambda found: chr(int(found[1], 8)), fields[1])
        if fields[2] != "swap" and place not in NO_FOLDER:
            yield from misplaced(number, fields, place, taken, there)


def misshapen(fields: list[str]) -> str:
    """Return why a line is none of fstab(5), "" where it is one."""
    options = fields[3] if len(fields) > 3 else "defaults"
    if len(fields) > FIELDS or options.endswith(","):
        return f"{len(fields)} fields instead of {FIELDS}: a blank inside the options {options!r}?"
    if len(fields) < 3:
        return f"{len(fields)} fields: device, mount point and type are needed"
    if any(not part for part in options.split(",")):
        return f"an empty option in {options!r}"
    wrong = [word for word in fields[4:] if not word.isdecimal()]
    return f"{wrong[0]!r} where a number is wanted (dump, fsck)" if wrong else ""


def misplaced(
    number: int, fields: list[str], place: str, taken: dict[str, int], there: Callable[[str], bool]
) -> Iterator[Mistake]:
    """Yield what is wrong with a line's mount point and device."""
    options = fields[3].split(",") if len(fields) > 3 else []
    if not place.startswith("/"):
        yield Mistake(line=number, text=f"the mount point {place!r} is no absolute path", cause="it is not mounted")
        return
    if place in taken:
        cause = "the second is mounted over the first"
        yield Mistake(line=number, text=f"{place} is in line {taken[place]} already", cause=cause, grave=False)
    taken.setdefault(place, number)
    if any(option.partition("=")[0] in STAYS for option in options):
        return
    if not there(place):
        cause = "systemd makes the folder; others do not mount it"
        yield Mistake(line=number, text=f"the image has no folder {place}", cause=cause, grave=False)
    if fields[0].startswith(("/dev/", "UUID=", "LABEL=", "PARTUUID=")) and place != "/":
        cause = "a node without that disk waits 90 s and ends in emergency mode: nofail would let it come up"
        yield Mistake(line=number, text=f"{place} is on {fields[0]}", cause=cause, grave=False)
