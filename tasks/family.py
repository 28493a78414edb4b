"""How configuration files are put together: a frame around parts, a part for each shard of the nodes.

    cluster ─ frame ─────────────────▶ head … tail ─┐
    shard ── rows (the slice) ─ text ─▶ part        ─┴─▶ checker ─▶ the file

A part is rendered again only when its rows or the frame change; all other parts are taken from the file that is there.
The daemon's checker is asked about the frame with the parts that are new: those that stay were accepted with it before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from tasks.inventory.model import Cluster, Node

F = TypeVar("F")
Rows = tuple[tuple[object, ...], ...]  # NamedTuples of str, int, bool, None and tuples of those: a canonical repr


@dataclass(frozen=True, kw_only=True)
class Around:
    """What stands around the parts of one file."""

    path: Path
    head: str
    tail: str = ""
    between: str = ""  # between two parts that are not empty: ",\n" in JSON
    # For a file in which others may have lines: the text that is there, our text → what is written.  Pure.
    merge: Callable[[str, str], str] | None = None
    # Likewise: sentences on what a person should know of the others' lines.
    remarks: Callable[[str, str], Sequence[str]] | None = None


@dataclass(frozen=True, kw_only=True)
class Family(Generic[F]):
    """One task's files.  All functions but `check` are pure; `F` is a frozen dataclass with a canonical repr."""

    name: str
    # What every part depends on: the site, the networks, the switches; never a node.
    frame: Callable[[Cluster], F]
    # What the files tell of these nodes: the slice.  In the order of the nodes.
    rows: Callable[[F, Sequence[Node]], Rows]
    # The text of these rows, by the file's key; each text ends with a line end or is empty.
    text: Callable[[F, Rows], Mapping[str, str]]
    # Every file: its key → what is around its parts.  `sums` has the sha256 of each file's parts (all in one text).
    around: Callable[[F, Mapping[str, str]], Mapping[str, Around]]
    # The paths of all files, for the task's targets: before anything is rendered.
    outputs: Callable[[F], Sequence[Path]]
    # Ask the daemon's checker about texts, by the file's key: whole files in form, with only the new parts in them.
    # `BootmillError` where it refuses.
    check: Callable[[F, Mapping[str, str]], None]
    # For files that tell more than inventory and code say (a zone's serial): what `around` gets in the place of the
    # sums.  Is given the sums; reads state, writes nothing.
    number: Callable[[F, Mapping[str, str]], Mapping[str, str]] | None = None
    # What `number` returned, as it is to be written down after `check` and before the first file: path → text.
    keep: Callable[[F, Mapping[str, str]], Mapping[Path, str]] | None = None
    # Files of ours, found on the disk, of what is gone from the inventory: removed after the others were written.
    leftovers: Callable[[F], Sequence[Path]] | None = None


class MenuChange(NamedTuple):
    """A boot menu (or their manifest) that a run would write, or remove: then `new` is None."""

    path: Path
    node: str  # whose it is; empty: of all, or of a node that is gone
    old: str | None  # what the file says now
    new: str | None
    boots: bool = False  # the last run had its node boot something else: a running node is not what it would be


@dataclass(frozen=True, kw_only=True)
class Aggregate(Generic[F]):
    """One task's files that say of all nodes at once what they have in common: who is in a group.

        shard ── rows (the summary) ─┐
        shard ── rows (kept) ────────┼─ text ─▶ checker ─▶ the files, whole
        shard ── rows (kept) ────────┘

    A shard's rows are its summary: some values however many nodes it has (``n[001-500]`` is one).  They are made again
    when the shard changes and are kept otherwise, and the files are made from those of all shards.  Kept rows may come
    back as plain tuples: `text` reads them by position.  All functions but `check` are pure.
    """

    name: str
    frame: Callable[[Cluster], F]
    rows: Callable[[F, Sequence[Node]], Rows]
    # The whole files, by their path, from the rows of all shards in the order of the inventory.
    text: Callable[[F, Sequence[Rows]], Mapping[Path, str]]
    outputs: Callable[[F], Sequence[Path]]
    check: Callable[[F, Mapping[Path, str]], None]
