"""The words behind `doit lab`: parsed in one place, each verb a function below."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tasks.errors import BootmillError, CommandError
from tasks.inventory.model import Cluster, Node
from tasks.lab import boot, console, outside
from tasks.lab.state import Status

USAGE = """doit lab up | down | status [--json]
    doit lab boot NODE [--keep] [--timeout SECONDS]
    doit lab ssh NODE [COMMAND …]
    doit lab console NODE
    doit lab exec COMMAND …"""


class LabVerb(StrEnum):
    """What a user may ask of the laboratory."""

    UP = "up"
    DOWN = "down"
    STATUS = "status"
    BOOT = "boot"
    SSH = "ssh"
    CONSOLE = "console"
    EXEC = "exec"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a user typed, understood."""

    verb: LabVerb
    node: str = ""
    rest: tuple[str, ...] = ()
    keep: bool = False
    json: bool = False
    timeout: float = boot.PATIENCE


def parse(words: list[str]) -> Order:
    """Return the order behind the words after `doit lab`; `BootmillError` shows the usage."""
    first, *rest = words or [""]
    if first not in set(LabVerb):
        what = f"{first!r} is nothing that the laboratory does" if first else "what should the laboratory do?"
        raise usage(what)
    verb = LabVerb(first)
    if verb is LabVerb.EXEC:
        return Order(verb=verb, rest=rest_of(rest, "a command"))
    if verb is LabVerb.SSH:
        node, *command = rest_of(rest, "a node")
        return Order(verb=verb, node=node, rest=tuple(command))
    return with_options(verb, rest)


def with_options(verb: LabVerb, words: list[str]) -> Order:
    """Return the order of a verb that knows options, which may stand anywhere."""
    options: dict[str, str] = {}
    plain: list[str] = []
    queue = list(words)
    known = {LabVerb.BOOT: {"--keep", "--timeout"}, LabVerb.STATUS: {"--json"}}.get(verb, set())
    while queue:
        word, _, value = queue.pop(0).partition("=")
        if not word.startswith("--"):
            plain.append(word)
        elif word not in known:
            what = f"`lab {verb}` knows no option {word}"
            raise usage(what)
        else:
            options[word] = value or (queue.pop(0) if word == "--timeout" and queue else "")
    takes_node = verb in {LabVerb.BOOT, LabVerb.CONSOLE}
    if len(plain) != (1 if takes_node else 0):
        wanted = "one node" if takes_node else "no further word"
        what = f"`lab {verb}` wants {wanted}, not {' '.join(plain) or 'none'}"
        raise usage(what)
    return Order(
        verb=verb,
        node=plain[0] if plain else "",
        keep="--keep" in options,
        json="--json" in options,
        timeout=seconds(options.get("--timeout")),
    )


def seconds(text: str | None) -> float:
    """Parse a number of seconds."""
    if text is None:
        return boot.PATIENCE
    if not text.isdigit() or not int(text):
        what = f"--timeout wants a number of seconds, not {text!r}"
        raise usage(what)
    return float(text)


def rest_of(words: list[str], wanted: str) -> tuple[str, ...]:
    """Return the words, of which there must be one at least."""
    if not words:
        what = f"{wanted} is missing"
        raise usage(what)
    return tuple(words)


def usage(what: str) -> BootmillError:
    """Return the error for words that were not understood."""
    return BootmillError(what, hint=USAGE)


def lab(cluster: Cluster, words: list[str]) -> None:
    """Do what the user typed after `doit lab`."""
    order = parse(words)
    match order.verb:
        case LabVerb.UP:
            outside.up(cluster)
            show(outside.status(), as_json=False)
        case LabVerb.DOWN:
            print("the laboratory is down" if outside.down() else "the laboratory was not up")
        case LabVerb.STATUS:
            status(as_json=order.json)
        case LabVerb.BOOT:
            boot.boot(cluster, order.node, keep=order.keep, timeout=order.timeout)
        case LabVerb.SSH:
            passed_on(outside.execute(boot.ssh_argv(cluster, known(cluster, order.node), [*order.rest], batch=False)))
        case LabVerb.CONSOLE:
            console.console(known(cluster, order.node))
        case LabVerb.EXEC:
            passed_on(outside.execute(order.rest))


def known(cluster: Cluster, name: str) -> Node:
    """Return a node by its name; `BootmillError` where there is none."""
    return boot.bootable(cluster, name)


def passed_on(code: int) -> None:
    """Fail where the command failed; its own words are on the screen already."""
    if code:
        message = f"the command ended with exit code {code}"
        raise CommandError(message)


def status(*, as_json: bool) -> None:
    """Print how the laboratory is; that it is down is an answer, not a failure."""
    if outside.running() is None:
        print(json.dumps({"up": False}) if as_json else "the laboratory is down")
        return
    show(outside.status(), as_json=as_json)


def show(found: Status, *, as_json: bool) -> None:
    """Print a status: tables for people, JSON for programs."""
    if as_json:
        print(json.dumps({"up": True, "pid": outside.running(), **dataclasses.asdict(found)}, indent=2))
        return
    machines = f", machines run on {found.accelerator}" if found.accelerator else ""
    print(f"the laboratory is up: pid {outside.running()}, for {found.uptime:.0f} s{machines}")
    rows = [("daemon", "pid"), *((each.name, str(each.pid or "ended")) for each in found.daemons)]
    print(columns(rows))
    heads = ("node", "power", "address", "bmc", "boot device", "pid")
    nodes = [
        (
            each.name,
            "on" if each.power else "off",
            each.address,
            each.bmc or "-",
            each.boot_device or "-",
            str(each.pid or "-"),
        )
        for each in found.nodes
    ]
    print(columns([heads, *nodes]))


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
