"""nodels: nodes and groups, and any column of any table for them."""

import re
from collections.abc import Sequence
from pathlib import Path

from tasks.inventory import noderange
from tasks.inventory.model import Cluster
from tasks.tables.columns import BY_NAME, SHORT_NAMES
from tasks.tables.rows import rows
from tasks.tables.tabledump import as_text
from tasks.tables.words import Usage

USAGE = Usage(
    synopsis="doit nodels [NODERANGE] [TABLE | TABLE.COLUMN | groups | mgt ...] [mgt==ipmi ...] [-H] [--json]"
    "   (comparisons: == != =~ !~, with regular expressions)",
    options=(("--json", "json"), ("-H", "names"), ("--with-fieldname", "names")),
)
COMPARISON = re.compile(r"\s*[A-Za-z_][\w.]*\s*(==|!=|=~|!~)")
Column = tuple[str, str, str]  # table, column, and how the user called it
Cells = dict[str, str]  # node → cell


def nodels(cluster: Cluster, words: Sequence[str]) -> None:
    """Print nodes, or columns of tables for nodes; `BootmillError` names every word that is unknown."""
    print(answer(cluster, words), end="")


def answer(cluster: Cluster, words: Sequence[str]) -> str:
    """Return what nodels prints."""
    plain, options = USAGE.understand(words)
    view = View(cluster)
    asked = [word for word in plain[1:] if COMPARISON.match(word)]
    wanted = columns([word for word in plain[1:] if not COMPARISON.match(word)])
    nodes = selected(view, plain[0] if plain else "all", asked)
    cells = {label: view.column(table, column) for table, column, label in wanted}
    if "json" in options:
        whole = {node: {label: column.get(node, "") for label, column in cells.items()} for node in nodes}
        return as_text(whole if cells else list(nodes))
    if not cells:
        return "".join(f"{node}\n" for node in nodes)
    shown = len(wanted) > 1 or "names" in options or any(word in BY_NAME for word in plain[1:])
    return "".join(
        f"{node}: {f'{label}: ' if shown else ''}{column.get(node, '')}\n"
        for node in nodes
        for label, column in cells.items()
    )


class View:
    """The tables of a cluster by node; each is made once, when it is asked for."""

    def __init__(self, cluster: Cluster) -> None:
        """Begin with no table."""
        self.cluster = cluster
        self.tables: dict[str, dict[str, dict[str, str]]] = {}
        self.known: dict[tuple[str, str], Cells] = {}

    def column(self, table: str, column: str) -> Cells:
        """Return a column's cells by node; where a node has several rows the first one counts."""
        if table not in self.tables:
            found: dict[str, dict[str, str]] = {}
            for row in rows(self.cluster, BY_NAME[table]):
                found.setdefault(row.key, dict(row.cells))
            self.tables[table] = found
        return {node: cells[column] for node, cells in self.tables[table].items() if column in cells}

    def attribute(self, node: str, name: str) -> str | None:
        """Return a cell for a noderange's comparison; `LookupError` where there is no such column."""
        table, _, column = SHORT_NAMES.get(name, name).partition(".")
        if table not in BY_NAME or column not in BY_NAME[table].columns:
            raise LookupError(name)
        return self.cells(table, column).get(node)

    def cells(self, table: str, column: str) -> Cells:
        """Return a column's cells by node, made once."""
        if (table, column) not in self.known:
            self.known[table, column] = self.column(table, column)
        return self.known[table, column]


def selected(view: View, text: str, asked: Sequence[str]) -> tuple[str, ...]:
    """Return a noderange's nodes for which all comparisons hold, in natural order.

    A noderange without any node is an error, a comparison that holds for none is an answer.
    """
    groups = {node.name: node.groups for node in view.cluster.nodes}
    try:
        nodes = noderange.select(text, groups, view.attribute, read=lambda path: Path(path).read_text())
        if not nodes:
            message = f"{text!r} names no node"
            raise USAGE.misused(message)
        for one in asked:
            held = frozenset(noderange.select(one, groups, view.attribute))
            nodes = tuple(node for node in nodes if node in held)
    except ValueError as error:
        raise USAGE.misused(str(error)) from error
    return nodes


def columns(words: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns that words ask for; a table's name asks for all of its columns."""
    found: list[Column] = []
    strange = []
    for word in words:
        table, _, column = SHORT_NAMES.get(word, word).partition(".") if word not in BY_NAME else (word, "", "")
        if table not in BY_NAME or not BY_NAME[table].by_node or (column and column not in BY_NAME[table].columns):
            strange.append(f"{word!r}{noderange.near(word, addressable())}")
        elif column:
            found.append((table, column, word))
        else:
            found += [(table, name, f"{table}.{name}") for name in BY_NAME[table].columns[1:]]
    if strange:
        message = f"there is no column {', '.join(strange)}: doit tabdump -d TABLE lists them"
        raise USAGE.misused(message)
    return tuple(dict.fromkeys(found))


def addressable() -> list[str]:
    """Return all that may be asked of nodes."""
    full = [f"{table.name}.{column}" for table in BY_NAME.values() if table.by_node for column in table.columns]
    return [*SHORT_NAMES, *full]
