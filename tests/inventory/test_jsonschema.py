"""The JSON Schemas for editors: up to date, well-formed, and of one mind with the loader about what is right."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.inventory import jsonschema

INVENTORY = Path(__file__).parents[2] / "inventory"
TABLES = sorted(jsonschema.texts())
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
SAID = {"$schema", "title", "description"}  # keywords that only tell


class Loader(yaml.SafeLoader):
    """YAML as the language server reads it: values have types, a tag of ours is a text."""


Loader.add_constructor("!secret", lambda loader, node: loader.construct_scalar(node))  # type: ignore[arg-type]


def wrong(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """Yield where a value is not what a schema (draft 07) allows; a keyword that is not known here is an error."""
    for keyword, wanted in schema.items():
        match keyword:
            case "type":
                names = [wanted] if isinstance(wanted, str) else wanted
                kinds = tuple(kind for name in names for kind in TYPES[name])
                if not isinstance(value, kinds) or (isinstance(value, bool) and "boolean" not in names):
                    yield f"{path}: {value!r} is no {wanted}"
            case "enum":
                if value not in wanted:
                    yield f"{path}: {value!r} is none of {wanted}"
            case "pattern":
                if isinstance(value, str) and not re.search(wanted, value):
                    yield f"{path}: {value!r} does not match {wanted}"
            case "minimum" | "maximum":
                if isinstance(value, int) and (value < wanted if keyword == "minimum" else value > wanted):
                    yield f"{path}: {value} against {keyword} {wanted}"
            case "minLength" | "maxLength":
                if isinstance(value, str) and (len(value) < wanted if keyword == "minLength" else len(value) > wanted):
                    yield f"{path}: {value!r} against {keyword} {wanted}"
            case "anyOf":
                if all(any(wrong(choice, value)) for choice in wanted):
                    yield f"{path}: {value!r} is nothing of {wanted}"
            case "required":
                if isinstance(value, dict):
                    yield from (f"{path}: {name} is missing" for name in wanted if name not in value)
            case "items":
                if isinstance(value, list):
                    for number, item in enumerate(value):
                        yield from wrong(wanted, item, f"{path}/{number}")
            case "properties":
                if isinstance(value, dict):
                    for name in wanted.keys() & value.keys():
                        yield from wrong(wanted[name], value[name], f"{path}/{name}")
            case "propertyNames":
                if isinstance(value, dict):
                    for name in value:
                        yield from wrong(wanted, name, f"{path}/{name}")
            case "additionalProperties":
                if isinstance(value, dict):
                    for name in value.keys() - schema.get("properties", {}).keys():
                        if wanted is False:
                            yield f"{path}: unknown {name}"
                        elif wanted is not True:
                            yield from wrong(wanted, value[name], f"{path}/{name}")
            case _:
                assert keyword in SAID, f"{path}: unknown keyword {keyword}"


def schema_of(table: str) -> dict[str, Any]:
    """Return a table's schema as it lies in the inventory."""
    found: dict[str, Any] = json.loads((INVENTORY / ".schema" / f"{table}.json").read_text())
    return found


def complaints(table: str, text: str) -> list[str]:
    """Return what an editor would complain about."""
    return [*wrong(schema_of(table), yaml.load(text, Loader))]


def test_they_are_up_to_date() -> None:
    """The files are what the tables make; ``jsonschema.write(Path("inventory"))`` makes them."""
    found = {path.stem: path.read_text() for path in (INVENTORY / ".schema").iterdir()}
    assert found == jsonschema.texts(), (
        "python -c 'from tasks.inventory.jsonschema import *; write(Path(\"inventory\"))'"
    )


@pytest.mark.parametrize("table", TABLES)
def test_the_sample_is_right_for_editors(table: str) -> None:
    """Each file of the sample names its schema in its first line, and is what that allows."""
    text = (INVENTORY / f"{table}.yaml").read_text()
    assert text.startswith(f"# yaml-language-server: $schema=.schema/{table}.json\n")
    assert complaints(table, text) == []


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("nodes", "n1: {ip: '10.1.0.{{ n[0] }}', memory: '{{ 64 * n[0] }}', bmc: ~, groups: 'a, b'}"),
        ("nodes", "n[1-9]: {vars: {rack: 7, row: true}, port: {switch: s, port: 5}, model: 860}"),
        (
            "nodes",
            "n1: {bmc: {password: !secret env:A}, nics: {eth1: {names: [a, '{{ name }}-b'], mtu: 9000}, eth2: ~}}",
        ),
        ("nodes", "n1:\nn2: ~"),
        ("groups", "a: {groups: [b], ip: '{{ x }}'}\nb: {where: {model: 860}}\nc:"),
        ("switches", "s: {ip: 10.1.0.1, snmp: 3, user: a}\nt: {ip: 10.1.0.2, snmp: 2c}"),
        ("networks", "m: {subnet: 10.1.0.0/24, dynamic_range: 10.1.0.5-10.1.0.9, vlan: 7, dhcp: false}"),
        ("site", "domain: a.b\nmaster: m\ndefaults: {console: {speed: 9600}}\nrecords: [{name: a, type: A, value: b}]"),
    ],
)
def test_what_loads_is_right(table: str, text: str) -> None:
    """Expressions, nothing, numbers for texts: an editor is content with what the loader is content with."""

    assert complaints(table, text) == []


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("nodes", "n1: {modle: PE 860}"),
        ("nodes", "n1: {mac: 00:18:8b}"),
        ("nodes", "n1: {memory: much}"),
        ("nodes", "n1: {state: netbot}"),
        ("nodes", "n1: {bmc: {adress: 10.1.0.1}}"),
        ("nodes", "n1: {bmc: root}"),
        ("nodes", "n1: {nics: {eth1: {ipp: 10.1.0.1}}}"),
        ("nodes", "n1: {nics: {'eth 1': {}}}"),
        ("nodes", "n1: [a]"),
        ("groups", "a: {where: {model: [a]}}"),
        ("networks", "m: {gateway: 10.1.0.1}"),
        ("networks", "m: {subnet: 10.1.0.0/24, vlan: 5000}"),
        ("site", "domain: a.b"),
        ("site", "domain: a.b\nmaster: m\ndefaults: {modle: a}"),
        ("site", "domain: a.b\nmaster: m\nrecords: [{name: a, type: PTR, value: b}]"),
        ("osimages", "a: {media: b, packages: c, drivers: []}"),
        ("media", "a: {iso: [b]}"),
        ("switches", "a: {ip: 10.1.0.1, snmp: 4}"),
    ],
)
def test_what_is_wrong_is_marked(table: str, text: str) -> None:
    """An editor marks what the loader would refuse, as far as one row can tell."""
    assert complaints(table, text)
