"""The record of an artefact: what a killed or undone run leaves behind is never taken for finished."""

from pathlib import Path

import pytest

from tasks import record


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty checkout with one input and one output."""
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out/file").write_text("made")
    path = Path("in")
    path.write_text("input")
    return path


OUTPUTS = ["out"]


def make(made_from: str = "recipe") -> None:
    """Make the artefact from what is there."""
    state = record.begin("task", made_from, ["in"])
    record.end("task", state, OUTPUTS)


def holds(made_from: str = "recipe") -> bool:
    """Whether the artefact is up to date."""
    return record.holds("task", made_from, ["in"], OUTPUTS, [])


def test_what_was_made_holds(source: Path) -> None:
    """Nothing changed: nothing to do; the same content with another date counts as the same."""
    make()
    assert holds()
    source.write_text("input")
    assert holds()


def test_what_changed_does_not_hold(source: Path) -> None:
    """Another recipe, another input, an altered, added or removed output: make it again."""
    make()
    assert not holds("other")
    source.write_text("changed")
    assert not holds()
    make()
    Path("out/file").write_text("altered")
    assert not holds()
    make()
    Path("out/more").touch()
    assert not holds()
    make()
    Path("out/more").unlink()
    assert not holds()


def test_a_killed_run_and_a_step_back(source: Path) -> None:
    """The old recipe again after a newer one was killed, or ended: its outputs are the newer one's, so it is made."""
    make("old")
    record.begin("task", "new", ["in"])  # killed here
    assert not holds("old")
    make("new")
    assert not holds("old")


def test_what_is_being_written_does_not_count(source: Path) -> None:
    """Unfinished work beside the outputs is not an output."""
    make()
    Path("out/.file.partial").touch()
    assert holds()


@pytest.mark.parametrize("text", ["", "{", "[]x", "{}", "[]", "1"])
def test_a_broken_record_is_no_record(text: str, source: Path) -> None:
    """Damage makes work, not a traceback."""
    make()
    record.record_of("task").write_text(text)
    assert not holds()


def test_a_folder_of_many_files(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few files are looked at one by one; of very many it is seen that one came, left or was replaced."""
    folder = "out/"
    before = record.looks([folder])
    Path("out/file").write_text("altered by hand")
    assert record.looks([folder]) != before
    monkeypatch.setattr(record, "MANY", 0)
    before = record.looks([folder])
    Path("out/file").write_text("altered again")
    assert record.looks([folder]) == before
    Path("out/more").write_text("one more")
    assert record.looks([folder]) != before
    assert record.looks(["out/none/"]) == {"out/none/": None}
