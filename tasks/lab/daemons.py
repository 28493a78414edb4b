"""The head node's daemons, in the foreground, each with the sign by which it is known to be ready."""

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from tasks import run
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tasks.lab import head, state

PATIENCE = 15.0  # seconds; they need 0.01 to 0.15 on a quiet machine
NAP = 0.02


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """How a daemon is started and by what it is known to be ready: a line in its log, or a socket.

    `listens` is (tcp or udp, address, port) in the daemon's own network namespace.
    """

    name: str
    argv: tuple[str, ...]
    says: str = ""
    listens: tuple[str, IPv4Address, int] | None = None
    stop: signal.Signals = signal.SIGTERM


def daemons(cluster: Cluster) -> tuple[Daemon, ...]:
    """Return the daemons of the head node, in the order in which they are started."""
    ip = cluster.node(cluster.site.master).ip
    return (
        Daemon(
            name="named",
            argv=("named", "-4", "-g", "-n", "1", "-c", str(head.OWN_ETC / "named.conf")),
            says="all zones loaded",  # not "running": its second line is "running on Linux"
        ),
        Daemon(
            name="dhcpd",
            argv=("dhcpd", "-4", "-f", "-d", "-cf", "/etc/dhcp/dhcpd.conf", "--no-pid", "eth0"),
            says="Server starting service.",
        ),
        Daemon(
            name="tftpd",
            argv=(
                # "nobody": the user tftp is made by the scripts of a package that may only be unpacked here.
                *("in.tftpd", "--foreground", "--listen", "--address", f"{ip}:69", "--secure", "--user", "nobody"),
                *("--verbose", "--verbose", "--verbose", "/tftpboot"),
            ),
            listens=("udp", ip, 69),
        ),
        Daemon(
            name="nginx",
            argv=("nginx", "-c", str(head.OWN_ETC / "nginx.conf"), "-e", "stderr"),
            listens=("tcp", ip, 80),
            stop=signal.SIGQUIT,
        ),
    )


class Running:
    """A daemon that was started."""

    def __init__(self, daemon: Daemon, process: run.Process, log: Path) -> None:
        """Keep the daemon with its process and its log."""
        self.daemon = daemon
        self.process = process
        self.log = log

    def ready(self) -> bool:
        """Return whether the daemon serves."""
        if self.daemon.listens is not None:
            return listening(self.process.pid, *self.daemon.listens)
        return self.daemon.says in self.log.read_text(errors="replace")

    async def wait_ready(self) -> None:
        """Return when the daemon serves; `BootmillError` with its last words where it never does."""
        end = time.monotonic() + PATIENCE
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > end:
                lines = [f"    | {line}" for line in self.log.read_text(errors="replace").splitlines()[-15:]]
                how = "did not get ready" if self.process.poll() is None else "ended"
                message = "\n".join([f"{self.daemon.name} {how}:", *lines])
                raise BootmillError(message, hint=f"its whole log is {self.log}")
            await asyncio.sleep(NAP)

    async def stop(self) -> None:
        """End the daemon, by force after two seconds."""
        end = time.monotonic() + 2
        if self.process.poll() is None:
            self.process.send_signal(self.daemon.stop)
        while self.process.poll() is None:
            if time.monotonic() > end:
                self.process.kill()
            await asyncio.sleep(NAP)


def start(daemon: Daemon, *, inside: Callable[[tuple[str, ...]], list[str]]) -> Running:
    """Start a daemon; `inside` turns its command line into one that runs on the head node."""
    run.which(daemon.argv[0])
    log = state.daemon_log(daemon.name)
    with log.open("ab") as output:
        return Running(daemon, run.start(inside(daemon.argv), output=output), log)


def listening(pid: int, protocol: str, ip: IPv4Address, port: int) -> bool:
    """Return whether a socket is bound in the network namespace of a process, by /proc/PID/net (proc(5)).

    The table's addresses are hexadecimal in the machine's own byte order: ``0100010A:0045`` is 10.1.0.1:69.
    """
    wanted = {f"{int.from_bytes(address.packed, 'little'):08X}:{port:04X}" for address in (ip, IPv4Address(0))}
    try:
        lines = Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]
    except OSError:  # it has just ended: whoever waits will see that, and say why
        return False
    states = {"tcp": "0A", "udp": "07"}  # TCP_LISTEN and, for UDP, TCP_CLOSE: unconnected (include/net/tcp_states.h)
    return any(fields[1] in wanted and fields[3] == states[protocol] for fields in map(str.split, lines))
