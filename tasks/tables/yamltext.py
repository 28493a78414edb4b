"""Values → YAML text, the plain part of it that Bootmill reads: mappings, lists, texts, references to secrets.

Written by hand, for the sake of the reader's eyes: a node is one line, an attribute is plain where it can be.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from tasks.inventory.model import SecretRef

Value: TypeAlias = "str | SecretRef | Sequence[Value] | Mapping[str, Value] | None"
PLAIN = re.compile(r"[A-Za-z0-9/+][A-Za-z0-9_./:+=@-]*(?: [A-Za-z0-9_./+=@-]+)*")
PLAIN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.,\[\]-]*")  # at the beginning of a line: a node range is plain
PLAIN_INNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
NULLS = frozenset({"null", "Null", "NULL"})  # what would be no text but nothing, were it not quoted


def scalar(value: str | SecretRef | None) -> str:
    """Return one value."""
    if value is None:
        return "~"
    if isinstance(value, SecretRef):
        return f"!secret {scalar(str(value))}"
    if PLAIN.fullmatch(value) and ": " not in f"{value} " and value not in NULLS:
        return value
    return json.dumps(value, ensure_ascii=False)  # JSON's texts are YAML's double-quoted ones


def flow(value: Value) -> str:
    """Return a value on one line: ``{groups: [compute], mac: 00:18:8b:f8:e3:58}``."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key(name, PLAIN_INNER)}: {flow(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def key(text: str, plain: re.Pattern[str] = PLAIN_KEY) -> str:
    """Return a row's or an attribute's name; a node range stays as it is."""
    return text if plain.fullmatch(text) and text not in NULLS else json.dumps(text, ensure_ascii=False)


def lines(rows: Mapping[str, Value]) -> str:
    """Return a document of one line a row; what has no value says so, nothing at all is an empty document."""
    return "".join(f"{key(name)}: {flow(value)}\n" for name, value in rows.items())


def block(rows: Mapping[str, Mapping[str, Value]]) -> str:
    """Return a document whose rows have a line for each attribute, and for each item of a long list."""
    text = ""
    for name, attributes in rows.items():
        text += f"{key(name)}:" + ("\n" if attributes else " {}\n")
        for attribute, value in attributes.items():
            text += f"  {key(attribute, PLAIN_INNER)}:{listed(value)}\n"
    return text


def listed(value: Value) -> str:
    """Return a value behind its attribute; lists of texts with blanks in them go below it."""
    long = isinstance(value, Sequence) and not isinstance(value, str) and len(flow(value)) > 60
    if long and isinstance(value, Sequence):
        return "".join(f"\n    - {flow(item)}" for item in value)
    return f" {flow(value)}"
