"""The removal sweep: take one file after the other out of an initrd, and see whether the proof foretells what happens.

    entries ─ without one ─▶ initrd ─┬─ judge ─▶ forecast: boots, or the words that will be said
                                     └─ QEMU ──▶ reality:  the root image runs, panic, init's end screen, silence
                                                       └──▶ Row.agrees

The boot goes all the way: drivers, link, DHCP, fetch, digest, unpack, switch_root.  The root image is made of what the
initrd has itself, so that any initrd of ours, of any architecture, can be swept.
"""

import dataclasses
import gzip
import hashlib
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tasks import cpio, files
from tasks.lab import direct
from tasks.lab.direct import Bare, Boot, End
from tasks.lab.webserver import serving

MARKER = "bootmill-sweep: the root image runs"
REACHED = re.compile(re.escape(MARKER))
# What init says when it gives up; without /proc it does not know the time.
GIVES_UP = re.compile(r"bootmill\[[\d. ]*\] FAILED: ")
# What means the same on this machine, a minute or two before: QEMU's card, link and servers are there at once, and what
# fails in the first round fails in all.
DECISIVE = re.compile(
    rf"{GIVES_UP.pattern}|bootmill\[[\d. ]*\] (?:no DHCP lease yet|waiting for a |cannot fetch |the cage )"
)
ROOT_INIT = f"#!/bin/busybox sh\necho '{MARKER}'\nwhile :; do sleep 60; done\n"
ROOT_FOLDERS = ("dev", "etc", "proc", "root", "run", "sys", "tmp")
MODULES = re.compile(r"(?:^|/)(?:modules|firmware)(?:/|$)")
FIRST_STAGE = re.compile(r"(?:init$|etc/|dev/|newroot|cage)")
ROOT_NAME = "/rootimg.cpio.gz"
PATIENCE = 240.0  # seconds; init waits up to 60 s for a network card, and an emulated machine may be slow


class Outcome(StrEnum):
    """What really happened."""

    BOOTS = "boots"  # the root image's init said so
    PANICS = "panics"  # the kernel gave up
    STOPS = "stops"  # init gave up, with words
    ENDS = "ends"  # the machine reset or switched itself off without a word
    HANGS = "hangs"  # nothing of the kind in time


OUTCOMES = {
    End.SEEN: Outcome.BOOTS,
    End.PANIC: Outcome.PANICS,
    End.STOPPED: Outcome.STOPS,
    End.GONE: Outcome.ENDS,
    End.SILENT: Outcome.HANGS,
}


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a proof foretells: whether the node boots, and if not, what its console will show, one of each kind.

    No words foretell an end without a panic: init's own end screen, or silence.
    """

    boots: bool
    words: tuple[str, ...] = ()


Judge = Callable[[Bare], Forecast]  # a machine with its kernel, initrd and command line → what will happen


@dataclass(frozen=True, kw_only=True)
class Row:
    """One file that was taken out: what was foretold, what happened, the line that showed it, seconds of the boot."""

    name: str
    forecast: Forecast
    outcome: Outcome
    line: str
    seconds: float
    agrees: bool

    def __str__(self) -> str:
        """Return the line of a table."""
        told = "boots" if self.forecast.boots else "; ".join(self.forecast.words) or "stops"
        mark = " " if self.agrees else "!"
        return f"{mark} {self.name or '(whole)':<60} {self.outcome:<6} {self.seconds:5.1f} s  {told} | {self.line}"


def agrees(forecast: Forecast, boot: Boot) -> bool:
    """Return whether a boot went as foretold: boots or not, and in the foretold words."""
    outcome = OUTCOMES[boot.end]
    if forecast.boots or outcome is Outcome.BOOTS:
        return forecast.boots and outcome is Outcome.BOOTS
    if not forecast.words or outcome is not Outcome.PANICS:
        return not forecast.words and outcome is not Outcome.PANICS
    return all(words in boot.console for words in forecast.words)


def sweep(
    entries: Sequence[cpio.Entry],
    machine: Bare,
    judge: Judge,
    *,
    names: Iterable[str] = (),
    folder: Path,
    stop: re.Pattern[str] = GIVES_UP,
) -> Iterator[Row]:
    """Boot an initrd once without each of `names` (all `files_of` it where none is given) and yield how that went.

    An empty name takes nothing out: with that boot the sweep shows that it can tell a whole initrd.  `machine` gives
    kernel, network card and memory; work is done below `folder`.  `stop`: `GIVES_UP`, or `DECISIVE` in a hurry.
    """
    root = tiny_root(entries)
    with serving({ROOT_NAME: root}) as port:
        words = f"imgurl=http://{direct.HOST}:{port}{ROOT_NAME} imgsha256={hashlib.sha256(root).hexdigest()}"
        for name in names or ["", *files_of(entries)]:
            with written(folder / "initrd.img", without(entries, name)) as path:
                bare = dataclasses.replace(machine, initrd=path, append=f"{machine.append} {words}".strip())
                forecast = judge(bare)
                boot = direct.boot(bare, until=REACHED, stop=stop, seconds=PATIENCE)
            yield row(name, forecast, boot)


def row(name: str, forecast: Forecast, boot: Boot) -> Row:
    """Return the table's row of one boot."""
    return Row(
        name=name,
        forecast=forecast,
        outcome=OUTCOMES[boot.end],
        line=boot.line,
        seconds=boot.seconds,
        agrees=agrees(forecast, boot),
    )


@contextmanager
def written(path: Path, entries: Sequence[cpio.Entry]) -> Iterator[Path]:
    """Give an uncompressed initrd, which every kernel takes and no time goes into; it is removed afterwards.

    Not `cpio.write`: that refuses files whose folder is missing.  Here one may be, and the kernel drops them silently.
    Hard links are not kept: a first stage of ours has none.
    """
    members = [*enumerate(entries, 1), (0, cpio.Entry(name=cpio.TRAILER, mode=0))]
    files.write_quickly(path, b"".join(piece for inode, entry in members for piece in cpio.member(entry, inode, 1)))
    try:
        yield path
    finally:
        path.unlink()


def without(entries: Sequence[cpio.Entry], name: str) -> list[cpio.Entry]:
    """Return the entries without one, be it a folder of others.

    Raises `KeyError` for a name that is not there: a sweep of nothing would agree with everything.
    """
    left = [entry for entry in entries if not name or entry.name != name]
    if name and len(left) == len(entries):
        raise KeyError(name)
    return left


def files_of(entries: Sequence[cpio.Entry]) -> list[str]:
    """Return the names that are worth taking out: all but the folders of the module tree."""
    return [entry.name for entry in entries if not stat.S_ISDIR(entry.mode) or not MODULES.search(entry.name)]


def tiny_root(entries: Sequence[cpio.Entry]) -> bytes:
    """Return a packed root image out of an initrd's own busybox and libraries; its init says `MARKER` and stays."""
    kept = [entry for entry in entries if not MODULES.search(entry.name) and not FIRST_STAGE.match(entry.name)]
    links = {entry.name for entry in kept if stat.S_ISLNK(entry.mode)}
    init = cpio.regular("usr/sbin/init" if "sbin" in links else "sbin/init", ROOT_INIT.encode(), 0o755)
    folders = [cpio.directory(name) for name in ROOT_FOLDERS]
    return gzip.compress(b"".join(cpio.write(cpio.with_parents([init, *kept, *folders]))), mtime=0)
