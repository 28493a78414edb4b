"""The built checkout, for the tests that boot virtual machines."""

from pathlib import Path

import pytest

from tests.checkouts import Checkout


@pytest.fixture(scope="session")
def built(built: Checkout) -> Path:
    """Return the built checkout's folder, reachable by the users that tftpd and nginx become."""
    for folder in (built.root, *built.root.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    return built.root
