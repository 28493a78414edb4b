"""Step 1: YAML → model.

inventory/*.yaml ─ chunks ─ shards ─▶ Cluster             quick: only what changed, kept under build/.compiled
                └─ reading ─ compile ─▶ Cluster or mistakes  thorough: places, sentences, everything at once
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tasks.actions import TaskDict, command, rule, single
from tasks.inventory.later import Later, load

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster

__all__ = ["later", "load", "remember", "validate"]


def later(folder: Path) -> Cluster:
    """Return the cluster of an inventory that is read at its first use."""
    return cast("Cluster", Later(folder))


def validate(folder: Path) -> TaskDict:
    """Declare ``check [--json]``."""
    return command("tasks.inventory.summary:check", args=(folder,), options=("--json",))


def remember(cluster: Cluster, *, after: Iterable[str]) -> TaskDict:
    """Return the task that keeps the cluster as it was built, for `doit plan`, when other tasks have ended."""
    from tasks.inventory import built

    tables = cluster.site, cluster.networks, cluster.switches, cluster.osimages, cluster.media, cluster.groups
    digests = [shard.digest for shard in cluster.shards]
    task = rule(
        "configs",
        doc="",
        run=built.keep,
        args=(cluster,),
        stands_for=(tables, digests),
        outputs=[built.place_of_cluster()],
        after=after,
    )
    return single(task)
