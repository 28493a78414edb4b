"""``doit repair``: make somebody's initrd boot by what it lacks, appended; all else stays byte for byte.

initrd ─ segments ─ proof ─▶ before
         └ mend (sysroot) ─▶ one more segment ─ rebuild ─ proof ─▶ after

The original is never written to, unless ``--in-place`` says so; then it stays under ``.before-repair``.  What is
written has the original's mode (an initrd may hold keys), in place its owner, too.
"""

import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tasks import compression, cpio, files, paths
from tasks.errors import BootmillError
from tasks.initrd.archives.archive import Archive
from tasks.initrd.archives.rebuild import rebuild
from tasks.initrd.archives.segments import Segment
from tasks.initrd.kernel import kconfig, kernelimage
from tasks.initrd.kernel.kconfig import Answer, Kconfig
from tasks.initrd.kernel.kernelimage import KernelImage, Kind
from tasks.initrd.loader.sysroot import DiskTree, resolve
from tasks.initrd.mend import HOLDS, Change, Mending, folder, mending
from tasks.initrd.proof import report
from tasks.initrd.proof.proof import Proof, config_in, config_text, kernel_bytes, words_of
from tasks.initrd.proof.report import Paint, Report
from tasks.initrd.proof.subject import Machine, Subject
from tasks.initrd.proof.verdict import value
from tasks.inventory.model import Cluster, Compression

SWITCHES = ("--dry-run", "--in-place", "--json")
VALUES = ("--initrd", "--kernel", "--config", "--append", "--sysroot", "--osimage", "--output")
USAGE = (
    "usage: doit repair --initrd FILE [--kernel FILE] [--config FILE] [--append 'WORDS'] "
    "[--sysroot FOLDER | --osimage NAME] [--output FILE | --in-place] [--dry-run] [--json]"
)
LZ4_TAKES_ZEROS = (5, 14, 0)  # lib/decompress_unlz4.c: before that nothing may follow an lz4 segment
NO_KERNEL = KernelImage(kind=Kind.VMLINUX, arch="", bits=0, version="")  # any: nobody said which
SOME = 1  # its size in bytes


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a user typed; `values` by option."""

    switches: frozenset[str] = frozenset()
    values: dict[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path | None:
        """Return a file that was named."""
        return Path(self.values[name]) if name in self.values else None

    @property
    def initrd(self) -> Path:
        """Return the initrd that is to be repaired."""
        return Path(self.values["--initrd"])

    @property
    def output(self) -> Path:
        """Return where the repaired one is written; in place means where links lead, /initrd.img is often one."""
        if "--in-place" in self.switches:
            return self.initrd.resolve()
        return self.path("--output") or self.initrd.with_name(f"{self.initrd.name}.repaired")

    @property
    def words(self) -> tuple[str, ...]:
        """Return the kernel command line."""
        return words_of(self.values.get("--append", ""))


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What was done: the proofs before and after, the changes, the segments that were packed anew, and why."""

    before: Report
    after: Report
    mending: Mending
    repacked: tuple[str, ...]
    kept: int  # segments that stay byte for byte
    how: Compression | None
    output: Path | None


def repair_words(cluster: Cluster, words: Sequence[str]) -> None:
    """Repair an initrd and tell what was done; `BootmillError` (exit code 1) where it would still not boot."""
    order = understand(words)
    done = repair(order, sysroot_of(cluster, order))
    if "--json" in order.switches:
        print(json.dumps(document(done), indent=2))
    else:
        print("\n".join(lines(done, Paint(on=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))))
    sys.stdout.flush()
    if not done.after.boots:
        message = f"{order.initrd}: {done.after.judged[0].verdict.message}: not all could be mended"
        raise BootmillError(
            message, hint="the findings above say what is missing; --sysroot says where it may come from"
        )


# -- what was typed ----------------------------------------------------------------------------------------------------


def understand(words: Sequence[str]) -> Order:
    """Return the order behind the words; ``--output FILE`` and ``--output=FILE`` are the same."""
    values: dict[str, str] = {}
    wrong: list[str] = []
    todo = [word for word in words if word not in SWITCHES]
    while todo:
        word = todo.pop(0)
        name, equals, text = word.partition("=")
        if name in VALUES and (equals or todo):
            values[name] = text if equals else todo.pop(0)
        else:
            wrong.append(f"{name} needs a value" if name in VALUES else f"{word!r} is not understood")
    wrong += [] if wrong else mistakes(values, frozenset(words) & {*SWITCHES})
    if wrong:
        raise BootmillError("\n".join(wrong), hint=USAGE)
    return Order(switches=frozenset(words) & {*SWITCHES}, values=values)


def mistakes(values: dict[str, str], switches: frozenset[str]) -> Iterator[str]:
    """Yield what does not go together, and files that are not there."""
    if "--initrd" not in values:
        yield "--initrd says which one is to be repaired"
    if {"--sysroot", "--osimage"} <= values.keys():
        yield "--sysroot and --osimage do not go together"
    if "--output" in values and "--in-place" in switches:
        yield "--output and --in-place do not go together"
    for name in ("--initrd", "--kernel", "--config"):
        if name in values and not Path(values[name]).is_file():
            yield f"{values[name]} is not a file"
    if "--output" in values and Path(values["--output"]).is_dir():
        yield f"--output {values['--output']} is a folder: name a file"
    if "--sysroot" in values and not Path(values["--sysroot"]).is_dir():
        yield f"{values['--sysroot']} is not a folder"
    if (
        values.keys() >= {"--output", "--initrd"}
        and Path(values["--output"]).resolve() == Path(values["--initrd"]).resolve()
    ):
        yield "--output is the initrd itself: say --in-place, which keeps the original"


def sysroot_of(cluster: Cluster, order: Order) -> DiskTree | None:
    """Return the tree from which files may come; None where nobody named one."""
    folder = order.path("--sysroot")
    if "--osimage" in order.values:
        name = order.values["--osimage"]
        images = {image.name: image for image in cluster.stateless()}
        if name not in images:
            message = f"{name!r} is no osimage that boots over the network"
            raise BootmillError(message, hint=f"one of {', '.join(sorted(images)) or 'none'}")
        folder = paths.rootimg_tree(images[name])
        if not folder.is_dir():
            message = f"the tree of {name} is not built yet"
            raise BootmillError(message, hint=f"doit rootimg:{name}")
    return DiskTree(folder) if folder else None


# -- the work ----------------------------------------------------------------------------------------------------------


def repair(order: Order, sysroot: DiskTree | None) -> Repair:
    """Return what was done; a file is written where something changed, unless this is a dry run."""
    subject = subject_of(order, sysroot)
    how = choose(subject.config, subject.kernel.version)
    found = mending(subject, value(order.words, "rdinit") or "/init", sysroot)
    kept, repacked = keepable(subject)
    entries = [*anew(subject, len(kept)), *(change.entry for change in found.changes)]
    before = proved(subject, order)
    if not entries:
        return Repair(before=before, after=before, mending=found, repacked=(), kept=len(kept), how=None, output=None)
    try:
        packed = b"".join(rebuild(order.initrd, kept, entries, how))
    except ValueError as error:
        message = f"{order.initrd}: its segments cannot be packed anew: {error}"
        raise BootmillError(message, hint="have its maker build it again") from error
    after = proved(with_archive(subject, Archive.of(packed)), order)
    output = None if "--dry-run" in order.switches else write(order, packed, boots=after.boots)
    return Repair(before=before, after=after, mending=found, repacked=repacked, kept=len(kept), how=how, output=output)


def subject_of(order: Order, sysroot: DiskTree | None) -> Subject:
    """Return what is judged: the initrd as it is, with its kernel where that was named."""
    kernel_file, config_file = order.path("--kernel"), order.path("--config")
    data = kernel_bytes(kernel_file) if kernel_file else b""
    kernel = kernelimage.parse(data) if kernel_file else NO_KERNEL
    archive = Archive.of(order.initrd)
    config = kconfig.parse(config_text(config_file)) if config_file else kernel.config
    config = config or config_in(archive, kernel.version)
    if config is None and sysroot is not None and kernel.version:
        config = kconfig.config_of(sysroot, kernel.version)
    size = len(data) if kernel_file else SOME  # one that nobody named is not one that is empty
    return Subject(kernel=kernel, kernel_size=size, config=config, packed=archive)


def with_archive(subject: Subject, archive: Archive) -> Subject:
    """Return the subject with another initrd."""
    return Subject(kernel=subject.kernel, kernel_size=subject.kernel_size, config=subject.config, packed=archive)


def proved(subject: Subject, order: Order) -> Report:
    """Return the proof's report."""
    # Without a command line nothing is said of it: menus may add what our init wants.
    verdict = Proof(subject).verdict(Machine(words=order.words, menus="--append" not in order.values))
    return Report(subject=subject, judged=report.together([((), verdict)]))


def choose(config: Kconfig | None, version: str) -> Compression:
    """Return a compression that the kernel unpacks: zstd where it is known to, else gzip, else another, else none."""
    first = compression.best(config) if config else Compression.GZIP
    order = [first, Compression.GZIP, Compression.XZ, Compression.ZSTD, Compression.LZ4]
    good = (each for each in order if kconfig.unpacks(each.value, config, version) in {Answer.YES, Answer.LIKELY})
    return next(good, Compression.NONE)


def keepable(subject: Subject) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Return the segments that stay as they are, and why the others, from the first such on, are packed anew."""
    segments = subject.packed.segments
    for index, segment in enumerate(segments):
        why = unkeepable(subject, segment, last=index == len(segments) - 1)
        if why:
            return segments[:index], tuple(f"segment at byte {each.offset:,}: {why}" for each in segments[index:])
    return segments, ()


def anew(subject: Subject, kept: int) -> Iterator[cpio.Entry]:
    """Yield the entries of the segments behind the first `kept`, each behind its folder, at the place where it goes.

    What the kernel would not make is left out; names lead through no link, for the folders before them are ours.
    """
    tree = subject.packed.tree
    dropped = frozenset(tree.dropped)
    made: set[str] = set()
    for entry in (each for segment in subject.packed.segments[kept:] for each in segment.entries):
        parent, _, name = entry.name.rpartition("/")
        real = resolve(tree, f"/{parent}").path
        if entry.name in dropped or real is None or name in {"", ".", ".."}:
            continue
        place = f"{real}/{name}".lstrip("/")
        for parents in cpio.with_parents([replace(entry, name=place)]):
            if parents.name != place and parents.name not in made:
                made.add(parents.name)
                yield folder(tree, parents)
        made.add(place)
        yield replace(entry, name=place)


def unkeepable(subject: Subject, segment: Segment, *, last: bool) -> str:
    """Return why nothing could follow a segment, or why the kernel would not get to its end; empty where it is fine."""
    damage = [problem.text for problem in segment.problems if problem.rule == "E09"]
    if damage:
        return f"{damage[0]}; what lies behind that is lost"
    if segment.offset in subject.refused:
        return f"this kernel cannot unpack {segment.compression}"
    version = kconfig.release(subject.kernel.version)
    if last and segment.compression == "lz4" and version < LZ4_TAKES_ZEROS:
        return "lz4 must be the last one for kernels before 5.14"
    return ""


def write(order: Order, packed: bytes, *, boots: bool) -> Path:
    """Write the repaired initrd; in place only where it helps, and the original keeps another name."""
    output, original = order.output, order.initrd.stat()
    in_place = "--in-place" in order.switches
    if in_place:
        keep_original(order, boots=boots)
    files.write_atomic(output, packed, mode=stat.S_IMODE(original.st_mode) & 0o777)
    if in_place and (original.st_uid, original.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(output, original.st_uid, original.st_gid)
    return output


def keep_original(order: Order, *, boots: bool) -> None:
    """Give the original its second name; `BootmillError` where it is taken, or nothing would be won."""
    if not boots:
        message = f"{order.initrd} would still not boot: it was left as it is"
        raise BootmillError(message, hint="look at what is missing: --dry-run; write another file: --output FILE")
    backup = order.output.with_name(f"{order.output.name}.before-repair")
    if backup.exists() or backup.is_symlink():
        message = f"{backup} is there already"
        raise BootmillError(message, hint="move it away: it may be the only original")
    files.place(order.output, backup)


# -- telling -----------------------------------------------------------------------------------------------------------


def lines(done: Repair, paint: Paint) -> Iterator[str]:
    """Yield the report for people: before, what was changed, what could not be had, after."""
    yield paint("1", f"before: {report.headline(done.before)}")
    yield from (f"  {line}" for line in findings(done.before, paint))
    shown = [change for change in done.mending.changes if change.why != HOLDS]
    yield paint("1", f"changes: {len(shown)}")
    yield from (f"  {paint('', str(change))}" for change in shown)
    yield from (f"  {paint('33', f'packed anew: {why}')}" for why in done.repacked)
    if done.mending.lost:
        yield paint("1", "not found:")
        yield from (f"  {paint('31', line)}" for line in done.mending.lost)
    yield paint("1", f"after: {report.headline(done.after)}")
    yield from (f"  {line}" for line in findings(done.after, paint))
    if done.output:
        size = done.after.subject.packed.size
        yield f"{done.output}: {size:,} bytes, {done.kept} segments as they were, one more ({done.how})"
    else:
        yield "nothing was written"


def findings(found: Report, paint: Paint) -> Iterator[str]:
    """Yield the verdict and the errors of a report."""
    for each in found.judged:
        yield from report.judged_lines(each, [one for one in each.verdict.findings if one.grade != "error"], paint)


def document(done: Repair) -> dict[str, object]:
    """Return the report for programs."""
    return {
        "before": report.document([done.before]),
        "after": report.document([done.after]),
        "changes": [change_document(change) for change in done.mending.changes],
        "missing": list(done.mending.lost),
        "repacked": list(done.repacked),
        "kept": done.kept,
        "compression": done.how and done.how.value,
        "output": str(done.output) if done.output else None,
    }


def change_document(change: Change) -> dict[str, object]:
    """Return a change for programs."""
    return {
        "path": f"/{change.entry.name}",
        "mode": f"{change.entry.mode:06o}",
        "bytes": change.entry.size,
        "why": change.why,
        "replaces": change.replaces,
    }
