"""A laboratory comes up, serves, and leaves nothing behind, however it ends."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tasks.lab import outside, state, verbs
from tasks.lab.state import Ask, Request
from tests.lab.conftest import missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
Look = Callable[[], tuple[str, str, list[str]]]


def ended(look: Look, before: tuple[str, str, list[str]]) -> bool:
    """Return whether everything is as before, within five seconds."""
    end = time.monotonic() + 5
    while look() != before:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_daemons_serve_the_generated_files(laboratory: Path) -> None:
    """named, in.tftpd and nginx answer on the head node's address with what lies under build/."""
    script = (
        "dig +short n01.renci.ben; curl --silent http://10.1.0.1/install/hello; busybox tftp -g -l - -r hello 10.1.0.1"
    )
    done = outside.capture(["sh", "-c", script], timeout=20)
    assert done.stdout.splitlines() == ["10.1.0.11", "by http", "by tftp"]
    assert "filename hello" in state.daemon_log("tftpd").read_text()


def test_head_node_keeps_to_itself(laboratory: Path) -> None:
    """On the head node /etc/hosts is the generated one, the checkout is writable, and the host sees no mount of it."""
    done = outside.capture(["sh", "-c", "cat /etc/hosts; touch build/touched; hostname -I; pwd"], timeout=20)
    assert "10.1.0.1 mgt.renci.ben mgt" in done.stdout
    assert done.stdout.splitlines()[-1] == str(laboratory)
    assert Path("build/touched").exists()
    assert not Path("/etc/bootmill-lab").exists()


def test_bmcs_answer_and_switch(laboratory: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """A node is switched on and off, and the status shows it."""
    outside.ask(Request(ask=Ask.POWER, node="n01", verb="on"))
    end = time.monotonic() + 15
    while not next(node for node in outside.status().nodes if node.name == "n01").power:
        assert time.monotonic() < end
        time.sleep(0.1)
    verbs.lab(cluster, ["status", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["up"]
    assert {daemon["name"] for daemon in shown["daemons"]} == {"dhcpd", "named", "nginx", "tftpd"}
    outside.ask(Request(ask=Ask.POWER, node="n01", verb="off"))
    assert not next(node for node in outside.status().nodes if node.name == "n01").power


def test_secrets_stay_off_the_disk(laboratory: Path) -> None:
    """The invented secrets reach the commands on the head node, and no file and no command line."""
    values = outside.environment()
    assert set(values) == {"BOOTMILL_BMC_PASSWORD", "BOOTMILL_SNMP_COMMUNITY"}
    for path in Path("build").rglob("*"):
        if path.is_file():
            assert not any(value.encode() in path.read_bytes() for value in values.values()), path
    lines = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            lines += path.read_bytes()
    assert not any(value.encode() in lines for value in values.values())
    assert stat.S_IMODE(state.CONTROL.stat().st_mode) == 0o600


def test_down_leaves_nothing(checkout: Path, cluster: Cluster, machine_state: Look) -> None:
    """After `lab down` mounts, interfaces and processes are as before, and a second `down` says so."""
    before = machine_state()
    outside.up(cluster)
    assert machine_state()[:2] == before[:2]
    assert machine_state()[2] != before[2]
    assert outside.down()
    assert machine_state() == before
    assert outside.running() is None
    assert not outside.down()


def test_kill_leaves_nothing(
    checkout: Path, cluster: Cluster, machine_state: Look, capsys: pytest.CaptureFixture[str]
) -> None:
    """After SIGKILL on the outer process everything has gone, `status` says so, and the laboratory starts again."""
    before = machine_state()
    outside.up(cluster)
    outside.ask(Request(ask=Ask.POWER, node="n01", verb="on"))
    os.kill(outside.require(), signal.SIGKILL)
    assert ended(machine_state, (before[0], before[1], before[2]))
    verbs.lab(cluster, ["status"])
    assert "down" in capsys.readouterr().out
    outside.up(cluster)
    assert outside.down()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_leash(checkout: Path, machine_state: Look, number: signal.Signals) -> None:
    """A laboratory that was brought up for one boot dies with the process that brought it up, whatever kills that."""
    before = machine_state()
    script = (
        "import pathlib, time; from tasks.inventory import load; from tasks.lab import boot;"
        "lab = boot.laboratory(load(pathlib.Path('inventory')), keep=False); lab.__enter__();"
        "print('up', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    assert outside.running()
    process.send_signal(number)
    process.wait()
    process.stdout.close()
    assert ended(machine_state, before)
    assert outside.running() is None


def test_only_one_at_a_time(laboratory: Path, cluster: Cluster) -> None:
    """A second `lab up` is refused, and the first goes on."""
    with pytest.raises(BootmillError, match="up already"):
        outside.up(cluster)
    assert outside.status().head_pid


def test_broken_configuration_is_told(checkout: Path, cluster: Cluster, machine_state: Look) -> None:
    """A daemon that does not start is named with its own words, and nothing stays behind."""
    before = machine_state()
    (checkout / "build/etc/dhcp/dhcpd.conf").write_text("subnet 10.1.0.0 nonsense;\n")
    with pytest.raises(BootmillError, match="dhcpd ended") as caught:
        outside.up(cluster)
    assert "nonsense" in caught.value.message
    assert ended(machine_state, before)
    assert outside.running() is None


def test_down_is_an_answer(checkout: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a laboratory `status` says so; what needs one names the remedy."""
    verbs.lab(cluster, ["status", "--json"])
    assert json.loads(capsys.readouterr().out) == {"up": False}
    with pytest.raises(BootmillError, match="is down") as caught:
        verbs.lab(cluster, ["exec", "true"])
    assert caught.value.hint == "doit lab up"
