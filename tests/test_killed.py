"""A build that is killed leaves the old state or the new one; the next build ends where an undisturbed one does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import checkouts
from tests.checkouts import Checkout

pytestmark = pytest.mark.integration
IMAGE = "debian12-x86_64-netboot-compute"
# Task → what appears (below build/) when it is in the middle of its work, and how long it is left at it.
MOMENTS = {
    "iso": (".debian12-x86_64.tree.partial", 0.3),
    "media": ("install/debian12/.x86_64.partial", 0.05),
    "rootimg": (f"images/{IMAGE}/.build.partial/tree", 5.0),
    f"pack:{IMAGE}.base": (f"images/{IMAGE}/.base.cpio.gz.partial", 0.5),
    f"pack:{IMAGE}": (f"images/{IMAGE}/.rootimg.cpio.gz.partial", 0.0),
    "stage": ("tftpboot/boot", 0.0),
}


def kill_in_the_middle(checkout: Checkout, task: str, sign: str, patience: float) -> None:
    """Start a task, wait until its unfinished work is there, and kill the whole of it without warning."""
    command = [sys.executable, "-m", "doit", task]
    process = subprocess.Popen(command, cwd=checkout.root, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    build = checkout.root / "build"
    while process.poll() is None and not any(build.rglob(sign) if "/" not in sign else build.glob(sign)):
        assert time.monotonic() < deadline, f"{task} never got to {sign}"
        time.sleep(0.005)
    time.sleep(patience)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_step_back_after_a_kill(built: Checkout) -> None:
    """A run is killed when its menus are published and doit's database is not yet written; then its edit is undone."""
    state, database = built.root / "inventory/bootstate.yaml", built.root / "build/.doit.db"
    before, known = state.read_text(), database.read_bytes()
    menu = built.root / "build/tftpboot/pxelinux.cfg/01-00-18-8b-f8-e3-61"  # n04: no other test chooses its state
    wanted = menu.read_bytes()
    state.write_text(before + "n04: {state: offline}\n")
    try:
        done = built.doit()
    finally:
        state.write_text(before)
    assert done.code == 0, done.text
    assert menu.read_bytes() != wanted
    database.write_bytes(known)  # what a kill leaves: the database of the run before
    assert built.doit().code == 0
    assert menu.read_bytes() == wanted


def test_killed_at_every_step(built: Checkout, package_cache: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of each build task: no process goes on, and the final bytes are the undisturbed build's."""
    checkout = checkouts.copy(tmp_path / "killed", cache=package_cache)
    shutil.copytree(built.root / "inventory/keys", checkout.root / "inventory/keys")
    for task, (sign, patience) in MOMENTS.items():
        kill_in_the_middle(checkout, task, sign, patience)
        deadline = time.monotonic() + 10
        while checkout.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert checkout.processes() == []
        if task in {"iso", "media"}:  # let it through, so that the next moment comes
            assert checkout.doit(task).code == 0
    done = checkout.doit()
    assert done.code == 0, done.text
    assert checkout.digests() == built.first_digests()
    assert not [path for path in (checkout.root / "build").rglob(".*.partial") if path.exists()]
