"""Other tools' second opinion: they unpack what we pack, we unpack what they pack, and no CPU changes our bytes."""

import os
import platform
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks import compression, cpio, packing, run, system
from tasks.initrd.archives import segments
from tasks.inventory.model import Compression

pytestmark = pytest.mark.integration
UNPACKERS = {
    "cpio": ("cpio", "--extract", "--make-directories", "--preserve-modification-time", "--quiet"),
    "bsdcpio": ("bsdcpio", "--extract", "--make-directories", "--preserve-modification-time", "--quiet"),
    "busybox": ("busybox", "cpio", "-i", "-d", "-m"),
}
PACKERS = {
    "cpio": ("cpio", "--create", "--format=newc", "--quiet"),
    "cpio with sums": ("cpio", "--create", "--format=crc", "--quiet"),
    "bsdcpio": ("bsdcpio", "--create", "--format=newc", "--quiet"),
    "busybox": ("busybox", "cpio", "-o", "-H", "newc"),
}
COMPRESSORS = {
    "gzip": ("gzip", "--stdout"),
    "gzip with a name": ("gzip", "--stdout", "--name"),
    "pigz": ("pigz", "--stdout"),
    "zstd": ("zstd", "--stdout", "--quiet", "-T0"),
    "zstd --long": ("zstd", "--stdout", "--quiet", "--long=27", "--no-check"),
    "xz": ("xz", "--stdout", "--check=crc32", "--threads=2", "--block-size=100000"),
    "xz with BCJ": ("xz", "--stdout", "--check=none", "--x86", "--lzma2=preset=6"),
    "lzma": ("xz", "--stdout", "--format=lzma"),
    "bzip2": ("bzip2", "--stdout"),
    "lz4": ("lz4", "-l", "--stdout", "--quiet"),
}
READERS = {
    Compression.GZIP: ("gzip", "--decompress", "--stdout"),
    Compression.ZSTD: ("zstd", "--decompress", "--stdout", "--quiet"),
    Compression.XZ: ("xz", "--decompress", "--stdout"),
    Compression.LZ4: ("lz4", "--decompress", "--stdout", "--quiet"),
}
CPUS = ("qemu64", "Haswell", "max")
# Run under an emulated CPU: prints a digest of what each compressor makes of the same input.
DIGESTS = """
import hashlib, random
from tasks import compression
from tasks.inventory.model import Compression
chosen = random.Random(5)
words = [chosen.randbytes(chosen.randrange(1, 9)) for _ in range(2000)]
data = b"".join(chosen.choices(words, k=60_000))
for how, level in (("gzip", 2), ("gzip", 6), ("gzip", 9), ("zstd", 5), ("zstd", 9), ("zstd", 19), ("lz4", 9)):
    packed = b"".join(compression.compress([data], Compression(how), level=level))
    print(how, level, hashlib.sha256(packed).hexdigest())
"""


def needed(program: str) -> str:
    """Return a program's path; without it the test is skipped, and says which package brings it."""
    path = shutil.which(program, path=system.PATH)
    if path is None:
        pytest.skip(f"{program} is not installed: {system.remedy(program)}")
    return path


def piped(argv: Sequence[str], data: bytes, folder: Path) -> bytes:
    """Run a filter in a folder."""
    command = [needed(argv[0]), *argv[1:]]
    return subprocess.run(command, input=data, cwd=folder, capture_output=True, check=True).stdout


def sample(folder: Path) -> None:
    """Make a tree on disk: empty, odd and large files, links of both kinds, a deep folder, names of all sorts."""
    (folder / "a/b").mkdir(parents=True)
    for size in (0, 1, 2, 3, 4, 70_000):
        (folder / f"a/{size}").write_bytes(os.urandom(size))
    (folder / "a/b/other name ü").hardlink_to(folder / "a/70000")
    (folder / "last").hardlink_to(folder / "a/70000")
    (folder / "a/link").symlink_to("../last")
    (folder / "last").chmod(0o750)
    for path in folder.rglob("*"):
        os.utime(path, (99, 99), follow_symlinks=False)


def entries(folder: Path) -> list[cpio.Entry]:
    """Return the archive entries of a tree on disk."""
    names: dict[int, str] = {}
    found = []
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(folder))
        first = names.setdefault(status.st_ino, name)
        body: bytes | Path = os.fsencode(path.readlink()) if path.is_symlink() else path if path.is_file() else b""
        link = first if first != name and path.is_file() and not path.is_symlink() else None
        found.append(cpio.Entry(name=name, mode=status.st_mode, body=body, mtime=99, hardlink=link))
    return found


def seen(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return what is on disk: mode, content or target, which names are one file."""
    inodes: dict[int, str] = {}
    tree: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(folder))
        content: object = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        date = status.st_mtime if path.is_file() and not path.is_symlink() else 0
        tree[name] = (status.st_mode, content, date, inodes.setdefault(status.st_ino, name))
    return tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with a sample tree."""
    folder = tmp_path / "tree"
    sample(folder)
    return folder


@pytest.mark.parametrize("tool", list(UNPACKERS))
def test_others_unpack_what_we_write(tool: str, tree: Path, tmp_path: Path) -> None:
    """Links, modes, dates, names: the same tree comes out."""
    (tmp_path / "out").mkdir()
    piped(UNPACKERS[tool], b"".join(cpio.write(entries(tree))), tmp_path / "out")
    assert seen(tmp_path / "out") == seen(tree)


@pytest.mark.parametrize("tool", list(UNPACKERS))
def test_others_read_our_segments_as_one(tool: str, tmp_path: Path) -> None:
    """A segment without a trailer goes on in the next; the later file wins."""
    base = cpio.with_parents([cpio.regular("d/a", b"old", 0o600, mtime=99), cpio.symlink("d/l", "a")])
    layer = [cpio.directory("d"), cpio.regular("d/a", b"new", 0o600, mtime=99)]
    both = b"".join([*cpio.write(base, trailer=False), *cpio.write(layer)])
    flags = {"busybox": ("-u",), "cpio": ("--unconditional",), "bsdcpio": ("--unconditional",)}[tool]
    piped((*UNPACKERS[tool], *flags), both, tmp_path)
    assert (tmp_path / "d/a").read_text() == "new"
    assert (tmp_path / "d/l").readlink() == Path("a")
    assert stat.S_IMODE((tmp_path / "d/a").stat().st_mode) == 0o600


@pytest.mark.parametrize("tool", list(PACKERS))
def test_we_read_what_others_write(tool: str, tree: Path) -> None:
    """``./`` names, bodies on the first or the last link, sums, padding to a block: the same tree comes out."""
    names = "".join(f"./{path.relative_to(tree)}\n" for path in sorted(tree.rglob("*"))).encode()
    (segment,) = segments.split(piped(PACKERS[tool], names, tree))
    assert segment.problems == ()
    truth = seen(tree)
    assert {entry.name for entry in segment.entries} == truth.keys()
    for entry in segment.entries:
        mode, content, *_ = truth[entry.name]
        assert entry.mode == mode
        assert entry.read() == (os.fsencode(content) if isinstance(content, Path) else content)


@pytest.mark.parametrize("tool", list(COMPRESSORS))
def test_we_unpack_what_others_compress(tool: str, tree: Path, tmp_path: Path) -> None:
    """As the kernel's wrappers do, without a problem."""
    archive = tmp_path / "initrd"
    archive.write_bytes(b"".join(cpio.write(entries(tree))))
    packed = piped((*COMPRESSORS[tool], str(archive)), b"", tmp_path)
    (segment,) = segments.split(packed)
    assert segment.problems == ()
    assert b"".join(cpio.write(segment.entries)) == archive.read_bytes()


@pytest.mark.parametrize("how", list(READERS))
def test_others_unpack_what_we_compress(how: Compression, tmp_path: Path) -> None:
    """The format's own tool returns the input, whatever its size."""
    for size in (0, 1, 3_000_000):
        data = os.urandom(size // 2) + bytes(size - size // 2)
        assert piped(READERS[how], b"".join(compression.compress([data], how)), tmp_path) == data


@pytest.mark.parametrize("how", list(Compression))
def test_files_are_written_as_streams_are(how: Compression, tree: Path, tmp_path: Path) -> None:
    """What goes straight to a file has the bytes of what goes through memory."""
    with (tmp_path / "out").open("wb") as out:
        packing.pack(out, entries(tree), how)
    archive = cpio.write(entries(tree))
    assert (tmp_path / "out").read_bytes() == b"".join(compression.compress(archive, how))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="compares the CPUs of x86_64")
def test_no_cpu_changes_our_bytes() -> None:
    """Old and new CPUs make the same bytes: a library that chooses its matches by CPU would be found out here."""
    emulator = needed("qemu-x86_64")
    native = [sys.executable, "-c", DIGESTS]
    commands = {"this machine": native} | {cpu: [emulator, "-cpu", cpu, *native] for cpu in CPUS}
    environment = {"PATH": run.PATH, "PYTHONPATH": str(Path(__file__).parents[2])}
    said = {
        cpu: subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
        for cpu, argv in commands.items()
    }
    assert set(said.values()) == {said["this machine"]}
    assert said["this machine"].count("\n") == 7
