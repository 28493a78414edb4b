"""A scratch machine on which the first stage's scripts run, once in each of the shells that first stages have."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.initrd import firststages
from tests.initrd.firststages import Stage


@pytest.fixture(scope="session")
def applets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a link for each of busybox's applets."""
    folder = tmp_path_factory.mktemp("applets")
    subprocess.run(["busybox", "--install", "-s", str(folder)], check=True)
    return folder


@pytest.fixture(params=sorted(firststages.SHELLS))
def machine(request: pytest.FixtureRequest, tmp_path: Path, applets: Path) -> Stage:
    """Return a scratch machine whose scripts are run by busybox's ash, and one where it is dash."""
    if shutil.which(firststages.SHELLS[request.param][0]) is None:
        pytest.skip(f"{request.param} is not installed (package {request.param})")
    return firststages.stage(tmp_path, applets, request.param)
