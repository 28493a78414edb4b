"""Unified diffs: what patch(1) makes of them, and that they come in time."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.deploy.textdiff import diff

LINES = st.lists(st.sampled_from(["a", "b", "c", "}", "", "host n01 {", "-x", "+y"]), max_size=30)
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n"]))


def applied(old: str, hunks: tuple[tuple[str, ...], ...]) -> str:
    """Return a text with hunks applied, by their line numbers: what they say must fit what is there."""
    before = old.split("\n")
    result: list[str] = []
    at = 0
    for head, *body in hunks:
        start, _, count = head.split()[1][1:].partition(",")
        first = int(start) if count == "0" else int(start) - 1
        result += before[at:first]
        at = first
        for line in "\n".join(body).split("\n"):
            if line.startswith("\\"):
                continue
            if line[0] in " -":
                assert before[at] == line[1:]
                at += 1
            if line[0] in " +":
                result.append(line[1:])
    return "\n".join([*result, *before[at:]])


@given(TEXTS, TEXTS)
@settings(max_examples=300, deadline=None)
def test_hunks_lead_from_the_old_text_to_the_new(old: str, new: str) -> None:
    """Applied to the old text they make the new one, the last line's end apart."""
    found = diff(old, new)
    assert applied(old, found.hunks).rstrip("\n") == new.rstrip("\n")
    assert bool(found.hunks) == (old != new)
    body = [line for hunk in found.hunks for line in hunk[1:]]
    assert found.added == sum(line.startswith("+") for line in body)
    assert found.removed == sum(line.startswith("-") for line in body)


@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is missing: apt-get install patch")
@given(old=TEXTS, new=TEXTS)
@settings(max_examples=40, deadline=None)
def test_patch_takes_them(tmp_path_factory: pytest.TempPathFactory, old: str, new: str) -> None:
    """patch(1) makes the new text, byte for byte."""
    folder = tmp_path_factory.mktemp("patch")
    path: Path = folder / "file"
    path.write_text(old)
    hunks = "".join(f"{line}\n" for hunk in diff(old, new).hunks for line in hunk)
    if hunks:
        text = f"--- file\n+++ file\n{hunks}"
        argv = ["patch", "--quiet", "--no-backup-if-mismatch", str(path)]
        subprocess.run(argv, input=text.encode(), check=True, cwd=folder)
    assert (path.read_text() if path.exists() else "") == new


def test_few_hunks_are_shown() -> None:
    """The others are counted."""
    old = "".join(f"{number}\n" for number in range(1000))
    new = old.replace("00\n", "oo\n")
    found = diff(old, new, most=3)
    assert (len(found.hunks), found.more) == (3, 6)
    assert (found.added, found.removed) == (9, 9)
    assert found.hunks[0][0] == "@@ -98,7 +98,7 @@"


def test_a_change_at_each_of_many_nodes_comes_in_time() -> None:
    """difflib alone needs minutes for this."""
    rows = [f"host n{n} {{\n    hardware ethernet 00:{n};\n    fixed-address 10.{n};\n}}\n" for n in range(20_000)]
    old = "".join(rows)
    new = "".join(row.replace("00:", "02:") for row in rows)
    begun = time.perf_counter()
    found = diff(old, new, most=20)
    assert found.added == found.removed == 20_000
    assert time.perf_counter() - begun < 3
