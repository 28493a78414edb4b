"""Trees that are looked at as roots: links stay inside, and an archive is what the kernel would unpack from it."""

import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import cpio
from tasks.initrd.loader.sysroot import KERNEL_ROOT, MAX_LINKS, ArchiveTree, DiskTree, Sysroot, is_file, resolve
from tests.initrd.sysroots import Contents, in_memory, on_disk

Make = Callable[[Contents], Sysroot]


@pytest.fixture(params=["disk", "archive"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Return how trees are made: both kinds behave the same."""
    return in_memory if request.param == "archive" else lambda contents: on_disk(tmp_path, contents)


LINKS: Contents = {
    "/real/f": b"content",
    "/real/sub/g": b"",
    "/a": "real",
    "/abs": "/real",
    "/up": "../../../../real",
    "/loop": "loop",
    "/ping": "pong",
    "/pong": "ping",
    "/dangling": "nothing",
    "/host": "/etc/hostname",
    "/over": "a/sub/../f",
    "/file": "real/f",
    "/slash": "real/f/",
}


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/a/f", "real/f"),
        ("a/./f", "real/f"),
        ("/abs/f", "real/f"),
        ("/../../real/f", "real/f"),
        ("/up/f", "real/f"),
        ("/over", "real/f"),
        ("/a/sub/../f", "real/f"),
        ("/file", "real/f"),
        ("/", ""),
        ("/loop", None),
        ("/ping/f", None),
        ("/dangling", None),
        ("/real/f/x", None),
        ("/real/f/..", None),
        ("/real/f/", None),
        ("/slash/x", None),
        ("/host", None),
        ("/nothing/../real/f", None),
        ("/" + "x" * 5000, None),
        ("/real/f\0", None),
        ("/a/" * 2000 + "f", None),
    ],
)
def test_links_are_followed_inside(path: str, real: str | None, make: Make) -> None:
    """Absolute targets start at the tree's root, .. stops there, loops end; the host's files are never reached."""
    assert resolve(make(LINKS), path).path == real


def test_what_was_passed_is_told(make: Make) -> None:
    """The links on the way, those of folders too, and the folders that the way leaves again."""
    tree = make(LINKS)
    found = resolve(tree, "/over")
    assert (found.links, found.left) == (("over", "a"), ("real/sub",))
    assert resolve(tree, "/a/../a/f").left == ("real",)


@pytest.mark.parametrize("length", [MAX_LINKS, MAX_LINKS + 1, 5000])
def test_chains_of_links(length: int) -> None:
    """Forty are followed as by the kernel, not one more."""
    tree = in_memory({"/f": b"", "/l1": "f", **{f"/l{number}": f"l{number - 1}" for number in range(2, length + 1)}})
    found = resolve(tree, f"/l{length}")
    assert (found.path, found.loop) == (("f", False) if length == MAX_LINKS else (None, True))


def test_slices(make: Make) -> None:
    """A file is read in pieces; behind its end there is nothing."""
    tree = make(LINKS)
    assert (tree.size("real/f"), tree.read("real/f")) == (7, b"content")
    assert [tree.read_at("real/f", *place) for place in ((0, 3), (3, 99), (7, 1), (99, 1))] == [
        b"con",
        b"tent",
        b"",
        b"",
    ]
    assert tree.names("real") == ["f", "sub"]


def test_slices_of_files_on_disk(tmp_path: Path) -> None:
    """An archive's body may lie elsewhere until it is wanted."""
    (tmp_path / "body").write_bytes(b"content")
    tree = ArchiveTree.of([cpio.regular("f", tmp_path / "body")])
    assert (tree.size("f"), tree.read_at("f", 2, 3)) == (7, b"nte")


def folder(name: str) -> cpio.Entry:
    """Return a folder's entry."""
    return cpio.directory(name)


def file(name: str, body: bytes = b"") -> cpio.Entry:
    """Return a file's entry."""
    return cpio.regular(name, body)


def link(name: str, target: str) -> cpio.Entry:
    """Return a link's entry."""
    return cpio.symlink(name, target)


def second(name: str, first: str, body: bytes = b"") -> cpio.Entry:
    """Return another name of a file."""
    return replace(cpio.regular(name, body), hardlink=first)


@pytest.mark.parametrize(
    ("entries", "paths", "dropped"),
    [
        ([file("f", b"1"), file("f", b"2")], {"f": b"2"}, []),
        ([file("d/f")], {}, ["d/f"]),
        ([folder("usr"), folder("usr/bin"), link("bin", "usr/bin"), file("bin/sh", b"s")], {"usr/bin/sh": b"s"}, []),
        ([link("bin", "usr/bin"), file("bin/sh")], {}, ["bin/sh"]),
        ([folder("d"), link("l", "/d"), link("m", "l"), file("m/f", b"1")], {"d/f": b"1"}, []),
        ([link("l", "l"), file("l/f")], {}, ["l/f"]),
        ([folder("d"), file("/d//f", b"1"), file("./d/../g", b"2")], {"d/f": b"1", "g": b"2"}, []),
        ([file("../../f", b"1")], {"f": b"1"}, []),
        ([file("f", b"1"), link("f", "g")], {}, []),
        ([link("f", "g"), file("f", b"1")], {"f": b"1"}, []),
        ([folder("d"), file("d", b"1")], {"d": b"1"}, []),
        ([folder("d"), file("d/f", b"1"), file("d", b"2")], {"d/f": b"1"}, ["d"]),
        ([folder("d"), file("d/f", b"1"), link("d", "e")], {"d/f": b"1"}, ["d"]),
        ([folder("d"), file("d/f", b"1"), folder("d")], {"d/f": b"1"}, []),
        ([file("f", b"1"), folder("f"), file("f/g", b"2")], {"f/g": b"2"}, []),
        ([file("f", b"1"), replace(file("f", b"2"), mode=0o644)], {"f": b"1"}, ["f"]),
        ([file("a", b"1"), second("b", "a", b"1")], {"a": b"1", "b": b"1"}, []),
        ([file("a"), second("b", "a"), second("c", "a", b"3")], {"a": b"3", "b": b"3", "c": b"3"}, []),
        (
            [file("a", b"1"), second("b", "a"), file("b", b"2")],
            {"a": b"2", "b": b"2"},
            [],
        ),  # written into, not replaced
        ([*KERNEL_ROOT, file("dev/x", b"1")], {"dev/x": b"1"}, []),
    ],
)
def test_an_archive_as_the_kernel_unpacks_it(
    entries: list[cpio.Entry], paths: dict[str, bytes], dropped: list[str]
) -> None:
    """In order, through the links of folders, later entries on top; what has no folder is not made."""
    tree = ArchiveTree.of(entries)
    assert {path: tree.read(path) for path in tree.entries if is_file(tree, path)} == paths
    assert tree.dropped == dropped


def test_a_file_with_very_many_names() -> None:
    """As many names as an archive can hold cost no more than as many files."""
    names = [second(f"n{number}", "a") for number in range(20_000)]
    tree = ArchiveTree.of([file("a", b"1"), *names])
    assert tree.read("n19999") == b"1"
    assert not tree.dropped


def test_names_of_any_bytes() -> None:
    """Names are bytes to the kernel; line ends and broken UTF-8 are as good as others."""
    tree = in_memory({"/a\nb/\udcff": b"1"})
    assert resolve(tree, "/a\nb/\udcff").path == "a\nb/\udcff"


def test_what_is_no_file(tmp_path: Path) -> None:
    """Folders, nothing at all and the root are none."""
    tree = on_disk(tmp_path, LINKS)
    assert [is_file(tree, path) for path in ("real/f", "real", "a", "none", "", None)] == [True, *[False] * 5]
    assert stat.S_ISDIR(tree.mode("") or 0)


def test_a_disk_tree_has_one_root(tmp_path: Path) -> None:
    """With a slash at its end or without, it is the same."""
    (tmp_path / "f").write_bytes(b"1")
    assert DiskTree(tmp_path).read("f") == DiskTree(Path(f"{tmp_path}/")).read("f") == b"1"
    assert is_file(DiskTree(Path("/")), "etc/passwd")
