"""Where musl's loader looks for libraries: each rule a case, each case also told by the real one."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.initrd.loader.closure import Closure, closure
from tests.initrd.elves import AARCH64, library, program
from tests.initrd.sysroots import MUSL, Contents, in_memory, lost, mapped, on_disk, traced

EMPTY = library()


@dataclass(frozen=True, kw_only=True)
class Case:
    """A tree, what must come of it: files found besides program and loader, names missing, rules warned of."""

    name: str
    tree: Contents
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    why: str = ""
    proc: bool = True

    def __str__(self) -> str:
        """Return the case's name for pytest."""
        return self.name


def uses(*needed: str, **more: object) -> Contents:
    """Return the program of a case."""
    return {"/bin/prog": program(*needed, interpreter=MUSL, **more)}


RULES = [
    Case(name="default-folder", tree={**uses("liba.so"), "/usr/lib/liba.so": EMPTY}, found=("/usr/lib/liba.so",)),
    Case(
        name="usr-local", tree={**uses("liba.so"), "/usr/local/lib/liba.so": EMPTY}, found=("/usr/local/lib/liba.so",)
    ),
    Case(
        name="runpath-is-inherited",
        tree={**uses("libx.so", runpath="/p"), "/p/libx.so": library("liby.so"), "/p/liby.so": EMPTY},
        found=("/p/libx.so", "/p/liby.so"),
    ),
    Case(
        name="runpath-of-the-asker-adds-to-what-is-above",
        tree={**uses("libx.so", rpath="/p"), "/p/libx.so": library("liby.so", runpath="/q"), "/p/liby.so": EMPTY},
        found=("/p/libx.so", "/p/liby.so"),
    ),
    Case(
        name="runpath-replaces-rpath",
        tree={**uses("liba.so", rpath="/p", runpath="/q"), "/p/liba.so": EMPTY},
        missing=("liba.so",),
    ),
    Case(
        name="origin",
        tree={
            **uses("liba.so", runpath="${ORIGIN}/../p"),
            "/p/liba.so": library("libb.so", rpath="$ORIGIN"),
            "/p/libb.so": EMPTY,
        },
        found=("/p/liba.so", "/p/libb.so"),
    ),
    Case(
        name="origin-without-proc",
        tree={**uses("liba.so", runpath="$ORIGIN/../p"), "/p/liba.so": EMPTY},
        missing=("liba.so",),
        rules=("E06",),
        proc=False,
    ),
    Case(
        name="another-token-voids-the-path",
        tree={**uses("liba.so", runpath="/p:/opt/$LIB"), "/p/liba.so": EMPTY},
        missing=("liba.so",),
        rules=("W08",),
    ),
    Case(
        name="path-file",
        tree={
            **uses("liba.so", "libb.so"),
            "/etc/ld-musl-x86_64.path": b"/a:/b\n/c\n",
            "/c/liba.so": EMPTY,
            "/lib/libb.so": EMPTY,
        },
        found=("/c/liba.so",),
        missing=("libb.so",),
    ),
    Case(
        name="reserved-names",
        tree=uses("libc.so.6", "libpthread.so.0", "libm.so", "libc.musl-x86_64.so.1", "librt.so.1", "libutil.x"),
    ),
    Case(
        name="glibc-hwcaps-are-nothing",
        tree={**uses("liba.so", runpath="/p"), "/p/glibc-hwcaps/x86-64-v2/liba.so": EMPTY},
        missing=("liba.so",),
    ),
    Case(
        name="no-cache-no-conf",
        tree={**uses("liba.so"), "/etc/ld.so.conf": b"/opt/lib\n", "/opt/lib/liba.so": EMPTY},
        missing=("liba.so",),
    ),
    Case(
        name="a-soname-satisfies-nothing",
        tree={**uses("liba.so", "libb.so", runpath="/p"), "/p/liba.so": library(soname="libb.so")},
        found=("/p/liba.so",),
        missing=("libb.so",),
    ),
    Case(
        name="a-loop-ends-the-whole-search",
        tree={**uses("liba.so", runpath="/p"), "/p/liba.so": "liba.so", "/lib/liba.so": EMPTY},
        missing=("liba.so",),
    ),
    Case(
        name="a-broken-file-ends-the-search",
        tree={**uses("liba.so", runpath="/p"), "/p/liba.so": b"", "/lib/liba.so": EMPTY},
        missing=("liba.so",),
        rules=("W09",),
        why="file too short",
    ),
    Case(
        name="a-name-with-a-slash",
        tree={**uses("/opt/liba.so"), "/opt/liba.so": EMPTY},
        found=("/opt/liba.so",),
    ),
]


def with_musl(contents: Contents) -> Contents:
    """Return a tree that has this machine's musl at its place."""
    return {MUSL: Path(MUSL).read_bytes(), **contents}


def with_dummy(contents: Contents) -> Contents:
    """Return a tree with a loader that only looks like one."""
    return {MUSL: library(), **contents}


def check(case: Case, found: Closure) -> None:
    """Assert that a closure is what the case says."""
    files = {f"/{path}" for path in found.files} - {MUSL, "/bin/prog"}
    assert files == set(case.found)
    assert {each.name for each in found.missing} == set(case.missing)
    assert tuple(sorted({each.rule for each in found.warnings})) == case.rules
    assert all(case.why in str(each) for each in found.missing)


@pytest.mark.parametrize("case", RULES, ids=str)
def test_a_rule_of_the_loader(case: Case) -> None:
    """What is found, what is missing, what is warned of, in an archive."""
    check(case, closure(in_memory(with_dummy(case.tree)), ("/bin/prog",), proc=case.proc))


def test_another_machine_is_refused() -> None:
    """The loader looks at no machine and would map it, and crash: that is missing, and told."""
    tree = {**uses("liba.so", runpath="/p"), "/p/liba.so": library(machine=AARCH64), "/lib/liba.so": EMPTY}
    found = closure(in_memory(with_dummy(tree)), ("/bin/prog",))
    assert [each.name for each in found.missing] == ["liba.so"]
    assert "it is for aarch64 (64 bits), and musl would map it all the same" in str(found.missing[0])
    assert [each.rule for each in found.warnings] == ["W08"]


@pytest.mark.integration
@pytest.mark.skipif(not Path(MUSL).exists(), reason=f"{MUSL} is missing: apt-get install musl")
@pytest.mark.parametrize("case", RULES, ids=str)
def test_the_real_loader_agrees(case: Case, tmp_path: Path) -> None:
    """The real musl, in a chroot made of the case's tree, maps the same files and misses the same names."""
    tree = on_disk(tmp_path, with_musl(case.tree))
    found = closure(tree, ("/bin/prog",), proc=case.proc)
    check(case, found)
    argv = (MUSL, "--list", "/bin/prog") if case.proc else ("/bin/prog",)  # listed, a program's $ORIGIN is known
    said = traced(tmp_path, *argv, proc=case.proc)
    assert lost(said) == {each.name.rpartition("/")[2] for each in found.missing}, said
    if not case.missing:
        assert mapped(tree, said) == {path.lstrip("/") for path in case.found}, said
