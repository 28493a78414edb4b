"""xCAT's tables: look at the inventory through them, come from xCAT, go back.

Cluster ─ rows, noderows ─▶ tables ─▶ tabdump, nodels, export-xcat ─▶ DIR/*.csv
import-xcat: DIR/*.csv ─ dump ─▶ estate, subnets, members, machines ─ factor ─▶ NEW_DIR/*.yaml, not-carried-over.csv
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.actions import TaskDict, command

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster


def nodels(cluster: Cluster) -> TaskDict:
    """Declare ``nodels [NODERANGE [TABLE.COLUMN | COMPARISON …]]``."""
    return command("tasks.tables.nodelisting:nodels", args=(cluster,), options=("--json", "-H", "--with-fieldname"))


def tabdump(cluster: Cluster) -> TaskDict:
    """Declare ``tabdump [-d] [-w COMPARISON …] [TABLE]``."""
    options = ("-d", "--describe", "--json", "-w=")
    return command("tasks.tables.tabledump:tabdump", args=(cluster,), options=options)


def import_xcat(load: Callable[[Path], Cluster]) -> TaskDict:
    """Declare ``import-xcat DIR [NEW_DIR]``; `load` reads an inventory, to see that the new one is right."""
    return {**command("tasks.tables.imported:import_xcat", args=(load,)), "basename": "import-xcat"}


def export_xcat(cluster: Cluster) -> TaskDict:
    """Declare ``export-xcat NEW_DIR``."""
    return {**command("tasks.tables.exported:export_xcat", args=(cluster,)), "basename": "export-xcat"}
