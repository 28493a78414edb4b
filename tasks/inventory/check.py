"""The checks that compare rows: references, duplicates, addresses.  Pure; yields every mistake with its place.

`alone` looks at each row and at what it refers to outside of nodes.yaml: it may be given some of the nodes.  `between`
compares nodes with each other and needs them all.
"""

import itertools
from collections.abc import Iterator

from tasks.inventory import check_addresses, check_between, check_names, check_networks, check_site, grouping
from tasks.inventory.check_base import NOWHERE, Marks, Mistake, Tables
from tasks.inventory.mistakes import unknown
from tasks.inventory.model import DEBIAN_ARCH, BootState, Node, SnmpVersion, Switch

__all__ = ["NOWHERE", "Marks", "Mistake", "Tables", "alone", "between", "tables"]

LABEL_LENGTH = 63  # RFC 1035 2.3.4
NEEDS_OSIMAGE = frozenset({BootState.NETBOOT, BootState.INSTALL, BootState.SHELL})


def tables(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield every mistake that only shows when rows are compared."""
    yield from alone(tables, marks)
    yield from between(tables, marks)


def alone(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield what is wrong with rows whatever the other nodes are."""
    yield from images(tables, marks)
    yield from nodes(tables, marks)
    for switch in tables.switches:
        yield from snmp(switch, marks)
    yield from check_addresses.addresses(tables, marks)
    yield from check_networks.networks(tables, marks)
    yield from check_site.site(tables, marks)


def between(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield what is wrong with nodes beside each other."""
    yield from check_between.duplicates(tables, marks)
    yield from check_between.bonds(tables, marks)
    yield from check_site.targets(tables, marks)
    spoken = itertools.chain(check_names.of_nodes(tables.nodes, tables), check_names.of_switches(tables))
    yield from check_names.misdirected(tables, marks, spoken)


def images(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield the osimages whose medium is not there, or for another machine."""
    media = tables.written["media"]
    for image in tables.osimages:
        mark = marks.place("osimages", image.name, "media")
        if media is not None and image.media not in media:
            yield mark, image.name, unknown("medium", image.media, media)
        elif image.media != f"{image.os}-{image.arch}" and media is not None:
            yield mark, image.name, f"its medium {image.media} is not for {image.os}-{image.arch}"
        if image.arch not in DEBIAN_ARCH:
            text = f"architecture {image.arch!r} is not known: one of {', '.join(DEBIAN_ARCH)}"
            yield marks.place("osimages", image.name), image.name, text


def nodes(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield the nodes whose osimage or switch port is not there, or whose names are none."""
    known = tables.written["osimages"]
    switches = {switch.name: switch for switch in tables.switches}
    for node in tables.nodes:
        if node.osimage is None:
            if node.state in NEEDS_OSIMAGE:
                text = f"state {node.state} needs an osimage"
                yield marks.place("nodes", node.name, "state"), node.name, text
        elif known is not None and node.osimage not in known:
            mark = marks.place("nodes", node.name, "osimage")
            yield mark, node.name, unknown("osimage", node.osimage, known)
        if node.port is not None:
            yield from port(node, node.port.port, switches.get(node.port.switch), tables, marks)
        yield from names(node, marks)


def port(node: Node, number: str, switch: Switch | None, tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield what is wrong with where a node is plugged in."""
    known = tables.written["switches"]
    assert node.port is not None
    if known is not None and node.port.switch not in known:
        yield marks.place("nodes", node.name, "port", "switch"), node.name, unknown("switch", node.port.switch, known)
    elif (
        switch and number.isdigit() and not (number.isascii() and len(number) < 9 and 1 <= int(number) <= switch.ports)
    ):
        text = f"{switch.name} has {switch.ports} ports, no port {number}"
        yield marks.place("nodes", node.name, "port", "port"), node.name, text


def names(node: Node, marks: Marks) -> Iterator[Mistake]:
    """Yield the host names that were made from a node's and are none; and names that mean something else."""
    if node.name in {"localhost", grouping.ALL}:
        what = "this very machine" if node.name == "localhost" else "every node"
        yield marks.place("nodes", node.name), node.name, f"no node is called {node.name}: it means {what}"
    if node.bmc and len(node.bmc.name) > LABEL_LENGTH:
        text = f"its BMC's name {node.bmc.name} has more than {LABEL_LENGTH} characters"
        yield marks.place("nodes", node.name), node.name, text
    for nic in node.nics:
        for name in nic.names:
            if len(name) > LABEL_LENGTH or name.endswith("-"):
                text = f"{name} is no host name for {nic.name}: give it one with 'names'"
                yield marks.place("nodes", node.name, "nics", nic.name), node.name, text


def snmp(switch: Switch, marks: Marks) -> Iterator[Mistake]:
    """Yield what SNMPv3 lacks (RFC 3414: encryption needs authentication, both need a password)."""
    if switch.snmp is not SnmpVersion.V3:
        return
    wrong = {
        "snmp": "SNMPv3 needs a user" if switch.user is None else "",
        "auth": "'auth' needs an 'auth_password'" if switch.auth and switch.auth_password is None else "",
        "privacy": (
            "'privacy' needs 'auth': what is encrypted is authenticated first"
            if switch.privacy and not switch.auth
            else "'privacy' needs a 'privacy_password'"
            if switch.privacy and switch.privacy_password is None
            else ""
        ),
    }
    for attribute, text in wrong.items():
        if text:
            yield marks.place("switches", switch.name, attribute), switch.name, text
