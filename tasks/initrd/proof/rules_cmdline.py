"""The rules of the command line: E16 and W10.  Each function is one rule."""

import re
from collections.abc import Iterator, Mapping

from tasks.initrd.loader.sysroot import resolve
from tasks.initrd.proof import verdict
from tasks.initrd.proof.finding import End, Finding, Moment
from tasks.initrd.proof.subject import Machine, Subject
from tasks.inventory.model import Firmware, Netboot

SERVED = "initrd.img"  # the name under which a UEFI kernel finds the initrd that iPXE loaded
SERIAL = re.compile(r"(tty(?:S|AMA|USB)\d+|hvc\d+)(?:,.*)?")
REMEDY = "correct `kernel_args` of the node or of its osimage"
# Words that our init reads, with what it takes; anything else ends the boot.
VALUES: Mapping[str, re.Pattern[str]] = {
    "onfail": re.compile(r"wait|shell|reboot|poweroff"),
    "rootinodes": re.compile(r"\d{1,9}"),
    "rootsize": re.compile(r"\d{1,9}[kmgKMG%]?"),
    "status": re.compile(r"http://.*"),
    "vlan": re.compile(r"[1-9]\d{0,3}"),
    "init": re.compile(r"/[A-Za-z0-9._/-]*"),
}


def e16(subject: Subject, machine: Machine) -> Iterator[Finding]:
    """E16: initrd= is the name that is served, init= and rdinit= are not mixed up, our own words make sense."""
    yield from wrong_initrd(subject, machine)
    yield from mixed_up(subject, machine)
    if subject.ours and verdict.value(machine.words, "rdinit") in {None, "/init"}:
        yield from our_words(subject, machine)


def wrong_initrd(subject: Subject, machine: Machine) -> Iterator[Finding]:
    """Yield an initrd= by which a UEFI kernel looks for a file that nobody serves."""
    name = verdict.value(machine.words, "initrd")
    if name is None or machine.firmware is not Firmware.UEFI or name == SERVED:
        return
    yield Finding(
        rule="E16",
        text=f"{subject.what}: the command line has initrd={name}, served is {SERVED}",
        cause="the EFI stub of the kernel looks for a file of that name, and boots without an initrd",
        remedy=f"take initrd= out: {REMEDY}",
        end=End(moment=Moment.LOOKUP, message=verdict.no_root(machine.words)) if ipxe(machine) else None,
    )


def ipxe(machine: Machine) -> bool:
    """Whether the boot program leaves it to the kernel to find the initrd."""
    return machine.netboot is Netboot.IPXE


def mixed_up(subject: Subject, machine: Machine) -> Iterator[Finding]:
    """Yield an init= that was meant as rdinit=: its program is in the initrd only."""
    wanted = verdict.value(machine.words, "init")
    if wanted is None or resolve(subject.tree, wanted).path is None:
        return
    in_root = subject.root and subject.root.archive and resolve(subject.root.archive.tree, wanted).path
    lost = resolve(subject.tree, verdict.value(machine.words, "rdinit") or "/init").path is None
    if lost or (subject.ours and subject.root and subject.root.archive and not in_root):
        yield Finding(
            rule="E16",
            text=f"{subject.what}: init={wanted} names a program of the initrd",
            cause="init= chooses the program of the root that comes after; the initrd's is chosen by rdinit=",
            remedy=f"write rdinit={wanted}: {REMEDY}",
            soft=not lost,
        )


def our_words(subject: Subject, machine: Machine) -> Iterator[Finding]:
    """Yield words that our init would end at."""
    wrong = [
        f"{name}={text}"
        for name, pattern in VALUES.items()
        if (text := verdict.value(machine.words, name)) is not None and not good(name, text, pattern)
    ]
    if wrong:
        yield Finding(
            rule="E16",
            text=f"{subject.what}: the command line has {', '.join(wrong)}",
            cause="init does not know such a value, and stops",
            remedy=REMEDY,
            end=End(moment=Moment.START, message=verdict.stops("the kernel command line is wrong")),
        )
    if not machine.menus:
        yield from lost_words(subject, machine)


def good(name: str, text: str, pattern: re.Pattern[str]) -> bool:
    """Whether our init takes a word's value."""
    if name == "vlan" and text.isdecimal():
        return 1 <= int(text[:9]) <= 4094
    return pattern.fullmatch(text) is not None and ".." not in text.split("/")


def lost_words(subject: Subject, machine: Machine) -> Iterator[Finding]:
    """Yield what our init cannot do without and the boot menus write: where the root image is, and its digest."""
    url, digest = verdict.value(machine.words, "imgurl"), verdict.value(machine.words, "imgsha256") or ""
    lost = "" if url else "imgurl="
    if url and not url.startswith("nfs:") and not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        lost = "imgsha256="
    if lost:
        yield Finding(
            rule="E16",
            text=f"{subject.what}: the command line has no {lost}",
            cause="init does not know what to fetch, or cannot verify it",
            remedy="boot with the menus that `doit stage` publishes, or add it: --append 'imgurl=… imgsha256=…'",
            end=End(moment=Moment.FETCH, message=verdict.stops(f"the kernel command line has no {lost}")),
        )


def w10(subject: Subject, machine: Machine) -> Iterator[Finding]:
    """W10: the last console= is the serial line of the inventory, and the kernel has its driver built in."""
    if machine.menus and machine.console is None:
        if machine.bmc:
            yield Finding(
                rule="W10",
                text="the nodes have a BMC and no `console`",
                cause="serial over LAN shows nothing of the boot",
                remedy="set `console` (port, speed) in inventory/nodes.yaml, or for all in inventory/site.yaml",
            )
        return
    last = verdict.value(machine.words, "console")
    port = f"ttyS{machine.console.port}" if machine.console else None
    if port and last and last.partition(",")[0] != port:
        yield Finding(
            rule="W10",
            text=f"the last console= is {last}, the inventory's serial line is {port}",
            cause="/dev/console, and with it the first stage, speaks to the last one only",
            remedy=f"take console={last} out: {REMEDY}",
        )
    serial = SERIAL.fullmatch(last or "")
    driven = subject.config is None or subject.config.builtin("CONFIG_SERIAL_8250_CONSOLE")
    if serial and serial[1].startswith("ttyS") and not driven:
        yield Finding(
            rule="W10",
            text=f"the console is {serial[1]}, the kernel has no CONFIG_SERIAL_8250_CONSOLE=y",
            cause="nothing is seen on the serial line until its module is loaded",
            remedy="take a kernel that has it built in",
        )
