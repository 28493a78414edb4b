"""Starts the DHCP servers on rendered files, at the end of a wire, and asks them what clients would."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from tasks import run, system
from tasks.configs import dhcpd, dnsmasq, kea
from tasks.configs.clients import Frame
from tasks.family import Family
from tasks.inventory.model import Cluster
from tests.integration import dhcpclient
from tests.integration.dhcpclient import Answer, Question, Scene

FAMILIES: dict[str, Family[Frame]] = {"dhcpd": dhcpd.FAMILY, "kea": kea.FAMILY, "dnsmasq": dnsmasq.FAMILY}
PROGRAMS = {"dhcpd": ("dhcpd",), "kea": ("kea-dhcp4", "kea-dhcp6", "kea-lfc"), "dnsmasq": ("dnsmasq",)}


def needs(*programs: str) -> None:
    """Skip the test where a program is missing, and say which package brings it."""
    lost = sorted({system.package_of(name) for name in programs if shutil.which(name, path=system.PATH) is None})
    if lost:
        pytest.skip(f"missing: apt-get install {' '.join(lost)}")


def whole(family: Family[Frame], cluster: Cluster) -> tuple[Frame, dict[str, str]]:
    """Return a family's files by their keys, every part rendered."""
    frame = family.frame(cluster)
    between = {key: around.between for key, around in family.around(frame, {}).items()}
    bodies = dict.fromkeys(between, "")
    for shard in cluster.shards:
        for key, part in family.text(frame, family.rows(frame, shard.nodes())).items():
            bodies[key] += between[key] + part if bodies[key] and part else part
    sums = {key: sha256(body.encode()).hexdigest() for key, body in bodies.items()}
    around = family.around(frame, sums)
    return frame, {key: around[key].head + body + around[key].tail for key, body in bodies.items()}


def inside() -> list[str]:
    """Return the command that runs a program as root of name spaces of its own, or skip the test."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    argv = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    needs("unshare", "nsenter", "ip")
    done = subprocess.run([*argv, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no name spaces: {done.stderr.strip()}")
    return argv


def play(argv: list[str], questions: list[Question], scratch: Path, env: Mapping[str, str]) -> list[Answer | None]:
    """Start a daemon at the end of a wire and ask it."""
    scene = Scene(
        argv=argv,
        env={"PATH": system.PATH, **run.libraries(argv[0]), **env},
        log=str(scratch / "log"),
        mac=questions[0]["mac"],
        head=["10.1.0.1/24", "fd00:1::1/64"],
        wire=["10.1.0.250/24", "10.3.0.254/32", "192.168.77.1/32"],
        routes=["10.3.0.254/32", "192.168.77.1/32"],
        questions=questions,
    )
    command = [*inside(), sys.executable, dhcpclient.__file__]
    done = subprocess.run(
        command,
        input=json.dumps(scene),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr + (scratch / "log").read_text(errors="replace")
    answers: list[Answer | None] = json.loads(done.stdout)
    assert any(answers), (scratch / "log").read_text(errors="replace")[-3000:]
    return answers


def serve(name: str, cluster: Cluster, questions: list[Question], scratch: Path) -> list[Answer | None]:
    """Ask a server that runs on the rendered files, its leases in a scratch folder; all questions of one protocol."""
    needs(*PROGRAMS[name])
    six = bool(questions[0].get("v6"))
    _, texts = whole(FAMILIES[name], cluster)
    start = {"dhcpd": start_dhcpd, "kea": start_kea, "dnsmasq": start_dnsmasq}[name]
    argv, env = start(texts, scratch, six=six)
    return play(argv, questions, scratch, env)


def start_dhcpd(texts: Mapping[str, str], scratch: Path, *, six: bool) -> tuple[list[str], dict[str, str]]:
    """Write dhcpd's files; return its command."""
    (scratch / "conf").write_text(texts["dhcpd6"] if six else texts["dhcpd"] + "ping-check false;\n")
    (scratch / "leases").touch()
    argv = ["dhcpd", "-6" if six else "-4", "-f", "-d", "--no-pid", "-lf", str(scratch / "leases")]
    return [*argv, "-cf", str(scratch / "conf"), "eth0"], {}


def start_kea(texts: Mapping[str, str], scratch: Path, *, six: bool) -> tuple[list[str], dict[str, str]]:
    """Write Kea's files; return its command and its environment."""
    leases = f'"type": "memfile", "name": "{scratch}/leases",'
    text = texts["dhcp6" if six else "dhcp4"].replace('"type": "memfile",', leases)
    text = text.replace('"mac-sources"', '"server-id": {"type": "LL", "persist": false}, "mac-sources"')
    (scratch / "conf").write_text(text.replace("/etc/kea/bootmill/", f"{scratch}/"))
    for key in texts.keys() - {"dhcp4", "dhcp6"}:
        (scratch / f"{key}.json").write_text(texts[key])
    cleaner = str(system.find_program("kea-lfc"))
    env = {"KEA_LOCKFILE_DIR": "none", "KEA_PIDFILE_DIR": str(scratch), "KEA_LFC_EXECUTABLE": cleaner}
    return ["kea-dhcp6" if six else "kea-dhcp4", "-c", str(scratch / "conf")], env


def start_dnsmasq(texts: Mapping[str, str], scratch: Path, *, six: bool) -> tuple[list[str], dict[str, str]]:
    """Write dnsmasq's files; return its command, the same for both protocols."""
    assert six in {True, False}
    (scratch / "conf").write_text(texts["conf"].replace("/etc/dnsmasq-hosts/bootmill", str(scratch / "hosts")))
    (scratch / "hosts").write_text(texts["hosts"])
    argv = [
        "dnsmasq",
        f"--conf-file={scratch}/conf",
        "--keep-in-foreground",
        "--user=root",
        "--group=root",
        "--no-ping",
    ]
    return [*argv, "--log-facility=-", f"--dhcp-leasefile={scratch}/leases", "--pid-file="], {}
