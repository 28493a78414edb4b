"""What `doit check` says of an inventory without mistakes: its size, and what is likely to be not what was meant."""

import json
from collections.abc import Sequence
from pathlib import Path

from tasks.errors import BootmillError
from tasks.inventory.compile import thorough
from tasks.inventory.mistakes import Notice, lines
from tasks.inventory.model import Cluster

MOST_OF_A_KIND = 5
USAGE = "doit check [--json]"


def check(folder: Path, words: Sequence[str]) -> None:
    """Carry out ``check [--json]``; the mistakes of a wrong inventory have ended the run before.

    The inventory is read from the beginning, whatever is known of it: only so is it known where things are written.
    """
    wanted = [word.removeprefix("--") for word in words if word != "--"]
    if set(wanted) - {"json"}:
        message = f"check: unknown word {sorted(set(wanted) - {'json'})[0]!r}"
        raise BootmillError(message, hint=f"usage: {USAGE}")
    cluster, warnings = thorough(folder)
    if wanted:
        rows = [told(notice) for notice in warnings]
        print(json.dumps({"mistakes": [], "warnings": rows, "counts": counts(cluster)}, indent=1))
    else:
        print("\n".join([summary(cluster, len(warnings)), *shown(warnings)]))


def shown(warnings: Sequence[Notice]) -> list[str]:
    """Return warnings as lines for people; of very many of a kind the first ones."""
    kinds: dict[str, list[Notice]] = {}
    for notice in warnings:
        kinds.setdefault(notice.text, []).append(notice)
    first = [notice for notice in warnings if notice in kinds[notice.text][:MOST_OF_A_KIND]]
    more = [(len(found) - MOST_OF_A_KIND, text) for text, found in kinds.items() if len(found) > MOST_OF_A_KIND]
    return [*lines(first, "warnings", "warning: "), *(f"and {count} more: {text}" for count, text in more)]


def told(notice: Notice) -> dict[str, object]:
    """Return a warning for machines."""
    mark = notice.mark
    return {
        "file": mark.file,
        "line": mark.line,
        "column": mark.column,
        "subject": notice.subjects[0] if notice.subjects else "",
        "subjects": notice.subjects,
        "text": notice.text,
    }


def counts(cluster: Cluster) -> dict[str, int]:
    """Return the number of rows of each kind."""
    return {
        "nodes": len(cluster.nodes),
        "groups": len(cluster.groups),
        "networks": len(cluster.networks),
        "switches": len(cluster.switches),
        "osimages": len(cluster.osimages),
        "media": len(cluster.media),
    }


def summary(cluster: Cluster, warnings: int) -> str:
    """Return the inventory's size in words."""
    rows = [counted(number, kind) for kind, number in counts(cluster).items() if kind != "groups" or number]
    more = f"; {counted(warnings, 'warnings')}:" if warnings else ""
    return f"the inventory is right: {', '.join(rows)}{more}"


def counted(number: int, kind: str) -> str:
    """Return ``9 nodes`` or ``1 node``."""
    return f"{number} {kind}" if number != 1 else f"1 {singular(kind)}"


def singular(kind: str) -> str:
    """Return the word for one row."""
    return {"switches": "switch", "media": "medium"}.get(kind, kind.removesuffix("s"))
