"""The cluster, read from the inventory when somebody asks for something of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster


class Later:
    """Stands for a cluster, and becomes it at its first use."""

    def __init__(self, folder: Path) -> None:
        """Note where the inventory lies."""
        self._folder = folder

    def __getattr__(self, name: str) -> Any:
        """Load once, and keep what was asked for."""
        if name == "create_doit_tasks":  # doit asks every name in dodo.py whether it has this
            raise AttributeError(name)
        if "_cluster" not in self.__dict__:
            self.__dict__["_cluster"] = load(self._folder)
        value = getattr(self.__dict__["_cluster"], name)
        self.__dict__[name] = value
        return value


def load(folder: Path) -> Cluster:
    """Return the cluster of an inventory; `InventoryError` holds every mistake with its place."""
    from tasks.inventory import compiled

    return compiled.load(folder)
