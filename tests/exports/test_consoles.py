"""The consoles: who has one, what leads to it, and that no password is in it."""

import os
import re
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import BootmillError
from tasks.exports.consoles import FAMILY, SCRIPT, TEMPLATES
from tasks.inventory.model import Bmc, Cluster, Management, SecretKind, SecretRef, Vm
from tests.exports.rendered import BMC as CONTROLLER
from tests.exports.rendered import cluster, node, whole

LINE = re.compile(r'console (\S+) \{ master localhost; type exec; exec "/bin/sh (\S+) (.*)"; \}')


def consoles(cluster: Cluster) -> dict[str, str]:
    """Return each console's words behind the script, which both daemons' files agree on."""
    texts = whole(FAMILY, cluster)
    conserver = {
        name: words for name, script, words in LINE.findall(texts["consoles/conserver.cf"]) if script == SCRIPT
    }
    conman = dict(re.findall(rf'console name="(\S+)" dev="/bin/sh {SCRIPT} (.*)"', texts["consoles/conman.conf"]))
    assert conserver == conman
    return conserver


def with_bmc(**values: Any) -> Bmc:
    """Return n01's BMC, changed."""
    return replace(CONTROLLER, **values)


def test_the_sample(cluster: Cluster) -> None:
    """The nodes with a BMC, and the guests; nothing leads to the head node."""
    found = consoles(cluster)
    assert found["n01"] == "bmc 10.1.0.111 623 root env:BOOTMILL_BMC_PASSWORD"
    assert found["kvm1"] == "guest qemu+ssh://root@n06/system kvm1"
    assert sorted(found) == ["kvm1", *(f"n0{number}" for number in range(1, 7)), "xen1"]


def test_what_leads_to_a_console() -> None:
    """A virtual machine's host, a BMC on another port, a password in a file, none at all."""
    in_file = SecretRef(kind=SecretKind.FILE, where="keys/bmc")
    nodes = [
        node("v1", management=Management.KVM, vm=Vm(host="mgt"), bmc=None),
        node("v2", management=Management.KVM, vm=Vm(host="k1")),
        node("v3", management=Management.XEN, vm=Vm(host="k1")),
        node("b1", bmc=with_bmc(port=6230, password=in_file)),
        node("b2", bmc=with_bmc(password=None)),
        node("no1", console=None),
        node("no2", bmc=None),
    ]
    assert consoles(cluster(nodes)) == {
        "v1": "guest qemu:///system v1",
        "v2": "guest qemu+ssh://root@k1/system v2",
        "v3": "guest xen+ssh://root@k1/system v3",
        "b1": "bmc 10.1.0.110 6230 root file:keys/bmc",
        "b2": "bmc 10.1.0.110 623 root none",
    }


@pytest.mark.parametrize(
    "odd",
    [
        {"user": "a b"},
        {"user": 'a"; }'},
        {"user": "$(id)"},
        {"user": "%N"},
        {"user": "ä"},
        {"user": ""},
        {"password": SecretRef(kind=SecretKind.ENV, where="A-B")},
        {"password": SecretRef(kind=SecretKind.FILE, where="a b")},
        {"password": SecretRef(kind=SecretKind.FILE, where="a\n}")},
    ],
)
def test_a_user_that_no_command_line_should_hold(odd: dict[str, Any]) -> None:
    """Such a node has no console, and both files say so."""
    some = cluster([node("n1", bmc=with_bmc(**odd)), node("n2")])
    assert list(consoles(some)) == ["n2"]
    texts = whole(FAMILY, some)
    assert all("\n# n1 has no console here: " in texts[f"consoles/{name}"] for name in ("conserver.cf", "conman.conf"))


def test_the_last_wall() -> None:
    """A name that no inventory lets through is in no file."""
    with pytest.raises(BootmillError, match="which is not its form"):
        whole(FAMILY, cluster([node("n1 { exec evil; }")]))


# -- the script ------------------------------------------------------------------------------------------------------


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return the script, with an ipmitool and a virsh before the real ones that tell what they were given."""
    for name in ("ipmitool", "virsh"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('#!/bin/sh\necho "${0##*/} $*"\necho "password=${IPMITOOL_PASSWORD-none}"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "console.sh").write_text((TEMPLATES / "consoles_console.sh.j2").read_text())
    return tmp_path / "console.sh"


def run(script: Path, *words: str, **env: str) -> tuple[int, str]:
    """Run the script as conmand does, without an environment but the given one; return its code and words."""
    known = {"PATH": f"{script.parent}/bin:{os.environ['PATH']}", "BOOTMILL_SECRETS": str(script.parent / "secrets")}
    done = subprocess.run(
        ["/bin/sh", script, *words], env={**known, **env}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


BMC = ("bmc", "10.1.0.110", "623", "root")
SOL = "ipmitool -I lanplus -H 10.1.0.110 -p 623 -U root -E sol activate\npassword="


def test_the_password_comes_from_where_the_inventory_says(script: Path) -> None:
    """From the environment, from the daemon's list of secrets, from a file below the inventory; or there is none."""
    odd = "a b'$x\"\\"
    assert run(script, *BMC, "env:PASS", PASS=odd) == (0, f"{SOL}{odd}\n")
    assert run(script, *BMC, "none") == (0, f"{SOL}\n")
    (script.parent / "secrets").write_text(f"PASS='calvin hobbes'\nBOOTMILL_INVENTORY={script.parent}\n")
    (script.parent / "key").write_text(f"{odd}\n")
    assert run(script, *BMC, "env:PASS") == (0, f"{SOL}calvin hobbes\n")
    assert run(script, *BMC, "file:key") == (0, f"{SOL}{odd}\n")


def test_a_guests_console(script: Path) -> None:
    """Libvirt's own."""
    found = run(script, "guest", "qemu:///system", "v1")
    assert found == (0, "virsh --connect qemu:///system console v1\npassword=none\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*BMC, "env:PASS"), "PASS is not set, not even in "),
        ((*BMC, "file:key"), "BOOTMILL_INVENTORY: is not set in "),
        ((*BMC, "plain"), "no reference to a secret"),
        (("reset",), "usage: "),
    ],
)
def test_what_is_missing_is_said(script: Path, words: tuple[str, ...], said: str) -> None:
    """In words that the console shows, without a start of ipmitool."""
    code, text = run(script, *words)
    assert code
    assert said in text
    assert "ipmitool" not in text


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is missing: apt-get install shellcheck")
def test_shellcheck_likes_it(script: Path) -> None:
    """The script is clean."""
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
