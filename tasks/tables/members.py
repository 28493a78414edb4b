"""Who is in which group, and who has which address: xCAT's tables nodelist, nodegroup and hosts."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address

from tasks.inventory import noderange
from tasks.tables import parse
from tasks.tables.columns import BY_NAME, OURS, SHORT_NAMES
from tasks.tables.csvtext import Row
from tasks.tables.dump import PATIENCE, Dump, Lost, patience
from tasks.tables.estate import Estate, ours, switch_names
from tasks.tables.nodevalues import NETBOOT_IN, OUR_PREFIX, WHERE

CONDITION = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(==|!=|=~|!~)(.*)", re.DOTALL)


def members(dump: Dump) -> None:
    """Find out who is in which group; what is no node's name here is listed as lost."""
    switches = set(switch_names(dump))
    for row in dump.rows("nodelist"):
        name = row.key
        if not parse.is_label(name):
            dump.drop(row, f"{name!r} is no host name (small letters, digits, inner hyphens): left out")
        elif is_range(name):
            dump.drop(row, f"{name!r} stands for a range of names here: left out")
        elif name in switches:
            dump.take(row, "groups")  # xCAT keeps switches among the nodes, Bootmill apart
        elif name in dump.groups:
            dump.drop(row, "is there already: only the first row counts")
        else:
            dump.groups[name] = parse.listed(dump.take(row, "groups"))


def is_range(name: str) -> bool:
    """Return whether a name would be read as several, as ``n1-n3`` is."""
    if "-" not in name:
        return False
    try:
        return noderange.names(name) != (name,)
    except ValueError:
        return True


def groups(dump: Dump, result: Estate) -> None:
    """Fill in what makes groups: members, groups in groups, questions that nodes answer by what they are."""
    result.closed = OURS in dump.tables
    for row in ours(dump, "groups"):
        result.group(row.get("name"))
    inside: dict[str, list[str]] = {}
    for row in dump.rows("nodegroup"):
        if not parse.is_label(row.key):
            dump.drop(row, f"{row.key!r} is no name for a group here")
            continue
        dump.take(row, "grouptype", "members", "wherevals", "membergroups")
        if row.get("wherevals"):
            dynamic(dump, row, result)
        else:
            static(dump, row)
        for child in parse.listed(row.get("membergroups")):
            if parse.is_label(child):
                inside.setdefault(child, []).append(row.key)
            else:
                dump.lose(row, "membergroups", f"{child!r} is no name for a group here")
    overlay(dump, result, inside)
    asking_groups = {name for name, parts in result.groups.items() if "where" in parts}
    for child, names in inside.items():
        for name in [name for name in names if child in asking_groups or name in asking_groups]:
            names.remove(name)
            why = f"{child} is in it: a dynamic group has no groups in it, and is in none"
            dump.lost.append(Lost(table="nodegroup", row=name, column="membergroups", why=why))
        if names:
            result.group(child)["groups"] = dict(zip(names, names, strict=True))
    for node, own in dump.groups.items():
        if not asking_groups.isdisjoint(own):
            dump.groups[node] = tuple(name for name in own if name not in asking_groups)


def overlay(dump: Dump, result: Estate, inside: dict[str, list[str]]) -> None:
    """Lay what our own table says of groups over what xCAT's says."""
    overlaid: dict[str, list[str]] = {}
    for row in ours(dump, "groups"):
        first, _, rest = row.get("attribute").partition(".")
        value = dump.take(row, "value", "attribute", "name")
        if first == "groups":
            overlaid.setdefault(row.get("name"), []).append(value)
        elif first:
            result.group(row.get("name")).setdefault(first, {})[rest] = value
    inside.update(overlaid)


def static(dump: Dump, row: Row) -> None:
    """Add the nodes that a group names itself."""
    written = row.get("members")
    for name in parse.listed(written) if written not in {"static", "dynamic"} else ():
        if name in dump.groups:
            join(dump, name, row.key)
        else:
            dump.lose(row, "members", f"there is no node {name!r}")


def join(dump: Dump, node: str, group: str) -> None:
    """Put a node into a group, behind those that it is in already."""
    dump.groups[node] = tuple(dict.fromkeys((*dump.groups[node], group)))


def dynamic(dump: Dump, row: Row, result: Estate) -> None:
    """Carry over a group that asks what nodes are; what cannot be asked here becomes the answer of this day."""
    conditions = []
    for text in filter(None, row.get("wherevals").split("::")):
        found = CONDITION.fullmatch(text)
        if found is None:
            dump.lose(row, "wherevals", f"{text!r} is no comparison (xCAT writes mgt==ipmi)")
            return
        conditions.append((found[1], found[2], found[3]))
    asked = dict(pair for pair in map(asking, conditions) if pair)
    if len(asked) == len(conditions):
        result.group(row.key)["where"] = dict(asked)
        return
    try:
        with patience():
            joining = [node for node in dump.groups if all(holds(dump, node, *condition) for condition in conditions)]
    except (LookupError, re.error) as error:
        dump.lose(row, "wherevals", f"{error}: left out")
        return
    except TimeoutError:
        dump.lose(row, "wherevals", f"its pattern needs more than {PATIENCE:g} s: left out")
        return
    for node in joining:
        join(dump, node, row.key)
    dump.lose(row, "wherevals", "cannot be asked here: the nodes for which it holds today are in the group")


def asking(condition: tuple[str, str, str]) -> tuple[str, str] | None:
    """Return a condition in our words: attribute and value; None where we have none."""
    name, operator, value = condition
    name = name.partition(".")[2] if SHORT_NAMES.get(name.partition(".")[2]) == name else name
    ours_name = name.removeprefix(OUR_PREFIX) if name.startswith(OUR_PREFIX) else WHERE.get(name)
    if operator != "==" or ours_name is None:
        return None
    return ours_name, NETBOOT_IN.get(value, value) if ours_name == "netboot" else value


def holds(dump: Dump, node: str, name: str, operator: str, value: str) -> bool:
    """Return whether a condition holds for a node; `LookupError` where no table has such a column."""
    table, _, column = SHORT_NAMES.get(name, name).partition(".")
    if table not in BY_NAME or column not in BY_NAME[table].columns:
        message = f"there is no attribute {name!r}"
        raise LookupError(message)
    if (table, column) == ("nodelist", "groups"):
        actual = ",".join(dump.groups[node])
    else:
        cell = dump.cell(table, node, column)
        actual = cell.value if cell else ""
    if operator in {"==", "!="}:
        return (actual == value) is (operator == "==")
    return bool(re.search(value.strip("/"), actual)) is (operator == "=~")


# -- addresses -------------------------------------------------------------------------------------------------------


def addresses(dump: Dump) -> dict[str, IPv4Address]:
    """Return the addresses that the table hosts has for names: nodes, their other interfaces, and anything else."""
    book: dict[str, IPv4Address] = {}
    groups = {group for groups in dump.groups.values() for group in groups}
    for row in dump.rows("hosts"):
        if row.key not in dump.groups and row.key not in groups:
            note(book, row.key, row.get("ip"))
    for node in dump.groups:
        for cell in filter(None, [dump.cell("hosts", node, "ip")]):
            note(book, node, cell.value)
        for name, text in others(dump, node):
            note(book, name, text)
    return book


def note(book: dict[str, IPv4Address], name: str, text: str) -> None:
    """Note an address, if it is one; whoever needs it complains otherwise."""
    try:
        book.setdefault(name, parse.address(text))
    except ValueError:
        return


def others(dump: Dump, node: str) -> Iterator[tuple[str, str]]:
    """Yield the names and addresses of hosts.otherinterfaces: ``-ipmi:10.1.0.111``, IPv6 behind ``!``."""
    cell = dump.cell("hosts", node, "otherinterfaces")
    for item in parse.listed(cell.value) if cell else ():
        name, _, text = item.partition("!") if "!" in item else item.partition(":")
        yield f"{node}{name}" if name.startswith("-") else name, text
