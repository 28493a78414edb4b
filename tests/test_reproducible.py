"""The same inventory gives the same bytes: in another folder, for another user, under other settings."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import checkouts
from tests.checkouts import Checkout

pytestmark = pytest.mark.integration
SOMEBODY = 54321
OTHER_SETTINGS = {"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "4711"}


def as_somebody(folder: Path) -> tuple[str, ...]:
    """Return a command prefix that makes root an ordinary user with a range of subordinate ids.

    The machine's own /etc is not touched: in a mount namespace, copies lie over passwd, subuid and subgid.
    """
    for name, line in {
        "passwd": f"somebody:x:{SOMEBODY}:{SOMEBODY}::{folder}/home:/bin/sh",
        "group": f"somebody:x:{SOMEBODY}:",
        "subuid": "somebody:200000:65536",
        "subgid": "somebody:200000:65536",
    }.items():
        (folder / name).write_text(Path("/etc", name).read_text() + line + "\n")
    binds = "".join(f"mount --bind {folder}/{name} /etc/{name} && " for name in ("passwd", "group", "subuid", "subgid"))
    user = f"setpriv --reuid={SOMEBODY} --regid={SOMEBODY} --clear-groups"
    python = Path(sys.executable)
    if any(parent.stat().st_mode & 0o005 != 0o005 for parent in (*python.parents, *python.resolve().parents)):
        user += " --inh-caps=+dac_read_search --ambient-caps=+dac_read_search"  # a Python below root's home
    return ("unshare", "--mount", "sh", "-c", f'{binds} umask 077 && HOME={folder}/home exec {user} "$@"', "sh")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a scratch folder that other users can reach: pytest's own are for their owner alone."""
    with tempfile.TemporaryDirectory(prefix="bootmill-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(shutil.which("newuidmap") is None, reason="newuidmap is not installed (package uidmap)")
def test_another_folder_user_and_settings(built: Checkout, package_cache: Path, open_folder: Path) -> None:
    """A second build, as an ordinary user with another umask, zone, locale and hash seed, is identical file by file."""
    folder = open_folder
    cache = folder / "cache"
    shutil.copytree(package_cache, cache)
    other = checkouts.copy(folder / "a longer path/bootmill", cache=cache)
    (folder / "home").mkdir()
    shutil.copytree(built.root / "inventory/keys", other.root / "inventory/keys")
    if os.geteuid() == 0:
        subprocess.run(["chown", "--recursive", f"{SOMEBODY}:{SOMEBODY}", folder], check=True)
        prefix = as_somebody(folder)
    else:
        prefix = ()
    done = other.doit(env=OTHER_SETTINGS, prefix=prefix)
    assert done.code == 0, done.text
    assert other.digests() == built.first_digests()
    published = [other.root / name for name in other.digests()]
    assert {path.stat().st_mode & 0o777 for path in published} == {0o644}
