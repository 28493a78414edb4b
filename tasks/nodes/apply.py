"""Actions → BMCs: secrets first, then all nodes at once, then the report."""

import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tasks import paths
from tasks.errors import BootmillError
from tasks.inventory.model import SecretRef
from tasks.nodes import fanout, quirks, secret
from tasks.nodes.bmc import IPMI_PORT, Target
from tasks.nodes.fanout import NodeResult
from tasks.nodes.plan import Action, Order

Perform = Callable[[Action, Target], str]


def apply(
    order: Order,
    actions: Iterable[Action],
    perform: Perform,
    *,
    port: int = IPMI_PORT,
    inventory_dir: Path = paths.INVENTORY,
) -> None:
    """Perform each action in a process of its own and tell the results.

    `BootmillError` before anything is sent where a secret is missing, and at the end where a node failed.
    """
    listed = tuple(actions)
    secrets = read_secrets(listed, inventory_dir)
    jobs = {action.node.name: partial(perform, action, target(action, secrets, port)) for action in listed}
    as_json = "json" in order.options
    results = fanout.run(jobs, tell=nothing if as_json else tell)
    if as_json:
        tell_json(results)
    judge(order, results)


def read_secrets(actions: tuple[Action, ...], inventory_dir: Path) -> dict[SecretRef, str]:
    """Return each password that is needed, read once; all that are missing are told together."""
    wanted = {action.node.bmc.password for action in actions if action.node.bmc}
    found: dict[SecretRef, str] = {}
    errors: list[BootmillError] = []
    for ref in sorted((ref for ref in wanted if ref), key=str):
        try:
            found[ref] = secret.read(ref, inventory_dir)
        except BootmillError as error:
            errors.append(error)
    if errors:
        message = "\n    ".join(error.message for error in errors)
        raise BootmillError(message, hint="\n    ".join(error.hint for error in errors if error.hint))
    return found


def target(action: Action, secrets: dict[SecretRef, str], port: int) -> Target:
    """Return the BMC of a node, ready to be spoken to."""
    bmc = action.node.bmc
    assert bmc is not None  # the plan has seen to it
    assert bmc.password is not None
    return Target(
        name=bmc.name,
        address=bmc.address,
        user=bmc.user,
        password=secrets[bmc.password],
        quirks=quirks.of(action.node.model),
        port=port,
    )


# -- telling ---------------------------------------------------------------------------------------------------------


def nothing(result: NodeResult) -> None:
    """Tell nothing yet."""


def tell(result: NodeResult) -> None:
    """Print a node's line: what is so to standard output, what went wrong to standard error."""
    stream, mark = (sys.stdout, "") if result.ok else (sys.stderr, "error: ")
    stream.write(f"{result.node}: {mark}{result.text}\n")
    stream.flush()


def tell_json(results: tuple[NodeResult, ...]) -> None:
    """Print all results as one JSON list of {node, ok, text}."""
    rows = [{"node": result.node, "ok": result.ok, "text": result.text} for result in results]
    sys.stdout.write(json.dumps(rows, indent=1) + "\n")


def judge(order: Order, results: tuple[NodeResult, ...]) -> None:
    """Raise a `BootmillError` that names the nodes that failed."""
    bad = [result.node for result in results if not result.ok]
    if bad:
        message = f"{order.title}: failed for {len(bad)} of {len(results)} nodes: {','.join(bad)}"
        raise BootmillError(message, hint="each one's reason is told above")
