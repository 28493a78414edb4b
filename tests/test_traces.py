"""A build leaves no trace outside its checkout: no mount, no name space, no process, no file."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checkouts import Checkout

pytestmark = pytest.mark.integration
# Where a careless build writes.  apt's and pip's own caches and the system's logs are nobody's business here.
WATCHED = ("/boot", "/dev", "/etc", "/opt", "/srv", "/usr", "/var/cache", "/var/lib", "/var/tmp")
OTHERS = ("/dev/pts", "/dev/shm", "/var/cache/apt", "/var/lib/apt", "/var/lib/systemd", "/usr/share/mime")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a build could disturb."""

    mounts: tuple[str, ...]
    name_spaces: str
    devices: tuple[str, ...]
    scratch: frozenset[str]


def machine() -> Machine:
    """Return the state of this machine."""
    names = frozenset(path.name for path in Path("/tmp").iterdir())
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    return Machine(
        mounts=tuple(sorted(Path("/proc/self/mounts").read_text().splitlines())),
        name_spaces=listed,
        devices=tuple(sorted(os.listdir("/dev"))),  # noqa: PTH208 - names
        scratch=frozenset(name for name in names if name.startswith(("mmdebstrap", "apt", "bootmill", "xorriso"))),
    )


def written_since(stamp: Path) -> list[str]:
    """Return the files outside checkouts that are younger than a file."""
    roots = [name for name in WATCHED if Path(name).is_dir()]
    pruned = [word for name in OTHERS for word in ("-path", name, "-prune", "-o")]
    command = ["find", *roots, "-xdev", *pruned, "-type", "f", "-newer", str(stamp), "-print"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


@pytest.mark.skipif(shutil.which("ip") is None, reason="ip is not installed (package iproute2)")
def test_a_build_leaves_no_trace(built: Checkout, tmp_path: Path) -> None:
    """Tree and image are built again: mounts, name spaces, /dev, scratch folders and foreign files are as before."""
    before = machine()
    (tmp_path / "stamp").touch()
    for name in ("rootimg.manifest", "base.cpio.gz"):
        next((built.root / "build/images").glob(f"*/{name}")).unlink()
    done = built.report()
    assert done.code == 0, done.text
    assert any(task.startswith("rootimg:") for task in done.made)
    assert machine() == before
    assert written_since(tmp_path / "stamp") == []
    assert built.processes() == []
