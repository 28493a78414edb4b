"""What `doit plan` and `doit deploy` ask this step for: its families and aggregates, and their files."""

import importlib
from pathlib import Path
from typing import Any

from tasks.exports import EXPORTS
from tasks.family import Aggregate, Family
from tasks.inventory.model import Cluster


def makers() -> list[Family[Any] | Aggregate[Any]]:
    """Return the families and the aggregates."""
    return [getattr(importlib.import_module(f"tasks.exports.{module}"), holds) for module, holds, _ in EXPORTS]


def outputs(cluster: Cluster) -> list[Path]:
    """Return every file, rendered or not."""
    return [path for maker in makers() for path in maker.outputs(maker.frame(cluster))]
