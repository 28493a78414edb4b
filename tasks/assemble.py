"""Writes the files of a family, and renders only the parts that changed.

    shards ─ slices ─▶ digest of each shard's rows ─┬─ known ──▶ the part as it lies in the file
                       (kept, by the shard's digest) └─ new ───▶ text ─┬─▶ checker (frame + new parts)
                                                                       └─▶ the file, in one rename ─▶ layout

A layout says where in a file each part lies.  It is believed only while the file looks exactly as it was left, and only
for the frame and the code that it was made with.
"""

import hashlib
import importlib
import marshal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from tasks import files, paths
from tasks.actions import TaskDict, rule
from tasks.family import Aggregate, Around, Family
from tasks.inventory.model import Cluster, Node, Shard
from tasks.recipe import recipe

KEPT = paths.COMPILED / "families"
MOST_REMARKS = 10  # about one file, on the terminal


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A shard, and the digest of what a family tells of it."""

    digest: str
    shard: Shard


def task(cluster: Cluster, module: str, holds: str = "FAMILY", doc: str = "") -> TaskDict:
    """Declare the files of the family that a module holds."""
    family = getattr(importlib.import_module(module), holds)
    frame = family.frame(cluster)
    code = code_digest(module)
    slices = sliced(family, frame, cluster.shards, code)
    return rule(
        family.name,
        doc=doc,
        run=write_aggregate if isinstance(family, Aggregate) else write,
        args=(family, frame, slices, code),
        stands_for=(code, frame, [one.digest for one in slices]),
        code=module,
        outputs=family.outputs(frame),
    )


@cache
def code_digest(module: str) -> str:
    """Return the digest of the code and the templates behind a module."""
    digest = hashlib.sha256()
    for name in sorted({*recipe(module), *recipe(__name__), *recipe("tasks.family")}):
        digest.update(Path(name).read_bytes())
    return digest.hexdigest()


class Rowed(Protocol):
    """What has rows: a family, an aggregate, the menus."""

    @property
    def name(self) -> str:
        """Return the name of the task."""

    @property
    def rows(self) -> Callable[[Any, Sequence[Node]], Any]:
        """Return the function that gives the slice of a shard."""


def sliced(family: Rowed, frame: object, shards: Sequence[Shard], code: str) -> list[Slice]:
    """Return the digest of each shard's rows; those of shards that were seen with this frame and code are kept."""

    def digest(nodes: Sequence[Node]) -> str:
        return sha256(repr(family.rows(frame, nodes)))

    digests = of_shards(f"{family.name}.slices", f"{code} {frame!r}", shards, digest)
    return [Slice(digest=one, shard=shard) for one, shard in zip(digests, shards, strict=True)]


def of_shards(name: str, key: str, shards: Sequence[Shard], function: Callable[[Sequence[Node]], Any]) -> list[Any]:
    """Return a function's value for each shard, plain data; what an earlier run found under this key is kept."""
    key = sha256(key)
    known: dict[str, Any] = read(KEPT / name, key) or {}
    values = {
        shard.digest: known[shard.digest] if shard.digest in known else function(shard.nodes()) for shard in shards
    }
    if values.keys() != known.keys():
        keep(KEPT / name, key, values)
    return [values[shard.digest] for shard in shards]


def sha256(text: str) -> str:
    """Return half of a text's sha256, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def read(path: Path, key: str) -> Any:
    """Return what was kept under a key, None where it is of another key, damaged or not there."""
    try:
        found, value = marshal.loads(path.read_bytes())
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return value if found == key else None


def keep(path: Path, key: str, value: Any) -> None:
    """Keep plain values until the next run."""
    files.write_quickly(path, marshal.dumps((key, value)))


# -- files made of parts ---------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Body:
    """The parts of one file: each with the digest of its rows, and whether it is new."""

    parts: list[tuple[str, bytes, bool]] = field(default_factory=list)

    def texts(self, *, new_only: bool = False) -> list[bytes]:
        """Return the parts that are not empty."""
        return [text for _, text, new in self.parts if text and (new or not new_only)]


def write(family: Family[Any], frame: object, slices: Sequence[Slice], code: str) -> None:
    """Bring the files of a family up to date."""
    key = sha256(f"{code} {frame!r}")
    place = KEPT / f"{family.name}.layout"
    former = Former(read(place, key) or {})
    bodies = assembled(family, frame, slices, former)
    numbers = numbered(family, frame, bodies)
    around = family.around(frame, numbers)
    family.check(frame, {name: candidate(around[name], body) for name, body in bodies.items()})
    for path, text in family.keep(frame, numbers).items() if family.keep else ():
        files.write_atomic(path, text)
    layout = {
        name: laid_out(around[name], body)
        for name, body in bodies.items()
        if put(around[name], whole(around[name], body.texts()), trusted=name in former.parts)
    }
    for path in family.leftovers(frame) if family.leftovers else ():
        path.unlink(missing_ok=True)
        files.remove_if_empty(path.parent)
    keep(place, key, layout)


def render(family: Family[Any], frame: object, shards: Sequence[Shard]) -> dict[Path, bytes]:
    """Return the files of a family as they would be written, without writing or asking anything."""
    slices = [Slice(digest=str(number), shard=shard) for number, shard in enumerate(shards)]
    bodies = assembled(family, frame, slices, Former({}))
    around = family.around(frame, numbered(family, frame, bodies))
    return {
        around[name].path: settled(around[name], whole(around[name], body.texts())) for name, body in bodies.items()
    }


def numbered(family: Family[Any], frame: object, bodies: Mapping[str, Body]) -> Mapping[str, str]:
    """Return what the frame around the parts depends on beside the inventory: the parts' sums, or what they lead to."""
    sums = {name: hashlib.sha256(b"".join(body.texts())).hexdigest() for name, body in bodies.items()}
    return family.number(frame, sums) if family.number else sums


def assembled(family: Family[Any], frame: object, slices: Sequence[Slice], former: "Former") -> dict[str, Body]:
    """Return the parts of every file; those that changed are rendered."""
    names = [*family.around(frame, {})]
    bodies = {name: Body() for name in names}
    for one in slices:
        kept = former.part(one.digest, names)
        if kept is not None:
            for name in names:
                bodies[name].parts.append((one.digest, kept[name], False))
            continue
        texts = family.text(frame, family.rows(frame, one.shard.nodes()))
        for name in names:
            bodies[name].parts.append((one.digest, texts.get(name, "").encode(), True))
    return bodies


class Former:
    """The parts as they lie in the files of the last run."""

    def __init__(self, layout: Mapping[str, Any]) -> None:
        """Read the files that look as they were left."""
        self.parts: dict[str, dict[str, bytes]] = {}
        for name, (path, look, parts) in layout.items():
            data = content(Path(path), look)
            if data is not None:
                self.parts[name] = {digest: bytes(data[begin:end]) for digest, begin, end in parts}

    def part(self, digest: str, names: Sequence[str]) -> dict[str, bytes] | None:
        """Return a part's texts, None where one of them is not known."""
        try:
            return {name: self.parts[name][digest] for name in names}
        except KeyError:
            return None


def content(path: Path, look: Sequence[int]) -> memoryview | None:
    """Return a file's bytes if it looks as it was left."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return memoryview(data) if files.look_of(path) == tuple(look) else None


def candidate(around: Around, body: Body) -> str:
    """Return what the checker is asked about: the frame with the parts that are new."""
    return whole(around, body.texts(new_only=True)).decode()


def whole(around: Around, texts: Sequence[bytes]) -> bytes:
    """Return a file's bytes."""
    return b"".join([around.head.encode(), around.between.encode().join(texts), around.tail.encode()])


def put(around: Around, ours: bytes, *, trusted: bool) -> bool:
    """Write a file and tell what is wrong with the lines of others in it; returns whether it is ours alone.

    `trusted`: it looks as we left it when it was ours alone.
    """
    there = None if trusted else shared(around)
    if there is None:
        files.write_ours(around.path, ours)
        return True
    merged = with_others(around, there, ours)
    tell(around.path, around.remarks(text_of(there), text_of(ours)) if around.remarks else ())
    files.write_atomic(around.path, merged, mode=around.path.stat().st_mode & 0o777)
    return merged == ours


def tell(path: Path, remarks: Sequence[str]) -> None:
    """Tell a person, beside what the run tells, of the first few remarks; a terminal is told no control characters."""
    more = [f"{len(remarks) - MOST_REMARKS} more such lines"] if len(remarks) > MOST_REMARKS else []
    for sentence in (*remarks[:MOST_REMARKS], *more):
        shown = "".join(letter if letter.isprintable() else "?" for letter in f"{path}: {sentence}")
        print(shown, file=sys.stderr)


def settled(around: Around, ours: bytes) -> bytes:
    """Return what a run would leave in a file: our bytes, and the lines of others that are there."""
    there = shared(around)
    return ours if there is None else with_others(around, there, ours)


def shared(around: Around) -> bytes | None:
    """Return what lies where others may have lines; what is ours below build/ is ours alone, whoever edited it."""
    path = around.path
    if around.merge is None or not path.exists() or (path.is_relative_to(paths.BUILD) and files.is_ours(path)):
        return None
    return path.read_bytes()


def with_others(around: Around, there: bytes, ours: bytes) -> bytes:
    """Return a file's bytes with ours in them; those that are no UTF-8 stay as they are."""
    return around.merge(text_of(there), text_of(ours)).encode(errors="surrogateescape") if around.merge else ours


def text_of(content: bytes) -> str:
    """Return a file's text; bytes that are no UTF-8 become what `with_others` makes bytes of again."""
    return content.decode(errors="surrogateescape")


def laid_out(around: Around, body: Body) -> tuple[str, tuple[int, ...], list[tuple[str, int, int]]]:
    """Return where the parts lie in a file that is ours alone, and how it looks."""
    offset, between, layout = len(around.head.encode()), len(around.between.encode()), []
    for digest, text, _ in body.parts:
        layout.append((digest, offset, offset + len(text)))
        offset += len(text) + between if text else 0
    return str(around.path), files.look_of(around.path), layout


# -- files made of everything ----------------------------------------------------------------------------------------


def write_aggregate(family: Aggregate[Any], frame: object, slices: Sequence[Slice], code: str) -> None:
    """Bring files up to date that say of all nodes at once what they have in common."""
    rows = of_shards(
        f"{family.name}.rows",
        f"{code} {frame!r}",
        [one.shard for one in slices],
        lambda nodes: plain(family.rows(frame, nodes)),
    )
    texts = family.text(frame, rows)
    family.check(frame, texts)
    for path, text in texts.items():
        files.write_ours(path, text)


def plain(value: Any) -> Any:
    """Return a value as plain tuples: a NamedTuple is one, but marshal does not know that."""
    return tuple(plain(item) for item in value) if isinstance(value, tuple) else value
