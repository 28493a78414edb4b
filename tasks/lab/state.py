"""What the laboratory's processes tell each other, as typed values; JSON on the wire, parsed by pydantic at the border.

Files of a running laboratory lie in build/lab/.  Socket names are relative on purpose: sun_path holds 107 bytes
(unix(7)), and a checkout may lie deeper than that.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from tasks import paths
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, Media, Network, Node, OsImage, Site, Switch, Whole

LOCK = paths.LAB / "lock"
CONTROL = paths.LAB / "control"
SUPERVISOR_LOG = paths.LAB / "supervisor.log"
LEASES = paths.LAB / "dhcp"
ETC = paths.LAB / "etc"
Value = TypeVar("Value")


def daemon_log(name: str) -> Path:
    """Return what a daemon writes: build/lab/dhcpd.log."""
    return paths.LAB / f"{name}.log"


def console_log(node: str) -> Path:
    """Return everything that a node ever wrote to its serial console since `lab up`."""
    return paths.LAB / "console" / f"{node}.log"


def console_socket(node: str) -> Path:
    """Return the socket behind which a node's serial console is."""
    return paths.LAB / "console" / f"{node}.socket"


def known_hosts(node: str) -> Path:
    """Return the file with a node's ssh host keys; a stateless node makes new ones at every boot."""
    return paths.LAB / "known_hosts" / node


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a laboratory is made from; handed over through a pipe, because `secrets` may not touch a disk."""

    site: Site
    networks: tuple[Network, ...]
    switches: tuple[Switch, ...]
    osimages: tuple[OsImage, ...]
    media: tuple[Media, ...]
    nodes: tuple[Node, ...]
    service_nodes: tuple[tuple[str, IPv4Address], ...]
    secrets: dict[str, str]  # reference as the inventory writes it (``env:NAME``) → value

    @property
    def cluster(self) -> Cluster:
        """Return the cluster."""
        return Cluster(
            site=self.site,
            networks=self.networks,
            switches=self.switches,
            osimages=self.osimages,
            media=self.media,
            shards=(Whole(self.nodes),),
            service_nodes=self.service_nodes,
        )


def settings(cluster: Cluster, secrets: dict[str, str]) -> Settings:
    """Return what a laboratory of a cluster is made from."""
    return Settings(
        site=cluster.site,
        networks=cluster.networks,
        switches=cluster.switches,
        osimages=cluster.osimages,
        media=cluster.media,
        nodes=cluster.nodes,
        service_nodes=cluster.service_nodes,
        secrets=secrets,
    )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the start ended: an empty error is success."""

    error: str = ""
    hint: str = ""


class Ask(StrEnum):
    """What may be asked through the control socket."""

    STATUS = "status"
    SECRETS = "secrets"
    POWER = "power"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class Request:
    """A question to the supervisor; `node` and `verb` belong to `Ask.POWER`."""

    ask: Ask
    node: str = ""
    verb: str = ""


@dataclass(frozen=True, kw_only=True)
class DaemonState:
    """A daemon of the head node; pid 0 means that it has ended.  Pids are those of the laboratory's own namespace."""

    name: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class NodeState:
    """A node as its BMC sees it."""

    name: str
    address: str
    bmc: str
    power: bool
    boot_device: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class Status:
    """The whole laboratory at one instant; `head_pid` owns the head node's namespaces."""

    head_pid: int
    uptime: float
    accelerator: str
    daemons: tuple[DaemonState, ...]
    nodes: tuple[NodeState, ...]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer of the supervisor."""

    error: str = ""
    status: Status | None = None
    secrets: dict[str, str] | None = None


def dump(value: object) -> bytes:
    """Return a value of this module as one line of JSON."""
    return TypeAdapter(type(value)).dump_json(value) + b"\n"


def parse(kind: type[Value], data: bytes) -> Value:
    """Return the value behind a line of JSON; `BootmillError` where it is none."""
    try:
        return TypeAdapter(kind).validate_json(data)
    except ValidationError as error:
        message = f"the laboratory sent something that is no {kind.__name__}"
        raise BootmillError(message, hint=f"look into {SUPERVISOR_LOG}") from error
