"""What a boot looks like from outside: which line in which log means which stage.  Pure.

Each stage is known by a line that exactly one party writes at that moment: the BMC's switch, a daemon that served the
node's address, or the node's own console.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tasks.inventory.model import Node

ESCAPES = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1bc|[\x00-\x08\x0b-\x1f\x7f]")
# Never matches a kernel command line: `panic=1` is not a panic.
FATAL = re.compile(
    r"Kernel panic - not syncing|No working init found|error while loading shared libraries|end Kernel panic"
    r"|No bootable device|BdsDxe: No bootable option|bootmill\[[\d. ]+\] FAILED: ",
)


class Source(StrEnum):
    """Who writes the line."""

    SUPERVISOR = "supervisor"
    DHCPD = "dhcpd"
    TFTPD = "tftpd"
    NGINX = "nginx"
    CONSOLE = "console"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of a boot and the line that shows it."""

    name: str
    source: Source
    pattern: re.Pattern[str]


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A stage that was reached, in seconds since the beginning, and the line that showed it."""

    name: str
    seconds: float
    line: str


def stages(node: Node) -> tuple[Stage, ...]:
    """Return the stages of a node's boot in their usual order."""
    ip, mac = re.escape(str(node.ip)), re.escape(node.mac or "")
    kernel = r"\bboot/[^ \"]*/kernel\b"
    asked = rf"RRQ from {ip} filename "
    return (
        stage("power on", Source.SUPERVISOR, rf" {re.escape(node.name)}: on\b"),
        stage("DHCP", Source.DHCPD, rf"DHCPACK on {ip} to {mac}"),
        stage("boot program", Source.TFTPD, rf"{asked}\S*(?:pxelinux\.0|\.efi|\.kpxe)\b"),
        stage("boot menu", Source.TFTPD, rf"{asked}\S*(?:pxelinux\.cfg/|grub\.cfg)"),
        stage("boot menu", Source.NGINX, rf"^{ip} \"GET \S*\.ipxe\b\S* \S+ 200 "),
        stage("kernel fetched", Source.TFTPD, rf"{asked}\S*{kernel}"),
        stage("kernel fetched", Source.NGINX, rf"^{ip} \"GET \S*{kernel}\S* \S+ 200 "),
        stage("kernel started", Source.CONSOLE, r"\bLinux version \d"),
        stage("init", Source.CONSOLE, r"^bootmill\[[\d. ]+\] |Run /init as init process"),
        stage("root image fetched", Source.NGINX, rf"^{ip} \"GET /install/netboot/\S+ \S+ 20[06] "),
        stage("root image unpacked", Source.CONSOLE, r"^bootmill\[[\d. ]+\] root image unpacked"),
        stage("root switched", Source.CONSOLE, r"^bootmill\[[\d. ]+\] handing over|systemd\[1\]: "),
    )


def stage(name: str, source: Source, pattern: str) -> Stage:
    """Return a stage."""
    return Stage(name=name, source=source, pattern=re.compile(pattern))


def plain(line: str) -> str:
    """Return a console line without cursor movements and control characters."""
    return ESCAPES.sub("", line).strip()


@dataclass(kw_only=True)
class Watch:
    """Follows the logs of one boot: fed with what they grew by, it knows the stages and the last words."""

    stages: tuple[Stage, ...]
    reached: dict[str, Reached] = field(default_factory=dict)
    rests: dict[Source, str] = field(default_factory=dict)
    console: list[str] = field(default_factory=list)
    fatal: str = ""

    def feed(self, grown: Mapping[Source, str], seconds: float) -> list[Reached]:
        """Take what each log grew by, and return the stages that this shows for the first time."""
        found: list[Reached] = []
        for source, text in grown.items():
            for line in self.lines(source, text):
                found.extend(self.line(source, line, seconds))
        return found

    def lines(self, source: Source, text: str) -> Iterator[str]:
        """Yield the whole lines; the rest waits for its end."""
        *whole, self.rests[source] = (self.rests.get(source, "") + text).split("\n")
        yield from filter(None, map(plain, whole))

    def line(self, source: Source, line: str, seconds: float) -> Iterator[Reached]:
        """Yield the stages that one line shows."""
        if source is Source.CONSOLE:
            self.console.append(line)
            if not self.fatal and FATAL.search(line):
                self.fatal = line
        for each in self.stages:
            if each.source is source and each.name not in self.reached and each.pattern.search(line):
                self.reached[each.name] = Reached(name=each.name, seconds=seconds, line=line)
                yield self.reached[each.name]

    def before_end(self, count: int) -> list[str]:
        """Return the console's last lines, or those around a fatal one: the machine may have started anew since."""
        end = self.console.index(self.fatal) + count // 2 if self.fatal else len(self.console)
        return self.console[:end][-count:]

    def last_words(self) -> str:
        """Return what the console shows now, be the line whole or not."""
        return plain(self.rests.get(Source.CONSOLE, "")) or (self.console[-1] if self.console else "")


def verdict(node: Node, hostname: str, addresses: str, answers: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Yield what is wrong with a node that answers ssh: its name, its address, its view of DNS.

    `answers` maps a name that it looked up to (the address that the inventory has, what the node found).
    """
    if hostname != node.name:
        yield f"its host name is {hostname!r}, not {node.name!r}"
    if not re.search(rf"\b{re.escape(str(node.ip))}/", addresses):
        yield f"it does not have its address {node.ip}: {' '.join(addresses.split()) or 'none at all'}"
    for name, (wanted, found) in answers.items():
        if not re.search(rf"(?<![\d.]){re.escape(wanted)}(?![\d.])", found):
            yield f"it does not resolve {name} to {wanted}: {' '.join(found.split()) or 'no answer'}"


def table(reached: Iterable[Reached]) -> str:
    """Return the stages as aligned lines: seconds since power-on, and since the stage before."""
    lines: list[str] = []
    before = 0.0
    for each in reached:
        lines.append(f"  {each.seconds:7.1f} s  {'+' + format(each.seconds - before, '.1f'):>7}  {each.name}")
        before = each.seconds
    return "\n".join(lines)
