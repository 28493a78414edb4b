"""How ``deploy`` and ``plan`` are declared: nothing is asked before they run."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tasks import deploy
from tasks.actions import TaskDict
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tests.deploy.conftest import Head


class Unread:
    """A cluster that must not be read yet."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def perform(task: TaskDict, *words: str) -> None:
    """Do what a task does, and let its error through."""
    name, args = task["actions"][0][1]
    module, _, function = name.partition(":")
    getattr(importlib.import_module(module), function)(*args, [*words])


def module(monkeypatch: pytest.MonkeyPatch, name: str, **functions: Any) -> str:
    """Make a module that knows what is rendered, or what was built; return its name."""
    made = ModuleType(name)
    made.__dict__.update(functions)
    monkeypatch.setitem(sys.modules, name, made)
    return name


def test_declaring_reads_nothing() -> None:
    """Neither the inventory nor what was built last; rendering goes first."""
    unread: Any = Unread()
    assert deploy.deploy(unread, rendered=("none",), after=["configs"])["task_dep"] == ["configs"]
    assert deploy.plan(unread, rendered=("none",), built="none")["pos_arg"] == "words"


def test_deploy(head: Head, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outputs of all steps are put in place; declaring still works after it ran."""
    one = module(monkeypatch, "one", outputs=lambda _: head.outputs()[:2])
    two = module(monkeypatch, "two", outputs=lambda _: head.outputs()[2:])
    for _ in range(2):
        task = deploy.deploy(cluster, rendered=(one, two), after=())
        perform(task, "--root", str(head.root))
    assert "n01.renci.ben" in head.text("etc/hosts")
    assert head.told() == []  # another root: nobody here
    with pytest.raises(BootmillError, match="no service"):
        perform(task, "bind")


def test_plan(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the process with its exit code: doit notes nothing in its database."""
    monkeypatch.chdir(tmp_path)
    rendered = module(monkeypatch, "rendered", makers=list, menu_changes=lambda *_: [])
    built = module(monkeypatch, "built", last=lambda: cluster, place=lambda *_: None)
    for _ in range(2):
        task = deploy.plan(cluster, rendered=(rendered,), built=built)
        with pytest.raises(SystemExit) as caught:
            perform(task, "--check")
        assert caught.value.code == 0
    assert not list(tmp_path.iterdir())
