"""Where glibc's loader looks for libraries: each rule a case, each case also told by the real ld.so.

The cases are small trees with Debian's loader; the same must come out of the tree on disk and out of an archive.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasks.initrd.loader.closure import Closure, closure
from tasks.initrd.loader.sysroot import DiskTree
from tests.initrd import elves
from tests.initrd.elves import AARCH64, I386, NODEFLIB, PIE, library, program
from tests.initrd.sysroots import LIB, Contents, in_memory, lost, mapped, on_disk, traced, with_glibc

LDCONFIG = "/sbin/ldconfig"
EMPTY = library()
TRUNCATED = library(extra=bytes(8192))[:4200]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A tree, what must come of it: the files found besides program and loader, names missing, rules warned of."""

    name: str
    tree: Contents
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    why: str = ""  # must stand in the missing library's sentence
    proc: bool = True
    start: str = "/bin/prog"
    unlike: tuple[str, ...] = field(default=())  # files that only other CPUs' loaders map, or this one's too

    def __str__(self) -> str:
        """Return the case's name for pytest."""
        return self.name


def uses(*needed: str, **more: object) -> Contents:
    """Return the program of a case."""
    return {"/bin/prog": program(*needed, **more)}  # type: ignore[arg-type]


def patched(content: bytes, place: int, value: int) -> bytes:
    """Return a file with one byte changed."""
    return content[:place] + bytes((value,)) + content[place + 1 :]


def first_is(content: bytes | str | None) -> Contents:
    """Return a tree in which something lies before the good library on the search path."""
    good = {"/second/liba.so": library()}
    return {**uses("liba.so", runpath="/first:/second"), "/first/liba.so": content, **good}


RULES = [
    Case(name="default-folder", tree={**uses("liba.so"), f"{LIB}/liba.so": EMPTY}, found=(f"{LIB}/liba.so",)),
    Case(
        name="rpath-origin",
        tree={**uses("liba.so", rpath="$ORIGIN/../priv"), "/priv/liba.so": EMPTY},
        found=("/priv/liba.so",),
    ),
    Case(
        name="runpath-serves-nobody-else",
        tree={**uses("libx.so", runpath="/p"), "/p/libx.so": library("liby.so"), "/p/liby.so": EMPTY},
        found=("/p/libx.so",),
        missing=("liby.so",),
    ),
    Case(
        name="rpath-is-inherited",
        tree={**uses("libx.so", rpath="/p"), "/p/libx.so": library("liby.so"), "/p/liby.so": EMPTY},
        found=("/p/libx.so", "/p/liby.so"),
    ),
    Case(
        name="runpath-of-the-asker-voids-rpath-above",
        tree={**uses("libx.so", rpath="/p"), "/p/libx.so": library("liby.so", runpath="/q"), "/p/liby.so": EMPTY},
        found=("/p/libx.so",),
        missing=("liby.so",),
    ),
    Case(
        name="rpath-in-the-middle-serves-a-grandchild",
        tree={
            **uses("libm1.so"),
            f"{LIB}/libm1.so": library("libn1.so", rpath="/p"),
            "/p/libn1.so": library("libo1.so"),
            "/p/libo1.so": EMPTY,
        },
        found=(f"{LIB}/libm1.so", "/p/libn1.so", "/p/libo1.so"),
    ),
    Case(
        name="rpath-beside-runpath-is-ignored",
        tree={**uses("liba.so", rpath="/p", runpath="/q"), "/p/liba.so": EMPTY},
        missing=("liba.so",),
    ),
    Case(
        name="rpath-beside-runpath-serves-nobody-below",
        tree={**uses("libx.so", rpath="/p", runpath="/q"), "/q/libx.so": library("liby.so"), "/p/liby.so": EMPTY},
        found=("/q/libx.so",),
        missing=("liby.so",),
    ),
    Case(
        name="empty-runpath-voids-rpath",
        tree={**uses("liba.so", rpath="/p", runpath=""), "/p/liba.so": EMPTY},
        missing=("liba.so",),
    ),
    Case(
        name="lib-token",
        tree={**uses("liba.so", rpath="/opt/$LIB"), f"/opt{LIB}/liba.so": EMPTY},
        found=(f"/opt{LIB}/liba.so",),
    ),
    Case(
        name="platform-token",
        tree={**uses("liba.so", rpath="/opt/${PLATFORM}"), "/opt/x86_64/liba.so": EMPTY, "/opt/haswell/liba.so": EMPTY},
        found=("/opt/x86_64/liba.so",),
        unlike=("/opt/x86_64/liba.so", "/opt/haswell/liba.so"),
    ),
    Case(
        name="unknown-token-stays",
        tree={
            **uses("liba.so", "libb.so", rpath="/opt/$ORIGINAL:/opt/$X"),
            "/opt/$X/liba.so": EMPTY,
            "/opt/$ORIGINAL/libb.so": EMPTY,
        },
        found=("/opt/$X/liba.so", "/opt/$ORIGINAL/libb.so"),
    ),
    Case(
        name="origin-of-a-library-is-where-it-was-opened",
        tree={
            **uses("liba.so", runpath="/links"),
            "/links/liba.so": "/real/liba.so",
            "/real/liba.so": library("libb.so", runpath="$ORIGIN"),
            "/links/libb.so": EMPTY,
            "/real/libb.so": library(),
        },
        found=("/real/liba.so", "/links/libb.so"),
    ),
    Case(
        name="origin-of-the-program-is-its-real-folder",
        tree={
            "/sbin/prog": "../opt/prog",
            "/opt/prog": program("liba.so", runpath="$ORIGIN/lib"),
            "/opt/lib/liba.so": EMPTY,
        },
        found=("/opt/lib/liba.so",),
        start="/sbin/prog",
    ),
    Case(
        name="origin-of-the-program-is-unknown-without-proc",
        tree={
            "/sbin/prog": "../opt/prog",
            "/opt/prog": program("liba.so", runpath="$ORIGIN/lib"),
            "/opt/lib/liba.so": EMPTY,
        },
        missing=("liba.so",),
        start="/sbin/prog",
        proc=False,
        rules=("E06",),
    ),
    Case(
        name="an-unknown-origin-is-not-the-root",
        tree={**uses("liba.so", runpath="$ORIGIN/priv"), "/priv/liba.so": EMPTY},
        missing=("liba.so",),
        proc=False,
        rules=("E06",),
    ),
    Case(name="i386-first", tree=first_is(library(bits=32, machine=I386)), found=("/second/liba.so",), rules=("W08",)),
    Case(name="aarch64-first", tree=first_is(library(machine=AARCH64)), found=("/second/liba.so",), rules=("W08",)),
    Case(name="big-endian-first", tree=first_is(library(order=">")), found=("/second/liba.so",), rules=("W08",)),
    *(
        Case(name=name, tree=first_is(content), missing=("liba.so",), rules=("W09",), why=why)
        for name, content, why in [
            ("byte-order-patched", patched(EMPTY, 5, 2), "not little-endian"),
            ("ident-version", patched(EMPTY, 6, 2), "version ident"),
            ("abi-version", patched(EMPTY, 8, 1), "ABI version"),
            ("abi-version-gnu", patched(library(os_abi=3), 8, 4), "ABI version"),
            ("padding", patched(EMPTY, 9, 1), "padding"),
            ("version", patched(EMPTY, 20, 2), "version"),
            ("version-of-another-machine", patched(library(machine=AARCH64), 20, 2), "version"),
            ("header-size", patched(EMPTY, 54, 1), "phentsize"),
            ("another-machine-without-magic", patched(library(machine=AARCH64), 0, 1), "invalid ELF header"),
        ]
    ),
    *(
        Case(name=name, tree=first_is(content), found=("/second/liba.so",), rules=("W08",))
        for name, content in [
            ("another-machine-osabi", library(machine=AARCH64, os_abi=9)),
            ("another-machine-relocatable", library(machine=AARCH64, kind=1)),
            ("another-machine-header-size", patched(library(machine=AARCH64), 54, 1)),
            ("another-machine-ident-version", patched(library(machine=AARCH64), 6, 2)),
            ("another-machine-cut-off", library(machine=AARCH64)[:64]),
        ]
    ),
    Case(name="gnu-abi-version", tree=first_is(patched(library(os_abi=3), 8, 3)), found=("/first/liba.so",)),
    Case(
        name="big-endian-32-bits-first",
        tree=first_is(library(order=">", bits=32, machine=elves.PPC64)),
        found=("/second/liba.so",),
        rules=("W08",),
    ),
    Case(name="short-first", tree=first_is(EMPTY[:40]), missing=("liba.so",), rules=("W09",), why="file too short"),
    Case(
        name="linker-script-first",
        tree=first_is(b"/* GNU ld script */\nGROUP ( /lib/libc.so.6 AS_NEEDED ( /lib/ld-linux.so.2 ) )\n"),
        missing=("liba.so",),
        rules=("W09",),
        why="invalid ELF header",
    ),
    Case(name="empty-first", tree=first_is(b""), missing=("liba.so",), rules=("W09",), why="file too short"),
    Case(name="folder-first", tree=first_is(None), missing=("liba.so",), rules=("W09",), why="no regular file"),
    Case(name="dangling-link-first", tree=first_is("nowhere"), found=("/second/liba.so",)),
    Case(
        name="osabi-3",
        tree=first_is(library(os_abi=3)),
        found=("/first/liba.so",),
    ),
    Case(name="osabi-9", tree=first_is(library(os_abi=9)), missing=("liba.so",), rules=("W09",), why="OS ABI invalid"),
    Case(name="cut-off-body-first", tree=first_is(TRUNCATED), missing=("liba.so",), rules=("W09",), why="too short"),
    Case(name="relocatable-first", tree=first_is(library(kind=1)), missing=("liba.so",), rules=("W09",), why="ET_DYN"),
    Case(
        name="executable-first", tree=first_is(library(kind=2)), missing=("liba.so",), rules=("W09",), why="executable"
    ),
    Case(name="pie-first", tree=first_is(library(flags_1=PIE)), missing=("liba.so",), rules=("W09",), why="executable"),
    Case(
        name="loop-ends-its-list-only",
        tree={**uses("liba.so", runpath="/first"), "/first/liba.so": "liba.so", f"{LIB}/liba.so": EMPTY},
        found=(f"{LIB}/liba.so",),
    ),
    Case(
        name="loop-hides-the-rest-of-its-list",
        tree=first_is("liba.so"),
        missing=("liba.so",),
    ),
    Case(
        name="absolute-link-stays-inside",
        tree={**uses("liba.so"), f"{LIB}/liba.so": "/opt/liba.so.1", "/opt/liba.so.1": EMPTY},
        found=("/opt/liba.so.1",),
    ),
    Case(
        name="absolute-folder-link-stays-inside",
        tree={**uses("liba.so", runpath="/via"), "/via": "/opt/deep", "/opt/deep/liba.so": EMPTY},
        found=("/opt/deep/liba.so",),
    ),
    Case(
        name="dots-stop-at-the-root",
        tree={**uses("liba.so"), f"{LIB}/liba.so": "../" * 12 + "opt/liba.so", "/opt/liba.so": EMPTY},
        found=("/opt/liba.so",),
    ),
    Case(
        name="link-to-a-path-of-the-host-only",
        tree={**uses("libz.so.1"), f"{LIB}/libz.so.1": "/usr/lib/x86_64-linux-gnu/libz.so.1"},
        missing=("libz.so.1",),
    ),
    Case(
        name="runpath-of-the-host-only",
        tree=uses("libz.so.1", runpath="/usr/lib/x86_64-linux-gnu:/usr/lib"),
        missing=("libz.so.1",),
    ),
    Case(
        name="conf-without-cache",
        tree={
            **uses("liba.so"),
            "/etc/ld.so.conf": b"include /etc/ld.so.conf.d/*.conf\n",
            "/etc/ld.so.conf.d/opt.conf": b"# ours\n/opt/lib\n",
            "/opt/lib/liba.so": EMPTY,
        },
        missing=("liba.so",),
        why="run ldconfig -r",
    ),
    Case(
        name="hwcaps-beside-the-plain-file",
        tree={**uses("liba.so"), f"{LIB}/glibc-hwcaps/x86-64-v2/liba.so": library(soname="l"), f"{LIB}/liba.so": EMPTY},
        found=(f"{LIB}/liba.so", f"{LIB}/glibc-hwcaps/x86-64-v2/liba.so"),
        unlike=(f"{LIB}/liba.so", f"{LIB}/glibc-hwcaps/x86-64-v2/liba.so"),
    ),
    Case(
        name="hwcaps-only",
        tree={**uses("liba.so", runpath="/p"), "/p/glibc-hwcaps/x86-64-v3/liba.so": EMPTY},
        found=("/p/glibc-hwcaps/x86-64-v3/liba.so",),
        rules=("W02",),
        unlike=("/p/glibc-hwcaps/x86-64-v3/liba.so",),
    ),
    Case(name="absolute-need", tree={**uses("/opt/liba.so"), "/opt/liba.so": EMPTY}, found=("/opt/liba.so",)),
    Case(
        name="need-with-origin",
        tree={**uses("libx.so", rpath="/p"), "/p/libx.so": library("$ORIGIN/../z/liby.so"), "/z/liby.so": EMPTY},
        found=("/p/libx.so", "/z/liby.so"),
    ),
    Case(
        name="relative-need",
        tree={**uses("opt/liba.so"), "/opt/liba.so": EMPTY},
        found=("/opt/liba.so",),
        rules=("W08",),
    ),
    Case(
        name="soname-satisfies-later-needs",
        tree={
            **uses("liba.so", "libb.so.1", runpath="/p"),
            "/p/liba.so": library(soname="libb.so.1"),
        },
        found=("/p/liba.so",),
    ),
    Case(
        name="needs-in-a-circle",
        tree={**uses("liba.so"), f"{LIB}/liba.so": library("libb.so"), f"{LIB}/libb.so": library("liba.so", "libb.so")},
        found=(f"{LIB}/liba.so", f"{LIB}/libb.so"),
    ),
    Case(
        name="two-names-of-one-file",
        tree={
            **uses("liba.so", "libb.so"),
            f"{LIB}/liba.so": library("libc1.so"),
            f"{LIB}/libb.so": "liba.so",
            f"{LIB}/libc1.so": EMPTY,
        },
        found=(f"{LIB}/liba.so", f"{LIB}/libc1.so"),
    ),
    Case(
        name="nodeflib",
        tree={**uses("liba.so", flags_1=NODEFLIB), f"{LIB}/liba.so": EMPTY},
        missing=("liba.so",),
    ),
    Case(
        name="empty-element-is-the-current-folder",
        tree={**uses("liba.so", runpath="/p:"), "/liba.so": EMPTY},
        found=("/liba.so",),
        rules=("W08",),
    ),
    Case(
        name="breadth-first",
        tree={
            **uses("libx.so", "liby.so", runpath="/p"),
            "/p/libx.so": library("liby.so"),
            "/p/liby.so": EMPTY,
        },
        found=("/p/libx.so", "/p/liby.so"),
    ),
    Case(
        name="breadth-first-satisfied",
        tree={
            **uses("libx.so", "liby.so", runpath="/p"),
            "/p/libx.so": library("libz1.so", runpath="/p"),
            "/p/libz1.so": library("liby.so"),
            "/p/liby.so": EMPTY,
        },
        found=("/p/libx.so", "/p/libz1.so", "/p/liby.so"),
    ),
    Case(
        name="first-folder-wins-with-its-own-needs",
        tree={
            **uses("liba.so", runpath="/first:/second"),
            "/first/liba.so": library("libb.so"),
            "/second/liba.so": library("libd.so"),
            f"{LIB}/libb.so": EMPTY,
            f"{LIB}/libd.so": EMPTY,
        },
        found=("/first/liba.so", f"{LIB}/libb.so"),
    ),
    Case(
        name="rpath-beats-default",
        tree={**uses("liba.so", rpath="/p"), "/p/liba.so": EMPTY, f"{LIB}/liba.so": EMPTY},
        found=("/p/liba.so",),
    ),
    Case(
        name="usr-local-is-no-default",
        tree={**uses("liba.so"), "/usr/local/lib/liba.so": EMPTY},
        missing=("liba.so",),
    ),
    Case(name="lib64-is-no-default-on-debian", tree={**uses("liba.so"), "/lib64/liba.so": EMPTY}, missing=("liba.so",)),
    Case(
        name="filter-is-needed",
        tree={
            **uses("liba.so"),
            f"{LIB}/liba.so": library(filter="libb.so"),
            f"{LIB}/libb.so": EMPTY,
        },
        found=(f"{LIB}/liba.so", f"{LIB}/libb.so"),
    ),
    Case(
        name="auxiliary-is-taken-where-it-is",
        tree={**uses("liba.so"), f"{LIB}/liba.so": library(auxiliary="libb.so"), f"{LIB}/libb.so": EMPTY},
        found=(f"{LIB}/liba.so", f"{LIB}/libb.so"),
    ),
    Case(name="the-loader-is-there-already", tree=uses("ld-linux-x86-64.so.2")),
    Case(
        name="unreadable-folder-in-the-path",
        tree={**uses("liba.so", runpath="/etc/file:/p"), "/etc/file": b"", "/p/liba.so": EMPTY},
        found=("/p/liba.so",),
    ),
]


def test_an_auxiliary_library_may_be_absent() -> None:
    """DT_AUXILIARY names what is taken where it is; the program starts without it (its trace says "not found")."""
    tree = {**uses("liba.so"), f"{LIB}/liba.so": library(auxiliary="libb.so")}
    assert closure(in_memory(with_glibc(tree)), ("/bin/prog",)).missing == []


VERSIONED = library(soname="liba.so", defines=("liba.so", "A_1", "A_2"))
VERSIONS = [
    ((("liba.so", "A_1"),), VERSIONED, ""),
    ((("liba.so", "A_1"), ("liba.so", "A_2")), VERSIONED, ""),
    ((("liba.so", "A_1"), ("liba.so", "A_3")), VERSIONED, "liba.so has no version A_3"),
    ((("liba.so", "A_3"),), library(soname="liba.so"), ""),  # without any versions it is taken as it is
]


@pytest.mark.integration
@pytest.mark.parametrize(("versions", "content", "why"), VERSIONS)
def test_symbol_versions(versions: tuple[tuple[str, str], ...], content: bytes, why: str, tmp_path: Path) -> None:
    """A library that is too old for a program is as bad as none: the real loader refuses it, too."""
    tree = on_disk(tmp_path, with_glibc({**uses("liba.so", versions=versions), f"{LIB}/liba.so": content}))
    found = closure(tree, ("/bin/prog",))
    assert [each.detail.rpartition("/")[2] for each in found.missing] == ([why] if why else [])
    assert ("version `A_3' not found" in traced(tmp_path, "/bin/prog")) == bool(why)


CACHE: Contents = {"/etc/ld.so.conf": b"/opt/lib\n", "/opt/lib/liba.so": library(soname="liba.so")}
CACHED = [
    Case(name="only-in-the-cache", tree={**uses("liba.so"), **CACHE}, found=("/opt/lib/liba.so",)),
    Case(
        name="runpath-beats-the-cache",
        tree={**uses("liba.so", runpath="/p"), **CACHE, "/p/liba.so": EMPTY},
        found=("/p/liba.so",),
    ),
    Case(
        name="the-cache-beats-the-default",
        tree={**uses("liba.so"), **CACHE, f"{LIB}/liba.so": library(soname="liba.so")},
        found=("/opt/lib/liba.so",),
    ),
    Case(
        name="hwcaps-in-the-cache",
        tree={**uses("liba.so"), **CACHE, "/opt/lib/glibc-hwcaps/x86-64-v2/liba.so": library(soname="liba.so")},
        found=("/opt/lib/liba.so", "/opt/lib/glibc-hwcaps/x86-64-v2/liba.so"),
        unlike=("/opt/lib/liba.so", "/opt/lib/glibc-hwcaps/x86-64-v2/liba.so"),
    ),
    Case(
        name="nodeflib-takes-the-cache-outside-default-folders",
        tree={
            **uses("liba.so", "libb.so", flags_1=NODEFLIB),
            **CACHE,
            f"{LIB}/libb.so": library(soname="libb.so"),
        },
        found=("/opt/lib/liba.so",),
        missing=("libb.so",),
    ),
    Case(
        name="a-cache-that-is-out-of-date",
        tree={**uses("liba.so"), **CACHE, f"{LIB}/sub/liba.so": EMPTY},
        found=("/usr/lib/liba.so",),
    ),
]


@pytest.mark.integration
@pytest.mark.parametrize("compat", ["new", "compat"])
@pytest.mark.parametrize("case", CACHED, ids=str)
def test_the_cache(case: Case, compat: str, tmp_path: Path) -> None:
    """What the real ldconfig writes is read as the real loader reads it, behind an old table, too."""
    on_disk(tmp_path, with_glibc(case.tree))
    subprocess.run([LDCONFIG, "-r", tmp_path, "-c", compat], check=True, capture_output=True)
    if case.name == "a-cache-that-is-out-of-date":
        (tmp_path / "opt/lib/liba.so").unlink()
        (tmp_path / "usr/lib").mkdir(parents=True)
        (tmp_path / "usr/lib/liba.so").write_bytes(EMPTY)
    agree(case, DiskTree(tmp_path))


def test_programs_do_not_share_search_paths() -> None:
    """What one program finds in a default folder is not what another finds by its RUNPATH."""
    tree = {
        **uses("liba.so"),
        "/bin/other": program("liba.so", runpath="/p"),
        f"{LIB}/liba.so": EMPTY,
        "/p/liba.so": EMPTY,
    }
    found = closure(in_memory(with_glibc(tree)), ("/bin/prog", "/bin/other"))
    assert {"p/liba.so", f"{LIB[1:]}/liba.so"} <= found.files.keys()


def check(case: Case, found: Closure) -> None:
    """Assert that a closure is what the case says."""
    files = {path for path in found.files if not path.endswith(("ld-linux-x86-64.so.2", "prog"))}
    assert files == {path.lstrip("/") for path in case.found}
    assert {each.name.rpartition("/")[2] for each in found.missing} == set(case.missing)
    assert tuple(sorted({each.rule for each in found.warnings})) == case.rules
    assert all(case.why in str(each) for each in found.missing)


@pytest.mark.parametrize("case", RULES, ids=str)
def test_a_rule_of_the_loader(case: Case) -> None:
    """What is found, what is missing, what is warned of, in an archive."""
    check(case, closure(in_memory(with_glibc(case.tree)), (case.start,), proc=case.proc))


def agree(case: Case, tree: DiskTree) -> None:
    """Assert that a closure is what the case says, and what the real loader says."""
    found = closure(tree, (case.start,), proc=case.proc)
    check(case, found)
    said = traced(tree.root, case.start, proc=case.proc)
    assert lost(said) == {each.name.rpartition("/")[2] for each in found.missing}, said
    if "error while loading" not in said:
        others = {path.lstrip("/") for path in case.unlike}
        ours = {path for path in found.files if not path.endswith(("ld-linux-x86-64.so.2", "prog"))}
        assert ours - others == mapped(tree, said) - others, said


@pytest.mark.integration
@pytest.mark.parametrize("case", [case for case in RULES if case.name != "cut-off-body-first"], ids=str)
def test_the_real_loader_agrees(case: Case, tmp_path: Path) -> None:
    """The real ld.so, in a chroot made of the case's tree, maps the same files and misses the same names.

    Asked about a body that is cut off, it maps the file and dies when it touches what is not there.
    """
    agree(case, on_disk(tmp_path, with_glibc(case.tree)))
