"""A family's files, whole and in memory, and what one change does to them.  Writes nothing."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks import assemble
from tasks.deploy.difference import Change, Kind, Pair
from tasks.errors import BootmillError
from tasks.family import Aggregate, Family
from tasks.inventory.model import Cluster, Node

MOST_PROBES = 400  # nodes that are tried one by one; what they show holds for the others
NO_SENSE = (BootmillError, LookupError, ValueError, AssertionError)  # what half an edit may end in
Maker = Family[Any] | Aggregate[Any]
Texts = Mapping[Path, str]
Renderer = Callable[[Maker, Cluster], Texts]


def whole(maker: Maker, cluster: Cluster) -> Texts:
    """Return all files of a family or an aggregate as a run would leave them."""
    frame = maker.frame(cluster)
    rows = [maker.rows(frame, shard.nodes()) for shard in cluster.shards]
    if isinstance(maker, Aggregate):
        return maker.text(frame, rows)
    parts = [maker.text(frame, some) for some in rows]
    pieces = {key: [part[key] for part in parts if part.get(key)] for key in maker.around(frame, {})}
    sums = {key: hashlib.sha256("".join(found).encode()).hexdigest() for key, found in pieces.items()}
    numbers = sums if maker.number is None else maker.number(frame, sums)
    texts = dict(maker.keep(frame, numbers)) if maker.keep else {}
    for key, around in maker.around(frame, numbers).items():
        text = around.head + around.between.join(pieces.get(key, ())) + around.tail
        if around.merge:  # others may have lines in it
            text = assemble.settled(around, text.encode()).decode(errors="replace")
        texts[around.path] = text
    return texts


def gone(maker: Maker, cluster: Cluster) -> Sequence[Path]:
    """Return the files of ours that a run would remove."""
    if isinstance(maker, Aggregate) or maker.leftovers is None:
        return ()
    return maker.leftovers(maker.frame(cluster))


class Causes:
    """Which changes touch which files: each is made alone, and the texts are compared.

    No table of attributes could say it as well: it is the family's own functions that are asked.
    """

    def __init__(self, maker: Maker, old: Cluster, new: Cluster, paths: Iterable[Path]) -> None:
        """Take the family; `paths` are those of its files that differ."""
        self.maker = maker
        self.old, self.new = old, new
        self.paths = frozenset(paths)
        self.frame = maker.frame(new)
        # What is written down about the files (their serials) changes with them.
        self.kept = self.paths - self.texts([]).keys() if isinstance(maker, Family) else frozenset()
        self.found: dict[Path, list[Change]] = {path: [] for path in self.paths}

    def of(self, others: Sequence[Change], nodes: Sequence[tuple[Pair, list[Change]]]) -> dict[Path, list[Change]]:
        """Return the changes behind each file."""
        before = repr(self.attempt(self.old)) if others else ""
        for change in others:
            if repr(self.attempt(alone(self.old, self.new, change))) != before:
                self.note(change, self.paths)
        learnt: dict[str, set[Path]] = {}
        for number, (pair, changes) in enumerate(nodes):
            for change in changes:
                if number < MOST_PROBES:
                    touched = self.touched(pair, change)
                    learnt.setdefault(change.top, set()).update(touched)
                else:
                    touched = frozenset(learnt.get(change.top, ()))
                self.note(change, touched)
        return self.found

    def note(self, change: Change, paths: Iterable[Path]) -> None:
        """Note a change as a cause of files."""
        for path in self.paths.intersection(paths):
            self.found[path].append(change)

    def attempt(self, cluster: Cluster) -> object:
        """Return a frame; a mixture of old and new may make none."""
        try:
            return self.maker.frame(cluster)
        except NO_SENSE:
            return None

    def touched(self, pair: Pair, change: Change) -> frozenset[Path]:
        """Return the files whose text for this node differs by this one change."""
        old, new = pair
        first = [] if old is None else [old]
        second = [] if new is None else [new]
        if old is not None and new is not None:
            second = [replace(old, **{change.top: getattr(new, change.top)})]
        try:
            before, after = self.texts(first), self.texts(second)
        except NO_SENSE:
            return self.paths  # half of an edit makes no sense by itself (firmware without netboot, say)
        found = {path for path in before.keys() | after.keys() if before.get(path, "") != after.get(path, "")}
        return self.paths & (found | self.kept) if found else frozenset()

    def texts(self, nodes: Sequence[Node]) -> Texts:
        """Return what the family's files say of some nodes."""
        if isinstance(self.maker, Aggregate):
            return self.maker.text(self.frame, [self.maker.rows(self.frame, nodes)] if nodes else [])
        found = self.maker.text(self.frame, self.maker.rows(self.frame, nodes)) if nodes else {}
        return {around.path: found.get(key, "") for key, around in self.maker.around(self.frame, {}).items()}


def alone(old: Cluster, new: Cluster, change: Change) -> Cluster:
    """Return the old cluster with one change outside of the nodes made."""
    if change.table == "site":
        return replace(old, site=replace(old.site, **{change.top: getattr(new.site, change.top)}))
    rows = {row.name: row for row in getattr(old, change.table)}
    target = next((row for row in getattr(new, change.table) if row.name == change.row), None)
    if target is None:
        rows.pop(change.row, None)
    elif change.kind is Kind.ADDED:
        rows[change.row] = target
    else:
        rows[change.row] = replace(rows[change.row], **{change.top: getattr(target, change.top)})
    changed: dict[str, Any] = {change.table: tuple(rows.values())}
    return replace(old, **changed)
