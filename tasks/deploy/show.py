"""``doit plan``: what is told of it, to people and to programs."""

import importlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tasks.deploy.difference import Change
from tasks.deploy.planned import Cause, FilePlan, NodePlan, Plan, Sight, planned
from tasks.deploy.words import PLAN
from tasks.inventory import noderange
from tasks.inventory.model import Cluster

MOST_HUNKS = 20  # of each file, unless --full
MOST_FILES = 20  # with their hunks; of the others only the names are told
MOST_LINES = 40  # causes of a file, nodes
WOULD_CHANGE = 2  # exit code of --check


@dataclass(frozen=True, kw_only=True)
class Paint:
    """Colours, or none."""

    on: bool

    def __call__(self, code: str, text: str) -> str:
        """Return a text in a colour; what would speak to the terminal is written out."""
        safe = text if text.isprintable() else "".join(map(visible, text))
        return f"\x1b[{code}m{safe}\x1b[0m" if self.on and code else safe


def visible(character: str) -> str:
    """Return a character as a terminal may show it."""
    return character if character.isprintable() or character in "\t\n" else f"\\x{ord(character):02x}"


def plan_cluster(cluster: Cluster, rendered: Sequence[str], built: str, words: Sequence[str]) -> None:
    """Show the plan of a cluster.

    The modules `rendered` know their families (``makers()``), one of them the boot menus (``menu_changes()``); the
    module `built` knows what was built last (``last()``) and where values are written (``place()``).
    """
    modules = [importlib.import_module(name) for name in rendered]
    memory = importlib.import_module(built)
    menus = next(partial(module.menu_changes, cluster) for module in modules if hasattr(module, "menu_changes"))
    families = [maker for module in modules for maker in module.makers()]
    plan(Sight(old=memory.last(), new=cluster, families=families, places=memory.place, menus=menus), words)


def plan(sight: Sight, words: Sequence[str]) -> None:
    """Print the plan, and end this process: a task that returned would be noted in doit's database, and a plan writes
    nothing.  Exit code 0, with --check 2 where anything would change.
    """
    order = PLAN.understand([*words])
    order_words(order.words)
    full = "--full" in order.on
    result = planned(sight, most=None if full else MOST_HUNKS)
    if "--json" in order.on:
        print(json.dumps(document(result), indent=2))
    else:
        colour = order.values.get("--color", "auto")
        paint = Paint(on=colour == "always" or (colour == "auto" and wants_colour()))
        print("\n".join(text(result, paint, full=full)))
    sys.stdout.flush()
    raise SystemExit(WOULD_CHANGE if "--check" in order.on and result else 0)


def order_words(words: Sequence[str]) -> None:
    """Refuse words: the plan is of everything."""
    if words:
        message = f"{words[0]!r} is one word too many"
        raise PLAN.misused(message)


def wants_colour() -> bool:
    """Whether a person watches who did not ask for none (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


# -- for people --------------------------------------------------------------------------------------------------------


def text(plan: Plan, paint: Paint, *, full: bool) -> Iterator[str]:
    """Yield the lines: files, nodes, what has to follow, a sum."""
    for number, file in enumerate(plan.files):
        if full or number < MOST_FILES:
            yield from file_lines(file, paint, full=full)
    if not full and len(plan.files) > MOST_FILES:
        yield f"… and {len(plan.files) - MOST_FILES:,} more files (doit plan --full shows all)"
    yield from (paint("", str(other)) for other in plan.others)
    yield from node_lines(plan.nodes, paint, full=full)
    if plan.services:
        yield f"daemons whose files change: {', '.join(plan.services)}"
    if plan.reboots:
        yield f"nodes that must boot again: {noderange.fold([reboot.node for reboot in plan.reboots])}"
    yield from (f"note: {paint('', note)}" for note in plan.notes)
    count = len(plan.files)
    yield f"{count:,} file{'' if count == 1 else 's'} would be written" if count else "no file would be written"


def file_lines(file: FilePlan, paint: Paint, *, full: bool) -> Iterator[str]:
    """Yield what is told of a file: its name, why, and its hunks."""
    tells = f"  tells {file.service}" if file.service else ""
    yield paint("1", f"{file.act} {file.path}  +{file.diff.added} -{file.diff.removed}{tells}")
    yield from limited([f"    {cause}" for cause in file.causes], paint, full=full, what="causes")
    if not file.causes:
        yield (
            "    no attribute: an image, the order of nodes, code or a template changed, "
            "or the file is missing or was altered"
        )
    for hunk in file.diff.hunks:
        yield from (paint(colour(line), line) for line in hunk)
    if file.diff.more:
        yield f"    … and {file.diff.more:,} more places (doit plan --full shows all)"


def colour(line: str) -> str:
    """Return the colour of a diff's line."""
    return {"+": "32", "-": "31", "@": "36"}.get(line[:1], "")


def node_lines(nodes: Sequence[NodePlan], paint: Paint, *, full: bool) -> Iterator[str]:
    """Yield a line for each node; nodes with the very same changes share one."""
    groups: dict[tuple[object, ...], list[NodePlan]] = {}
    for node in nodes:
        same = tuple((*cause.change[3:], cause.change.kind, cause.place) for cause in node.causes)
        groups.setdefault((same, node.reboot), []).append(node)
    lines = []
    for found in groups.values():
        name = noderange.fold([node.name for node in found]) if len(found) > 1 else found[0].name
        why = "; ".join(told(cause) for cause in found[0].causes)
        lines.append(f"{name}: {why}{'; must boot again' if found[0].reboot else ''}")
    yield from limited(lines, paint, full=full, what="lines on nodes")


def told(cause: Cause) -> str:
    """Return a node's change without its name, the place behind."""
    words = str(cause.change).partition(": ")[2]
    return f"{words} ({cause.place})" if cause.place else words


def limited(lines: Sequence[str], paint: Paint, *, full: bool, what: str) -> Iterator[str]:
    """Yield lines, not too many of them."""
    shown = lines if full else lines[:MOST_LINES]
    yield from (paint("", line) for line in shown)
    if len(lines) > len(shown):
        yield f"    … and {len(lines) - len(shown):,} more {what}"


# -- for programs ------------------------------------------------------------------------------------------------------


def document(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON has it."""
    places = {cause.change: cause.place for node in plan.nodes for cause in node.causes}
    places |= {cause.change: cause.place for cause in plan.others}
    return {
        "files": [
            {
                "path": str(file.path),
                "action": file.act,
                "added": file.diff.added,
                "removed": file.diff.removed,
                "diff": [line for hunk in file.diff.hunks for line in hunk],
                "left_out": file.diff.more,
                "causes": [as_dict(cause.change, cause.place) for cause in file.causes],
                "service": file.service or None,
            }
            for file in plan.files
        ],
        "nodes": [
            {
                "name": node.name,
                "changes": causes(node.causes),
                "files": [str(path) for path in node.files],
                "reboot": node.reboot,
            }
            for node in plan.nodes
        ],
        "others": causes(plan.others),
        "services": list(plan.services),
        "reboots": [
            {"node": reboot.node, "why": [as_dict(change, places.get(change, "")) for change in reboot.why]}
            for reboot in plan.reboots
        ],
        "notes": list(plan.notes),
    }


def causes(found: Iterable[Cause]) -> list[dict[str, Any]]:
    """Return causes as JSON has them."""
    return [as_dict(cause.change, cause.place) for cause in found]


def as_dict(change: Change, place: str) -> dict[str, Any]:
    """Return one change as JSON has it."""
    return {**change._asdict(), "place": place or None}
