"""Rows of the model for tests that need one and care for few of its values."""

from typing import Any

from tasks.inventory import rows, schema
from tasks.inventory.model import Node, OsImage, Site

SITE = Site(
    domain="renci.ben", master="mgt", destdir="build", nameservers=(), forwarders=(), ssh_key="keys/k", dns_contact="x"
)
IMAGE = OsImage(
    name="debian12-x86_64-netboot-compute",
    os="debian12",
    arch="x86_64",
    method="netboot",
    profile="compute",
    media="debian12-x86_64",
    packages=(),
    exclude=(),
    drivers=(),
    kernel=None,
    kernel_args=(),
    fstab=(),
    services_off=(),
)


def node(name: str, **attributes: Any) -> Node:
    """Return a node with some attributes, as nodes.yaml would write them, and defaults for the rest."""
    row = schema.NodeIn.model_validate(attributes)
    return rows.node(name, row, (*row.groups, "all"))
