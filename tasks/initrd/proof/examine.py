"""``doit examine``: the verdict on what is built, per node and osimage, or on any kernel, initrd and command line."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.errors import BootmillError
from tasks.initrd.proof import machines, report
from tasks.initrd.proof.proof import Proof, config_text, subject, words_of
from tasks.initrd.proof.prove import proved
from tasks.initrd.proof.report import Paint, Report
from tasks.initrd.proof.subject import Machine
from tasks.inventory import noderange
from tasks.inventory.model import Cluster

SWITCHES = ("--json",)
VALUES = ("--kernel", "--initrd", "--append", "--config", "--memory", "--root", "--driver")
USAGE = (
    "usage: doit examine [--json] [NODERANGE…]   or   doit examine --kernel FILE --initrd FILE [--append 'WORDS'] "
    "[--config FILE] [--memory MIB] [--root IMAGE] [--driver MODULE] [--json]"
)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a user typed: nodes, or a set of files."""

    json: bool = False
    nodes: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path | None:
        """Return a file that was named."""
        return Path(self.values[name]) if name in self.values else None


def examine_words(cluster: Cluster, words: Sequence[str]) -> None:
    """Print verdicts; `BootmillError` (exit code 1) where a machine would not boot, or a file is not there."""
    order = understand(words)
    reports = [foreign(order)] if order.values else list(of_nodes(cluster, order))
    if order.json:
        print(json.dumps(report.document(reports), indent=2))
    else:
        paint = Paint(on=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        print("\n".join(report.text(each, paint) for each in reports), end="")
    sys.stdout.flush()
    wrong = [f"{each.subject.image or 'this set'}: {report.headline(each)}" for each in reports if stuck(each)]
    if wrong:
        raise BootmillError("\n".join(wrong), hint="the findings above say what to change")


def stuck(found: Report) -> bool:
    """Whether a machine would not boot, or an error keeps the image from being staged."""
    return not found.boots or found.refused


def understand(words: Sequence[str]) -> Order:
    """Return the order behind the words; ``--root FILE`` and ``--root=FILE`` are the same."""
    nodes: list[str] = []
    values: dict[str, str] = {}
    wrong: list[str] = []
    todo = [word for word in words if word not in {"--", *SWITCHES}]
    while todo:
        word = todo.pop(0)
        name, equals, text = word.partition("=")
        if name in VALUES and (equals or todo):
            values[name] = text if equals else todo.pop(0)
        elif name.startswith("--"):
            wrong.append(f"{name} needs a value" if name in VALUES else f"unknown option {name!r}")
        else:
            nodes.append(word)
    wrong += [] if wrong else mistakes(nodes, values)
    if wrong:
        raise BootmillError("\n".join(wrong), hint=USAGE)
    return Order(json="--json" in words, nodes=tuple(nodes), values=values)


def mistakes(nodes: Sequence[str], values: dict[str, str]) -> list[str]:
    """Return what does not go together, as sentences."""
    lost = [name for name in ("--kernel", "--initrd") if values and name not in values]
    memory = values.get("--memory", "1")
    number = memory.isdecimal() and 0 < int(memory[:9]) < 1 << 30
    return [
        *([f"{nodes[0]!r}: nodes and files do not go together"] if values and nodes else []),
        *([f"{' and '.join(lost)} must be given, too"] if lost else []),
        *([] if number else [f"--memory is a number of MiB, not {memory!r}"]),
    ]


def foreign(order: Order) -> Report:
    """Return the report on a set of files."""
    kernel, initrd = order.path("--kernel"), order.path("--initrd")
    assert kernel is not None
    assert initrd is not None
    config, root = order.path("--config"), order.path("--root")
    text = config_text(readable(config)) if config else None
    found = subject(readable(kernel), readable(initrd), config=text, root=root and readable(root))
    machine = Machine(
        words=words_of(order.values.get("--append", "")),
        memory=int(order.values["--memory"]) if "--memory" in order.values else None,
        driver=order.values.get("--driver"),
    )
    return Report(subject=found, judged=report.together([((), Proof(found).verdict(machine))]))


def readable(path: Path) -> Path:
    """Return a path; `BootmillError` where it is no file: a pipe would be waited for, /dev/zero has no end."""
    if not path.is_file():
        why = "is a folder" if path.is_dir() else "is no file" if path.exists() else "is not there"
        message = f"{path} {why}"
        raise BootmillError(message, hint=USAGE)
    return path


def of_nodes(cluster: Cluster, order: Order) -> Iterator[Report]:
    """Yield the reports on the osimages that some nodes boot, all if none are named; what is not built is an error."""
    shapes = machines.selected(cluster, chosen(cluster, order.nodes)) if order.nodes else machines.by_image(cluster)
    wanted = [image for image in cluster.stateless() if image.name in shapes or not order.nodes]
    if not wanted:
        message = f"{' '.join(order.nodes) or 'nobody'}: no node here boots an osimage over the network"
        raise BootmillError(message, hint="doit nodels NODERANGE noderes.netboot nodetype.provmethod")
    yield from (proved(image, shapes.get(image.name, ())) for image in wanted)


def chosen(cluster: Cluster, words: Sequence[str]) -> tuple[str, ...]:
    """Return the nodes that noderanges name."""
    try:
        return noderange.select(",".join(words), {node.name: node.groups for node in cluster.nodes})
    except ValueError as error:
        raise BootmillError(str(error), hint=USAGE) from error
