"""The door for writing: whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks import files
from tasks.errors import BootmillError


def test_unchanged_content_is_left_alone(tmp_path: Path) -> None:
    """Writing the same bytes touches nothing, so nothing downstream is rebuilt."""
    target = tmp_path / "sub/file"
    assert files.write_atomic(target, "a")
    before = target.stat()
    assert not files.write_atomic(target, "a")
    assert target.stat() == before
    assert files.write_atomic(target, "b")


def test_what_a_person_wrote_is_not_replaced(tmp_path: Path) -> None:
    """A file without our header is kept, and the way out is told; one with it is ours to replace."""
    target = tmp_path / "hosts"
    target.write_text("127.0.0.1 localhost\n10.9.9.9 printer\n")
    with pytest.raises(BootmillError, match=r"(?s)hosts is there and was not made by Bootmill.*mv .*before-bootmill"):
        files.write_ours(target, "# Made by Bootmill\n1\n")
    assert "printer" in target.read_text()
    target.write_text("# Made by Bootmill\n0\n")
    assert files.write_ours(target, "# Made by Bootmill\n1\n")
    assert not files.write_ours(target, "# Made by Bootmill\n1\n")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """An error in the middle keeps the old content and no debris."""
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), files.replacing(target) as out:
        out.write(b"%d" % (1 // (out.write(b"half") - 4)))
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - names, hidden ones too


def test_the_umask_does_not_matter(tmp_path: Path) -> None:
    """Published files have the mode that is asked for, whatever the user's umask."""
    before = os.umask(0o077)
    try:
        files.write_atomic(tmp_path / "file", "x", mode=0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_tree_changes_in_one_rename(tmp_path: Path) -> None:
    """The old tree stays until the new one takes its place; an error keeps the old one."""
    target = tmp_path / "tree"
    with files.replacing_tree(target) as new:
        (new / "a").write_text("1")
    with pytest.raises(ZeroDivisionError), files.replacing_tree(target) as new:
        (new / "b").write_text(str(1 // 0))
    assert [path.name for path in target.iterdir()] == ["a"]
    with files.replacing_tree(target) as new:
        (new / "b").write_text("2")
        assert (target / "a").exists()
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_debris_of_a_killed_run_is_cleared(tmp_path: Path) -> None:
    """What a kill left under the partial name is gone after the next run, folders without write permission included."""
    debris = files.partial_name(tmp_path / "tree") / "sub"
    debris.mkdir(parents=True)
    (debris / "file").write_text("x")
    debris.chmod(0o500)
    with files.replacing_tree(tmp_path / "tree") as new:
        assert list(new.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_an_unwritable_place_is_told(tmp_path: Path) -> None:
    """A path that cannot be written is named in a sentence, without a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BootmillError, match="cannot be written"):
        files.write_atomic(tmp_path / "file/below", "x")


def test_place_is_a_second_name_for_the_same_bytes(tmp_path: Path) -> None:
    """Publishing costs no copy, and replacing the source later leaves the published file as it was."""
    source, target = tmp_path / "source", tmp_path / "sub/target"
    files.write_atomic(source, "one")
    files.place(source, target)
    assert source.stat().st_ino == target.stat().st_ino
    files.write_atomic(source, "two")
    assert target.read_text() == "one"


def test_kill_in_the_middle_of_a_write(tmp_path: Path) -> None:
    """After SIGKILL at any moment readers see the old file or the new one, whole."""
    target = tmp_path / "file"
    old, new = b"a" * 4_000_000, b"b" * 4_000_000
    files.write_atomic(target, old)
    script = f"""
from pathlib import Path
from tasks import files
while True:
    files.write_atomic(Path({str(target)!r}), b"b" * 4_000_000)
    files.write_atomic(Path({str(target)!r}), b"a" * 4_000_000)
"""
    for delay in (0.15, 0.17, 0.2, 0.23):
        child = subprocess.Popen([sys.executable, "-c", script])
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert target.read_bytes() in (old, new)


def test_scratch_is_read_where_it_was_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bytes come back from anywhere, written already or not; zeros take no room; no name is left in the folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    scratch = files.Scratch()
    pieces = [b"first", bytes(5 << 20), os.urandom(3 << 20), bytes(3 << 20), b"last"]
    whole = b"".join(pieces)
    for piece in pieces:
        scratch.put(piece)
        assert scratch.at(scratch.size - len(piece), len(piece)) == piece
    for offset, size in ((0, 5), (3, 9), (5 << 20, 1 << 20), (len(whole) - 2, 9)):
        assert scratch.at(offset, size) == whole[offset : offset + size]
    assert os.fstat(scratch.descriptor).st_blocks * 512 < 8 << 20
    assert list(tmp_path.iterdir()) == []


def test_scratch_without_room_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told with the remedy."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    scratch = files.Scratch()
    scratch.put(b"x")
    with pytest.raises(
        BootmillError, match=r"has no room .* No space left on device\n    choose another folder: TMPDIR"
    ):
        scratch.flush()


def test_stored_is_read_anywhere(tmp_path: Path) -> None:
    """Any slice of a file, as far as the file goes; one that is not there is a person's mistake."""
    (tmp_path / "file").write_bytes(b"0123456789")
    stored = files.Stored(tmp_path / "file")
    assert (stored.size, stored.at(3, 4), stored.at(8, 9), stored.at(99, 1)) == (10, b"3456", b"89", b"")
    with pytest.raises(BootmillError, match="nowhere: cannot be read: No such file"):
        files.Stored(tmp_path / "nowhere")
