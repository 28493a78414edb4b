"""Boot a kernel and an initrd directly, without firmware, boot menu or the laboratory's network: a reality check.

    kernel, initrd, command line ─▶ QEMU ─▶ serial console ─▶ until a line decides ─▶ how it ended

The machine sees QEMU's own little network (``-netdev user``, docs/system/devices/net.rst): 10.0.2.2 is this machine's
127.0.0.1, DHCP is answered, nothing outside can reach in, and no privilege is needed.
"""

import os
import re
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tasks import run
from tasks.errors import BootmillError
from tasks.lab.machine import DEVICES
from tasks.lab.timeline import plain

MOST_CONSOLE = 4 << 20  # bytes: a console that says more is cut off, a loop of messages must not fill the memory
BLOCK = 1 << 16
NEVER = re.compile(r"(?!)")
# The kernel's last sentence: with ``panic=-1`` it resets at once, and ``-no-reboot`` makes that QEMU's end.
PANIC = re.compile(r"Kernel panic - not syncing: .*")
HOST = "10.0.2.2"  # how the machine calls the one that it runs on


class Arch(StrEnum):
    """Processors that we have a machine for; values are those of the kernel's `uname -m`."""

    X86_64 = "x86_64"
    AARCH64 = "aarch64"


# The cheapest machine with PCI, the serial console's name on it, and where early messages go.
MACHINES = {
    Arch.X86_64: ("qemu-system-x86_64", "pc,graphics=off,usb=off,vmport=off", "max", "ttyS0"),
    # `max` has pointer authentication, which costs an emulated machine half of its speed (-cpu max,pauth-impdef=on).
    Arch.AARCH64: ("qemu-system-aarch64", "virt", "max,pauth-impdef=on", "ttyAMA0"),
}
# What an emulated machine need not find out: it has one processor, no keyboard, trustworthy random numbers.
QUICK = "panic=-1 random.trust_cpu=on cryptomgr.notests no_timer_check i8042.nopnp i8042.noaux"


class End(StrEnum):
    """How a boot ended."""

    SEEN = "seen"  # the line that was waited for
    PANIC = "panic"  # the kernel gave up
    STOPPED = "stopped"  # the line that was not hoped for, as `stop` describes it
    GONE = "gone"  # the machine switched itself off, or reset
    SILENT = "silent"  # nothing of the kind within the time


@dataclass(frozen=True, kw_only=True)
class Bare:
    """A machine without disks.  `nic` is a kernel driver that QEMU has a card for, None for no network; MiB."""

    kernel: Path
    initrd: Path | None
    append: str = ""
    arch: Arch = Arch.X86_64
    memory: int = 512
    nic: str | None = None
    mac: str = "52:54:00:12:34:56"


@dataclass(frozen=True, kw_only=True)
class Boot:
    """A boot that was watched: how it ended, the line that decided, all that the console said, seconds it took."""

    end: End
    line: str
    console: str
    seconds: float


def qemu_argv(machine: Bare, *, accelerator: str = "tcg") -> list[str]:
    """Return QEMU's command line; the console is its standard output, a reset ends it."""
    program, board, cpu, _ = MACHINES[machine.arch]
    return [
        *(program, "-machine", board, "-accel", accelerator, "-cpu", cpu, "-smp", "1", "-m", str(machine.memory)),
        *("-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(machine.kernel), *(("-initrd", str(machine.initrd)) if machine.initrd else ())),
        *("-append", command_line(machine)),
        *network(machine),
    ]


def command_line(machine: Bare) -> str:
    """Return all words that the kernel gets: where its console is, what saves time, and the caller's."""
    return f"console={MACHINES[machine.arch][3]} {QUICK} {machine.append}".strip()


def network(machine: Bare) -> list[str]:
    """Return the machine's card and QEMU's own network behind it; without an option ROM, which nobody would run."""
    if machine.nic is None:
        return []
    if machine.nic not in DEVICES:
        message = f"no virtual machine has a {machine.nic} network card"
        raise BootmillError(message, hint=f"choose one of {', '.join(sorted(DEVICES))}")
    device = f"{DEVICES[machine.nic]},netdev=eth0,mac={machine.mac},romfile="
    return ["-netdev", "user,id=eth0,ipv6=off", "-device", device]


def boot(
    machine: Bare,
    *,
    until: re.Pattern[str],
    stop: re.Pattern[str] = NEVER,
    seconds: float = 120,
    accelerator: str = "tcg",
) -> Boot:
    """Boot until the console shows a line with `until`, one with `stop`, a panic, or nothing of them in time.

    A panic is waited out to the machine's end, so that the whole message is in `console`.  No process is left behind.
    """
    begin = time.monotonic()
    watch = Watch(until=until, stop=stop)
    with console(qemu_argv(machine, accelerator=accelerator)) as pipe:
        end = listen(pipe, watch, begin + seconds)
    return Boot(end=end, line=watch.line, console=watch.text, seconds=time.monotonic() - begin)


@contextmanager
def console(argv: list[str]) -> Iterator[int]:
    """Start a machine and give the end of a pipe that its console comes out of; it is gone afterwards."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            process = run.start(argv, output=writing)
        finally:
            os.close(writing)
        try:
            yield reading
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(reading)


def listen(pipe: int, watch: "Watch", deadline: float) -> End:
    """Feed the watch until it knows how the boot ended."""
    while watch.size < MOST_CONSOLE:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            break
        block = os.read(pipe, BLOCK)
        if not block:
            return End.PANIC if watch.panicked else End.GONE
        if (found := watch.feed(block)) is not None:
            return found
    return End.PANIC if watch.panicked else End.SILENT


class Watch:
    """Reads a console as it grows, line by line."""

    def __init__(self, *, until: re.Pattern[str], stop: re.Pattern[str]) -> None:
        """Begin with an empty console."""
        self.until, self.stop = until, stop
        self.lines: list[str] = []
        self.rest = ""
        self.size = 0
        self.line = ""
        self.panicked = False

    @property
    def text(self) -> str:
        """Return what the console showed, without cursor movements."""
        return "\n".join([*self.lines, plain(self.rest)])

    def feed(self, block: bytes) -> End | None:
        """Take what came; return how the boot ended, None while that is open."""
        self.size += len(block)
        *whole, self.rest = (self.rest + block.decode(errors="replace")).split("\n")
        for line in map(plain, whole):
            self.lines.append(line)
            if (found := self.judge(line)) is not None:
                return found
        return self.prompt(plain(self.rest[-BLOCK:]))

    def judge(self, line: str) -> End | None:
        """Return the end that a whole line means.  After a panic no other word counts."""
        if self.panicked:
            return None
        if found := PANIC.search(line):
            self.line, self.panicked = found[0], True
            return None
        for pattern, end in ((self.until, End.SEEN), (self.stop, End.STOPPED)):
            if pattern.search(line):
                self.line = line
                return end
        return None

    def prompt(self, line: str) -> End | None:
        """Return whether a line that has no end yet is what was waited for: a prompt never gets one."""
        if self.panicked or not self.until.search(line):
            return None
        self.line = line
        return End.SEEN
