"""Ansible's inventory, a folder of two files: the hosts with their variables, and the groups.

    ansible --inventory /etc/bootmill/ansible compute --module-name ping

Groups in groups are Ansible's ``children``; a node is listed in the innermost ones.  Names: Ansible wants a group to be
called like a variable, so that ``-`` becomes ``_`` (no group of the inventory has one) and a digit in front gets one.
Source: docs.ansible.com, "How to build your inventory"; host ranges ``n[01:04]`` are its own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import starmap
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from tasks import paths
from tasks.exports.folding import Block, joined, span
from tasks.exports.membership import GROUP, Summary, around, groups_of
from tasks.exports.quote import DEEP, FLAT, NAME, inspect, quoted, wall
from tasks.family import Aggregate, Around, Family, Rows
from tasks.inventory.model import Cluster, Node, Site, natural_key

HEAD = "# Made by Bootmill from inventory/: edits are lost.  Used with: ansible --inventory <this folder>\n"
HOSTS_HEAD = f"""\
{HEAD}# The site's variables are as the inventory has them.  What else it says of a node is in `bootmill`, with the
# variables that are called like keywords of a playbook: serial, tags, environment.
all:
  hosts:
"""
KEY = "hosts"
ALL = "all"
# Keywords of playbooks (ansible.vars.reserved): Ansible warns of each variable that is called so, at each host.
KEYWORDS = """
action always any_errors_fatal args async async_val become become_exe become_flags become_method become_user
block changed_when check_mode collections connection cycler debugger delay delegate_facts delegate_to dict
diff environment fact_path failed_when force_handlers gather_facts gather_timeout handlers hosts ignore_errors
ignore_unreachable joiner lipsum local_action lookup loop loop_control loop_with max_fail_percentage
module_defaults name namespace no_log notify now omit order poll port post_tasks pre_tasks q query range
register remote_user rescue retries roles run_once serial strategy tags tasks throttle timeout undef until
vars vars_files vars_prompt when with_
"""
RESERVED = frozenset(KEYWORDS.split())
# Ansible takes a text with these for a template and does what it says; `!unsafe` keeps it a text.
TEMPLATE = re.compile(r"\{[{%#]")
HOSTS = wall(rf'(?:all:|  hosts:|    "{NAME}": {DEEP})')
GROUP_NAME = '"_?[a-z0-9][a-z0-9_]*+"'
GROUPS = wall(
    rf'(?:{GROUP_NAME}:(?: \{{\}})?|  (?:hosts|children):|  vars: {FLAT}|    "[a-z0-9-]++(?:\[[0-9]++:[0-9]++\])?":'
    rf"|    {GROUP_NAME}:)"
)


# -- hosts -----------------------------------------------------------------------------------------------------------


class Host(NamedTuple):
    """What the inventory says of a node; an empty text where it says nothing.

    No MAC: a card that is replaced is a matter of DHCP and menus, and no playbook reaches a node by it.
    """

    name: str
    ip: str
    ip6: str
    bmc: str
    model: str
    osimage: str
    switch: str
    port: str
    vars: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class HostsFrame:
    """What the hosts' file depends on besides the nodes."""

    site: Site


def hosts_frame(cluster: Cluster) -> HostsFrame:
    """Return what the hosts' file depends on besides the nodes."""
    return HostsFrame(site=cluster.site.only())


def hosts_rows(_frame: HostsFrame, nodes: Sequence[Node]) -> Rows:
    """Return the nodes as Ansible's hosts."""
    return tuple(
        Host(
            node.name,
            str(node.ip),
            str(node.ip6) if node.ip6 else "",
            str(node.bmc.address) if node.bmc else "",
            node.model,
            node.osimage or "",
            node.port.switch if node.port else "",
            node.port.port if node.port else "",
            node.vars,
        )
        for node in nodes
    )


def hosts_text(_frame: HostsFrame, rows: Rows) -> Mapping[str, str]:
    """Return a line for each host."""
    return {KEY: "".join(host(*row) for row in cast("tuple[Host, ...]", rows))}


def host(name: str, ip: str, ip6: str, bmc: str, *more: Any) -> str:
    """Return a host with its variables.  The site's own go before ours, where both have one."""
    model, osimage, switch, port, variables = more
    site = {key: value for key, value in variables if key not in RESERVED and key != "bootmill"}
    values = [
        f'"ansible_host": "{ip}"' if "ansible_host" not in site else "",
        # Where an image of ours runs, the site's key lets root in.
        '"ansible_user": "root"' if osimage and "ansible_user" not in site else "",
        *(pair(key, value) for key, value in site.items()),
    ]
    known = [
        *(pair(key, value) for key, value in variables if key in RESERVED and key != "port"),
        f'"ip": "{ip}"',
        f'"ip6": "{ip6}"' if ip6 else "",
        f'"bmc": "{bmc}"' if bmc else "",
        pair("model", model),
        pair("osimage", osimage) if osimage else "",
        pair("switch", switch) if switch else "",
        pair("port", port) if port else "",
    ]
    own = ", ".join([*filter(None, values), f'"bootmill": {{{", ".join(filter(None, known))}}}'])
    return f"    {quoted(name)}: {{{own}}}\n"


@lru_cache(maxsize=10_000)
def pair(name: str, value: str) -> str:
    """Return a name with its value, quoted; most values are those of many nodes."""
    return f"{quoted(name)}: {'!unsafe ' if TEMPLATE.search(value) else ''}{quoted(value)}"


def hosts_around(frame: HostsFrame, _sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return what stands before the hosts."""
    return {KEY: Around(path=hosts_outputs(frame)[0], head=HOSTS_HEAD)}


def hosts_outputs(frame: HostsFrame) -> Sequence[Path]:
    """Return the one file."""
    return [paths.for_tools(frame.site, "ansible/hosts.yaml")]


def hosts_check(frame: HostsFrame, texts: Mapping[str, str]) -> None:
    """Look at every line."""
    inspect(hosts_outputs(frame)[0], texts[KEY], HOSTS)


# -- groups ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class GroupsFrame:
    """What the groups' file depends on besides the nodes: each group's name, those that it is in, its variables."""

    site: Site
    groups: tuple[tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]], ...]


def groups_frame(cluster: Cluster) -> GroupsFrame:
    """Return what the groups' file depends on besides the nodes."""
    groups = tuple((group.name, group.groups, group.vars) for group in cluster.groups)
    return GroupsFrame(site=cluster.site.only(), groups=groups)


def groups_rows(_frame: GroupsFrame, nodes: Sequence[Node]) -> Rows:
    """Return which groups the nodes are in."""
    return groups_of(nodes, ())


def groups_text(frame: GroupsFrame, rows: Sequence[Rows]) -> Mapping[Path, str]:
    """Return the groups: their nodes, the groups in them, their variables.

    ``all`` is there from the beginning and around all others; where it is in a group itself, so is every node.
    """
    nested = {name: groups for name, groups, _ in frame.groups}
    parents = {name: tuple(one for one in groups if one != ALL) for name, groups in nested.items() if name != ALL}
    hosts: dict[str, list[Block]] = {name: [] for name in parents}
    for summary in cast("Sequence[Summary]", rows):
        for labels, parts in summary:
            names = around([value for kind, value in labels if kind == GROUP], nested)
            for name in innermost([name for name in names if name != ALL], parents):
                hosts.setdefault(name, []).extend(parts)
    children: dict[str, list[str]] = {}
    for name, groups in parents.items():
        for wider in groups:
            children.setdefault(wider, []).append(name)
            hosts.setdefault(wider, [])
    variables = {name: {key: one for key, one in values if key not in RESERVED} for name, _, values in frame.groups}
    found = [
        group(name, joined(hosts[name]), children.get(name, []), variables.get(name, {}))
        for name in sorted(hosts, key=natural_key)
    ]
    return {groups_outputs(frame)[0]: "".join([HEAD, group(ALL, (), (), variables.get(ALL, {})), *found])}


def innermost(groups: Sequence[str], parents: Mapping[str, Sequence[str]]) -> set[str]:
    """Return groups without those that other ones of them are in."""
    wider = {name for group in groups for name in around([group], parents) if name != group}
    return set(groups) - wider


def group(name: str, hosts: Sequence[Block], children: Sequence[str], variables: Mapping[str, str]) -> str:
    """Return a group; an empty one is there, too."""
    lines = [
        *(["  hosts:", *(f"    {quoted(pattern(block))}:" for block in hosts)] if hosts else []),
        *(["  children:", *(f"    {called(child)}:" for child in children)] if children else []),
        *([f"  vars: {{{', '.join(starmap(pair, variables.items()))}}}"] if variables else []),
    ]
    return "\n".join([f"{called(name)}:", *lines, ""]) if lines else f"{called(name)}: {{}}\n"


def called(name: str) -> str:
    """Return a group's name as Ansible wants it.  Names of the inventory have no ``_`` and begin with no ``-``."""
    plain = name.replace("-", "_")
    return f'"_{plain}"' if plain[0].isdigit() or plain == "ungrouped" else f'"{plain}"'


def pattern(block: Block) -> str:
    """Return a block of names as Ansible writes a range: ``n[01:04]``."""
    stem, width, first, last = block
    return f"{stem}[{span(block, ':')}]" if first < last else f"{stem}{span(block, ':') if width else ''}"


def groups_outputs(frame: GroupsFrame) -> Sequence[Path]:
    """Return the one file."""
    return [paths.for_tools(frame.site, "ansible/groups.yaml")]


def groups_check(frame: GroupsFrame, texts: Mapping[Path, str]) -> None:
    """Look at every line."""
    for path in groups_outputs(frame):
        inspect(path, texts[path], GROUPS)


FAMILY: Final = Family(
    name="ansible",
    frame=hosts_frame,
    rows=hosts_rows,
    text=hosts_text,
    around=hosts_around,
    outputs=hosts_outputs,
    check=hosts_check,
)
AGGREGATE: Final = Aggregate(
    name="ansible-groups",
    frame=groups_frame,
    rows=groups_rows,
    text=groups_text,
    outputs=groups_outputs,
    check=groups_check,
)
