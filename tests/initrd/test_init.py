"""The first stage's scripts: sound for the shell that runs them, and wary of what the network tells them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.initrd.collect import TEMPLATES
from tasks.template import render

SCRIPTS = {
    "init": {"image": "debian12-x86_64-netboot-compute", "modules": ["usr/lib/modules/6/a.ko"]},
    "udhcpc": {},
}


def script(name: str) -> str:
    """Return a rendered script."""
    return render(TEMPLATES / f"collect_{name}.sh.j2", **SCRIPTS[name])


@pytest.mark.integration
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("shell", [["busybox", "sh", "-n"], ["dash", "-n"]], ids=["busybox", "dash"])
def test_the_shell_parses_it(name: str, shell: list[str]) -> None:
    """Both shells of first stages read the script without an error."""
    subprocess.run([*shell, "/dev/stdin"], input=script(name), text=True, check=True)


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed (package shellcheck)")
@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_is_content(name: str) -> None:
    """No finding; what is excluded has its reason here.

    SC2013, SC2045, SC2010: words of /proc/cmdline and NIC names are never file names.  SC1091: the lease is made at
    boot.  SC3040, SC2039: busybox ash has pipefail.  SC2154: udhcpc sets the lease's variables.
    """
    excluded = "SC2013,SC2045,SC2010,SC1091,SC3040,SC2039,SC2154"
    command = ["shellcheck", "--shell=sh", f"--exclude={excluded}", "-"]
    done = subprocess.run(command, input=script(name), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.integration
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"hostname": "n01"}, "hostname=n01"),
        ({"hostname": "n01.evil.example"}, "hostname=n01"),
        ({"hostname": "$(reboot)"}, "hostname="),
        ({"hostname": "a;b"}, "hostname="),
        ({"domain": "x\ny"}, "domain="),
        ({"serverid": "10.1.0.1"}, "serverid=10.1.0.1"),
    ],
)
def test_a_lease_cannot_run_commands(given: dict[str, str], kept: str, tmp_path: Path) -> None:
    """The lease file is sourced by init: a DHCP answer with shell words in it becomes an empty value."""
    text = script("udhcpc").replace("/run/bootmill", str(tmp_path)).replace("#!/bin/busybox sh", "#!/bin/sh")
    stubs = "ip() { :; }\nhostname() { :; }\n"
    environment = {**os.environ, "interface": "eth0", "ip": "10.1.0.11", "mask": "24", "dns": "10.1.0.1 `x`", **given}
    command = ["busybox", "sh", "-c", stubs + text, "udhcpc", "bound"]
    subprocess.run(command, env=environment, check=True)
    assert kept in (tmp_path / "lease").read_text().splitlines()
    assert "`" not in (tmp_path / "resolv.conf").read_text()
