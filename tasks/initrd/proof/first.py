"""The first program: which one the kernel starts, whether it can, and what it does where it cannot (init/main.c)."""

from collections.abc import Sequence
from dataclasses import dataclass
from signal import SIGBUS

from tasks.initrd.loader import execve
from tasks.initrd.loader.closure import Missing, closure
from tasks.initrd.loader.execve import Start
from tasks.initrd.loader.sysroot import Sysroot, resolve
from tasks.initrd.proof import verdict
from tasks.initrd.proof.finding import End, Moment
from tasks.initrd.proof.subject import Subject

CUT_OFF = "its segments end behind it"  # what `elf.parse` says of it
# What the kernel tries where the first program does not start: kernel_init().
INSTEAD = ("/sbin/init", "/etc/init", "/bin/init", "/bin/sh")


@dataclass(frozen=True, kw_only=True)
class First:
    """The first program: `path` as rdinit= or the kernel names it.

    `start` says what execve makes of it, None where nothing is there.  `lacks` is what its dynamic
    loader, or env(1) on its ``#!`` line, would not find.  `end` is where the boot ends for one or the other.
    """

    path: str
    start: Start | None
    lacks: tuple[Missing, ...]
    end: End | None


def first(subject: Subject, words: Sequence[str]) -> First:
    """Return the first program of an initrd under a command line."""
    wanted = verdict.value(words, "rdinit")
    path = "/init" if wanted is None else wanted  # "": a name that the kernel takes as it is
    if resolve(subject.tree, path).path is None:
        gone = End(moment=Moment.LOOKUP, message=verdict.no_root(words))
        return First(path=path, start=None, lacks=(), end=gone)
    start = launch(subject, path)
    if start.fault:
        return First(path=path, start=start, lacks=(), end=refused(subject, path, start.fault.error, words))
    lacks = tuple(
        each
        for each in closure(subject.tree, (path,), proc=False, scanner=subject.scanner).missing
        if not each.name.startswith("applet ")  # rule E07
    )
    end = End(moment=Moment.LIBRARIES, message=loading(lacks[0])) if lacks else None
    return First(path=path, start=start, lacks=lacks, end=end)


def loading(missing: Missing) -> str:
    """Return how a first program ends for something that is missing.

    The loader says what it does not find.  What is cut off is mapped nevertheless: reading behind its end is a SIGBUS.
    """
    return verdict.crashed(SIGBUS) if CUT_OFF in missing.detail else verdict.killed(verdict.NOT_FOUND)


def launch(subject: Subject, path: str) -> Start:
    """Return what this kernel's execve makes of a path in the initrd."""
    return execve.start(subject.tree, path, subject.kernel.arch, subject.compat)


def libraries(tree: Sysroot, start: Start) -> tuple[Missing, ...]:
    """Return what the dynamic loader of a program that starts would miss."""
    return tuple(closure(tree, (f"/{start.program}",)).missing) if start.loader else ()


def refused(subject: Subject, path: str, error: int, words: Sequence[str]) -> End:
    """Return how a boot ends whose first program execve refuses: the kernel tries others, and some of them may run."""
    lead = verdict.not_executed(path, error)
    wanted = verdict.value(words, "init")
    tried = {name: launch(subject, name) for name in ([wanted] if wanted else INSTEAD)}
    name = next((name for name, start in tried.items() if not start.fault), None)
    if name is None:
        fault = tried[wanted].fault if wanted else None
        panic = verdict.requested(wanted, fault.error) if wanted and fault else verdict.NO_WORKING_INIT
        return End(moment=Moment.EXEC, message=f"{lead}; {panic}")
    if libraries(subject.tree, tried[name]):
        return End(moment=Moment.EXEC, message=f"{lead}; {verdict.killed(verdict.NOT_FOUND)}")
    return End(moment=Moment.EXEC, message=f"{lead}; {name} runs in its place")
