"""The quick way to the cluster: what was compiled before is not compiled again.

    files ─ cut ─▶ pieces ─ plans ─▶ shards ─ compiled ─▶ nodes ─ checked, claims ─▶ Cluster
            each kept under build/.compiled by the digest of what it was made from

The quick way says yes or nothing.  Where anything is unusual or wrong it gives up, and `compile.load_cluster` reads
everything from the beginning: only that way knows places and sentences, and it is the one that decides.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from tasks import files, paths
from tasks.errors import BootmillError
from tasks.inventory import check, chunks, shards
from tasks.inventory.compile import (
    MOST_NODES,
    REQUIRED,
    Compiler,
    load_cluster,
    quiet_collector,
    service_nodes,
    sources,
)
from tasks.inventory.mistakes import Mistakes
from tasks.inventory.model import Cluster, Node
from tasks.inventory.reading import Document, UnsureError, plain
from tasks.inventory.resolve import Layers
from tasks.inventory.shards import Piece, Plan
from tasks.inventory.store import Store, StoredShard
from tasks.parallel import side_by_side

OF_NODES = frozenset({"nodes", "discovered", "bootstate"})  # tables that are cut into pieces
BATCH = 24  # shards
RACY = 2_000_000_000  # ns: a file that was written so shortly before it was read may change without a new date
CODE = sorted(Path(__file__).parent.glob("*.py"))


def load(folder: Path) -> Cluster:
    """Return the cluster of an inventory; `InventoryError` holds every mistake with its place."""
    try:
        with quiet_collector():
            return Quick(folder).cluster()
    except (UnsureError, ValueError, OSError, BootmillError):
        return load_cluster(folder)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A file of nodes as it was read: size and date, when that was, and the pieces that it was cut into."""

    look: tuple[int, int, int, int]
    read: int
    pieces: tuple[str, ...]


class Around(Compiler):
    """All tables but the nodes, of which it knows the head node alone."""

    head: Node

    def nodes(self) -> list[Node]:
        """Return the head node: networks ask for its address."""
        return [self.head]


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Compiles shards, and looks at each of them alone; many of them on all processors."""

    store: Store
    pieces: Sequence[Piece]
    layers: Layers
    fresh: dict[str, tuple[chunks.Entry, ...]]  # the entries of pieces that are in memory, by the piece's digest

    def nodes(self, plan: Plan) -> tuple[Node, ...]:
        """Return a shard's nodes; a new one is compiled, and kept."""
        if self.store.has("shards", plan.digest):
            return StoredShard(self.store, plan.digest).nodes()
        entries = [
            (self.pieces[piece].table, self.piece(self.pieces[piece].digest)[index]) for piece, index in plan.spots
        ]
        nodes = shards.compiled(plan, entries, self.layers)
        self.store.keep("shards", plan.digest, nodes)
        return nodes

    def piece(self, digest: str) -> tuple[chunks.Entry, ...]:
        """Return the entries of a piece."""
        if digest not in self.fresh:
            found = self.store.read("pieces", digest)
            if found is None:
                self.store.sweep(".", set())  # what was known of the pieces: all are read again by the next run
                raise UnsureError
            self.fresh[digest] = found
        return self.fresh[digest]

    def said(self, plans: Sequence[Plan], tables: check.Tables) -> dict[str, shards.Said]:
        """Return what shards say to the others, by their digest; `UnsureError` where one is wrong by itself."""
        batches = [plans[begin : begin + BATCH] for begin in range(0, len(plans), BATCH)]
        workers = min(len(batches), len(os.sched_getaffinity(0)))
        if workers < 2:
            found = [self.batch(batch, tables) for batch in batches]
        else:
            found = side_by_side([partial(self.batch, batch, tables) for batch in batches], workers)
        return {digest: said for part in found for digest, said in part.items()}

    def batch(self, plans: Sequence[Plan], tables: check.Tables) -> dict[str, shards.Said]:
        """Compile some shards and look at their nodes, together."""
        made = {plan.digest: self.nodes(plan) for plan in plans}
        shards.checked(replace(tables, nodes=tuple(node for nodes in made.values() for node in nodes)))
        return {digest: shards.claims(nodes, tables) for digest, nodes in made.items()}


class Quick:
    """One quick look at an inventory."""

    def __init__(self, folder: Path) -> None:
        """Open the store of this folder."""
        self.folder = folder
        self.code = chunks.sha256(repr([path.read_bytes() for path in CODE]))
        self.place = paths.COMPILED.absolute() / "inventories" / chunks.sha256(str(folder.absolute()))
        self.store = Store(self.place / self.code)
        index = self.store.read(".", "index") or {}
        self.seen: dict[str, Seen] = index.get("seen", {})
        self.entries: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = index.get("entries", {})
        self.checked: tuple[str, frozenset[str]] = index.get("checked", ("", frozenset()))
        self.fresh: dict[str, tuple[chunks.Entry, ...]] = {}

    def cluster(self) -> Cluster:
        """Return the cluster, or raise `UnsureError`."""
        around, mistakes = self.around()
        pieces = [*self.pieces()]
        layers = Layers(groups=around.groups(), defaults=around.defaults())
        plans = [*shards.plans(pieces, f"{self.code} {digest_of(layers)}")]
        if sum(len(plan.members) for plan in plans) > MOST_NODES:
            raise UnsureError
        maker = Maker(store=self.store, pieces=pieces, layers=layers, fresh=self.fresh)
        around.head = self.head(around, plans, maker)
        tables = around.tables()
        if mistakes.found:
            raise UnsureError
        served = self.check(tables, plans, maker)
        stored = [StoredShard(self.store, plan.digest) for plan in plans]
        cluster = replace(around.cluster(tables), shards=tuple(stored), service_nodes=served)
        self.finish(pieces, plans)
        return cluster

    # -- reading -----------------------------------------------------------------------------------------------------

    def around(self) -> tuple[Around, Mistakes]:
        """Return the compiler of all tables but the nodes."""
        mistakes = Mistakes()
        documents: dict[str, Document] = {}
        for name, path in sources(self.folder):
            documents[name] = Document(file=str(path))
            if name in REQUIRED and not path.exists():
                raise UnsureError
            if name.partition("/")[0] not in OF_NODES and path.exists():
                documents[name].value = plain(text_of(path))
        return Around(documents, mistakes), mistakes

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces of all files of nodes, in order."""
        for name, path in sources(self.folder):
            table = name.partition("/")[0]
            if table in OF_NODES and path.exists():
                for digest in self.cut(path):
                    yield Piece(table=table, digest=digest, entries=self.entries[digest])

    def cut(self, path: Path) -> tuple[str, ...]:
        """Return the digests of a file's pieces; it is read only where it looks different."""
        now, look = time.time_ns(), files.look_of(path)
        seen = self.seen.get(str(path))
        if seen and seen.look == look and seen.read - look[3] > RACY:
            return seen.pieces
        text = text_of(path)
        try:
            digests = tuple(self.parsed(piece) for piece in chunks.cut(text))
            keys = [names for digest in digests for names, _ in self.entries[digest]]
            if len(set(keys)) < len(keys):
                raise UnsureError  # a key that is written twice, on both sides of a border
        except UnsureError:
            digests = (self.parsed(text),)
        self.seen[str(path)] = Seen(look=look, read=now, pieces=digests)
        return digests

    def parsed(self, text: str) -> str:
        """Return a piece's digest, after its entries are known."""
        digest = chunks.sha256(text)
        if digest not in self.entries:
            found = chunks.entries(text)
            self.store.keep("pieces", digest, found)
            self.fresh[digest] = found
            self.entries[digest] = tuple((entry.names, entry.digest) for entry in found)
        return digest

    # -- compiling and checking --------------------------------------------------------------------------------------

    def head(self, around: Around, plans: Sequence[Plan], maker: Maker) -> Node:
        """Return the head node."""
        master = (around.documents["site"].value or {}).get("master")
        for plan in plans:
            if master in plan.members:
                return next(node for node in maker.nodes(plan) if node.name == master)
        raise UnsureError

    def check(self, tables: check.Tables, plans: Sequence[Plan], maker: Maker) -> tuple[tuple[str, IPv4Address], ...]:
        """Return the service nodes that others name.

        `UnsureError` where rows do not go together: all that is new is looked at, or everything where the tables are.
        """
        written = sorted((table, sorted(names or ())) for table, names in tables.written.items())
        around = chunks.sha256(repr((replace(tables, written={}), written)))
        known = self.checked[1] if self.checked[0] == around else frozenset()
        said: tuple[str, dict[str, shards.Said]] = self.store.read(".", "claims") or ("", {})
        claims = said[1] if said[0] == around else {}
        here = self.store.names("shards")
        done = here & known & claims.keys()
        todo = [plan for plan in plans if plan.digest not in done]
        claims |= maker.said(todo, tables)
        current = {plan.digest: claims[plan.digest] for plan in plans}
        if current.keys() != known:
            shards.agree([*current.values()], tables)
            self.store.keep(".", "claims", (around, current))
            self.checked = around, frozenset(current)
        named = {line.split()[1] for found in current.values() for line in found["served by"].splitlines()}
        homes = [plan for plan in plans if not named.isdisjoint(plan.members)] if named else []
        return service_nodes((node for plan in homes for node in maker.nodes(plan)), named)

    def finish(self, pieces: Sequence[Piece], plans: Sequence[Plan]) -> None:
        """Keep what is known for the next run, and forget what nothing refers to."""
        used = {piece.digest for piece in pieces}
        index: dict[str, Any] = {
            "seen": {path: seen for path, seen in self.seen.items() if used.issuperset(seen.pieces)},
            "entries": {digest: self.entries[digest] for digest in used},
            "checked": self.checked,
        }
        self.store.keep(".", "index", index)
        for other in files.names_in(self.place) - {self.code}:  # of other versions of this code
            files.remove_tree(self.place / other)
        self.store.sweep("pieces", used)
        self.store.sweep("shards", {plan.digest for plan in plans})


def digest_of(layers: Layers) -> str:
    """Return what changes when something below the nodes' own attributes does; where it is written does not count."""
    groups = {name: values(cells) for name, cells in layers.groups.items()}
    return chunks.sha256(repr((groups, values(layers.defaults))))


def text_of(path: Path) -> str:
    """Return a file's text."""
    return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")


def values(cells: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return attributes without their places."""
    return {path: cell.value for path, cell in cells.items()}
