"""What the tests of the configuration step share: golden files, a scratch checkout, edited clusters."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks import paths
from tasks.inventory.model import Cluster, Whole

GOLDEN = Path(__file__).parent / "golden"
BOOT, ROOT, DISCOVERY = "ab" * 32, "cd" * 32, "ef" * 32


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Return a function that compares a text with tests/configs/golden/NAME; BOOTMILL_UPDATE_GOLDEN=1 rewrites it."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("BOOTMILL_UPDATE_GOLDEN"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert text == path.read_text(), f"{name} differs; if that is meant: BOOTMILL_UPDATE_GOLDEN=1"

    return compare


@pytest.fixture
def scratch(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty checkout whose osimages have their digests; return its folder."""
    monkeypatch.chdir(tmp_path)
    for image in cluster.osimages:
        paths.image_dir(image).mkdir(parents=True)
        paths.boot_digest(image).write_text(f"{BOOT}\n")
        paths.root_image_digest(image).write_text(f"{ROOT}\n")
    for image in cluster.discoverers():
        paths.discovery_dir(image.arch).mkdir(parents=True)
        paths.discovery_digest(image.arch).write_text(f"{DISCOVERY}\n")
    return tmp_path


@pytest.fixture
def edited(cluster: Cluster) -> Callable[..., Cluster]:
    """Return a function that changes a node of the sample cluster: ``edited("n01", mac="…")``."""

    def edit(name: str, /, **values: Any) -> Cluster:
        nodes = tuple(
            replace(node, **values) if node.name == name else node for shard in cluster.shards for node in shard.nodes()
        )
        return replace(cluster, shards=(Whole(nodes),))

    return edit
