"""A head node in a folder: rendered files, a root as Debian leaves it, a systemctl that writes down what it is told."""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tasks import run
from tasks.deploy.control import Control, Systemd
from tasks.deploy.deploying import deploy
from tests.samples import SITE

HEADER = "# Made by Bootmill from inventory/: edits are lost.\n"
ZONE = """; Made by Bootmill from inventory/: edits are lost.
$TTL 300
$ORIGIN {name}.
@ IN SOA mgt.renci.ben. hostmaster.renci.ben. ( {serial} 3600 600 604800 300 )
@ IN NS mgt.renci.ben.
{lines}"""
RENDERED = {
    "etc/hosts": HEADER
    + "127.0.0.1 localhost\n::1 localhost\n\n10.1.0.1 mgt.renci.ben mgt\n10.1.0.11 n01.renci.ben n01\n",
    "etc/bind/named.conf.bootmill": "// Made by Bootmill from inventory/: edits are lost.\n"
    + "".join(
        f'\nzone "{name}" {{\n    type primary;\n    file "/etc/bind/zones/db.{name}";\n    notify no;\n}};\n'
        for name in ("renci.ben", "0.1.10.in-addr.arpa")
    ),
    "etc/bind/zones/db.renci.ben": ZONE.format(
        name="renci.ben", serial=1, lines="mgt IN A 10.1.0.1\nn01 IN A 10.1.0.11\n"
    ),
    "etc/bind/zones/db.0.1.10.in-addr.arpa": ZONE.format(
        name="0.1.10.in-addr.arpa", serial=1, lines="1 IN PTR mgt.renci.ben.\n11 IN PTR n01.renci.ben.\n"
    ),
    "etc/dhcp/dhcpd.conf": HEADER
    + "authoritative;\nsubnet 10.1.0.0 netmask 255.255.255.0 {\n}\n"
    + "host n01 {\n    hardware ethernet 00:18:8b:f8:e3:58;\n    fixed-address 10.1.0.11;\n}\n",
    "etc/default/tftpd-hpa": HEADER + 'TFTP_DIRECTORY="/tftpboot"\n',
    "etc/exports": HEADER + "/install 10.1.0.0/24(ro)\n",
    "etc/ansible/bootmill.json": '{"all": {"hosts": {"n01": {}}}}\n',
    "tftpboot/pxelinux.cfg/default": "never deployed\n",
}
# What Debian's packages bring.
DEBIAN = {
    "etc/hosts": "127.0.0.1\tlocalhost\n127.0.1.1\tmgt.example mgt\n192.0.2.7\tstorage\n",
    "etc/bind/named.conf": '// x\ninclude "/etc/bind/named.conf.options";\ninclude "/etc/bind/named.conf.local";\n',
    "etc/bind/named.conf.options": 'options {\n    directory "/";\n    listen-on-v6 { any; };\n};\n',
    "etc/bind/named.conf.local": "//\n// Do any local configuration here\n//\n",
    "etc/bind/rndc.key": "secret\n",
}
SYSTEMCTL = """#!/bin/sh
# is-active --quiet UNIT | restart UNIT | reload-or-restart UNIT
for unit; do :; done
unit=${{unit%.service}}
case $1 in
is-active) test -e {bin}/running/$unit ;;
*)
    echo "$1 $unit" >>{bin}/log
    {bin}/hook "$unit" || exit 1
    test ! -s {bin}/failing/$unit || {{
        left=$(cat {bin}/failing/$unit)
        echo "$((left - 1))" | grep -v '^0' >{bin}/failing/$unit
        echo "Job for $unit failed." >&2
        exit 1
    }}
    ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Head:
    """A head node in a folder, and the checkout that deploys to it."""

    checkout: Path
    root: Path
    bin: Path

    def render(self, **texts: str | None) -> None:
        """Change rendered files: ``render(hosts="…")``; keys are ends of paths, None takes a file away."""
        for end, text in texts.items():
            (name,) = (name for name in RENDERED if Path(name).name.replace(".", "_").replace("-", "_") == end)
            path = self.checkout / "build" / name
            if text is None:
                path.unlink()
            else:
                path.write_text(text)

    def outputs(self) -> list[Path]:
        """Return every file that may be rendered."""
        return [Path("inventory/serials.yaml"), *(Path("build") / name for name in RENDERED)]

    def deploy(self, *words: str, outputs: list[Path] | None = None, control: Control | None = None) -> None:
        """Run ``doit deploy`` on this head node."""
        site = replace(SITE, destdir="build")
        found = self.outputs() if outputs is None else outputs
        deploy(site, found, ["--root", str(self.root), *words], control=control or Systemd(settle=0))

    def told(self) -> list[str]:
        """Return what systemctl was told since the last time."""
        log = self.bin / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def runs(self, *units: str) -> None:
        """Say which units run."""
        for path in (self.bin / "running").iterdir():
            path.unlink()
        for unit in units:
            (self.bin / "running" / unit).touch()

    def fails(self, unit: str, times: int) -> None:
        """Have a unit refuse its files some times."""
        (self.bin / "failing" / unit).write_text(f"{times}\n")

    def tree(self) -> dict[str, tuple[bytes, int, int, int]]:
        """Return every file of the root's /etc: bytes, mode, owners."""
        return tree(self.root / "etc")

    def text(self, name: str) -> str:
        """Return a file of the root."""
        return (self.root / name).read_text()


def tree(folder: Path) -> dict[str, tuple[bytes, int, int, int]]:
    """Return every file below a folder: bytes, mode, owners."""
    result = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            state = path.stat()
            result[str(path.relative_to(folder))] = (
                path.read_bytes(),
                stat.S_IMODE(state.st_mode),
                state.st_uid,
                state.st_gid,
            )
    return result


def script(path: Path, text: str) -> None:
    """Write a program."""
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Head:
    """Stand in a checkout with rendered files beside a root as Debian leaves it, with all daemons running."""
    checkout, root, programs = tmp_path / "checkout", tmp_path / "root", tmp_path / "bin"
    for folder, files in ((checkout / "build", RENDERED), (root, DEBIAN)):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    (root / "etc/bind/rndc.key").chmod(0o600)
    for name in ("running", "failing"):
        (programs / name).mkdir(parents=True)
    script(programs / "systemctl", SYSTEMCTL.format(bin=programs))
    script(programs / "hook", "#!/bin/sh\n")
    script(programs / "exportfs", f'#!/bin/sh\necho "exportfs $*" >>{programs}/log\n')
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(run, "PATH", f"{programs}:{run.PATH}")
    made = Head(checkout=checkout, root=root, bin=programs)
    made.runs("named", "isc-dhcp-server", "tftpd-hpa", "nfs-kernel-server")
    return made


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], Any]:
    """Return a function that returns what --json printed last."""

    def document() -> Any:
        return json.loads(capsys.readouterr().out)

    return document


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away: run the tests as root, too")
