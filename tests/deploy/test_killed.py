"""``doit deploy`` is killed before each of its renames: every file is old or new, and the next run finishes."""

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.deploy import deploying
from tasks.deploy.services import Service
from tests.deploy.conftest import RENDERED, Head


class Messenger:
    """Tells nobody, and writes down whom."""

    name = "messenger"

    def __init__(self, head: Head) -> None:
        """Write where the fake systemctl writes."""
        self.log = head.bin / "log"

    def unit(self, service: Service) -> str | None:
        """Return that everything runs."""
        return service.units[0] if service.units else None

    def tell(self, service: Service, unit: str) -> None:
        """Write it down."""
        with self.log.open("a") as log:
            log.write(f"{unit}\n")


def deploy_until(head: Head, step: int) -> int:
    """Deploy in a process of its own that ends itself before the Nth step that changes the world: a rename, a message.

    Returns its exit code, negative for a signal.
    """
    child = os.fork()
    if child == 0:
        left = [step]

        def counted(act: Callable[..., Any]) -> Callable[..., Any]:
            def one(*args: Any, **options: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return act(*args, **options)

            return one

        try:
            Path.replace = counted(Path.replace)  # type: ignore[method-assign]
            Path.rename = counted(Path.rename)  # type: ignore[method-assign]
            Messenger.tell = counted(Messenger.tell)  # type: ignore[method-assign]
            head.deploy("--take-over", control=Messenger(head))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_killed_at_every_step(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kill leaves is old or new, file by file; the next run ends where an undisturbed one does, and undo begins.

    The run after a killed one tells every daemon that may not have been told.
    """
    monkeypatch.setattr(deploying, "check", lambda *args, **options: [])  # asked elsewhere; here it only costs time
    (head.root / "etc/exports").write_text("/home *(rw)\n")
    before = head.tree()
    pristine, undisturbed = head.root.with_name("pristine"), replace(head, root=head.root.with_name("undisturbed"))
    for folder in (pristine, undisturbed.root):
        shutil.copytree(head.root, folder)
    undisturbed.deploy("--take-over", control=Messenger(head))
    wanted = undisturbed.tree()
    assert wanted != before
    told = set(head.told())
    step = 0
    while True:
        step += 1
        shutil.rmtree(head.root)
        shutil.copytree(pristine, head.root)
        code = deploy_until(head, step)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        for name, content in finished(head).items():
            assert content in (before.get(name), wanted.get(name)), f"{name} is torn at step {step}"
        head.deploy("--take-over", control=Messenger(head))
        assert finished(head) == wanted
        assert set(head.told()) == told, f"step {step}"
        assert not list(head.root.rglob(".*.partial")), f"step {step}"
        head.deploy("--undo", control=Messenger(head))
        assert finished(head) == before, f"step {step}"
        head.told()
    assert step > len(RENDERED)


def finished(head: Head) -> dict[str, tuple[bytes, int, int, int]]:
    """Return what has its final name."""
    return {name: content for name, content in head.tree().items() if not name.endswith(".partial")}
