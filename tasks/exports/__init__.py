"""What other tools want to know of the cluster, for those who use them; nothing reads it until a person says so.

shards ─ rows ─ text ─▶ etc/bootmill/{ansible/hosts.yaml, ssh/, prometheus/, consoles/}
       └ rows of all ─▶ etc/bootmill/{ansible/groups.yaml, clustershell/, genders}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.actions import TaskDict

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster

EXPORTS = (
    ("ansible", "FAMILY", "the hosts of an Ansible inventory"),
    ("ansible", "AGGREGATE", "the groups of an Ansible inventory"),
    ("clustershell", "AGGREGATE", "groups for ClusterShell"),
    ("consoles", "FAMILY", "consoles for conserver and conman"),
    ("genders", "AGGREGATE", "attributes for pdsh: genders(7)"),
    ("prometheus", "FAMILY", "targets for Prometheus"),
    ("ssh", "FAMILY", "ssh configuration and a list for ssh-keyscan"),
)


def export_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield a task for each export."""
    from tasks import assemble

    for module, holds, doc in EXPORTS:
        yield assemble.task(cluster, f"tasks.exports.{module}", holds, doc)
