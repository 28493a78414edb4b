"""A folder of `tabdump` CSVs, asked as xCAT asks its tables, and an account of every cell.

A cell is carried over, or it is listed as not carried over with a reason: what nobody asks for is listed at the end.
"""

import signal
import threading
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tasks.errors import BootmillError
from tasks.tables import rule
from tasks.tables.columns import BY_NAME
from tasks.tables.csvtext import CONTROL, OFF, Row, read

PATIENCE = 1.0  # seconds for one rule and one node, or for one question to all nodes
REQUIRED = ("site", "networks", "nodelist", "hosts")

# Why a column stays behind, where "Bootmill has no such value" is not the whole story.
REASONS = {
    "ipmi.bmcport": "whether the BMC shares a port is set in the BMC itself; its UDP port is bmc.port here",
    "networks.ddnsdomain": "names are static: nothing is updated while it runs",
    "nodelist.appstatus": "is observed, not set",
    "nodelist.status": "is observed, not set: Bootmill asks the node itself",
    "nodelist.statustime": "is observed, not set: Bootmill asks the node itself",
    "nodelist.updatestatus": "is observed, not set",
    "switches.linkports": "uplinks are found out by what is behind them",
    "vm.cpus": "says nothing without vm.host",
    "vm.nics": "says nothing without vm.host",
    "vm.storage": "says nothing without vm.host",
    "site.value": "Bootmill has no such setting",
}


@dataclass(frozen=True, kw_only=True, order=True)
class Lost:
    """Something that is not carried over: its table, whom the row belongs to, the column, and why."""

    table: str
    row: str
    column: str
    why: str


class Cell(NamedTuple):
    """What a column comes to for a node, the row it is from, and what was written there."""

    value: str
    row: Row
    column: str

    @property
    def written(self) -> str:
        """Return the cell before rules are calculated."""
        return self.row.cells[self.column]

    def __str__(self) -> str:
        """Return the value."""
        return self.value


@dataclass(kw_only=True)
class Dump:
    """The rows of all tables, who is in which group, and the account."""

    tables: dict[str, tuple[Row, ...]]
    folder: Path
    lost: list[Lost] = field(default_factory=list)
    used: set[tuple[str, int, str]] = field(default_factory=set)
    hopeless: set[tuple[str, int, str]] = field(default_factory=set)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of each node
    index: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    filled: set[tuple[str, str]] = field(default_factory=set)  # the columns that have something, by table
    cells: dict[tuple[str, int, str, str], Cell | None] = field(default_factory=dict)  # rules that were calculated

    def rows(self, table: str) -> tuple[Row, ...]:
        """Return a table's rows; a table that was not dumped has none."""
        return self.tables.get(table, ())

    def take(self, row: Row, *columns: str) -> str:
        """Account for cells as carried over, and return the first one."""
        self.used.update((row.table, row.line, column) for column in columns)
        return row.get(columns[0])

    def lose(self, row: Row, column: str, why: str) -> None:
        """Account for a cell as not carried over."""
        self.used.add((row.table, row.line, column))
        self.lost.append(Lost(table=row.table, row=row.key, column=column, why=why))

    def drop(self, row: Row, why: str) -> None:
        """Account for a whole row as not carried over."""
        self.used.update((row.table, row.line, column) for column in row.cells)
        self.lost.append(Lost(table=row.table, row=row.key, column="*", why=why))

    def cell(self, table: str, node: str, column: str) -> Cell | None:
        """Return what a column comes to for a node: its own row goes first, then its groups in their order.

        A rule that cannot be calculated is accounted for as lost.
        """
        if (table, column) not in self.filled:
            return None
        for key in (node, *self.groups.get(node, ())):
            for row in self.index.get((table, key), ()):
                if column in row.cells:
                    return self.evaluated(row, node, column)
        return None

    def evaluated(self, row: Row, node: str, column: str) -> Cell | None:
        """Return a cell as it is for a node; None where it comes to nothing.  A rule is calculated once."""
        text = row.cells[column]
        if not rule.is_rule(text):
            self.used.add((row.table, row.line, column))
            return Cell(text, row, column)
        key = (row.table, row.line, column, node)
        if key not in self.cells:
            self.cells[key] = None if key[:3] in self.hopeless else self.calculated(row, node, column)
        return self.cells[key]

    def calculated(self, row: Row, node: str, column: str) -> Cell | None:
        """Return what a rule comes to for a node, unless it comes to nothing sensible or never ends."""
        text = row.cells[column]
        try:
            with nullcontext() if rule.tame(text) else patience():
                value, torn = rule.applied(text, node)
        except TimeoutError:
            self.hopeless.add((row.table, row.line, column))
            self.lose(row, column, f"for {node}: the pattern needs more than {PATIENCE:g} s")
            return None
        except ValueError as error:
            self.lose(row, column, f"for {node}: {error}")
            return None
        if torn:
            self.lose(row, column, f"for {node}: the pattern fits only a part of the name, in xCAT it makes {value!r}")
            return None
        self.take(row, column)
        return Cell(value, row, column) if value else None

    def refuse(self, cell: Cell, node: str, why: str) -> None:
        """Account for a node's value that makes no sense here; a rule's result may make sense for other nodes."""
        shown = f"for {node}: " if cell.row.key != node else ""
        self.lose(cell.row, cell.column, f"{shown}{why}")

    def leftovers(self) -> Iterator[Lost]:
        """Yield every cell that nobody has asked for."""
        known = {*self.groups, *(group for groups in self.groups.values() for group in groups)}
        for table, rows in self.tables.items():
            first = BY_NAME[table].columns[0]
            for row in rows:
                for column in row.cells:
                    if column != first and (table, row.line, column) not in self.used:
                        yield Lost(table=table, row=row.key, column=column, why=reason(row, column, known))


def reason(row: Row, column: str, known: Container[str]) -> str:
    """Return why a cell that nobody has asked for stays behind; `known` are nodes and groups."""
    table = BY_NAME[row.table]
    if column == "comments":
        return "notes are not carried over"
    if column not in table.columns:
        return "is no column that Bootmill knows of xCAT"
    if table.by_node and row.key not in known:
        return f"there is no node and no group {row.key!r}"
    if why := REASONS.get(f"{row.table}.{column}"):
        return why
    if table.by_node and column in dict(table.filled):
        return "no node takes it from here: rows of their own or of other groups go first"
    return "Bootmill has no such value"


@contextmanager
def patience() -> Iterator[None]:
    """End a pattern that would try for ever (``(a+)+``) with a `TimeoutError`; the re module lets signals in."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def read_dump(folder: Path) -> Dump:
    """Read all tables of a folder; `BootmillError` with every mistake in the files at once."""
    if not folder.is_dir():
        message = f"{folder}: is no folder of tables"
        hint = "make it where xCAT runs: for t in $(tabdump); do tabdump $t > DIR/$t.csv; done"
        raise BootmillError(message, hint=hint)
    dump = Dump(tables={}, folder=folder)
    mistakes = [f"{folder / f'{name}.csv'}: is missing" for name in REQUIRED if not (folder / f"{name}.csv").exists()]
    for path in sorted(folder.glob("*.csv")):
        if path.stem not in BY_NAME:
            dump.lost.append(Lost(table=path.stem, row="*", column="*", why="Bootmill has no such table"))
            continue
        found, wrong = read(path)
        mistakes += wrong
        dump.tables[path.stem] = tuple(kept(dump, found))
    if mistakes:
        raise BootmillError("\n".join(mistakes), hint="dump the tables again: tabdump TABLE > DIR/TABLE.csv")
    for rows in dump.tables.values():
        for row in rows:
            dump.index.setdefault((row.table, row.key), []).append(row)
            dump.filled.update((row.table, column) for column in row.cells)
    return dump


def kept(dump: Dump, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows that count, without cells that no inventory may hold."""
    for row in rows:
        if row.get("disable").lower() in OFF:
            dump.drop(row, "the row is switched off")
            continue
        bad = [column for column, cell in row.cells.items() if CONTROL.search(cell) and column != "comments"]
        for column in sorted(bad):
            dump.lose(row, column, "holds control characters")
        cells = {column: cell for column, cell in row.cells.items() if column not in bad} if bad else row.cells
        yield Row(table=row.table, cells=cells, line=row.line)
