"""Prometheus: what to scrape, for ``file_sd_configs``: nodes, BMCs and switches, with labels to select by.

    - job_name: node
      file_sd_configs: [{files: [/etc/bootmill/prometheus/nodes.yaml]}]

A target is an address, so that scraping needs no DNS; the name is in the label ``instance``.  BMCs and switches are for
exporters that ask them (ipmi_exporter, snmp_exporter): relabel ``__address__`` to ``__param_target``.
Source: prometheus.io, "Configuration", file_sd_config.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, cast

from tasks import paths
from tasks.exports.quote import FLAT, NAME, inspect, quoted, wall
from tasks.family import Around, Family, Rows
from tasks.inventory.model import Cluster, Node, Site

HEAD = "# Made by Bootmill from inventory/: edits are lost.  For file_sd_configs, {}.\n"
NODE_EXPORTER = 9100
OURS = frozenset({"bmc", "groups", "instance", "job", "model", "node", "osimage", "switch"})
NODES, BMCS, SWITCHES = KEYS = "nodes", "bmcs", "switches"
LINE = wall(
    rf'- \{{"targets": \["[0-9.]{{7,15}}(?::[0-9]{{1,5}})?"\], '
    rf'"labels": (?=\{{"instance": "{NAME}", "(?:node|switch)": "{NAME}"[,}}]){FLAT}\}}'
)


class Target(NamedTuple):
    """What is scraped of a node."""

    name: str
    ip: str
    bmc: tuple[str, str] | None  # its name and address
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the files depend on besides the nodes: the switches (name, address, model, version of SNMP)."""

    site: Site
    switches: tuple[tuple[str, str, str, str], ...]


def frame(cluster: Cluster) -> Frame:
    """Return what the files depend on besides the nodes."""
    switches = tuple((one.name, str(one.ip), one.model, str(one.snmp)) for one in cluster.switches)
    return Frame(site=cluster.site.only(), switches=switches)


def rows(_frame: Frame, nodes: Sequence[Node]) -> Rows:
    """Return what is scraped of the nodes."""
    return tuple(
        Target(node.name, str(node.ip), (node.bmc.name, str(node.bmc.address)) if node.bmc else None, labels(node))
        for node in nodes
    )


def labels(node: Node) -> tuple[tuple[str, str], ...]:
    """Return what a node's series are selected by.  ``groups`` is ``,all,compute,``: ``{groups=~".*,compute,.*"}``."""
    own = (
        ("groups", f",{','.join(node.groups)},"),
        ("model", node.model),
        ("osimage", node.osimage),
        ("switch", node.port and node.port.switch),
    )
    site = [pair for pair in node.vars if pair[0] not in OURS]
    return tuple([(name, value) for name, value in (*own, *site) if value])


def text(_frame: Frame, rows: Rows) -> Mapping[str, str]:
    """Return a line for each node, and one for its BMC."""
    nodes, bmcs = [], []
    for name, ip, bmc, labels in cast("tuple[Target, ...]", rows):
        about = f'"node": "{name}"{told(labels)}'
        nodes.append(target(f"{ip}:{NODE_EXPORTER}", f'"instance": "{name}", {about}'))
        if bmc:
            bmcs.append(target(bmc[1], f'"instance": "{bmc[0]}", {about}'))
    return {NODES: "".join(nodes), BMCS: "".join(bmcs), SWITCHES: ""}


@lru_cache(maxsize=1_000)
def told(labels: tuple[tuple[str, str], ...]) -> str:
    """Return labels as they follow the first ones; many nodes have the same."""
    return "".join(f', "{label}": {quoted(value)}' for label, value in labels)


def target(address: object, labels: str) -> str:
    """Return a target as YAML has it, on one line."""
    return f'- {{"targets": ["{address}"], "labels": {{{labels}}}}}\n'


def around(frame: Frame, _sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return what stands before the nodes; the switches, which are none, stand there whole."""
    switches = "".join(
        target(ip, f'"instance": "{name}", "switch": "{name}", "model": {quoted(model)}, "snmp": "{version}"')
        for name, ip, model, version in frame.switches
    )
    nodes, bmcs, others = outputs(frame)
    return {
        NODES: Around(path=nodes, head=HEAD.format(f"the node exporter's port {NODE_EXPORTER}")),
        BMCS: Around(path=bmcs, head=HEAD.format("for the IPMI exporter")),
        SWITCHES: Around(path=others, head=HEAD.format("for the SNMP exporter") + switches),
    }


def outputs(frame: Frame) -> Sequence[Path]:
    """Return the targets' files."""
    return [paths.for_tools(frame.site, f"prometheus/{key}.yaml") for key in KEYS]


def check(frame: Frame, texts: Mapping[str, str]) -> None:
    """Look at every line."""
    for key, path in zip(KEYS, outputs(frame), strict=True):
        inspect(path, texts[key], LINE)


FAMILY: Final = Family(
    name="prometheus", frame=frame, rows=rows, text=text, around=around, outputs=outputs, check=check
)
