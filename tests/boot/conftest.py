"""A built checkout for the tests that boot virtual machines."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout in which everything is staged: the one that BOOTMILL_BUILT names, or a copy built here."""
    if "BOOTMILL_BUILT" in os.environ:
        return Path(os.environ["BOOTMILL_BUILT"])
    copy = tmp_path_factory.mktemp("built") / "bootmill"
    shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
    for folder in (copy, *copy.parents[:3]):  # tftpd and nginx serve as users of their own
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run([sys.executable, "-m", "doit"], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy
