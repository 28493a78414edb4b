"""Step 8: → the head node's /etc, and what a run would change.

build/etc/… ─┐                                              ┌ refused ─▶ an error; nothing was written
/etc/… ──────┼─ intent ─▶ items ─ the daemons' own checkers ┴ accepted ─▶ saved, written, reloaded
the ledger ──┘                                                            a reload fails ─▶ put back

the last run's model ─┐
the inventory's model ┼─ difference, render ─▶ plan: files, nodes, causes, reloads, reboots; nothing is written
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tasks.actions import TaskDict, command

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster

DEPLOY = ("--dry-run", "--undo", "--take-over", "--json", "--root=")
PLAN = ("--full", "--check", "--json", "--color=")


def deploy(cluster: Cluster, *, rendered: tuple[str, ...], after: Iterable[str]) -> TaskDict:
    """Declare ``deploy [SERVICE…]``; the modules `rendered` know the files: ``outputs(cluster)``."""
    return command("tasks.deploy.deploying:deploy_cluster", args=(cluster, rendered), after=after, options=DEPLOY)


def plan(cluster: Cluster, *, rendered: tuple[str, ...], built: str) -> TaskDict:
    """Declare ``plan``; the modules `rendered` know the families, the module `built` what was built last."""
    return command("tasks.deploy.show:plan_cluster", args=(cluster, rendered, built), options=PLAN)
