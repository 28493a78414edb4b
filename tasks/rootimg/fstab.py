"""Patch an fstab(5): our entries in, comments and foreign lines kept.  Pure."""

from collections.abc import Sequence

from tasks.inventory.model import FstabEntry


def patch(text: str, entries: Sequence[FstabEntry]) -> str:
    """Return the fstab with `entries`: a line for the same mount point is replaced, others stay as they are."""
    ours = {entry.mountpoint for entry in entries}
    kept = [line for line in text.splitlines() if mountpoint(line) not in ours]
    return "".join(f"{line}\n" for line in [*kept, *map(str, entries)])


def mountpoint(line: str) -> str | None:
    """Return the mount point of a line, None for comments, blank lines and swap."""
    fields = line.split("#", 1)[0].split() if line.lstrip().startswith("#") else line.split()
    return fields[1] if len(fields) > 1 and fields[1] not in {"none", "swap"} else None
