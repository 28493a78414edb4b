"""Serial consoles, for conserver(8) and conman(7): every node that has one and something that leads to it.

    node with a BMC ─ console.sh bmc … ──── ipmitool, serial over LAN     the speed is the BMC's: as in its setup
    virtual machine ─ console.sh guest … ── virsh console

Both daemons run one script for each console.  It has no password in it, nor on its command line: it is given the
inventory's reference and looks there.  The daemons' own ways are none: conserver.cf and conman.conf would hold the
password itself, and conmand gives its children no environment (conman's server.c, get_sane_env()).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, cast

from tasks import paths, template
from tasks.exports.quote import NAME, WORD, inspect, wall
from tasks.family import Around, Family, Rows
from tasks.inventory.model import Bmc, Cluster, Management, Node, SecretKind, Site

TEMPLATES = Path(__file__).parent / "templates"
SCRIPT = "/etc/bootmill/consoles/console.sh"  # where it lies when it is in place
CONSERVER, CONMAN, CONSOLE = KEYS = "conserver.cf", "conman.conf", "console.sh"
DRIVERS = {Management.KVM: "qemu", Management.XEN: "xen"}
ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
UNTOLD = "has no console here: its BMC's user or secret has characters that no command line should hold"
COMMAND = rf"/bin/sh {SCRIPT}(?: {WORD.pattern})+"
LINES = {
    CONSERVER: wall(rf'console {NAME} \{{ master localhost; type exec; exec "{COMMAND}"; \}}'),
    CONMAN: wall(rf'console name="{NAME}" dev="{COMMAND}"|(?:server|global) [a-z]+="?[A-Za-z0-9/.%]+"?'),
}


class Wire(NamedTuple):
    """A node and the words that lead to its console; none where they cannot be told."""

    name: str
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the files depend on besides the nodes."""

    site: Site


def frame(cluster: Cluster) -> Frame:
    """Return what the files depend on besides the nodes."""
    return Frame(site=cluster.site.only("master"))


def rows(frame: Frame, nodes: Sequence[Node]) -> Rows:
    """Return the nodes that have a serial console and something that leads to it."""
    found = []
    for node in nodes:
        if node.console is None:
            continue
        if node.vm is not None and node.management in DRIVERS:
            found.append(Wire(node.name, guest(frame.site, node.name, node.vm.host, DRIVERS[node.management])))
        elif node.bmc is not None:
            found.append(Wire(node.name, controller(node.bmc)))
    return tuple(found)


def guest(site: Site, name: str, host: str, driver: str) -> tuple[str, ...]:
    """Return the words for a virtual machine: libvirt's address of its host, its name."""
    remote = "" if host == site.master else f"root@{host}"
    return "guest", f"{driver}+ssh://{remote}/system" if remote else f"{driver}:///system", name


def controller(bmc: Bmc) -> tuple[str, ...]:
    """Return the words for a BMC: address, port, user, reference to the password; none where they are not plain."""
    secret = bmc.password
    if secret is not None and secret.kind is SecretKind.ENV and not ENVIRONMENT.fullmatch(secret.where):
        return ()
    words = "bmc", str(bmc.address), str(bmc.port), bmc.user, str(secret) if secret else "none"
    return words if all(map(WORD.fullmatch, words)) else ()


def text(_frame: Frame, rows: Rows) -> Mapping[str, str]:
    """Return a line for each console, in each daemon's form."""
    conserver, conman = [], []
    for name, words in cast("tuple[Wire, ...]", rows):
        if not words:
            conserver.append(f"# {name} {UNTOLD}\n")
            conman.append(f"# {name} {UNTOLD}\n")
            continue
        command = f"/bin/sh {SCRIPT} {' '.join(words)}"
        conserver.append(f'console {name} {{ master localhost; type exec; exec "{command}"; }}\n')
        conman.append(f'console name="{name}" dev="{command}"\n')
    return {CONSERVER: "".join(conserver), CONMAN: "".join(conman), CONSOLE: ""}


def around(frame: Frame, _sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return what stands before the consoles; the script, in which no node is, stands there whole."""
    heads = (template.render(TEMPLATES / f"consoles_{key}.j2") for key in KEYS)
    return {key: Around(path=path, head=head) for key, path, head in zip(KEYS, outputs(frame), heads, strict=True)}


def outputs(frame: Frame) -> Sequence[Path]:
    """Return both daemons' files and the script."""
    return [paths.for_tools(frame.site, f"consoles/{key}") for key in KEYS]


def check(frame: Frame, texts: Mapping[str, str]) -> None:
    """Look at every line of what the daemons read; the script is always the same."""
    for key, path in zip(KEYS, outputs(frame), strict=True):
        if key in LINES:
            inspect(path, texts[key], LINES[key])


FAMILY: Final = Family(name="consoles", frame=frame, rows=rows, text=text, around=around, outputs=outputs, check=check)
