"""xCAT's tables: look at the inventory through them, come from xCAT, go back.

    Cluster ─ rows ─▶ tables ─▶ tabdump, nodels           CSV as xCAT prints it
                        │ ▲
            export-xcat ▼ │ import-xcat                   rules become Jinja2, passwords become files
                      DIR/*.csv ─ dump ─▶ estate, machines ─ factor ─▶ NEW_DIR/*.yaml, not-carried-over.csv

The functions behind the commands are imported when they are called.
"""

from collections.abc import Callable
from pathlib import Path

from tasks.actions import TaskDict, command
from tasks.inventory.model import Cluster


def nodels(cluster: Cluster) -> TaskDict:
    """Declare ``nodels [NODERANGE [TABLE.COLUMN …]]``."""

    def run(cluster: Cluster, words: list[str]) -> None:
        from tasks.tables.nodelisting import nodels

        nodels(cluster, words)

    return command(run, args=(cluster,))


def tabdump(cluster: Cluster) -> TaskDict:
    """Declare ``tabdump [-d] [TABLE]``."""

    def run(cluster: Cluster, words: list[str]) -> None:
        from tasks.tables.tabledump import tabdump

        tabdump(cluster, words)

    return command(run, args=(cluster,))


def import_xcat(load: Callable[[Path], Cluster]) -> TaskDict:
    """Declare ``import-xcat DIR [NEW_DIR]``; `load` reads an inventory, to see that the new one is right."""

    def run(words: list[str]) -> None:
        from tasks.tables.imported import import_xcat

        import_xcat(load, words)

    return {**command(run), "basename": "import-xcat"}


def export_xcat(cluster: Cluster) -> TaskDict:
    """Declare ``export-xcat NEW_DIR``."""

    def run(cluster: Cluster, words: list[str]) -> None:
        from tasks.tables.exported import export_xcat

        export_xcat(cluster, words)

    return {**command(run, args=(cluster,)), "basename": "export-xcat"}
