"""The commands as a user sees them: lines, JSON, the summary, and what is never shown."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tasks.lab.bmc import Faults
from tasks.nodes import bmc, bootdev, netboot, power
from tests.nodes.clusters import cluster
from tests.nodes.simulated import PASSWORD, Rack, rack, server

PORT = 6231
PE860 = Faults(ipmi20=False, authtype_none_replies=True, ignores_boot_device=True)
Printed = pytest.CaptureFixture[str]


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Return the small cluster; the password of its BMCs is in the environment."""
    monkeypatch.setenv("TEST_BMC_PASSWORD", PASSWORD)
    return cluster(tmp_path)


@pytest.fixture
def bmcs() -> Iterator[Rack]:
    """Run the BMCs of n01 to n04 and n10; n02 does not let us in, n03 is a PE 860."""
    made = [server(f"127.0.62.{n}", name=f"n{n:02}", faults=PE860 if n == 3 else None) for n in (1, 2, 3, 4, 10)]
    made[1].user = "somebody"
    with rack(made, port=PORT) as running:
        yield running


def test_a_line_a_node(loaded: Cluster, bmcs: Rack, capfd: Printed) -> None:
    """Facts go to standard output, one line a node, in natural order."""
    power.rpower(loaded, ["compute,-n02", "stat"], port=PORT)
    assert capfd.readouterr() == ("n01: on\nn03: on\nn04: on\nn10: on\n", "")


def test_one_bad_node_does_not_stop_the_others(loaded: Cluster, bmcs: Rack, capfd: Printed) -> None:
    """The good nodes are done, the bad one is named with its reason, and the command fails."""
    with pytest.raises(BootmillError, match=r"rpower off: failed for 1 of 5 nodes: n02\n") as caught:
        power.rpower(loaded, ["compute", "off"], port=PORT)
    printed = capfd.readouterr()
    assert printed.out == "n01: off\nn03: off\nn04: off\nn10: off\n"
    assert printed.err == "n02: error: n02-ipmi 127.0.62.2: wrong user or password\n"
    assert [bmcs.seen(name).on for name in ("n01", "n02", "n03", "n04", "n10")] == [False, True, False, False, False]
    assert PASSWORD not in f"{printed.out}{printed.err}{caught.value!s}{caught.value!r}"


def test_json_is_one_list(loaded: Cluster, bmcs: Rack, capfd: Printed) -> None:
    """With --json all results, bad ones included, are one JSON list and nothing else is printed."""
    with pytest.raises(BootmillError):
        power.rpower(loaded, ["n[01-02]", "stat", "--json"], port=PORT)
    printed = capfd.readouterr()
    assert json.loads(printed.out) == [
        {"node": "n01", "ok": True, "text": "on"},
        {"node": "n02", "ok": False, "text": "n02-ipmi 127.0.62.2: wrong user or password"},
    ]
    assert printed.err == ""


def test_nothing_is_sent_without_the_password(
    loaded: Cluster, bmcs: Rack, monkeypatch: pytest.MonkeyPatch, capfd: Printed
) -> None:
    """A missing secret is an error of the whole command."""
    monkeypatch.delenv("TEST_BMC_PASSWORD")
    with pytest.raises(BootmillError, match="TEST_BMC_PASSWORD is not set"):
        power.rpower(loaded, ["n01", "off"], port=PORT)
    assert bmcs.seen("n01").log == ()
    assert capfd.readouterr() == ("", "")


def test_a_boot_device_that_is_ignored_is_not_claimed(loaded: Cluster, bmcs: Rack, capfd: Printed) -> None:
    """A PE 860 is told apart by its own line: F12 by hand; the others are set and read back."""
    bootdev.rsetboot(loaded, ["n01,n03,n04", "net"], port=PORT)
    assert capfd.readouterr().out == (
        "n01: net\nn03: not set: PE 860 ignores its boot device; press F12 at its console while it starts\n"
        "n04: net (uefi)\n"
    )
    assert [bmcs.seen(name).flags.hex() for name in ("n01", "n03", "n04")] == ["8004000000", "0000000000", "a004000000"]


def test_the_boot_device_is_told(loaded: Cluster, bmcs: Rack, capfd: Printed) -> None:
    """`rsetboot stat` asks and sets nothing, of a PE 860 too."""
    bootdev.rsetboot(loaded, ["n01,n03", "stat"], port=PORT)
    assert capfd.readouterr().out == "n01: default\nn03: default\n"


def test_rnetboot_stages_points_and_starts(
    loaded: Cluster, bmcs: Rack, capfd: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staging comes first; a node that cannot be pointed is not started; the others are."""
    logs: list[int] = []

    def change(order: object, state: object) -> None:
        logs.append(len(bmcs.seen("n01").log))

    monkeypatch.setattr("tasks.nodes.bootstate.change", change)
    with pytest.raises(BootmillError, match="rnetboot: failed for 1 of 3 nodes: n02"):
        netboot.rnetboot(loaded, ["n[01-03]"], port=PORT)
    printed = capfd.readouterr()
    assert printed.out == (
        "n01: net, reset\n"
        "n03: reset; boot device not set: PE 860 ignores its boot device; press F12 at its console while it starts\n"
    )
    assert logs == [0]
    assert [bmcs.seen(name).log for name in ("n01", "n02", "n03")] == [("reset",), (), ("reset",)]


def test_a_node_that_cannot_be_pointed_is_not_started(loaded: Cluster, capfd: Printed) -> None:
    """rnetboot stops at a node's first failure: what would boot the old system is not reset."""
    forgetful = server("127.0.62.1", name="n01", faults=Faults(forgets_boot_device=True))
    with rack([forgetful], port=PORT) as running, pytest.MonkeyPatch.context() as patched:
        patched.setattr("tasks.nodes.bootstate.change", lambda order, state: None)
        with pytest.raises(BootmillError, match="n01"):
            netboot.rnetboot(loaded, ["n01"], port=PORT)
        assert running.seen("n01").log == ()


def test_rnetboot_does_not_switch_what_is_not_staged(
    loaded: Cluster, bmcs: Rack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where staging fails, no node is touched."""

    def broken(order: object, state: object) -> None:
        raise BootmillError("could not be staged")

    monkeypatch.setattr("tasks.nodes.bootstate.change", broken)
    with pytest.raises(BootmillError, match="could not be staged"):
        netboot.rnetboot(loaded, ["n01"], port=PORT)
    assert bmcs.seen("n01").log == ()


def test_the_port_is_ipmi_s_own() -> None:
    """Without a word about it, BMCs are spoken to on UDP 623."""
    assert bmc.IPMI_PORT == 623
    assert {inspect.signature(run).parameters["port"].default for run in (power.rpower, netboot.rnetboot)} == {623}
