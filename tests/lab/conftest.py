"""A checkout whose generated files are hand-made: the laboratory is tested without the rest of the journey."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks import run, system
from tasks.inventory.model import Cluster
from tasks.lab import outside

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = ("unshare", "nsenter", "ip", "bwrap", "dhcpd", "named", "in.tftpd", "nginx", "qemu-system-x86_64", "ssh")
DHCPD = """authoritative;
ddns-update-style none;
subnet 10.1.0.0 netmask 255.255.255.0 { next-server 10.1.0.1; filename "pxelinux.0"; }
host n01 { hardware ethernet 00:18:8b:f8:e3:58; fixed-address 10.1.0.11; }
"""
ZONE = """$TTL 300
@   IN SOA mgt root ( 1 3600 600 86400 300 )
@   IN NS  mgt
mgt IN A   10.1.0.1
n01 IN A   10.1.0.11
"""
NGINX = "server { listen 10.1.0.1:80; root /; location /install/ { } location /tftpboot/ { } }\n"


def missing() -> str:
    """Return what keeps a laboratory from running here, empty where nothing does."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=run.PATH) is None]
    if lacking:
        packages = sorted({system.package_of(name) for name in lacking})
        return f"{', '.join(lacking)} not installed (packages {' '.join(packages)})"
    done = run.run([*outside.unshare_argv(), "true"], check=False)
    return f"no namespaces: {done.stderr.strip()}" if done.code else ""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the code, the sample inventory and hand-made generated files; work goes on in there."""
    (tmp_path / "tasks").symlink_to(ROOT / "tasks")
    shutil.copytree(ROOT / "inventory", tmp_path / "inventory", ignore=shutil.ignore_patterns("keys"))
    texts = {
        "etc/hosts": "127.0.0.1 localhost\n10.1.0.1 mgt.renci.ben mgt\n",
        "etc/dhcp/dhcpd.conf": DHCPD,
        "etc/bind/named.conf.bootmill": 'zone "renci.ben" { type master; file "/etc/bind/zones/db.renci.ben"; };\n',
        "etc/bind/named.conf.bootmill-options": "options { listen-on-v6 { none; }; dnssec-validation no; };\n",
        "etc/bind/zones/db.renci.ben": ZONE,
        "etc/nginx/conf.d/bootmill.conf": NGINX,
        "tftpboot/hello": "by tftp\n",
        "install/hello": "by http\n",
    }
    for name, text in texts.items():
        path = tmp_path / "build" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in (tmp_path, *tmp_path.parents):  # tftpd and nginx serve as users of their own
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def laboratory(checkout: Path, cluster: Cluster) -> Iterator[Path]:
    """Return a checkout whose laboratory is up."""
    outside.up(cluster)
    yield checkout
    outside.down()


@pytest.fixture
def machine_state() -> Callable[[], tuple[str, str, list[str]]]:
    """Return a function that returns what must be the same before and after: mounts, interfaces, our processes."""

    def look() -> tuple[str, str, list[str]]:
        mounts = "\n".join(sorted(Path("/proc/self/mounts").read_text().splitlines()))
        interfaces = "\n".join(sorted(path.name for path in Path("/sys/class/net").iterdir()))
        return mounts, interfaces, laboratory_processes()

    return look


def laboratory_processes() -> list[str]:
    """Return the command lines of processes that live in another PID namespace than ours and work in this directory."""
    here, own = Path.cwd(), Path("/proc/self/ns/pid").readlink()
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            foreign = (process / "ns/pid").readlink() != own
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            ours = str(here) in words or (process / "cwd").readlink() == here
        except OSError:
            continue
        if ours and (foreign or "unshare" in words):
            found.append(words)
    return sorted(found)


__all__ = ["laboratory_processes", "missing"]
