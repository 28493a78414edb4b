"""JSON Schemas of the inventory's tables, made from `schema`: editors complete and check with them while one types.

They lie in inventory/.schema/, and each file that people write names its own in its first line, which the YAML language
server reads; the files that Bootmill writes need none.  YAML gives editors typed values where we read plain text:
``port: 7`` is a number to them, so what is text here may be a number or a truth there.  Secrets are written with a tag
of ours; tell the editor: ``yaml.customTags: ["!secret scalar"]``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tasks import files
from tasks.inventory import schema

DIALECT = "http://json-schema.org/draft-07/schema#"  # the newest that the YAML language server knows whole
FOLDER = ".schema"
Schema = dict[str, Any]

TABLES: Mapping[str, type[schema.Table]] = {
    "networks": schema.NetworkIn,
    "switches": schema.SwitchIn,
    "nodes": schema.NodeIn,
    "groups": schema.GroupIn,
    "osimages": schema.OsImageIn,
    "media": schema.MediaIn,
}
TEXT = ["string", "number", "boolean"]  # what is text to us
ANY_TEXT: Schema = {"type": TEXT}
NOTHING: Schema = {"type": "null"}
EXPRESSION: Schema = {"type": "string", "pattern": r"\{\{"}
IGNORED = ("title", "default", "format", "prefixItems")  # of no use to an editor, or unknown to draft 07


def texts() -> dict[str, str]:
    """Return every table's schema as the text of its file."""
    made = {"site": site(), **{table: keyed(table) for table in TABLES}}
    return {table: json.dumps(content, indent=1, ensure_ascii=False) + "\n" for table, content in made.items()}


def write(folder: Path) -> None:
    """Write the schemas below an inventory: ``write(Path("inventory"))`` after a change of `schema`."""
    for table, text in texts().items():
        files.write_atomic(folder / FOLDER / f"{table}.json", text)


def site() -> Schema:
    """Return the schema of site.yaml, which is one row."""
    row = of_table(schema.SiteIn, loose=False)
    row["properties"]["defaults"] = {**nodes(), "description": row["properties"]["defaults"]["description"]}
    return {"$schema": DIALECT, "title": "site.yaml", **row}


def keyed(table: str) -> Schema:
    """Return the schema of a table whose rows have names, or noderanges."""
    kind = TABLES[table]
    row = of_table(kind, loose=kind is schema.NodeIn)
    if table == "groups":
        row["properties"] = {**nodes()["properties"], **row["properties"]}
    return {
        "$schema": DIALECT,
        "title": f"{table}.yaml",
        "description": " ".join((kind.__doc__ or "").split()),
        "type": ["object", "null"],
        "additionalProperties": {**row, "type": ["object", "null"]},
    }


def nodes() -> Schema:
    """Return the schema of a node's attributes, none of them required."""
    return of_table(schema.NodeIn, loose=True)


def of_table(kind: type[BaseModel], *, loose: bool) -> Schema:
    """Return the schema of one row, with nothing referred to; `loose` values may be expressions, or taken away."""
    made = kind.model_json_schema(mode="validation")
    defs = made.pop("$defs", {})
    row: Schema = plain(made, defs, loose=loose)
    row.pop("description", None)
    return row


def plain(node: Any, defs: Mapping[str, Any], *, loose: bool) -> Any:
    """Return a piece of pydantic's schema in our form: definitions filled in, texts as editors see them."""
    if isinstance(node, list):
        return [plain(item, defs, loose=loose) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return plain({**defs[node["$ref"].rpartition("/")[2]], **rest}, defs, loose=loose)
    found: Schema = {key: value for key, value in node.items() if key not in IGNORED}
    if "patternProperties" in found:  # pydantic's word for names of a form; it would let all other names pass
        [(pattern, found["additionalProperties"])] = found.pop("patternProperties").items()
        found["propertyNames"] = {"pattern": pattern}
    if "properties" in found:
        inner = {name: plain(value, defs, loose=loose) for name, value in found["properties"].items()}
        found["properties"] = {name: free(value) for name, value in inner.items()} if loose else inner
        if loose:
            found.pop("required", None)  # what is missing may come from a group
    for key in ("items", "additionalProperties", "propertyNames", "anyOf"):
        if key in found:
            found[key] = plain(found[key], defs, loose=loose)
            if loose and key in {"items", "additionalProperties"} and isinstance(found[key], dict):
                found[key] = free(found[key])
    return typed(found)


def typed(node: Schema) -> Schema:
    """Return a schema whose texts may be what YAML makes of them: ``model: 860``, ``snmp: 3``, ``rack: yes``."""
    if node.get("type") != "string":
        return node
    if "enum" in node:
        numbers = [int(value) for value in node["enum"] if value.isdigit()]
        return {**{key: value for key, value in node.items() if key != "type"}, "enum": [*node["enum"], *numbers]}
    return {**node, "type": TEXT}


def free(node: Schema) -> Schema:
    """Return a schema that an expression and nothing (``bmc: ~``) satisfy too; its description stays on top."""
    described = {key: node[key] for key in ("description",) if key in node}
    bare = {key: value for key, value in node.items() if key not in described}
    choices = bare["anyOf"] if set(bare) == {"anyOf"} else [bare]
    kept = [choice for choice in choices if choice not in (NOTHING, ANY_TEXT, EXPRESSION)]
    if ANY_TEXT in choices:
        return (
            {**described, "anyOf": [*kept, {"type": [*TEXT, "null"]}]}
            if kept
            else {**described, "type": [*TEXT, "null"]}
        )
    return {**described, "anyOf": [*kept, EXPRESSION, NOTHING]}
