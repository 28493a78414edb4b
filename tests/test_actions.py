"""How artefacts are declared: what counts as an input, how failures are told."""

from pathlib import Path

import pytest
from doit.exceptions import InvalidDodoFile, TaskFailed

from tasks import actions, recipe
from tasks.errors import BootmillError, InventoryError


def nothing(*_: object) -> None:
    """Stand in for an artefact's function."""


def refuse(*_: object) -> None:
    """Fail as a user's mistake does."""
    message = "no such medium"
    raise BootmillError(message, hint="insert one")


def test_code_and_templates_are_inputs() -> None:
    """The initrd depends on its step's modules, on the codec that packs it and on its templates, not on other steps."""
    sources = recipe.recipe("tasks.initrd.collect")
    assert {
        "tasks/initrd/collect.py",
        "tasks/initrd/loader/closure.py",
        "tasks/cpio.py",
        "tasks/compression.py",
        "tasks/initrd/templates/firststage_init.sh.j2",
    } <= sources
    assert not {name for name in sources if "media" in name or "rootimg" in name or "nodes" in name}


def test_doors_are_no_inputs() -> None:
    """How a file is written does not change what is in it: a new lock in files.py rebuilds no image."""
    assert not {"tasks/files.py", "tasks/run.py", "tasks/errors.py"} & recipe.recipe("tasks.initrd.collect")


def test_arguments_and_salt_count() -> None:
    """An artefact is made again when its slice of the model or its salt changes, and only then."""
    digests = {actions.digest((("a", 1), salt)) for salt in (None, (1, 2), (1, 3))}
    assert len(digests) == 3
    assert actions.digest((("a", 1), None)) == actions.digest((("a", 1), None))


def test_a_users_mistake_is_a_failure_without_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A BootmillError becomes a failed task with message and remedy."""
    monkeypatch.chdir(tmp_path)
    failed = actions.run_action("name", "", [], [], [], refuse, ())
    assert isinstance(failed, TaskFailed)
    assert failed.message == "no such medium\n    insert one"


def test_a_full_disk_is_a_failure_without_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the operating system names the task: write(2) fails without a file's name."""
    monkeypatch.chdir(tmp_path)

    def full() -> None:
        raise OSError(28, "No space left on device")

    failed = actions.run_action("name", "", [], [], [], full, ())
    assert isinstance(failed, TaskFailed)
    assert failed.message == "name: No space left on device"


@pytest.mark.parametrize(
    "error", [InventoryError(["nodes.yaml:1:1: wrong"]), BootmillError("wrong"), OSError(13, "no", "x")]
)
def test_loading_ends_in_one_sentence(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the inventory loads, every expected error is doit's exit code 3, never a traceback."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidDodoFile), actions.loading():
        raise error


@pytest.mark.parametrize(
    ("span", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (42.4, "42 s"), (185.2, "3 min 05 s"), (3600, "60 min 00 s")]
)
def test_spans_for_people(span: float, text: str) -> None:
    """Times read as a person would say them."""
    assert actions.seconds(span) == text
