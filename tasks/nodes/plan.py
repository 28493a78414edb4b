"""Words → orders.  Pure: everything that can be wrong is found before anything is sent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import BootmillError
from tasks.inventory import noderange
from tasks.inventory.model import BootState, Cluster, Node
from tasks.nodes.verbs import BootChoice, BootDevice, PowerVerb

OPTIONS = {"--json": "json", "-p": "persistent", "--persistent": "persistent", "-u": "uefi", "--uefi": "uefi"}
# doit takes NAME=VALUE as a variable of its own, wherever it stands: such a word never arrives here.
NO_EQUALS = "a word with '=' does not arrive: doit takes it for a variable of its own"


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How a command is called."""

    command: str
    words: tuple[str, ...]
    options: frozenset[str] = frozenset({"json"})

    def __str__(self) -> str:
        """Return the synopsis."""
        known = [f"[{word}]" for word, name in OPTIONS.items() if name in self.options and word.startswith("--")]
        choice = ["|".join(self.words)] if self.words else []
        return " ".join(["doit", self.command, "NODERANGE", *choice, *known])


RPOWER = Usage(command="rpower", words=tuple(PowerVerb))
RSETBOOT = Usage(command="rsetboot", words=(*BootDevice, "stat"), options=frozenset({"json", "persistent", "uefi"}))
NODESET = Usage(command="nodeset", words=(*BootState, "stat"))
RNETBOOT = Usage(command="rnetboot", words=())


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a user typed, understood: which nodes, which word, which options."""

    usage: Usage
    nodes: tuple[Node, ...]
    word: str = ""
    options: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """Return the order's name for messages: ``rpower stat``."""
        return f"{self.usage.command} {self.word}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Action:
    """What one node's BMC is to do: a power verb, a boot choice, or both, the choice first."""

    node: Node
    choice: BootChoice | None = None
    verb: PowerVerb | None = None


def understand(words: Sequence[str], cluster: Cluster, usage: Usage) -> Order:
    """Return the order behind the words after a command's name; `BootmillError` says which word is wrong."""
    options = {OPTIONS.get(word, word) for word in words if word.startswith("--") or word in OPTIONS}
    plain = [word for word in words if not word.startswith("--") and word not in OPTIONS]
    strange = sorted(options - usage.options)
    if strange:
        raise misused(usage, f"unknown option {strange[0]!r}")
    wanted = 2 if usage.words else 1
    if len(plain) < wanted:
        what = "a noderange" if not plain else f"one of {', '.join(usage.words)}"
        raise misused(usage, f"{usage.command} needs {what} ({NO_EQUALS})")
    if len(plain) > wanted:
        raise misused(usage, f"{plain[wanted]!r} is one word too many")
    word = plain[1] if usage.words else ""
    if usage.words and word not in usage.words:
        raise misused(usage, f"{word!r} is no word for {usage.command}{noderange.near(word, usage.words)}")
    return Order(usage=usage, nodes=select(plain[0], cluster, usage), word=word, options=frozenset(options))


def misused(usage: Usage, message: str) -> BootmillError:
    """Return the error for words that make no sense."""
    return BootmillError(message, hint=f"usage: {usage}")


def select(text: str, cluster: Cluster, usage: Usage) -> tuple[Node, ...]:
    """Return the nodes of a noderange, in natural order; none at all is an error."""
    by_name = {node.name: node for node in cluster.nodes}
    groups = {node.name: node.groups for node in cluster.nodes}

    def attribute(node: str, name: str) -> str | None:
        value: object = by_name[node]
        for part in name.split("."):
            if value is not None:
                value = getattr(value, part)  # AttributeError: see below
        return None if value is None else ",".join(value) if isinstance(value, tuple) else str(value)

    try:
        names = noderange.select(text, groups, lookup(attribute), read=lambda path: Path(path).read_text())
    except ValueError as error:
        raise misused(usage, str(error)) from error
    if not names:
        raise misused(usage, f"{text!r} names no node")
    return tuple(by_name[name] for name in names)


def lookup(attribute: Callable[[str, str], str | None]) -> Callable[[str, str], str | None]:
    """Return `attribute` with Python's word for an unknown attribute turned into noderange's."""

    def found(node: str, name: str) -> str | None:
        try:
            return attribute(node, name)
        except AttributeError as error:
            raise LookupError(name) from error

    return found


def rpower(words: Sequence[str], cluster: Cluster) -> tuple[Order, tuple[Action, ...]]:
    """Return the actions of ``rpower NODERANGE VERB``."""
    order = understand(words, cluster, RPOWER)
    check(order, need_bmc)
    return order, tuple(Action(node=node, verb=PowerVerb(order.word)) for node in order.nodes)


def rsetboot(words: Sequence[str], cluster: Cluster) -> tuple[Order, tuple[Action, ...]]:
    """Return the actions of ``rsetboot NODERANGE DEVICE``; ``stat`` only asks (no choice)."""
    order = understand(words, cluster, RSETBOOT)
    check(order, need_bmc)
    return order, tuple(Action(node=node, choice=choice(order, node)) for node in order.nodes)


def choice(order: Order, node: Node) -> BootChoice | None:
    """Return a node's boot choice: by UEFI where it is asked for or where the node's firmware is UEFI."""
    if order.word == "stat":
        return None
    device = BootDevice(order.word)
    if device is BootDevice.DEFAULT:
        return BootChoice(device=device)
    uefi = "uefi" in order.options or node.firmware == "uefi"
    return BootChoice(device=device, persistent="persistent" in order.options, uefi=uefi)


def rnetboot(words: Sequence[str], cluster: Cluster) -> tuple[Order, tuple[Action, ...]]:
    """Return the actions of ``rnetboot NODERANGE``, to be done after its nodeset."""
    order = understand(words, cluster, RNETBOOT)
    check(order, need_bmc, need_netboot(cluster, BootState.NETBOOT))
    return order, tuple(
        Action(
            node=node,
            choice=BootChoice(device=BootDevice.NET, uefi=node.firmware == "uefi"),
            verb=PowerVerb.BOOT,
        )
        for node in order.nodes
    )


def nodeset(words: Sequence[str], cluster: Cluster) -> Order:
    """Return the order of ``nodeset NODERANGE STATE``; the nodes can have the state."""
    order = understand(words, cluster, NODESET)
    if order.word != "stat":
        check(order, need_netboot(cluster, BootState(order.word)))
    return order


# -- what a node needs -----------------------------------------------------------------------------------------------

Need = Callable[[Node], str]
# Writing such a state down would keep every menu from being rendered: it is refused before it is written.
NO_BOOT_FILES = frozenset({BootState.INSTALL})


def check(order: Order, *needs: Need) -> None:
    """Raise a `BootmillError` with all that is amiss with the order's nodes; nothing has been done yet."""
    mistakes = [f"{node.name}: {missing}" for node in order.nodes for need in needs if (missing := need(node))]
    if mistakes:
        message = "\n    ".join([f"{order.title}: nothing was done, because", *mistakes])
        raise BootmillError(message, hint="mend the inventory, or leave these nodes out: NODERANGE,-NODE")


def need_bmc(node: Node) -> str:
    """Return what a node lacks to be switched."""
    if node.bmc is None:
        return "has no BMC ('bmc' in the inventory)"
    return "" if node.bmc.password else f"no password for {node.bmc.name} ('bmc: password:' in the inventory)"


def need_netboot(cluster: Cluster, state: BootState) -> Need:
    """Return the check of what a node lacks for a boot state."""
    methods = {image.name: image.method for image in cluster.osimages}
    archs = {image.name: image.arch for image in cluster.osimages}
    discovering = {image.arch for image in cluster.discoverers()}

    def missing(node: Node) -> str:
        if node.name == cluster.site.master:
            return "is the head node, which does not boot from itself"
        if state in {BootState.LOCAL, BootState.OFFLINE}:
            return ""
        if state in NO_BOOT_FILES:
            return f"cannot {state}: this version makes no boot files for that state"
        if node.mac is None:
            return f"cannot {state}: its MAC is not known ('mac' in the inventory, or discovery)"
        if state is BootState.DISCOVER:
            arch = archs.get(node.osimage or "", "any")
            known = arch in discovering if node.osimage else bool(discovering)
            return "" if known else f"cannot discover: no netboot osimage is of {arch} architecture"
        if node.osimage is None:
            return f"cannot {state}: it has no osimage"
        if methods.get(node.osimage) != BootState.NETBOOT:
            return f"cannot {state}: {node.osimage} is no netboot image"
        return ""

    return missing
