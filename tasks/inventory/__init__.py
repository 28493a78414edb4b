"""Step 1: YAML → model.

inventory/*.yaml ─ load ─▶ documents ─ compile ─▶ Cluster
                   (places)            (schema, noderange, check)
"""

from tasks.inventory.compile import load_cluster as load
from tasks.inventory.report import report

__all__ = ["load", "report"]
