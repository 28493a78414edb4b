"""YAML → located values → model.  The only module that reads YAML.

The files are composed, not constructed: every scalar stays the text that was written (``no`` is the word *no*,
``010`` is not eight, an all-digit MAC is no sexagesimal number) until the schema gives it a type, and every value keeps
its ``file:line:column``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import InventoryError
from tasks.inventory.model import SecretKind, SecretRef

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DEPTH = 20
MAX_VALUES = 5_000_000
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A place in the inventory; sorts as a reader meets it."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Return the place as compilers write it."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(kw_only=True)
class Document:
    """One file: its plain value, the place of every value in it, and what was wrong already while reading."""

    file: str
    value: Any = None
    marks: dict[Path_, Mark] = field(default_factory=dict)
    mistakes: list[tuple[Mark, str]] = field(default_factory=list)

    def mark(self, path: Path_) -> Mark:
        """Return the place of a value, or of the nearest value around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]]
        return Mark(file=self.file, line=1, column=1)


def read(path: Path) -> Document:
    """Read one YAML file.  A missing file is an empty document; mistakes are collected, not raised."""
    document = Document(file=str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return document
    except UnicodeDecodeError as error:
        document.mistakes.append((Mark(file=str(path), line=1, column=1), f"is not UTF-8 text: {error.reason}"))
        return document
    for number, line in enumerate(text.splitlines(), 1):
        found = FORBIDDEN.search(line)
        if found:
            mark = Mark(file=str(path), line=number, column=found.start() + 1)
            document.mistakes.append((mark, f"control character U+{ord(found[0]):04X}: remove it"))
    if document.mistakes:
        return document
    try:
        root = yaml.compose(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        line, column = (place.line + 1, place.column + 1) if place else (1, 1)
        what = " ".join(filter(None, (error.context, error.problem)))
        tab = " (a tab? YAML indents with blanks)" if "'\\t'" in what else ""
        document.mistakes.append((Mark(file=str(path), line=line, column=column), f"broken YAML: {what}{tab}"))
        return document
    except RecursionError:
        document.mistakes.append((Mark(file=str(path), line=1, column=1), "is nested too deeply"))
        return document
    if root is not None:
        document.value = Composer(document).value(root, ())
    return document


class Composer:
    """Turns YAML nodes into plain values and notes the place of each."""

    def __init__(self, document: Document) -> None:
        """Count values, so that aliases of aliases (a merge bomb) end in an error and not in the machine's memory."""
        self.document = document
        self.count = 0

    def complain(self, node: yaml.Node, what: str) -> None:
        """Note a mistake at a YAML node."""
        self.document.mistakes.append((self.mark(node), what))

    def mark(self, node: yaml.Node) -> Mark:
        """Return a YAML node's place, counted from one."""
        start = node.start_mark
        return Mark(file=self.document.file, line=start.line + 1, column=start.column + 1)

    def value(self, node: yaml.Node, path: Path_) -> Any:
        """Return the plain value of a node: dict, list, str, `SecretRef` or None."""
        self.document.marks.setdefault(path, self.mark(node))
        self.count += 1
        if len(path) > MAX_DEPTH or self.count > MAX_VALUES:
            raise InventoryError([f"{self.mark(node)}: nested too deeply, or aliases that multiply: write it out plainly"])
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self.scalar(node)

    def mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        """Return a mapping; a key that is written twice is a mistake and the first one counts."""
        result: dict[str, Any] = {}
        for key_node, value_node in self.pairs(node):
            if not isinstance(key_node, yaml.ScalarNode):
                self.complain(key_node, "a key must be a plain word")
                continue
            key = str(key_node.value)
            if key in result:
                first = self.document.marks[(*path, key)]
                self.complain(key_node, f"{key!r} is written twice (line {first.line})")
                continue
            self.document.marks[(*path, key)] = self.mark(key_node)
            result[key] = self.value(value_node, (*path, key))
            if not isinstance(value_node, yaml.MappingNode):
                self.document.marks[(*path, key)] = self.mark(value_node)
        return result

    def pairs(self, node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """Yield the pairs of a mapping; ``<<`` is refused: groups say the same thing where a reader sees it."""
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag == "tag:yaml.org,2002:merge":
                self.complain(key_node, "merge keys (<<) are not used here: put shared attributes into groups.yaml")
            else:
                yield key_node, value_node

    def scalar(self, node: yaml.ScalarNode) -> str | SecretRef | None:
        """Return a scalar as it was written; an empty plain one is None; ``!secret`` makes a reference."""
        text = str(node.value)
        if node.tag == "!secret":
            kind, _, where = text.partition(":")
            if kind in SecretKind.__members__.values() and where:
                return SecretRef(kind=SecretKind(kind), where=where)
            self.complain(node, f"a secret is 'env:NAME' or 'file:PATH', not {text!r}")
            return None
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self.complain(node, f"unknown tag {node.tag}: only !secret exists")
        if node.style is None and text in {"", "~", "null"}:
            return None
        return text
