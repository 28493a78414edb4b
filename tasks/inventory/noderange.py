"""Noderange: an expression that names nodes, in xCAT's grammar (`noderange_parser` has it).

Unlike xCAT: an unknown name is an error that names near matches, a reversed range is an error, the order is natural
(n2 before n10), padding is kept.  A node's name goes before a group's; exclusion wins whatever the order.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tasks.inventory import noderange_parser as parser
from tasks.inventory.model import natural_key
from tasks.inventory.noderange_parser import (
    Comparison,
    Group,
    Intersection,
    NamesFile,
    Operand,
    Pattern,
    Union,
    Word,
    shortened,
)

SHOWN = 3  # unknown names that an error tells in full
Attributes = Callable[[str, str], str | None]


def natural(names: Iterable[str]) -> list[str]:
    """Sort as people count: n2 before n10."""
    return sorted(names, key=natural_key)


def names(text: str) -> tuple[str, ...]:
    """Return the names that a key of nodes.yaml stands for, each once, as written: ``n[01-02],kvm1`` → three.

    No inventory is asked: lists, brackets and ranges only.  `ValueError` names the part that is wrong.
    """
    tree = parser.parse(text)
    found: dict[str, None] = {}
    for operand in (*tree.wanted, *tree.unwanted):
        if not isinstance(operand, Word) or tree.unwanted:
            message = (
                f"{shortened(text)!r}: names, brackets and ranges only; groups, regexes and exclusions select nodes"
            )
            raise ValueError(message)
        expanded = parser.expand(operand.text)
        found.update(dict.fromkeys((operand.text,) if expanded is None else expanded))
        parser.bounded(len(found), text)
    return tuple(found)


def select(
    text: str,
    nodes: Mapping[str, tuple[str, ...]],
    attributes: Attributes | None = None,
    *,
    read: Callable[[str], str] | None = None,
) -> tuple[str, ...]:
    """Return the nodes that a noderange names, in natural order; it may come out empty (``all,-all``).

    `nodes` maps each node to its groups; ``all`` is every node.  `attributes(node, attribute)` returns an attribute's
    text for comparisons, None where the node has none, and raises `LookupError` where there is no such attribute.
    `read(path)` returns the text of a ``^file``.  `ValueError` tells every unknown name in one sentence.
    """
    groups: dict[str, set[str]] = {}
    for node, membership in nodes.items():
        for group in membership:
            groups.setdefault(group, set()).add(node)
    groups.setdefault("all", set(nodes))
    selection = Selection(nodes=nodes, groups=groups, attributes=attributes, read=read)
    found = selection.union(parser.parse(text))
    selection.finish()
    return tuple(natural(found))


def fold(names: Iterable[str]) -> str:
    """Return names in their shortest form, ``n[01-04],kvm1``, as ClusterShell folds them."""
    # 41 ms, and most runs fold nothing
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

    plain = sorted(names)
    try:
        return str(NodeSet.fromlist(plain, resolver=RESOLVER_NOGROUP))
    except NodeSetException as error:
        message = f"these are not all node names: {error}"
        raise ValueError(message) from error


@dataclass(kw_only=True)
class Selection:
    """One evaluation; unknown names are collected and told together."""

    nodes: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, set[str]]
    attributes: Attributes | None
    read: Callable[[str], str] | None
    unknown: dict[str, str] = field(default_factory=dict)
    in_file: bool = False

    def finish(self) -> None:
        """Raise `ValueError` if a name was unknown."""
        if not self.unknown:
            return
        known = sorted({*self.nodes, *self.groups})
        told = [
            f"unknown {what} {shortened(name)!r}{near(name, known)}"
            for name, what in list(self.unknown.items())[:SHOWN]
        ]
        more = len(self.unknown) - len(told)
        message = ", ".join(told) + (f", and {more} more unknown names" if more else "")
        raise ValueError(message)

    def evaluate(self, operand: Operand) -> set[str]:
        """Return the nodes of any part of a noderange."""
        match operand:
            case Word(text=text):
                return self.word(text)
            case Group(name=name):
                return self.group(name)
            case Pattern(regex=regex):
                return {name for name in self.nodes if regex.fullmatch(name)}
            case NamesFile(path=path):
                return self.file(path)
            case Comparison():
                return self.comparison(operand)
            case Intersection(operands=operands):
                return set.intersection(*map(self.evaluate, operands))
            case Union():
                return self.union(operand)

    def union(self, tree: Union) -> set[str]:
        """Return what is wanted without what is not."""
        wanted: set[str] = set().union(*map(self.evaluate, tree.wanted))
        return wanted.difference(*map(self.evaluate, tree.unwanted))

    def word(self, text: str) -> set[str]:
        """Return the nodes of a name, a group, or a range of either."""
        if text in self.nodes or text in self.groups:
            return self.named(text)
        expanded = parser.expand(text)
        if expanded is None:
            return self.named(text)
        return set().union(*map(self.named, expanded))

    def named(self, name: str) -> set[str]:
        """Return the node or the group of this name; unknown ones are noted."""
        if name in self.nodes:
            return {name}
        if name not in self.groups:
            self.unknown.setdefault(name, "node or group")
        return self.groups.get(name, set())

    def group(self, name: str) -> set[str]:
        """Return a group's nodes; brackets and ranges name several groups."""
        expanded = (name,) if name in self.groups else parser.expand(name) or (name,)
        for one in expanded:
            if one not in self.groups:
                self.unknown.setdefault(one, "group")
        return set().union(*(self.groups.get(one, set()) for one in expanded))

    def comparison(self, operand: Comparison) -> set[str]:
        """Return the nodes whose attribute compares as asked; an attribute that a node lacks counts as empty."""
        if self.attributes is None:
            message = f"attributes such as {operand.attribute!r} cannot be compared here"
            raise ValueError(message)
        found = set()
        for node in self.nodes:
            try:
                value = self.attributes(node, operand.attribute) or ""
            except LookupError as error:
                message = f"unknown attribute {operand.attribute!r}"
                raise ValueError(message) from error
            equal = bool(operand.regex.search(value)) if operand.regex else value == operand.value
            if equal is not operand.negated:
                found.add(node)
        return found

    def file(self, path: str) -> set[str]:
        """Return the nodes that a file names: a noderange a line, all as if between commas; ``#`` begins a comment."""
        if self.read is None or self.in_file:
            message = f"'^{path}': a file of names cannot be read here"
            raise ValueError(message)
        try:
            lines = self.read(path).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            message = f"'^{path}': the file of names cannot be read: {reason}"
            raise ValueError(message) from error
        content = ",".join(filter(None, (line.partition("#")[0].strip() for line in lines)))
        if not content:
            return set()
        self.in_file = True  # a file that names itself would never end
        try:
            return self.union(parser.parse(content))
        finally:
            self.in_file = False


def near(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean x?)`` where a known name is near."""
    close = difflib.get_close_matches(name[:100], list(known), n=2)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
