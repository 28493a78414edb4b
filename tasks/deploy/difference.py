"""Two clusters → what changed, attribute by attribute.  Pure; a secret is told as the reference that it is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from tasks.inventory.model import Cluster, Node, natural_key

TABLES = ("networks", "switches", "osimages", "media", "groups")  # rows with names; the nodes are apart
LONGEST = 200  # characters of a value that is told
FEW = 3  # items of a list that is told as a whole


class Kind(StrEnum):
    """What became of a row or of one of its attributes."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Change(NamedTuple):
    """One attribute that has another value; `attribute` is empty where a whole row came or went.

    `row` is empty for the site; attributes inside others are written with dots: ``bmc.address``, ``nics.eth1.ip``.
    """

    kind: Kind
    table: str
    row: str
    attribute: str = ""
    old: str = ""
    new: str = ""

    @property
    def top(self) -> str:
        """Return the model's field that holds the attribute."""
        return self.attribute.partition(".")[0]

    def __str__(self) -> str:
        """Return the change as people read it: ``n01: mac 00:… → 00:…``."""
        subject = self.row or self.table
        if not self.attribute:
            return f"{subject}: {'new' if self.kind is Kind.ADDED else 'gone'} in {self.table}"
        return f"{subject}: {self.attribute} {self.step()}"

    def step(self) -> str:
        """Return the way from the old value to the new one; of a long list what comes and goes."""
        old, new = self.old.split(", "), self.new.split(", ")
        if len(old) > FEW and len(new) > FEW:
            parts = (("with", set(new) - set(old)), ("without", set(old) - set(new)))
            words = [f"{word} {', '.join(sorted(items))}" for word, items in parts if items]
            return shortened("; ".join(words) or "in another order")
        return f"{shortened(self.old) or 'nothing'} → {shortened(self.new) or 'nothing'}"


class Pair(NamedTuple):
    """A node before and after; None where there was or is none."""

    old: Node | None
    new: Node | None

    @property
    def name(self) -> str:
        """Return its name."""
        node = self.new or self.old
        assert node is not None
        return node.name


def pairs(old: Cluster, new: Cluster) -> list[Pair]:
    """Return the nodes that differ, in natural order; shards that both have are not looked into."""
    known = {shard.digest for shard in old.shards} & {shard.digest for shard in new.shards}
    before = {node.name: node for shard in old.shards if shard.digest not in known for node in shard.nodes()}
    after = {node.name: node for shard in new.shards if shard.digest not in known for node in shard.nodes()}
    names = sorted(before.keys() | after.keys(), key=natural_key)
    both = [Pair(before.get(name), after.get(name)) for name in names]
    return [pair for pair in both if pair.old != pair.new]


def tables(old: Cluster, new: Cluster) -> list[Change]:
    """Return what changed outside of the nodes."""
    result = [*attributes("site", "", old.site, new.site)]
    for table in TABLES:
        result += rows(table, by_name(getattr(old, table)), by_name(getattr(new, table)))
    return result


def node_changes(pair: Pair) -> list[Change]:
    """Return what changed at one node."""
    if pair.old is None or pair.new is None:
        return [Change(Kind.ADDED if pair.old is None else Kind.REMOVED, "nodes", pair.name)]
    return [*attributes("nodes", pair.name, pair.old, pair.new)]


def by_name(rows: Iterable[Any]) -> dict[str, Any]:
    """Return rows by their names."""
    return {row.name: row for row in rows}


def rows(table: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the changes of a table whose rows have names, in natural order."""
    for name in sorted(old.keys() | new.keys(), key=natural_key):
        if name not in old or name not in new:
            yield Change(Kind.REMOVED if name in old else Kind.ADDED, table, name)
        elif old[name] != new[name]:
            yield from attributes(table, name, old[name], new[name])


def attributes(table: str, row: str, old: Any, new: Any) -> Iterator[Change]:
    """Yield the attributes of a row that differ."""
    before, after = dict(leaves(old)), dict(leaves(new))
    for name in {**after, **before}:
        first, second = before.get(name, ""), after.get(name, "")
        if first != second:
            yield Change(Kind.CHANGED, table, row, name, first, second)


def leaves(row: Any, around: str = "") -> Iterator[tuple[str, str]]:
    """Yield a row's attributes with their values as text; those of rows inside it with dots."""
    for field in fields(row):
        value, name = getattr(row, field.name), around + field.name
        if field.name == "name":
            continue
        if is_group(value):
            yield from leaves(value, f"{name}.")
        elif isinstance(value, tuple) and value and all(is_group(one) and hasattr(one, "name") for one in value):
            for index, one in enumerate(value):
                repeated = any(other.name == one.name for other in value[:index])
                key = f"{one.name}#{index + 1}" if repeated else one.name
                yield from leaves(one, f"{name}.{key}.")
        else:
            yield name, told(value)


def is_group(value: Any) -> bool:
    """Whether a value is made of attributes of its own; one that writes itself (a secret, an fstab line) is not."""
    return is_dataclass(value) and type(value).__str__ is object.__str__


def told(value: Any) -> str:
    """Return a value as text; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(pair(one) for one in value)
    return str(value)


def pair(value: Any) -> str:
    """Return an item of a list as text; a pair is a name with its value."""
    if isinstance(value, tuple):
        return "=".join(map(told, value))
    if is_group(value):
        return " ".join(text for _, text in leaves(value) if text)
    return told(value)


def shortened(text: str) -> str:
    """Return a text that fits into a line."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
