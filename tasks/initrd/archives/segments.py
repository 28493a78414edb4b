"""An initrd file as the kernel reads it: ``(zeros | newc archive | compressed newc archive)*``.

The rules are those of unpack_to_rootfs() and its state machine (init/initramfs.c, v6.1 to v6.12).  The kernel unpacks
what comes before damage and boots with it; so what comes before damage is told here, too, and the damage is a problem
of its segment.  Memory is bounded: bodies stay in the file, or go to a scratch file; only names are held.
"""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tasks import compression, cpio, decompression, files, newc
from tasks.cpio import Entry, Member, Span
from tasks.decompression import DamagedError
from tasks.initrd.archives.members import Made, Problem, shown
from tasks.initrd.archives.streams import Budget, Packed, Raw, Store, Stream, opened

__all__ = ["Problem"]
LIMIT = compression.LIMIT
MAX_ENTRIES = 1 << 20  # an entry costs half a kilobyte of memory here; a whole distribution has a quarter of them
MAX_HELD = 1 << 28  # bytes of all names and link targets; those of a whole distribution have 20 MB
MAX_PROBLEMS = 50  # of one segment
MAX_SEGMENTS = 4096  # an empty one costs 20 bytes of the file and half a kilobyte here
NAMES = 1 << 16  # bytes of a name that are read; the kernel reads 4096


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One archive of an initrd: where it lies in the file, how it is packed, what is in it, what is wrong with it.

    `offset` and `end` are bytes of the packed file, the zeros between segments belong to none.  `entries` are as
    archived, in order, trailers left out; each name of a file with several has its body.  `trailer`: one stands at
    its end.  `unpacked`: bytes of the archive itself.
    """

    offset: int
    end: int
    compression: str
    entries: tuple[Entry, ...]
    trailer: bool
    problems: tuple[Problem, ...]
    unpacked: int = 0


def split(packed: Path | bytes, *, limit: int = LIMIT, entries: int = MAX_ENTRIES) -> tuple[Segment, ...]:
    """Return the segments of an initrd, as far as the kernel gets.

    Damage never raises.  No more is unpacked than `limit` bytes and `entries` entries: what is beyond is a problem.
    """
    return tuple(Splitter(opened(packed), Budget(bytes=limit, entries=entries, held=MAX_HELD)).segments())


@dataclass
class Found:
    """What is collected of one segment."""

    members: list[Member] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    more: int = 0  # problems that are not listed

    def note(self, problem: Problem) -> None:
        """Keep a problem; of very many only the number."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        else:
            self.more += 1


class Splitter:
    """The kernel's loop over a packed file."""

    def __init__(self, store: Store, budget: Budget) -> None:
        """Begin at the file's first byte."""
        self.store = store
        self.budget = budget
        self.made = Made()
        self.scratch = files.Scratch()
        self.count = 0

    def segments(self) -> Iterator[Segment]:
        """Yield the segments up to the end or to what stops the kernel."""
        reading = Raw(self.store, 0)
        raw_before = False
        while first := reading.zeros():
            offset = reading.position
            broken = self.misplaced(first, offset, raw_before=raw_before)
            if broken:
                yield Segment(
                    offset=offset,
                    end=self.store.size,
                    compression="none",
                    entries=(),
                    trailer=False,
                    problems=(Problem(rule="E09", text=f"at byte {offset:,}: {broken}"),),
                )
                return
            segment, whole = self.segment(offset, first)
            last = segment.end >= self.store.size or not Raw(self.store, segment.end).zeros()
            yield with_trailer_problem(segment) if whole and last else segment
            if not whole:
                return
            reading.position = segment.end
            raw_before = segment.compression == "none"
            self.count += 1

    def misplaced(self, first: bytes, offset: int, *, raw_before: bool) -> str:
        """Return what the kernel says when nothing that it knows begins here, empty where something does."""
        if self.count >= MAX_SEGMENTS:
            return f"more than {MAX_SEGMENTS:,} segments: the others are not looked at"
        if first == b"0" and offset % 4 == 0:
            return ""
        if raw_before and offset % 4:
            return 'what follows an archive does not begin at a multiple of four ("broken padding")'
        if first == b"0":
            return (
                'an archive that does not begin at a multiple of four ("invalid magic at start of compressed archive")'
            )
        if decompression.format_of(self.store.at(offset, 2)) is None:
            return 'neither an archive nor compressed data ("invalid magic at start of compressed archive")'
        return ""

    def segment(self, offset: int, first: bytes) -> tuple[Segment, bool]:
        """Return the segment at an offset, and whether the kernel gets to its end."""
        found = Found()
        form = "none" if first == b"0" else decompression.format_of(self.store.at(offset, 2)) or ""
        reader = self.raw if form == "none" else self.packed
        end, unpacked, whole = reader(offset, form, found)
        problems = tuple(found.problems)
        if found.more:
            problems += (Problem(rule="E08", text=f"and {found.more:,} more members like these"),)
        trailer = bool(found.members) and found.members[-1].entry.name == newc.TRAILER
        segment = Segment(
            offset=offset,
            end=end,
            compression=form,
            entries=tuple(cpio.joined(found.members)),
            trailer=trailer,
            problems=problems,
            unpacked=unpacked,
        )
        return segment, whole

    def raw(self, offset: int, _: str, found: Found) -> tuple[int, int, bool]:
        """Read an uncompressed archive: it ends behind its trailer, or where no header follows."""
        stream = Raw(self.store, offset)
        end = offset
        try:
            while stream.zeros() == b"0" and stream.position % 4 == 0:
                self.budget.spend(size=self.member(stream, found))
                end = min(stream.position, self.store.size)
                if found.members[-1].entry.name == newc.TRAILER:
                    break
        except DamagedError as damage:
            found.note(Problem(rule="E09", text=f"the archive at byte {offset:,}: {damage}"))
            return self.store.size, end - offset, False
        return end, end - offset, True

    def packed(self, offset: int, form: str, found: Found) -> tuple[int, int, bool]:
        """Read a compressed archive: one member or frame that holds whole entries."""
        ends: list[int] = []
        stream = Packed(noting(decompression.unpack(self.store, offset, form), ends.append), self.scratch, self.budget)
        try:
            while first := stream.zeros():
                if stream.position % 4 or first != b"0":
                    message = "something else than whole members inside" if first != b"0" else "broken padding inside"
                    raise DamagedError(message)
                self.member(stream, found)
        except DamagedError as damage:
            found.note(Problem(rule="E09", text=f"the {form} segment at byte {offset:,}: {damage}"))
            return self.store.size, stream.position, False
        return ends[0], stream.position, True

    def member(self, stream: Stream, found: Found) -> int:
        """Read one member, and look at it as the kernel will; return its length."""
        start = stream.position
        member = read_member(stream)
        entry = member.entry
        self.budget.spend(entries=1, held=len(entry.name) + (entry.size if isinstance(entry.body, bytes) else 0))
        found.members.append(member)
        for problem in self.made.take(member, later=self.count > 0):
            found.note(problem)
        return stream.position - start


def noting(pieces: decompression.Pieces, note: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the pieces; tell where the stream ended."""
    note((yield from pieces))


def read_member(stream: Stream) -> Member:
    """Return the next member; `DamagedError` where the kernel would stop, or where the archive is cut off."""
    try:
        header = newc.parse(stream.take(newc.HEADER))
    except ValueError as error:
        raise DamagedError(str(error)) from error
    name = name_of(stream, header)
    body = stream.body(header.size)
    stream.take(header.room - header.size)  # what follows the last member's body may be missing
    text = shown(name.partition(b"\0")[0].decode(errors="surrogateescape"))
    if body is None:
        message = f"cut off in {text}: the kernel unpacks what is there, and says nothing where it is not compressed"
        raise DamagedError(message)
    if header.summed and stat.S_ISREG(header.mode) and checksum(body) != header.checksum:
        message = f'the content of {text} is damaged ("bad data checksum")'
        raise DamagedError(message)
    content = body.read() if stat.S_ISLNK(header.mode) and body.size <= newc.MAX_TARGET else body
    return Member(entry=cpio.entry_of(header, name, content), header=header)


def name_of(stream: Stream, header: newc.Header) -> bytes:
    """Return a member's name and pass it with its padding; of an endless one the beginning."""
    name = stream.take(min(header.name_room, NAMES))[: header.name_size]
    if header.name_room > NAMES:
        stream.body(header.name_room - NAMES)
    elif len(name) < header.name_size:
        message = "cut off in a name"
        raise DamagedError(message)
    elif not name.endswith(b"\0"):
        message = f'{shown(name.decode(errors="surrogateescape"))} has no NUL behind its name ("malformed archive")'
        raise DamagedError(message)
    return name


def checksum(body: Span) -> int:
    """Return the sum of a body's bytes, as 070702 has it."""
    return sum(map(sum, body.blocks())) & newc.LARGEST


def with_trailer_problem(segment: Segment) -> Segment:
    """Return the last segment, with a problem where it has no trailer."""
    if segment.trailer:
        return segment
    text = "the last archive has no TRAILER!!! at its end: it was cut off, or cpio(1) and busybox will say so"
    return replace(segment, problems=(*segment.problems, Problem(rule="E08", text=text)))
