"""The bench of archives: it measures what is here, and says what is not."""

import dataclasses
from pathlib import Path

import pytest

from tasks import run
from tasks.measure import Measure
from tasks.rootimg import bench
from tasks.rootimg.manifest import Item, Kind


@pytest.fixture
def subject(tmp_path: Path) -> bench.Subject:
    """Return a small tree, with the lists for the programs."""
    tree, folder = tmp_path / "tree", tmp_path / "out"
    (tree / "etc").mkdir(parents=True)
    folder.mkdir()
    (tree / "etc/hosts").write_text("content")
    (tree / "etc/two words").symlink_to("hosts")
    items = (
        Item(path="etc", kind=Kind.FOLDER, mode=0o755, uid=0, gid=0),
        Item(path="etc/hosts", kind=Kind.FILE, mode=0o644, uid=1, gid=2, size=7),
        Item(path="etc/two words", kind=Kind.SYMLINK, mode=0o777, uid=0, gid=0, link="hosts"),
    )
    return bench.Subject(tree=tree, items=items, date=99, folder=folder)


def test_the_kernels_list(subject: bench.Subject) -> None:
    """gen_init_cpio's words in its order; what it cannot say is left out."""
    lines = [bench.line(item, subject.tree) for item in subject.items]
    assert lines == ["dir /etc 755 0 0\n", f"file /etc/hosts {subject.tree}/etc/hosts 644 1 2\n", ""]


def test_missing_programs_are_named(subject: bench.Subject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without any other tool our own lines remain, without ratios."""
    monkeypatch.setattr(run, "PATH", str(tmp_path))
    lines = list(bench.compared(dataclasses.replace(subject)))
    told = [str(line) for line in lines if isinstance(line, str)]
    assert [line.split(" is not installed: left out")[0] for line in told] == ["cpio", "gen_init_cpio", "gzip", "pigz"]
    assert "build it from usr/gen_init_cpio.c" in told[1]
    assert [line.what.rpartition(": ")[2] for line in lines if isinstance(line, Measure)] == [
        bench.OURS,
        bench.OUR_GZIP,
        bench.OUR_ZSTD,
    ]


@pytest.mark.integration
def test_ratios_are_told(subject: bench.Subject) -> None:
    """Beside the plain tools each line says how it stands to them."""
    subject.names.write_text("".join(f"{item.path}\0" for item in subject.items))
    subject.list.write_text("".join(bench.line(item, subject.tree) for item in subject.items))
    lines = {line.what: line.note for line in bench.compared(subject) if isinstance(line, Measure)}
    assert any(what.endswith(": cpio") and note.startswith("1.00 times") for what, note in lines.items())
    assert "times as fast as gzip -6 at" in lines[f"tree → compressed: {bench.OUR_ZSTD}"]
