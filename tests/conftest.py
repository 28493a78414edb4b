"""Fixtures that all tests share: the sample inventory, as a model and as files that a test may change."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import inventory
from tasks.inventory.model import Cluster
from tests import checkouts
from tests.checkouts import Checkout

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Return the sample inventory's cluster."""
    loaded = inventory.load(ROOT / "inventory")
    assert loaded.nodes  # reads its shards now, below the folder that we stand in: tests go elsewhere
    return loaded


@pytest.fixture
def write_inventory(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that copies the sample inventory below `tmp_path` and returns its folder.

    Keywords name files without their ending: ``write_inventory(nodes="…")`` puts another text into nodes.yaml, None
    leaves the file out.  Bytes are written as they are.
    """

    def write(**files: str | bytes | None) -> Path:
        folder = tmp_path / "inventory"
        if not folder.exists():
            folder.mkdir()
            for path in sorted((ROOT / "inventory").glob("*.yaml")):
                shutil.copy(path, folder)
        for name, text in files.items():
            path = folder / f"{name}.yaml"
            if text is None:
                path.unlink()
            else:
                path.write_bytes(text.encode() if isinstance(text, str) else text)
        return folder

    return write


@pytest.fixture(scope="session")
def package_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for downloaded packages that all scratch checkouts share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, package_cache: Path) -> Checkout:
    """Return a checkout whose sample inventory was built by one command.  Tests must leave it as they found it."""
    checkout = checkouts.copy(tmp_path_factory.mktemp("built") / "bootmill", cache=package_cache)
    done = checkout.doit()
    assert done.code == 0, done.text
    (checkout.root / "build/first-run.txt").write_text(done.text)
    (checkout.root / "build/first-digests.json").write_text(json.dumps(checkout.digests()))
    return checkout
