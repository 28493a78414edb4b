"""Words → orders: what is understood, and what is refused before anything is sent."""

from pathlib import Path

import pytest

from tasks.errors import BootmillError
from tasks.nodes import plan
from tasks.nodes.verbs import BootChoice, BootDevice, PowerVerb
from tests.nodes.clusters import cluster


@pytest.mark.parametrize(
    ("words", "nodes"),
    [
        (["n[01-03]", "stat"], ["n01", "n02", "n03"]),
        (["compute,-n02", "stat"], ["n01", "n03", "n04", "n10"]),
        (["--json", "n10,n02", "stat"], ["n02", "n10"]),
    ],
)
def test_power_words_become_one_action_a_node(tmp_path: Path, words: list[str], nodes: list[str]) -> None:
    """A noderange and a verb are one action for each of its nodes, in natural order."""
    order, actions = plan.rpower(words, cluster(tmp_path))
    assert [action.node.name for action in actions] == nodes
    assert {action.verb for action in actions} == {PowerVerb.STAT}
    assert ("json" in order.options) is ("--json" in words)


@pytest.mark.parametrize(
    ("words", "choice"),
    [
        (["n01", "net"], BootChoice(device=BootDevice.NET)),
        (["n01", "hd", "-p"], BootChoice(device=BootDevice.HD, persistent=True)),
        (["n01", "cd", "--uefi"], BootChoice(device=BootDevice.CD, uefi=True)),
        (["n04", "net"], BootChoice(device=BootDevice.NET, uefi=True)),
        (["n04", "default"], BootChoice(device=BootDevice.DEFAULT)),
        (["n01", "stat"], None),
    ],
)
def test_boot_words_become_a_choice(tmp_path: Path, words: list[str], choice: BootChoice | None) -> None:
    """A device, its options and the node's firmware make the boot choice; `stat` makes none."""
    assert plan.rsetboot(words, cluster(tmp_path))[1][0].choice == choice


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "rpower needs a noderange"),
        (["n01"], "rpower needs one of on, off, stat"),
        (["n01", "restart"], "'restart' is no word for rpower"),
        (["n01", "rest"], "did you mean reset"),
        (["n01", "on", "off"], "'off' is one word too many"),
        (["n01", "on", "--force"], "unknown option '--force'"),
        (["n01", "on", "-p"], "unknown option 'persistent'"),
        (["n99", "on"], "unknown node or group 'n99'"),
        (["all,-all", "on"], "names no node"),
        (["wurst==1", "on"], "unknown attribute 'wurst'"),
        (["n01,kvm1,mgt", "on"], "kvm1: has no BMC"),
        (["n01,bare", "on"], "bare: no password for bare-ipmi"),
    ],
)
def test_wrong_power_words_are_told(tmp_path: Path, words: list[str], complaint: str) -> None:
    """Each kind of mistake has a sentence that names the word or the node, and says how it is called."""
    with pytest.raises(BootmillError) as caught:
        plan.rpower(words, cluster(tmp_path))
    assert complaint in caught.value.message
    assert caught.value.hint


def test_all_nodes_that_cannot_be_switched_are_told_at_once(tmp_path: Path) -> None:
    """One run names every node without a BMC, not the first."""
    with pytest.raises(BootmillError) as caught:
        plan.rpower(["all", "off"], cluster(tmp_path))
    assert [name in caught.value.message for name in ("kvm1:", "mgt:", "bare:", "n01:")] == [True, True, True, False]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["bare", "netboot"], "bare: cannot netboot: its MAC is not known"),
        (["bare", "shell"], "bare: cannot shell: its MAC is not known"),
        (["bare", "discover"], "bare: cannot discover: its MAC is not known"),
        (["arm", "discover"], "arm: cannot discover: no netboot osimage is of aarch64 architecture"),
        (["kvm1", "netboot"], "install-compute is no netboot image"),
        (["n01", "install"], "n01: cannot install: this version makes no boot files for that state"),
        (["mgt", "local"], "mgt: is the head node"),
        (["n01", "net"], "'net' is no word for nodeset"),
        (["n01"], "does not arrive"),
    ],
)
def test_a_state_that_a_node_cannot_have_is_refused(tmp_path: Path, words: list[str], complaint: str) -> None:
    """nodeset asks for what the state needs: a MAC, an osimage of the right kind."""
    with pytest.raises(BootmillError, match=complaint):
        plan.nodeset(words, cluster(tmp_path))


@pytest.mark.parametrize("words", [["bare", "local"], ["n01", "shell"], ["n01,kvm1", "discover"], ["all", "stat"]])
def test_a_state_that_a_node_can_have_is_accepted(tmp_path: Path, words: list[str]) -> None:
    """What a state does not need is not asked for."""
    assert plan.nodeset(words, cluster(tmp_path)).word == words[1]


def test_netboot_is_a_choice_and_a_verb(tmp_path: Path) -> None:
    """rnetboot's action sets the network as boot device and boots, by the node's own firmware."""
    action = plan.rnetboot(["n04"], cluster(tmp_path))[1][0]
    assert (action.choice, action.verb) == (BootChoice(device=BootDevice.NET, uefi=True), PowerVerb.BOOT)
