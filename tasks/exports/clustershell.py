"""ClusterShell: the inventory's groups for nodeset and clush, and a source of groups for each thing nodes differ in.

    CLUSTERSHELL_CFGDIR=/etc/bootmill/clustershell nodeset -e @compute
    … nodeset -e @model:PE_860            sources: groups, model, osimage, switch, and each of the site's variables

Source: clustershell.readthedocs.io, "Node groups"; a file in ``groups.d`` holds sources, each with groups.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import Final, cast

from tasks import paths
from tasks.exports.folding import Block, folded, joined
from tasks.exports.membership import OURS, Frame, Summary, frame, rows
from tasks.exports.quote import STRING, inspect, wall
from tasks.family import Aggregate, Rows

CONF = """\
# Made by Bootmill from inventory/: edits are lost.  Beside other groups: link groups.d/bootmill.yaml into
# /etc/clustershell/groups.d/; alone: CLUSTERSHELL_CFGDIR=/etc/bootmill/clustershell
[Main]
default: groups
autodir: $CFGDIR/groups.d
"""
HEAD = """\
# Made by Bootmill from inventory/: edits are lost.  Blanks in a name are written _; values that no group can be called
# after (,@!&^*[] and letters beyond ASCII) have no group.
"""
SOURCE = "groups"  # what the source of the inventory's own groups is called; a site's variable of this name has none
GROUP_NAME = re.compile(r"[A-Za-z0-9_.+/-]{1,64}")
LINE = wall(rf'(?:"[a-z][a-z0-9_]*":(?: \{{\}})?|  {STRING}: "[a-z0-9,\[\]-]*+")')
CONF_LINE = wall(r"(?:\[Main\]|[a-z]+: [a-z.$/CFGDIR]+)")


def text(frame: Frame, rows: Sequence[Rows]) -> Mapping[Path, str]:
    """Return the groups of all sources; a group of the inventory that nobody is in is there, empty."""
    groups: dict[str, list[Block]] = {name: [] for name, _ in frame.nesting}
    ours: dict[str, dict[str, list[Block]]] = {SOURCE: groups, **{name: {} for name in OURS}}
    others: dict[str, dict[str, list[Block]]] = {}
    for summary in cast("Sequence[Summary]", rows):
        for labels, parts in summary:
            for kind, value in labels:
                name = value.replace(" ", "_")
                if kind != SOURCE and GROUP_NAME.fullmatch(name):
                    source = ours.get(kind or SOURCE)
                    if source is None:
                        source = others.setdefault(kind, {})
                    source.setdefault(name, []).extend(parts)
    found = [*ours.items(), *sorted(others.items())]
    return {
        outputs(frame)[0]: HEAD + "".join(starmap(told, found)),
        outputs(frame)[1]: CONF,
    }


def told(source: str, groups: Mapping[str, list[Block]]) -> str:
    """Return one source of groups."""
    lines = [f'  "{name}": "{folded(joined(parts))}"\n' for name, parts in sorted(groups.items())]
    return f'"{source}":\n{"".join(lines)}' if lines else f'"{source}": {{}}\n'


def outputs(frame: Frame) -> Sequence[Path]:
    """Return the groups and the configuration that finds them."""
    names = "groups.d/bootmill.yaml", "groups.conf"
    return [paths.for_tools(frame.site, f"clustershell/{name}") for name in names]


def check(frame: Frame, texts: Mapping[Path, str]) -> None:
    """Look at every line."""
    for path, pattern in zip(outputs(frame), (LINE, CONF_LINE), strict=True):
        inspect(path, texts[path], pattern)


AGGREGATE: Final = Aggregate(name="clustershell", frame=frame, rows=rows, text=text, outputs=outputs, check=check)
