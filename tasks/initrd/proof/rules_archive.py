"""The rules of the archive itself: E08, E09, W01, W05, W12.  Each function is one rule."""

import stat
from collections.abc import Iterator

from tasks.initrd.archives.archive import Archive
from tasks.initrd.archives.members import Problem
from tasks.initrd.proof.finding import Finding
from tasks.initrd.proof.subject import Subject

MOST = 8  # findings of one rule about names; more of them say nothing more
PACK_AGAIN = "pack it again: doit clean initrd, doit"
REPACK = "have it packed again by `doit repair --initrd FILE`"


def e08(subject: Subject) -> Iterator[Finding]:
    """E08: each entry is one that the kernel makes: its folder before it, a type, names and links that fit."""
    yield from problems(subject, "E08", "the kernel passes over it, and says nothing (init/initramfs.c)")


def e09(subject: Subject) -> Iterator[Finding]:
    """E09: each segment begins where it may, and is one whole archive behind one whole compressed stream."""
    yield from problems(subject, "E09", "Initramfs unpacking failed: what comes from there on is not unpacked")
    if not subject.packed.entries:
        yield Finding(
            rule="E09",
            text=f"{subject.what}: there is no archive in it",
            cause="the kernel unpacks nothing, and finds no first program",
            remedy=subject.mend(PACK_AGAIN, "give an initramfs (cpio, newc format), packed or not"),
            soft=not subject.ours,
        )


def problems(subject: Subject, rule: str, cause: str) -> Iterator[Finding]:
    """Yield what the reader of the segments found, by one rule.  Whether the boot ends, the tree that is left says."""
    found = list(dict.fromkeys(each.text for each in listed(subject.packed, rule)))
    for text in found[:MOST]:
        yield Finding(
            rule=rule,
            text=f"{subject.what}: {text}",
            cause=cause,
            remedy=subject.mend(PACK_AGAIN, REPACK),
            soft=not subject.ours,
        )


def listed(archive: Archive, rule: str) -> Iterator[Problem]:
    """Yield the problems of an archive's segments, by one rule."""
    for segment in archive.segments:
        yield from (each for each in segment.problems if each.rule == rule)


def w01(subject: Subject) -> Iterator[Finding]:
    """W01: /dev/console is a character device 5:1, else init has neither input nor output until devtmpfs is mounted."""
    entry = subject.initrd.tree.entries.get("dev/console")
    if entry is None or not stat.S_ISCHR(entry.mode) or entry.device != (5, 1):
        yield Finding(
            rule="W01",
            text=f"{subject.what}: /dev/console is not the device 5:1",
            cause="Warning: unable to open an initial console; the first program is mute",
            remedy=subject.mend(PACK_AGAIN, "take dev/console out of the archive: the kernel brings its own"),
        )


def w05(subject: Subject) -> Iterator[Finding]:
    """W05: no file of a cpio root image loses its capabilities: newc has no room for extended attributes."""
    root = subject.root
    if root is None or root.format != "cpio" or not root.capabilities:
        return
    packed = [path for path in root.capabilities if root.archive is None or path in root.archive.tree.entries]
    if not packed:
        return
    named = ", ".join(f"/{path}" for path in packed[:MOST])
    more = f" and {len(packed) - MOST} more" if len(packed) > MOST else ""
    yield Finding(
        rule="W05",
        text=f"{root.name}: {named}{more} will have no capabilities on the nodes",
        cause="the root image is a cpio archive, which carries no extended attributes",
        remedy="set them on the node (setcap in a unit), or make the program setuid where it may be",
    )


def w12(subject: Subject) -> Iterator[Finding]:
    """W12: no segment holds a whiteout (character device 0:0): the kernel would make a device of it."""
    yield from problems(subject, "W12", "segments only add: what it is to hide stays")
