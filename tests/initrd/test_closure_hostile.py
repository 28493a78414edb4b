"""Trees made by somebody who means harm: a closure never raises, ends soon, and leaves the tree nowhere."""

import random
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import cpio
from tasks.initrd.loader import objects
from tasks.initrd.loader.closure import closure
from tasks.initrd.loader.sysroot import ArchiveTree, DiskTree
from tests.initrd import elves
from tests.initrd.elves import LOADER, library, program
from tests.initrd.sysroots import LIB, Contents, in_memory

HERE: Contents = {LOADER: elves.loader(LIB, "/lib")}
ODD_NAMES = ("", "/", "..", ".", "/init", "a\nb", "\udcff", "$ORIGIN", "${LIB}/x", "../" * 50, "x" * 300, "\x1b[2J")


@pytest.fixture(autouse=True)
def few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches give up early, so that tests of giving up are quick."""
    monkeypatch.setattr(objects, "MAX_PROBES", 20_000)


@pytest.mark.parametrize("needed", ODD_NAMES)
@pytest.mark.parametrize("where", ["needed", "rpath", "runpath", "soname", "filter", "auxiliary", "interpreter"])
def test_odd_names(where: str, needed: str) -> None:
    """Names that are no names, wherever they stand; what is told of them is printable."""
    plain = needed.encode(errors="surrogateescape").decode("latin-1")
    more: dict[str, object] = {where: (plain,) if where == "needed" else plain}
    init = program("liba.so", **more) if where != "needed" else program(plain)  # type: ignore[arg-type]
    found = closure(in_memory({**HERE, "/init": init, "/liba.so": library()}), ("/init", needed))
    assert all(str(each).isprintable() for each in [*found.missing, *found.warnings])
    assert all(".." not in path.split("/") for path in [*found.files, *found.links, *found.folders])


def test_a_search_path_of_many_folders_for_many_names() -> None:
    """Thousands of names in thousands of folders that are there: given up, and told so."""
    folders: Contents = {f"/f{number}": None for number in range(300)}
    path = ":".join(folders)
    names = tuple(f"lib{number}.so" for number in range(500))
    found = closure(in_memory({**HERE, **folders, "/init": program(*names, rpath=path)}), ("/init",))
    assert len(found.missing) == 500
    assert "the search was given up" in str(found.missing[-1])


def test_a_search_path_that_grows() -> None:
    """Tokens that would make a path of megabytes make none."""
    deep = "/" + "/".join(["d" * 200] * 15)
    tree: Contents = {**HERE, f"{deep}/init": program("liba.so", rpath=":".join(["$ORIGIN" * 900] * 9))}
    assert [each.name for each in closure(in_memory(tree), (f"{deep}/init",)).missing] == ["liba.so"]


def test_a_chain_of_libraries_with_search_paths() -> None:
    """Each asks all those above it: the length of the chain squared, up to a bound."""
    chain: Contents = {
        f"/p/l{number}.so": library(f"l{number + 1}.so", f"x{number}.so", rpath=f"/p{number}:/p")
        for number in range(600)
    }
    found = closure(in_memory({**HERE, **chain, "/init": program("l0.so", rpath="/p")}), ("/init",))
    assert "the search was given up" in str(found.missing[-1])


def test_needs_in_circles() -> None:
    """Everybody needs everybody."""
    names = tuple(f"l{number}.so" for number in range(60))
    everybody: Contents = {f"{LIB}/{name}": library(*names, auxiliary=names[0], filter=names[1]) for name in names}
    assert closure(in_memory({**HERE, **everybody, "/init": program(*names)}), ("/init",)).missing == []


def test_folders_in_circles() -> None:
    """Links that lead back up make paths of any length; each is followed as far as the kernel does."""
    tree: Contents = {**HERE, "/d/up": "..", "/init": program("liba.so", rpath="/d/up/" * 100 + "d")}
    assert len(closure(in_memory(tree), ("/init",)).missing) == 1


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/init\n", b"#!/usr/bin/env init\n", b"#!" + b"/" * 300])
def test_everything_is_the_same_file(content: bytes) -> None:
    """A file that is program, loader, interpreter and library at once."""
    names = ("/init", LOADER, f"{LIB}/liba.so", "/usr/bin/env", "/etc/ld.so.cache", "/etc/ld.so.conf")
    closure(in_memory(dict.fromkeys(names, content)), names)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A tree on disk that changes, forbids or has odd files: missing things, no exception."""
    (tmp_path / "fifo").mkdir()
    (tmp_path / "init").symlink_to("/proc/self/mem")
    (tmp_path / "proc").mkdir()
    assert len(closure(DiskTree(tmp_path), ("/init", "/fifo", "/proc/self/mem", "\0", "")).missing) == 5


def test_devices_as_libraries() -> None:
    """Nothing is opened that is no regular file."""
    entries = [cpio.regular("init", program("liba.so"), 0o755)]
    entries += [
        cpio.device(f"{LIB[1:]}/liba.so", stat.S_IFCHR | 0o666, 1, 5),
        cpio.device("dev/zero", stat.S_IFIFO, 0, 0),
    ]
    entries.append(cpio.regular(LOADER[1:], elves.loader(LIB), 0o755))
    found = closure(ArchiveTree.of(cpio.with_parents(entries)), ("/init", "/dev/zero"))
    assert [str(each.lack) for each in found.missing] == ["library", "mode"]


def damaged(chance: random.Random, whole: bytes) -> bytes:
    """Return a file with a few bytes changed, or cut off."""
    data = bytearray(whole)
    for _ in range(chance.randrange(1, 5)):
        data[chance.randrange(min(chance.choice((64, 500)), len(data)))] = chance.choice(
            (0, 1, 0xFF, chance.randrange(256))
        )
    return bytes(data[: chance.choice((len(data), len(data), chance.randrange(len(data) + 1)))])


def test_flipped_bits_everywhere() -> None:
    """Program, loader, library, cache and configuration damaged at random."""
    chance = random.Random(11)
    whole = {
        "/init": program("liba.so", rpath="$ORIGIN:/p", imports=("pthread_exit", "getpwnam"), note=b"FDO\0" * 8),
        LOADER: elves.loader(LIB),
        "/p/liba.so": library("libb.so", soname="liba.so"),
        f"{LIB}/libb.so": library(soname="libc.so.6"),
        "/etc/nsswitch.conf": b"passwd: files x\n",
    }
    for _ in range(400):
        closure(in_memory({path: damaged(chance, content) for path, content in whole.items()}), ("/init",))


PATHS = st.sampled_from(["/a", "/b", "/a/c", "/b/c", "/a/c/d", "/init", LOADER, f"{LIB}/libq.so", "/e"])
TARGETS = st.sampled_from(["a", "/b", "..", "../a/c", ".", "/", "c/d", "/init", "e", f"..{LIB}"])
NAMES = st.sampled_from(["libq.so", "/a", "../b/c", "libz.so", "$ORIGIN/c", ""])
ELF_FILES = st.builds(
    lambda needed, path, script: script or program(*needed, rpath=path),
    st.lists(NAMES, max_size=4).map(tuple),
    st.lists(TARGETS, max_size=4).map(":".join),
    st.sampled_from([b"", b"", b"#!/a\n", b"#!/init x\n", b"#!/usr/bin/env a"]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(st.tuples(PATHS, st.one_of(st.none(), TARGETS, ELF_FILES)), max_size=14))
def test_any_tree(contents: list[tuple[str, str | bytes | None]]) -> None:
    """Links, scripts and programs that lead anywhere: what is named lies in the tree, by its real path."""
    entries = []
    for path, content in contents:
        name = path.strip("/")
        entries.append(
            cpio.directory(name)
            if content is None
            else cpio.symlink(name, content)
            if isinstance(content, str)
            else cpio.regular(name, content, 0o755)
        )
    tree = ArchiveTree.of(entries)
    found = closure(tree, ("/init", "/a", "/b/c"))
    assert all(stat.S_ISREG(tree.mode(path) or 0) for path in found.files)
    assert all(stat.S_ISLNK(tree.mode(path) or 0) for path in found.links)
    assert found.links.keys() == found.link_reasons.keys()
