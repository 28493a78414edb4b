"""genders(7): what pdsh selects nodes by.  ``n[01-04] all,compute,model=PE_860,osimage=…,pe860,rack=r1``

Nodes that are alike share a line: libgenders compares each line with every line before it, so that a line for each of
10,000 nodes takes minutes to read.  Its ranges hold 16,384 names (hostlist.c, MAX_RANGE), its lines 65,536 bytes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from tasks import paths
from tasks.exports.folding import Block, folded, joined, split
from tasks.exports.membership import GROUP, Frame, Labels, Summary, frame, rows
from tasks.exports.quote import inspect, wall
from tasks.family import Aggregate, Rows

HEAD = """\
# Made by Bootmill from inventory/: edits are lost.  Link it as /etc/genders, or: pdsh -F <this file> -g compute
# Groups, model, osimage, switch, the site's variables.  Blanks in a value are written _; variables that are called like
# a group, and values with what genders has no form for (,=%# and letters beyond ASCII), are left out.
"""
VALUE = re.compile(r"[A-Za-z0-9_.+:/@-]{1,256}")
MOST_NAMES = 10_000  # in a range
MOST_RANGES = 500  # in a line: of 20 characters and more each
LINE = wall(r"[a-z0-9,\[\]-]++ [a-z0-9_-]++(?:=[A-Za-z0-9_.+:/@-]++)?(?:,[a-z0-9_-]++(?:=[A-Za-z0-9_.+:/@-]++)?)*+")


def text(frame: Frame, rows: Sequence[Rows]) -> Mapping[Path, str]:
    """Return a line for all nodes that are alike."""
    alike: dict[str, list[Block]] = {}
    for summary in cast("Sequence[Summary]", rows):
        for labels, parts in summary:
            alike.setdefault(attributes(labels), []).extend(parts)
    found = [line for words, parts in alike.items() for line in lines(words, parts)]
    return {outputs(frame)[0]: HEAD + "".join(found)}


def attributes(labels: Labels) -> str:
    """Return labels as genders' attributes, each once: the same attribute twice is an error there."""
    found: dict[str, str] = {}
    for kind, value in labels:
        name, told = (value, "") if kind == GROUP else (kind, value.replace(" ", "_"))
        if name not in found and (kind == GROUP or VALUE.fullmatch(told)):
            found[name] = f"{name}={told}" if told else name
    return ",".join(found.values())


def lines(attributes: str, parts: list[Block]) -> Iterator[str]:
    """Yield the line of nodes that are alike; several where one would be too long."""
    ranges = list(split(joined(parts), MOST_NAMES))
    for start in range(0, len(ranges), MOST_RANGES):
        yield f"{folded(ranges[start : start + MOST_RANGES])} {attributes}\n"


def outputs(frame: Frame) -> Sequence[Path]:
    """Return the one file."""
    return [paths.for_tools(frame.site, "genders")]


def check(frame: Frame, texts: Mapping[Path, str]) -> None:
    """Look at every line."""
    for path in outputs(frame):
        inspect(path, texts[path], LINE)


AGGREGATE: Final = Aggregate(name="genders", frame=frame, rows=rows, text=text, outputs=outputs, check=check)
