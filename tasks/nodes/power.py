"""rpower: switch nodes, and see that they did switch."""

import time
from collections.abc import Sequence

from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tasks.nodes import plan
from tasks.nodes.apply import apply
from tasks.nodes.bmc import IPMI_PORT, Connection, Target, connect
from tasks.nodes.plan import Action
from tasks.nodes.verbs import PowerVerb

FOLLOW_SECONDS = 10.0  # a chassis obeys within a second or two; its BMC tells the new state a little later
ASK_SECONDS = 0.3


def rpower(cluster: Cluster, words: Sequence[str], *, port: int = IPMI_PORT) -> None:
    """Carry out ``rpower NODERANGE VERB``: a line a node; `BootmillError` names those that failed."""
    order, actions = plan.rpower(words, cluster)
    apply(order, actions, perform, port=port)


def perform(action: Action, target: Target) -> str:
    """Switch one node and return its line."""
    assert action.verb is not None
    with connect(target) as bmc:
        return switch(bmc, action.verb)


def switch(bmc: Connection, verb: PowerVerb) -> str:
    """Do a power verb and return what was done: the state for ``stat``, else the verb that BOOT came down to."""
    on = bmc.is_on()
    match verb:
        case PowerVerb.STAT | PowerVerb.STATE:
            return "on" if on else "off"
        case PowerVerb.BOOT:
            return switch(bmc, PowerVerb.RESET if on else PowerVerb.ON)
        case PowerVerb.RESET | PowerVerb.CYCLE if not on:
            message = f"is off: there is nothing to {verb} ('boot' or 'on' starts it)"
            raise BootmillError(message)
        case PowerVerb.ON | PowerVerb.OFF if on == (verb is PowerVerb.ON):
            return verb
        case PowerVerb.SOFTOFF if not on:
            return "off"
    bmc.control(verb)
    if verb is not PowerVerb.SOFTOFF:  # the operating system takes its time, or does not listen at all
        follow(bmc, verb, wanted=verb is not PowerVerb.OFF)
    return verb


def follow(bmc: Connection, verb: PowerVerb, *, wanted: bool) -> None:
    """Return when the node's power is as `wanted`; `BootmillError` where it does not come to that."""
    end = time.monotonic() + FOLLOW_SECONDS
    while bmc.is_on() is not wanted:
        if time.monotonic() > end:
            state = "off" if wanted else "on"
            message = f"{bmc.target} accepted '{verb}', but after {FOLLOW_SECONDS:g} s the node is {state}"
            raise BootmillError(message)
        time.sleep(ASK_SECONDS)
