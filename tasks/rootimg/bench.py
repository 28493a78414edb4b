"""`doit bench archive`: a built root tree → cpio, cpio.gz, cpio.zst, beside GNU cpio, gzip and the kernel's own tool.

All get the same paths: what the osimage packs, less device nodes (on disk there are none).  Every program finds its
list ready-made.  Times are medians of rounds in which all take turns, and include writing the file.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tasks import cpio, files, packing, paths
from tasks.errors import MissingToolError
from tasks.inventory.model import Cluster, Compression, OsImage
from tasks.measure import Measure, side_by_side
from tasks.rootimg import exclude, manifest
from tasks.rootimg.manifest import Item, Kind
from tasks.run import run, which

GNU, KERNEL = "cpio", "gen_init_cpio"
OURS, GZIP, PIGZ, OUR_GZIP, OUR_ZSTD = "ours", "cpio | gzip -6", "cpio | pigz -6", "ours, gzip", "ours, zstd"
LINES = {Kind.FILE: "file", Kind.FOLDER: "dir", Kind.SYMLINK: "slink"}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is packed: a tree and its items, the date of all, the lists for the programs, and where results go."""

    tree: Path
    items: tuple[Item, ...]
    date: int
    folder: Path

    @property
    def names(self) -> Path:
        """Return the list for cpio."""
        return self.folder / "names"

    @property
    def list(self) -> Path:
        """Return the list for gen_init_cpio (usr/gen_init_cpio.c of the kernel's source)."""
        return self.folder / "list"

    def result(self, name: str) -> Path:
        """Return where a program's archive goes."""
        return self.folder / name.replace(" ", "-").replace("|", "to")


def measures(cluster: Cluster) -> Iterator[Measure | str]:
    """Yield the lines of each osimage whose tree is built; a program that is not here is named, and left out."""
    for image in cluster.stateless():
        if paths.rootimg_manifest(image).exists():
            with files.scratch(paths.image_dir(image) / "bench") as folder:
                yield from compared(prepared(image, folder))


def prepared(image: OsImage, folder: Path) -> Subject:
    """Return what is to be packed, with the lists written."""
    tree = manifest.load(paths.rootimg_manifest(image))
    kept = (item for item in exclude.keep(tree.items, image.exclude) if item.kind in LINES)
    subject = Subject(tree=paths.rootimg_tree(image), items=tuple(kept), date=tree.source_date, folder=folder)
    files.write_atomic(subject.names, "".join(f"{item.path}\0" for item in subject.items), durable=False)
    files.write_atomic(subject.list, "".join(line(item, subject.tree) for item in subject.items), durable=False)
    return subject


def line(item: Item, tree: Path) -> str:
    """Return an item's line for gen_init_cpio; it knows no hard links, and no blanks in names."""
    if item.kind is Kind.FILE:
        what = str((tree / item.path).absolute())
    else:
        what = item.link if item.kind is Kind.SYMLINK else ""
    words = [LINES[item.kind], f"/{item.path}", what, f"{item.mode:o}", str(item.uid), str(item.gid)]
    return "" if " " in item.path + what else " ".join(word for word in words if word) + "\n"


def compared(subject: Subject) -> Iterator[Measure | str]:
    """Yield what each way costs, and how it stands to the plain tools."""
    absent = {name: why for name in (GNU, KERNEL, "gzip", "pigz") if (why := lack(name))}
    yield from absent.values()
    yield from plain({name: act for name, act in archivers(subject).items() if name not in absent}, subject)
    packers = {name: act for name, act in compressors(subject).items() if not absent.keys() & programs(name)}
    yield from packed(packers, subject)


def programs(name: str) -> set[str]:
    """Return the programs of a pipe."""
    return {part.split()[0] for part in name.split(" | ")}


def lack(name: str) -> str:
    """Return the line for a program that is not here, empty where it is."""
    try:
        which(name)
    except MissingToolError as error:
        hint = "build it from usr/gen_init_cpio.c of the kernel's source" if name == KERNEL else error.hint
        return f"{error.message}: left out ({hint})"
    return ""


def archivers(subject: Subject) -> Mapping[str, Callable[[], object]]:
    """Return the ways to an archive that is not compressed."""
    out = shlex.quote(str(subject.result(KERNEL).absolute()))
    return {
        GNU: partial(shell, subject, f"{gnu(subject)} > {target(subject, GNU)}"),
        KERNEL: partial(shell, subject, f"gen_init_cpio -t {subject.date} {absolute(subject.list)} > {out}"),
        OURS: partial(ours, subject, OURS, Compression.NONE),
    }


def compressors(subject: Subject) -> Mapping[str, Callable[[], object]]:
    """Return the ways to a compressed archive."""
    return {
        GZIP: partial(shell, subject, f"{gnu(subject)} | gzip -n -6 > {target(subject, GZIP)}"),
        PIGZ: partial(shell, subject, f"{gnu(subject)} | pigz -n -6 > {target(subject, PIGZ)}"),
        OUR_GZIP: partial(ours, subject, OUR_GZIP, Compression.GZIP),
        OUR_ZSTD: partial(ours, subject, OUR_ZSTD, Compression.ZSTD),
    }


def gnu(subject: Subject) -> str:
    """Return the command that packs the tree, to be run in it."""
    return f"sort -z {absolute(subject.names)} | cpio --null --create --format=newc --reproducible --quiet"


def absolute(path: Path) -> str:
    """Return a path for a shell in another folder."""
    return shlex.quote(str(path.absolute()))


def target(subject: Subject, name: str) -> str:
    """Return where a command's output goes, for a shell."""
    return absolute(subject.result(name))


def shell(subject: Subject, command: str) -> None:
    """Run a pipe in the tree."""
    run(["sh", "-c", command], cwd=subject.tree)


def ours(subject: Subject, name: str, how: Compression) -> None:
    """Pack the tree ourselves."""
    with subject.result(name).open("wb") as out:
        packing.pack(out, entries(subject), how)


def entries(subject: Subject) -> Iterator[cpio.Entry]:
    """Yield the tree's entries, as `pack` makes them."""
    return manifest.entries(subject.items, subject.tree, subject.date)


def plain(acts: Mapping[str, Callable[[], object]], subject: Subject) -> Iterator[Measure]:
    """Yield the archivers' lines: how fast each is beside GNU cpio."""
    took = side_by_side(acts)
    for name, seconds in took.items():
        note = f"{took[GNU] / seconds:.2f} times as fast as cpio" if GNU in took else ""
        size = subject.result(name).stat().st_size
        yield Measure(what=f"tree → cpio, {size / 1e6:.0f} MB: {name}", seconds=seconds, note=note)


def packed(acts: Mapping[str, Callable[[], object]], subject: Subject) -> Iterator[Measure]:
    """Yield the compressors' lines: how fast each is beside gzip -6, and how large."""
    took = side_by_side(acts)
    sizes = {name: subject.result(name).stat().st_size for name in took}
    for name, seconds in took.items():
        note = f"{sizes[name] / 1e6:.1f} MB"
        if GZIP in took:
            more = 100 * sizes[name] / sizes[GZIP] - 100
            note += f", {took[GZIP] / seconds:.1f} times as fast as gzip -6 at {more:+.1f} % of the bytes"
        yield Measure(what=f"tree → compressed: {name}", seconds=seconds, note=note)
