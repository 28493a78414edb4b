"""Fixtures of the inventory's tests: load a small cluster, or read what is wrong with it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import inventory
from tasks.errors import InventoryError
from tasks.inventory.model import Cluster

# A small cluster that no change of the sample inventory moves.
BASE = {
    "site": "domain: renci.ben\nmaster: mgt\n",
    "networks": "mgmt:\n  subnet: 10.1.0.0/24\n  dynamic_range: 10.1.0.200-10.1.0.230\n",
    "switches": "linksys-mgt:\n  ip: 10.1.0.253\n  ports: 48\n",
    "groups": "",
    "nodes": "mgt: {ip: 10.1.0.1}\nn06: {ip: 10.1.0.16, mac: 00:18:8b:f8:e3:58}\n",
    "osimages": "debian12-x86_64-netboot-compute: {media: debian12-x86_64, packages: [udev], drivers: [tg3]}\n",
    "media": "debian12-x86_64: {suite: bookworm}\n",
    "discovered": "",
    "bootstate": "",
}


@pytest.fixture
def load(
    write_inventory: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Cluster]:
    """Return a function that loads the small cluster with some files changed, as from its checkout."""

    def load(**files: str | bytes | None) -> Cluster:
        write_inventory(**{**BASE, **files})
        monkeypatch.chdir(tmp_path)
        return inventory.load(Path("inventory"))

    return load


@pytest.fixture
def complaints(load: Callable[..., Cluster]) -> Callable[..., list[str]]:
    """Return a function that tells the mistakes of the small cluster with some files changed."""

    def complaints(**files: str | bytes | None) -> list[str]:
        try:
            load(**files)
        except InventoryError as error:
            return error.mistakes
        return []

    return complaints
