"""Every kind of mistake: told at its place, in a sentence, with exit code 3, and nothing is written."""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain

from tests.inventory.conftest import BASE

Complaints = Callable[..., list[str]]
ROOT = Path(__file__).parents[2]
CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "mistakes.json").read_text())
NAMES = [str(case["files"])[:70] for case in CASES]
LEAST_KINDS = 60


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_place_and_sentence(complaints: Complaints, case: dict[str, Any]) -> None:
    """Each mistake in any table is one line: the place, whom it concerns, what is wrong, what may have been meant."""
    assert complaints(**case["files"]) == case["mistakes"]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_exit_code_and_nothing_written(
    case: dict[str, Any],
    write_inventory: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Doit, asked to build everything, says it, ends with 3, and leaves nothing that any node or daemon could read."""
    write_inventory(**{**BASE, **case["files"]})
    monkeypatch.chdir(tmp_path)
    assert doit([]) == 3
    told = capsys.readouterr().err
    assert [line for line in case["mistakes"] if line not in told] == []
    assert "Traceback" not in told
    files = {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*") if path.is_file()}
    assert {parts for parts in files if parts[0] != "inventory"} <= {("build", ".compiled"), ("build", ".doit.db")}


def doit(words: list[str]) -> int:
    """Run doit here, in this process, on the project's dodo.py; return the exit code."""
    namespace = runpy.run_path(str(ROOT / "dodo.py"))
    code: int = DoitMain(ModuleTaskLoader(namespace)).run(words)
    return code


def kind(mistake: str) -> str:
    """Return a mistake without what differs from one cluster to another: place, names, values."""
    text = re.sub(r"^\S+\.yaml:\d+:\d+: ", "", mistake)
    text = re.sub(r"'[^']*'|\([^)]*\)|did you mean .*|known are .*", "…", text)
    return re.sub(r"\S*[0-9./:]\S*|^\S+ and \d+ more: |^\S+: ", "…", text)


def test_there_are_many_kinds() -> None:
    """At least sixty kinds of mistakes are known, values and names apart."""
    kinds = {kind(mistake) for case in CASES for mistake in case["mistakes"]}
    assert len(kinds) >= LEAST_KINDS, sorted(kinds)
