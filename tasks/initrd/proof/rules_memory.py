"""The rules of memory and size: E15 and W06.  Each function is one rule.

Sources: init/do_mounts.c (init_rootfs), mm/shmem.c (half of the pages, half as many inodes); what is taken for the
kernel itself was measured on a booted node: of 1024 MiB Linux 6.1 counts 973.
"""

from collections.abc import Iterator, Sequence

from tasks.initrd.archives.archive import PAGE
from tasks.initrd.proof import verdict
from tasks.initrd.proof.finding import End, Finding, Moment
from tasks.initrd.proof.subject import Machine, Subject
from tasks.inventory.model import Firmware, Netboot

MIB = 1 << 20
HEADROOM = 64 * MIB  # what the kernel, its page tables and the first programs take besides
KERNEL = 51 * MIB  # of the memory that is there, the kernel does not count what it is made of
LARGEST_BIOS = 2 << 30  # bytes: what loads below 2 GiB cannot load more
LARGEST_TFTP = 65_535 * 512  # blocks are numbered with 16 bits (RFC 1350)
ROOT_SHARE = 90  # percent of the memory that our init gives to the root, unless rootsize= says otherwise
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
WRITE_ERROR = "Initramfs unpacking failed: write error"


def e15(subject: Subject, machine: Machine) -> Iterator[Finding]:
    """E15: packed and unpacked initrd, kernel and 64 MiB fit into the memory; without root= into half of the rest."""
    if machine.memory is None:
        return
    memory = machine.memory * MIB
    unpacked = subject.initrd.pages
    need = subject.packed.size + unpacked + subject.kernel_size + HEADROOM
    room = tmpfs(subject, machine)
    if need > memory:
        text = f"{subject.what} needs {mib(need)} MiB to unpack, there are {machine.memory}"
        yield too_large(subject, machine, text, "packed and unpacked initrd are in memory at the same time")
    elif room is not None and unpacked > room:
        text = f"{subject.what} has {mib(unpacked)} MiB unpacked, the kernel gives it {mib(room)} of {machine.memory}"
        yield too_large(subject, machine, text, "without root= the first root is a tmpfs of half the memory")
    elif room is not None and subject.initrd.inodes > room // PAGE:
        text = f"{subject.what} has {subject.initrd.inodes} files, the kernel gives it {room // PAGE} inodes"
        yield too_large(subject, machine, text, "without root= the first root is a tmpfs with an inode for every page")
    elif subject.ours:
        yield from e15_root(subject, machine)


def tmpfs(subject: Subject, machine: Machine) -> int | None:
    """Return how many bytes the first root may hold, None where it is a ramfs: with root= or another rootfstype=."""
    wanted = verdict.value(machine.words, "rootfstype")
    limited = "tmpfs" in wanted if wanted is not None else not verdict.value(machine.words, "root")
    if not limited or (subject.config and not subject.config.builtin("CONFIG_TMPFS")):
        return None
    return max(counted(machine) - subject.packed.size, 0) // 2


def counted(machine: Machine) -> int:
    """Return the memory that the kernel counts (MemTotal), in bytes."""
    return max((machine.memory or 0) * MIB - KERNEL, 0)


def too_large(subject: Subject, machine: Machine, text: str, cause: str) -> Finding:
    """Return the finding for an initrd that does not fit."""
    more = "give the machine more memory"
    if subject.ours:
        more = (
            f"correct `memory` of these nodes in inventory/nodes.yaml, or take drivers out: {subject.place('drivers')}"
        )
    end = End(moment=Moment.LOOKUP, message=WRITE_ERROR)
    return Finding(rule="E15", text=text, cause=f"{WRITE_ERROR}: {cause}", remedy=more, end=end)


def e15_root(subject: Subject, machine: Machine) -> Iterator[Finding]:
    """E15: the unpacked root image fits beside the first stage, and into the tmpfs that our init makes for it.

    Our init unpacks what it receives at once: the packed image is never in memory as a whole.
    """
    root = subject.root
    if root is None:
        return
    held = root.archive.pages if root.archive else root.size
    need = subject.initrd.pages + held + subject.kernel_size + HEADROOM
    room = root_room(machine.words, counted(machine))
    memory = (machine.memory or 0) * MIB
    if held <= room and need <= memory:
        return
    short = f"{mib(held)} MiB unpacked, the node gives it {mib(room)} of {machine.memory}"
    if held <= room:
        short = f"{mib(held)} MiB unpacked, with the rest {mib(need)}, the node has {machine.memory}"
    yield Finding(
        rule="E15",
        text=f"{root.name}: the root image has {short}",
        cause="it does not fit into the memory",
        remedy=f"shorten {subject.place('packages')}, or correct `memory` of the nodes in inventory/nodes.yaml",
        end=End(moment=Moment.UNPACK, message=verdict.stops("the root image does not fit")),
    )


def root_room(words: Sequence[str], memory: int) -> int:
    """Return the bytes that rootsize= gives the root, of so many that the kernel counts."""
    text = (verdict.value(words, "rootsize") or f"{ROOT_SHARE}%").lower()
    number, unit = (text[:-1], text[-1]) if text[-1:] in {*UNITS, "%"} else (text, "")
    if not number.isdecimal() or len(number) > 12:
        return memory * ROOT_SHARE // 100
    return memory * int(number) // 100 if unit == "%" else int(number) * UNITS.get(unit, 1)


def w06(subject: Subject, machine: Machine) -> Iterator[Finding]:
    """W06: the initrd is no larger than what a BIOS loads (2 GiB), or TFTP in blocks of 512 bytes (32 MiB)."""
    size = subject.packed.size
    if size > LARGEST_BIOS and machine.firmware is Firmware.BIOS:
        yield Finding(
            rule="W06",
            text=f"{subject.what} has {mib(size)} MiB, more than 2 GiB",
            cause="the boot programs of a BIOS load it below 2 GiB or not at all",
            remedy="boot these nodes by UEFI, or pack less into the initrd",
        )
    elif size > LARGEST_TFTP and machine.netboot in {Netboot.PXE, Netboot.GRUB}:
        yield Finding(
            rule="W06",
            text=f"{subject.what} has {mib(size)} MiB, more than 65,535 blocks of TFTP",
            cause="a boot program that asks for blocks of 512 bytes and does not begin again at 0 stops at 32 MiB",
            remedy="set `netboot: ipxe` for these nodes (HTTP), or pack less into the initrd",
        )


def mib(size: int) -> int:
    """Return bytes as whole MiB, rounded up."""
    return -(-size // MIB)
