"""Foreign IPMI clients against the simulated BMC: it is a BMC to ipmitool and FreeIPMI too, with its faults."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.lab.bmc import Faults
from tests.nodes.simulated import PASSWORD, USER, rack, server

pytestmark = pytest.mark.integration
PORT = 6233
ADDRESS = "127.0.64.1"
FRAMINGS = {
    "1.5 md5": (Faults(ipmi20=False), ["-I", "lan", "-A", "MD5"]),
    "1.5 password": (Faults(ipmi20=False), ["-I", "lan", "-A", "PASSWORD"]),
    "2.0 suite 3": (Faults(suites=(3,)), ["-I", "lanplus", "-C", "3"]),
    "2.0 suite 17": (Faults(suites=(17,)), ["-I", "lanplus", "-C", "17"]),
}
UNSIGNED = Faults(ipmi20=False, authtype_none_replies=True)


def ipmitool(words: list[str], *, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    """Run ipmitool against the BMC; the password goes through the environment."""
    if shutil.which("ipmitool") is None:
        pytest.skip("ipmitool is not installed: apt-get install ipmitool")
    argv = ["ipmitool", "-H", ADDRESS, "-p", str(PORT), "-U", USER, "-E", "-N", "1", "-R", "1", *words]
    environment = {**os.environ, "IPMI_PASSWORD": password}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=20, check=False)


def ipmipower(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run FreeIPMI's ipmipower against the BMC; user and password are in a configuration file."""
    if shutil.which("ipmipower") is None:
        pytest.skip("ipmipower is not installed: apt-get install freeipmi-tools")
    config = folder / "freeipmi.conf"
    config.write_text(f"username {USER}\npassword {PASSWORD}\n")
    config.chmod(0o600)
    argv = ["ipmipower", "--config-file", str(config), "-h", f"{ADDRESS}:{PORT}", "--session-timeout", "2500", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("framing", list(FRAMINGS))
def test_ipmitool_switches_and_points(framing: str) -> None:
    """ipmitool reads the power, switches, sets the boot device and reads it back."""
    faults, how = FRAMINGS[framing]
    with rack([server(ADDRESS, faults=faults)], port=PORT) as bmcs:
        assert ipmitool([*how, "chassis", "power", "status"]).stdout == "Chassis Power is on\n"
        assert ipmitool([*how, "chassis", "power", "off"]).returncode == 0
        assert ipmitool([*how, "chassis", "bootdev", "pxe"]).returncode == 0
        read = ipmitool([*how, "chassis", "bootparam", "get", "5"]).stdout
        seen = bmcs.seen("n01-ipmi")
    assert "Boot Flag Valid" in read
    assert "Force PXE" in read
    assert (seen.log, seen.on, seen.boot_device) == (("off",), False, "net (once)")


@pytest.mark.parametrize("how", [["-I", "lan", "-A", "MD5"], ["-I", "lanplus", "-C", "17"]])
def test_ipmitool_is_turned_away_with_a_wrong_password(how: list[str]) -> None:
    """A wrong password opens nothing."""
    with rack([server(ADDRESS)], port=PORT) as bmcs:
        assert ipmitool([*how, "chassis", "power", "off"], password="wrong").returncode != 0
        assert bmcs.seen("n01-ipmi").log == ()


@pytest.mark.parametrize(
    ("faults", "how"),
    [
        (Faults(ipmi20=False), ["--driver-type", "LAN"]),
        (Faults(), ["--driver-type", "LAN_2_0", "--cipher-suite-id", "3"]),
        (Faults(), ["--driver-type", "LAN_2_0", "--cipher-suite-id", "17"]),
        (UNSIGNED, ["--driver-type", "LAN", "--workaround-flags", "noauthcodecheck"]),
    ],
)
def test_ipmipower_switches(tmp_path: Path, faults: Faults, how: list[str]) -> None:
    """FreeIPMI reads the power and resets; with its own word for it also where answers are unsigned."""
    with rack([server(ADDRESS, faults=faults)], port=PORT) as bmcs:
        assert ipmipower([*how, "--stat"], tmp_path).stdout.endswith(": on\n")
        assert ipmipower([*how, "--reset"], tmp_path).stdout.endswith(": ok\n")
        assert bmcs.seen("n01-ipmi").log == ("reset",)


def test_unsigned_answers_are_what_strict_clients_refuse(tmp_path: Path) -> None:
    """The fault is the real one: FreeIPMI and ipmitool do not believe such a BMC either."""
    with rack([server(ADDRESS, faults=UNSIGNED)], port=PORT):
        assert "on" not in ipmipower(["--driver-type", "LAN", "--stat"], tmp_path).stdout.split()
        assert ipmitool(["-I", "lan", "-A", "MD5", "chassis", "power", "status"]).returncode != 0
