"""The remembered table of tasks: declared again when anything it was made from changed, and only then."""

import os
from pathlib import Path
from typing import Any

import pytest

from tasks import graph, paths
from tasks.actions import command, rule

LONG_AGO = 1_000_000_000


class Book:
    """A dodo.py with one artefact, one group and one command; it counts how often it is asked."""

    def __init__(self) -> None:
        """Nobody has asked."""
        self.asked = 0

    def task_file(self) -> dict[str, Any]:
        """Write a file."""
        self.asked += 1
        text = Path("inventory/site.yaml").read_text()
        made = rule("file", doc="", run=write, args=(text,), outputs=[Path("build/out")])
        return {key: value for key, value in made.items() if key not in {"name", "doc"}}

    def task_group(self) -> Any:
        """Have no members."""
        yield from ()

    def task_say(self) -> dict[str, Any]:
        """Say words."""
        return {**command("builtins:print"), "basename": "say-it"}

    def table(self) -> graph.Table:
        """Return the table as a new process has it."""
        return graph.Table({"file": self.task_file, "group": self.task_group, "say": self.task_say})


def write(text: str) -> None:
    """Make the artefact."""
    Path("build/out").write_text(text)


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    """Stand in a checkout whose clock has moved on since its files were written."""
    monkeypatch.chdir(tmp_path)
    for name in ("inventory", "tasks", "build"):
        Path(name).mkdir()
    Path("inventory/site.yaml").write_text("domain: a\n")
    Path("tasks/step.py").write_text("one = 1\n")
    Path("dodo.py").touch()
    monkeypatch.setattr(graph, "RACY", -LONG_AGO)
    return Book()


def test_a_second_run_declares_nothing(book: Book) -> None:
    """The table comes back as plain data; its tasks are the same, and so are their names and words."""
    first = [*book.table().tasks()]
    second = [*book.table().tasks()]
    assert book.asked == 1
    assert [task["basename"] for task in second] == ["file", "group", "say-it"]
    assert [task["doc"] for task in second] == ["Write a file.", "Have no members.", "Say words."]
    assert second[1]["name"] is None
    for old, new in zip(first, second, strict=True):
        assert {key: old.get(key) for key in graph.PLAIN} == {key: new.get(key) for key in graph.PLAIN}


def test_a_remembered_task_does_its_work(book: Book, capsys: pytest.CaptureFixture[str]) -> None:
    """What a task does is declared when it runs; commands are given the user's words."""
    [*book.table().tasks()]
    tasks = {task["basename"]: task for task in book.table().tasks()}
    action, words = tasks["file"]["actions"][0]
    assert action(*words) is None
    assert Path("build/out").read_text() == "domain: a\n"
    check, arguments = tasks["file"]["uptodate"][0]
    assert check(*arguments)
    action, words = tasks["say-it"]["actions"][0]
    action(*words, words=["a", "b"])
    assert capsys.readouterr().out == "['a', 'b']\n"
    remove, words = tasks["file"]["clean"][0]
    remove(*words)
    assert not Path("build/out").exists()


@pytest.mark.parametrize("edited", ["inventory/site.yaml", "inventory/nodes/rack.yaml", "tasks/step.py", "dodo.py"])
def test_what_it_was_made_from_counts(book: Book, edited: str) -> None:
    """An edited, new or removed file of the inventory or of the code makes it again, whatever date it is given."""
    path = Path(edited)
    path.parent.mkdir(exist_ok=True)
    path.write_text("x: 0\n")
    os.utime(path, (LONG_AGO, LONG_AGO))
    [*book.table().tasks()]
    path.write_text("x: 1\n")
    os.utime(path, (LONG_AGO, LONG_AGO))
    [*book.table().tasks()]
    assert book.asked == 2
    if edited.startswith("inventory/nodes"):
        path.unlink()
        [*book.table().tasks()]
        assert book.asked == 3


def test_files_outside_count_where_they_are_watched(book: Book, tmp_path: Path) -> None:
    """A boot program that is upgraded, or an ISO that comes, is declared anew."""
    iso = tmp_path / "elsewhere.iso"
    [*book.table().tasks()]
    graph.watch([str(iso)])
    [*book.table().tasks()]
    assert book.asked == 2
    iso.touch()
    [*book.table().tasks()]
    [*book.table().tasks()]
    assert book.asked == 3


def test_a_file_of_this_very_moment_is_not_believed(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written just before the table was may be written again without a new date."""
    monkeypatch.setattr(graph, "RACY", LONG_AGO * LONG_AGO)
    [*book.table().tasks()]
    [*book.table().tasks()]
    assert book.asked == 2


@pytest.mark.parametrize("damage", [b"", b"\0", b"[1]", b"garbage" * 100])
def test_a_damaged_table_is_none(book: Book, damage: bytes) -> None:
    """A table that does not read back is declared again."""
    [*book.table().tasks()]
    graph.REMEMBERED.write_bytes(damage)
    [*book.table().tasks()]
    assert book.asked == 2


def test_serials_are_no_input(book: Book) -> None:
    """What the zone task writes into inventory/ does not make the table new."""
    [*book.table().tasks()]
    paths.SERIALS.write_text("# one\n")
    [*book.table().tasks()]
    assert book.asked == 1


@pytest.mark.parametrize("damage", [b"", b"\0\0\0", b"\xff\xfe\n", b"/etc/passwd\0x\n"])
def test_a_damaged_list_of_watched_files_stops_nobody(book: Book, damage: bytes) -> None:
    """What a power failure left of it is not believed, and never a traceback."""
    graph.WATCHED.parent.mkdir(parents=True, exist_ok=True)
    graph.WATCHED.write_bytes(damage)
    assert len([*book.table().tasks()]) == 3
    graph.watch(["/elsewhere"])
    assert "/elsewhere" in graph.outside()
