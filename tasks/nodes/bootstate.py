"""nodeset: write what nodes do at their next boot into inventory/bootstate.yaml, and publish it.

The file is ours and a person's: one line a node, ``n01: {state: netboot}``, in natural order.  Comments stay with the
line below them, other attributes stay with their node, and what we cannot read we do not touch.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks import files, paths, run
from tasks.errors import BootmillError
from tasks.inventory.model import BootState, Cluster
from tasks.inventory.noderange import names, natural
from tasks.nodes import plan
from tasks.nodes.apply import tell, tell_json
from tasks.nodes.fanout import NodeResult
from tasks.nodes.plan import Order

BOOTSTATE = paths.INVENTORY / "bootstate.yaml"
HEADER = "# Boot states that nodeset chose; written by Bootmill, safe to edit and to commit.\n"
LINE = re.compile(r"(?P<key>[^\s#:{}'\"&*!|>%@`][^\s#:{}'\"]*)\s*:\s+\{(?P<attributes>[^{}'\"]*)\}\s*(?P<remark>#.*)?")
ATTRIBUTE = re.compile(r"\s*(?P<name>\w+)\s*:\s+(?P<value>[\w.+-]+)\s*")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A node's line: the comment above it, its attributes in their order, the remark behind them."""

    comment: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    remark: str = ""

    def with_state(self, state: BootState) -> "Entry":
        """Return the entry with another boot state and all else kept."""
        others = tuple((name, value) for name, value in self.attributes if name != "state")
        return Entry(comment=self.comment, attributes=(("state", state.value), *others), remark=self.remark)

    def line(self, node: str) -> str:
        """Return the entry as it is written."""
        inside = ", ".join(f"{name}: {value}" for name, value in self.attributes)
        return f"{self.comment}{node}: {{{inside}}}{f'  {self.remark}' if self.remark else ''}\n"


@dataclass(frozen=True, kw_only=True)
class BootStates:
    """bootstate.yaml: the comment that opens it, an entry a node, the comment that ends it."""

    header: str
    entries: Mapping[str, Entry]
    footer: str = ""

    def text(self) -> str:
        """Return the file's text."""
        lines = [self.entries[node].line(node) for node in natural(self.entries)]
        return "".join([self.header, *lines, self.footer])


def nodeset(cluster: Cluster, words: Sequence[str]) -> None:
    """Carry out ``nodeset NODERANGE STATE``: for all of the nodes or for none."""
    order = plan.nodeset(words, cluster)
    if order.word != "stat":
        change(order, BootState(order.word))
    results = tuple(
        NodeResult(node=node.name, ok=True, text=node.state if order.word == "stat" else order.word)
        for node in order.nodes
    )
    if "json" in order.options:
        tell_json(results)
    else:
        for result in results:
            tell(result)


def change(order: Order, state: BootState) -> None:
    """Write the nodes' boot state, and publish what follows from it; `BootmillError` where that fails."""
    with files.locked(paths.BUILD / ".locks" / "bootstate"):
        write(BOOTSTATE, tuple(node.name for node in order.nodes), state)
    publish(order)


def publish(order: Order) -> None:
    """Stage in a doit of its own, which reads the inventory afresh and makes only what changed."""
    argv = [sys.executable, "-m", "doit", "stage"]
    # a list for a program must not be mixed with what doit says
    code = run.run(argv, check=False).code if "json" in order.options else run.interactive(argv)
    if code:
        message = f"{order.title}: {BOOTSTATE} is written, but could not be staged: nodes still find what was there"
        raise BootmillError(message, hint="mend what is reported above, then: doit stage")


def write(path: Path, nodes: Sequence[str], state: BootState) -> bool:
    """Set the state of some nodes in the file; returns whether it changed.  Never half of it (see `tasks.files`)."""
    known = parse(path.read_text() if path.exists() else HEADER, path)
    changed = {node: known.entries.get(node, Entry()).with_state(state) for node in nodes}
    new = BootStates(header=known.header, entries={**known.entries, **changed}, footer=known.footer)
    return files.write_atomic(path, new.text())


def parse(text: str, path: Path) -> BootStates:
    """Return what the file says; a noderange is told apart into its nodes.

    `BootmillError` names the line that is more than one node's attributes in braces: it is the user's own, and to
    rewrite it blindly could lose something.
    """
    header, body = split_header(text)
    entries: dict[str, Entry] = {}
    comment = ""
    for number, line in enumerate(body.splitlines(keepends=True), header.count("\n") + 1):
        if not line.strip() or line.lstrip().startswith("#"):
            comment += line
            continue
        match = LINE.fullmatch(line.strip())
        attributes = parse_attributes(match["attributes"]) if match else None
        if match is None or attributes is None or line[0].isspace():
            message = f"{path}:{number}: nodeset cannot rewrite this line: {line.strip()[:60]!r}"
            raise BootmillError(message, hint="write it as nodeset does: n01: {state: netboot}")
        for node in names(match["key"]):
            entries[node] = Entry(comment=comment, attributes=attributes, remark=match["remark"] or "")
            comment = ""
    return BootStates(header=header, entries=entries, footer=comment)


def split_header(text: str) -> tuple[str, str]:
    """Return the comment lines that open the file, up to the first line that is none, and the rest."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    count = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[:count]), "".join(lines[count:])


def parse_attributes(text: str) -> tuple[tuple[str, str], ...] | None:
    """Return the attributes between braces, None where they are more than plain words."""
    matches = [ATTRIBUTE.fullmatch(part) for part in text.split(",")]
    if not all(matches):
        return None
    return tuple((match["name"], match["value"]) for match in matches if match)
