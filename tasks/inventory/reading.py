"""YAML → located values.  The only module that reads YAML.

The files are read event by event, not constructed: every scalar stays the text that was written (``no`` is the word
*no*, ``010`` is not eight, an all-digit MAC is no sexagesimal number) until the schema gives it a type, and every value
keeps its ``file:line:column``.  Events also end hostile files early: depth is looked at before anything recurses, and
an alias costs what it stands for before anything is multiplied.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tasks.inventory.model import SecretKind, SecretRef

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DEPTH = 20
MAX_ALIASED = 1_000_000  # values that aliases stand for; what is written out is bounded by the file
NOWHERE = -1  # the place of values that are read over: no list has such an item
# C0 and C1 controls, Unicode's own line ends (YAML counts lines by them, editors do not), and what reverses the text.
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
UNPLAIN = re.compile(f"{FORBIDDEN.pattern}|[\n\t]")
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
Path_ = tuple[str | int, ...]


class Mark(NamedTuple):
    """A place in the inventory."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Return the place as compilers write it."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(kw_only=True)
class Document:
    """One file: its plain value, the place of every value in it, and what was wrong already while reading.

    `broken` says that the value is not the whole file: nothing may be concluded from what is missing.
    """

    file: str
    value: Any = None
    marks: dict[Path_, Mark] = field(default_factory=dict)
    mistakes: list[tuple[Mark, str]] = field(default_factory=list)
    broken: bool = False

    def at(self, line: int, column: int) -> Mark:
        """Return a place in this file, counted from one."""
        return Mark(file=self.file, line=line, column=column)

    def mark(self, path: Path_) -> Mark:
        """Return the place of a value, or of the nearest value around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]]
        return self.at(1, 1)


class UnreadableError(Exception):
    """The rest of a file makes no sense: a place and a sentence."""

    def __init__(self, mark: Mark, text: str) -> None:
        """Keep the place apart."""
        super().__init__(text)
        self.mark = mark
        self.text = text


def read(path: Path) -> Document:
    """Read one YAML file.  A missing file is an empty document; mistakes are collected, not raised."""
    document = Document(file=str(path))
    try:
        text = content(path, document)
        if not document.mistakes:
            document.value = Builder(document, text).document_value()
    except UnreadableError as error:
        document.mistakes.append((error.mark, error.text))
    document.broken = bool(document.mistakes) and document.value is None
    return document


def content(path: Path, document: Document) -> str:
    """Return a file's text; `UnreadableError` where it has none, complaints where characters hide something."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UnreadableError(document.at(line, 1), "is not UTF-8 text: save it as UTF-8") from error
    except OSError as error:
        raise UnreadableError(document.at(1, 1), f"cannot be read: {error.strerror}") from error
    lines = text.replace("\r\n", "\n").split("\n")
    for number, characters in enumerate(lines, 1):
        found = FORBIDDEN.search(characters)
        if found:
            mark = document.at(number, found.start() + 1)
            document.mistakes.append((mark, f"control character U+{ord(found[0]):04X}: remove it"))
    return "\n".join(lines)


class Builder:
    """Builds plain values (dict, list, str, `SecretRef`, None) from YAML's events and notes the place of each."""

    def __init__(self, document: Document, text: str) -> None:
        """Begin to read; nothing is parsed before it is asked for."""
        self.document = document
        self.events: Iterator[yaml.Event] = yaml.parse(text, Loader=Loader)
        self.count = self.aliased = 0
        self.anchors: dict[str, tuple[Any, int] | None] = {}  # value and its size; None while it is being read

    def next(self) -> yaml.Event:
        """Return the next event; broken YAML is an `UnreadableError` that says where."""
        try:
            return next(self.events)
        except yaml.MarkedYAMLError as error:
            place = error.problem_mark or error.context_mark
            mark = self.document.at(place.line + 1, place.column + 1) if place else self.document.at(1, 1)
            what = " ".join(filter(None, (error.context, error.problem)))
            tab = " (a tab? YAML indents with blanks)" if "cannot start any token" in what else ""
            raise UnreadableError(mark, f"broken YAML: {what}{tab}") from error
        except yaml.YAMLError as error:
            raise UnreadableError(self.document.at(1, 1), f"broken YAML: {error}".partition("\n")[0]) from error

    def mark(self, event: yaml.Event) -> Mark:
        """Return an event's place, counted from one."""
        start = event.start_mark
        assert start is not None  # the C parser and the Python one both set it
        return self.document.at(start.line + 1, start.column + 1)

    def complain(self, event: yaml.Event, what: str) -> None:
        """Note a mistake at an event."""
        self.document.mistakes.append((self.mark(event), what))

    def document_value(self) -> Any:
        """Return the value of the only document; an empty file is None."""
        self.next()  # the stream's start
        if isinstance(self.next(), yaml.StreamEndEvent):
            return None
        value = self.value(self.next(), ())
        self.next()  # the document's end
        event = self.next()
        if not isinstance(event, yaml.StreamEndEvent):
            self.complain(event, "a second document begins here: one file is one document")
        return value

    def value(self, event: yaml.Event, path: Path_) -> Any:
        """Return the value that begins with an event, and note its place."""
        self.document.marks[path] = self.mark(event)
        self.count += 1
        if len(path) > MAX_DEPTH:
            raise UnreadableError(self.mark(event), f"is nested more than {MAX_DEPTH} deep: write it out plainly")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        assert isinstance(event, yaml.NodeEvent)
        before = self.count
        if event.anchor:
            self.anchors[event.anchor] = None
        value = self.plain(event, path)
        if event.anchor:
            self.anchors[event.anchor] = value, self.count - before + 1
        return value

    def plain(self, event: yaml.NodeEvent, path: Path_) -> Any:
        """Return the value of an event that is no alias."""
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event)
        if getattr(event, "tag", None):
            self.complain(event, "tags are not used here; only a secret has one: !secret env:NAME")
        return self.mapping(path) if isinstance(event, yaml.MappingStartEvent) else self.sequence(path)

    def alias(self, event: yaml.AliasEvent) -> Any:
        """Return what ``*name`` stands for; it counts with its full size, so that a bomb ends before it bursts."""
        name = str(event.anchor)
        if self.anchors.get(name) is None:
            what = "refers to itself" if name in self.anchors else "is not defined above"
            raise UnreadableError(self.mark(event), f"the alias *{name} {what}")
        value, size = self.anchors[name] or (None, 0)
        self.count += size
        self.aliased += size
        if self.aliased > MAX_ALIASED:
            raise UnreadableError(self.mark(event), f"the alias *{name} multiplies too often: write it out plainly")
        return value

    def sequence(self, path: Path_) -> list[Any]:
        """Return the list whose items come next."""
        result: list[Any] = []
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            result.append(self.value(event, (*path, len(result))))
        return result

    def mapping(self, path: Path_) -> dict[str, Any]:
        """Return the mapping whose pairs come next; of a key that is written twice the first one counts."""
        result: dict[str, Any] = {}
        keys: dict[str, Mark] = {}
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key = self.key(event, path)
            if key is None or key in keys:
                if key is not None:
                    self.complain(event, f"{key!r} is written twice (line {keys[key].line})")
                self.skip(path)
                continue
            keys[key] = self.mark(event)
            value_event = self.next()
            result[key] = self.value(value_event, (*path, key))
            if isinstance(value_event, yaml.MappingStartEvent):
                self.document.marks[(*path, key)] = keys[key]
        return result

    def key(self, event: yaml.Event, path: Path_) -> str | None:
        """Return a key's text, or None after a complaint.

        ``<<`` is refused: groups say the same thing where a reader sees it.
        """
        if not isinstance(event, yaml.ScalarEvent) or event.tag or event.anchor:
            self.complain(event, "a key must be a plain word")
            if not isinstance(event, yaml.ScalarEvent):
                self.value(event, (*path, NOWHERE))
            return None
        if event.value == "<<" and not event.style:
            self.complain(event, "merge keys (<<) are not used here: put shared attributes into groups.yaml")
            return None
        self.one_line(event)
        return str(event.value)

    def skip(self, path: Path_) -> None:
        """Read over the next value; what is wrong in it is told all the same."""
        self.value(self.next(), (*path, NOWHERE))

    def scalar(self, event: yaml.ScalarEvent) -> str | SecretRef | None:
        """Return a scalar as it was written; an empty plain one is None; ``!secret`` makes a reference."""
        text = str(event.value)
        if event.tag == "!secret":
            return self.secret(event, text)
        if event.tag:
            self.complain(event, f"unknown tag {event.tag}: only !secret exists")
        self.one_line(event)
        return None if not event.style and text in NULLS else text

    def one_line(self, event: yaml.ScalarEvent) -> None:
        """Complain about what an escape or a block scalar may bring in: no value of ours has more than one line."""
        found = UNPLAIN.search(event.value)
        if found:
            what = "a line break" if found[0] == "\n" else f"the control character U+{ord(found[0]):04X}"
            self.complain(event, f"this text holds {what}: write one plain line")

    def secret(self, event: yaml.ScalarEvent, text: str) -> SecretRef | None:
        """Return a reference to a secret.  What is no reference may be the secret itself: it is not repeated."""
        self.one_line(event)
        kind, _, where = text.partition(":")
        if kind in SecretKind.__members__.values() and where:
            return SecretRef(kind=SecretKind(kind), where=where)
        self.complain(event, "a secret is a reference: write !secret env:NAME or !secret file:PATH")
        return None


# -- without places ------------------------------------------------------------------------------------------------


class UnsureError(Exception):
    """The quick way cannot tell whether the inventory is right: the thorough one looks, and says what is wrong."""


def plain(text: str) -> dict[str, Any]:
    """Return the mapping that a text holds, without places and complaints, in a third of the time of `read`.

    Whatever is unusual (an anchor, a tag, a key that is written twice, a control character) is an `UnsureError`.
    """
    if FORBIDDEN.search(text):
        raise UnsureError  # a control character
    events = yaml.parse(text, Loader=Loader)
    try:
        next(events)
        if isinstance(next(events), yaml.StreamEndEvent):
            return {}
        value = plain_value(next(events), events, 0)
        next(events)
        if not isinstance(next(events), yaml.StreamEndEvent):
            raise UnsureError  # a second document
    except yaml.YAMLError as error:
        raise UnsureError from error  # broken YAML
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnsureError  # no mapping
    return value


def plain_value(event: Any, events: Iterator[Any], depth: int) -> Any:
    """Return the value that begins with an event."""
    if depth > MAX_DEPTH or event.anchor:
        raise UnsureError  # deep nesting or an anchor
    if isinstance(event, yaml.ScalarEvent):
        return plain_scalar(event)
    if event.tag:
        raise UnsureError  # a tag
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(plain_value(event, events, depth + 1))
        return items
    result: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = event.value if isinstance(event, yaml.ScalarEvent) and not event.tag and not event.anchor else None
        if key is None or key in result or key == "<<" or "\n" in key or "\t" in key or FORBIDDEN.search(key):
            raise UnsureError  # a key that is no plain word, or is written twice
        result[key] = plain_value(next(events), events, depth + 1)
    return result


def plain_scalar(event: Any) -> str | SecretRef | None:
    """Return a scalar as `Builder.scalar` does."""
    text: str = event.value
    if "\n" in text or "\t" in text or (event.style and FORBIDDEN.search(text)):
        raise UnsureError  # more than one line
    if event.tag:
        kind, _, where = text.partition(":")
        if event.tag != "!secret" or kind not in SecretKind.__members__.values() or not where:
            raise UnsureError  # a tag
        return SecretRef(kind=SecretKind(kind), where=where)
    return None if not event.style and text in NULLS else text
