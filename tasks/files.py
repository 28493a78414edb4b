"""The only door for writing: a file or a tree appears whole, under its final name, or not at all.

Everything is written beside its final place and renamed.  What a killed run leaves behind has a name that starts with
``.`` and ends in ``.partial``; the next run of the same task removes it.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tasks.errors import BootmillError

OURS = re.compile(rb"^(?:#|;|//) Made by Bootmill\b", re.MULTILINE)  # the header of every text that we publish
AT_FDCWD = -100
RENAME_EXCHANGE = 2
BLOCK = 1 << 20
PUBLISHED = 1_000_000_000  # seconds since 1970: the date of files whose name says their content


def partial_name(path: Path) -> Path:
    """Return the name under which `path` is being made."""
    return path.with_name(f".{path.name}.partial")


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o644, durable: bool = True) -> bool:
    """Write a file beside its place and rename it; leave it alone where it holds these bytes already.

    Returns whether anything changed.  Readers see the old content or the new one, never a mixture.  Not `durable`: one
    of very many files, nobody waits for the disk; after a power failure it may be empty, which its record notices.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        if path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
            return False
    except (FileNotFoundError, NotADirectoryError):
        pass
    with replacing(path, mode=mode, durable=durable) as out:
        out.write(content)
    return True


def write_quickly(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it, without waiting for the disk: for what can be made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def look_of(path: Path) -> tuple[int, int, int, int]:
    """Return how a file looks: inode, size, date, and ctime, which nobody can set back who changes its bytes."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def names_in(folder: Path) -> frozenset[str]:
    """Return the names in a folder; none where there is no folder."""
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208  # ten thousand names, not ten thousand Paths
    except OSError:
        return frozenset()


def put(path: str, content: bytes, *, old: str) -> None:
    """Write one of very many files into a new tree; where the old tree's says the same it is taken over as it is."""
    if old:
        with open(old, "rb") as file:  # noqa: PTH123  # as above
            same = file.read() == content
        if same:
            os.link(old, path)
            return
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(content)


def is_ours(path: Path) -> bool:
    """Whether an existing file says in its beginning that Bootmill made it."""
    with path.open("rb") as file:
        return OURS.search(file.read(256)) is not None


def write_ours(path: Path, text: str | bytes, *, durable: bool = True) -> bool:
    """Write a text that may lie where a person's own file is: that one is never replaced, it is an error."""
    content = text.encode() if isinstance(text, str) else text
    if path.exists() and not is_ours(path) and path.read_bytes() != content:
        message = f"{path} is there and was not made by Bootmill: its content would be lost"
        raise BootmillError(message, hint=f"keep what you need of it, then: mv {path} {path}.before-bootmill")
    return write_atomic(path, content, durable=durable)


@contextmanager
def replacing(path: Path, *, mode: int = 0o644, durable: bool = True) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` when the block ends well, and vanishes when it does not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_name(path)
        partial.unlink(missing_ok=True)
        out = partial.open("xb")
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror}"
        raise BootmillError(
            message, hint="look at the owner of the folder: was an earlier build run as root?"
        ) from error
    try:
        with out:
            os.fchmod(out.fileno(), mode)
            yield out
            out.flush()
            if durable:
                os.fsync(out.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def replacing_tree(path: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `path` in one rename when the block ends well."""
    partial = partial_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_tree(partial)
    partial.mkdir()
    try:
        yield partial
        swap_in(partial, path)
    finally:
        remove_tree(partial)


def swap_in(new: Path, path: Path) -> None:
    """Put the tree `new` at `path`.  An existing tree changes places with it atomically (renameat2(2))."""
    if not path.exists():
        new.rename(path)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(path), RENAME_EXCHANGE):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(path))


def remove_tree(path: Path) -> None:
    """Remove a tree or a file if it is there; folders without write permission (package trees have them) go too."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o700)
        shutil.rmtree(path)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that holds nothing any more."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def place(source: Path, target: Path) -> None:
    """Give a finished file a second name: a hard link where possible, else a copy; renamed into place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.stat().st_ino == source.stat().st_ino:
        return
    partial = partial_name(target)
    partial.unlink(missing_ok=True)
    try:
        partial.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, partial)
        partial.chmod(0o644)
    partial.replace(target)


def publish(source: Path, target: Path, digest: str) -> None:
    """Copy a file to a name that says its content, and look at the bytes while they pass: others are never published.

    A copy, not a link: nobody who writes into build/ changes what nodes fetch.  A published file bears the date
    `PUBLISHED`; one that was written to since has another, and is published again.
    """
    if target.is_file() and target.stat().st_mtime == PUBLISHED and sha256(target) == digest:
        return
    found = hashlib.sha256()
    with source.open("rb") as file, replacing(target) as out:
        while block := file.read(BLOCK):
            found.update(block)
            out.write(block)
        if found.hexdigest() != digest:
            message = f"{source} is not what was built: its sha256 is not {digest[:16]}…"
            raise BootmillError(message, hint="somebody wrote into build/: doit clean pack initrd && doit")
        out.flush()
        os.utime(out.fileno(), (PUBLISHED, PUBLISHED))


def sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock: two Bootmill runs never make the same artefact at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Give an empty folder to work in that is gone when the block ends; a killed run's is removed by the next."""
    folder = partial_name(path)
    remove_tree(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove_tree(folder)


class Stored:
    """A file that is read anywhere, by offset; it is closed when nobody holds it any more."""

    def __init__(self, path: Path) -> None:
        """Open the file."""
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            message = f"{path}: cannot be read: {error.strerror}"
            raise BootmillError(message, hint="look at its name and at who may read it") from error
        weakref.finalize(self, os.close, self.descriptor)
        self.size = os.fstat(self.descriptor).st_size

    def at(self, offset: int, size: int) -> bytes:
        """Return the bytes at an offset; fewer than asked for where the file ends."""
        return os.pread(self.descriptor, size, offset)


class Scratch:
    """A file without a name that grows: bytes are put at its end and read anywhere; a killed run leaves none behind.

    It lies in $TMPDIR, else in /var/tmp: /tmp is often memory.
    """

    def __init__(self) -> None:
        """Make it."""
        self.folder = os.environ.get("TMPDIR") or "/var/tmp"
        self.descriptor, name = tempfile.mkstemp(dir=self.folder if Path(self.folder).is_dir() else None)
        weakref.finalize(self, os.close, self.descriptor)
        Path(name).unlink()
        self.size = 0
        self.held = bytearray()  # what is not written yet

    def put(self, data: bytes) -> None:
        """Put bytes at the end."""
        self.held += data
        self.size += len(data)
        if len(self.held) >= BLOCK:
            self.flush()

    def flush(self) -> None:
        """Write what is held; nothing but zeros become a hole: a bomb of zeros fills no disk."""
        held, self.held = bytes(self.held), bytearray()
        try:
            if held.count(0) == len(held):
                os.ftruncate(self.descriptor, self.size)
                return
            left = memoryview(held)
            while left:
                left = left[os.pwrite(self.descriptor, left, self.size - len(left)) :]
        except OSError as error:
            message = f"{self.folder} has no room to unpack an archive in: {error.strerror}"
            raise BootmillError(message, hint="choose another folder: TMPDIR=… doit …") from error

    def at(self, offset: int, size: int) -> bytes:
        """Return the bytes at an offset; fewer than asked for where the file ends."""
        if offset + size > self.size - len(self.held):
            self.flush()
        return os.pread(self.descriptor, size, offset)
