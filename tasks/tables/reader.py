"""What a node is on its way from xCAT's tables to YAML, and how its columns are asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from tasks.inventory.model import SecretRef
from tasks.tables import parse
from tasks.tables.csvtext import Row
from tasks.tables.dump import Cell, Dump
from tasks.tables.estate import Estate, ours
from tasks.tables.secrets import Secrets

Path = tuple[str, ...]  # ("ip",), ("bmc", "address"), ("nics", "eth1", "ip")
Value = str | tuple[str, ...] | SecretRef | None


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where an attribute comes from: a group's row or the node's own (None), and what was written there."""

    group: str | None
    written: str


OWN = Source(group=None, written="")


@dataclass(kw_only=True)
class Machine:
    """A node: its groups, its attributes, where each is from."""

    name: str
    groups: tuple[str, ...]
    attributes: dict[Path, Value] = field(default_factory=dict)
    sources: dict[Path, Source] = field(default_factory=dict)

    def put(self, path: Path, value: Value, cell: Cell | None = None, written: str | None = None) -> None:
        """Set an attribute; `written` is the part of the cell that it is from, where it is not all of it."""
        self.attributes[path] = value
        if cell is None:
            self.sources[path] = OWN
            return
        group = None if cell.row.key == self.name else cell.row.key
        self.sources[path] = Source(group=group, written=cell.written if written is None else written)

    def inside(self, name: str) -> dict[Path, Value]:
        """Return the attributes inside an attribute: of the BMC, of all interfaces."""
        return {path: value for path, value in self.attributes.items() if path[0] == name}


class Reader:
    """Looks up columns for nodes, and knows what all nodes are looked up in."""

    def __init__(self, dump: Dump, estate: Estate, book: Mapping[str, IPv4Address], secrets: Secrets) -> None:
        """Keep the tables and what was found in them."""
        self.dump, self.estate, self.book, self.secrets = dump, estate, book, secrets
        self.domain = str(estate.site["domain"])
        master = parse.short_name(estate.master)
        self.heads = {parse.HEAD, estate.master, master, str(book.get(master))} - {"", "None"}
        self.own: dict[str, list[Row]] = {}
        for row in ours(dump, "nodes"):
            self.own.setdefault(row.get("name"), []).append(row)

    def cell(self, machine: Machine, table: str, column: str) -> Cell | None:
        """Return what a column comes to for a node, None where it has nothing."""
        return self.dump.cell(table, machine.name, column)

    def refuse(self, cell: Cell, machine: Machine, why: str) -> None:
        """Account for a value that makes no sense for a node."""
        self.dump.refuse(cell, machine.name, why)

    def column(
        self, machine: Machine, path: Path, table: str, column: str, parsed: Callable[[str], str | tuple[str, ...]]
    ) -> Cell | None:
        """Set an attribute from a column; what the parser refuses is listed as lost."""
        cell = self.dump.cell(table, machine.name, column)
        if cell is None:
            return None
        try:
            value = parsed(cell.value)
        except ValueError as error:
            self.refuse(cell, machine, str(error))
            return None
        if value:
            machine.put(path, value, cell)
        return cell
