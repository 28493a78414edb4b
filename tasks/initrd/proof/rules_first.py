"""The rules of the first program, up to its own first step: E01-E03, E05, E06, and E17 for the initrd.

Each function is one rule; it yields what breaks it.
"""

import stat
from collections.abc import Iterator, Mapping

from tasks.initrd.loader.closure import closure
from tasks.initrd.proof import verdict
from tasks.initrd.proof.finding import End, Finding, Moment
from tasks.initrd.proof.first import First
from tasks.initrd.proof.subject import Subject

# Where our init mounts, and where it ends without; /dev is in the kernel's own root, /run is made where it lacks.
MOUNT_POINTS: Mapping[str, End | None] = {
    "proc": End(moment=Moment.FETCH, message=verdict.stops("the kernel command line has no imgurl=")),
    "sys": End(moment=Moment.NETWORK, message=verdict.stops("no network interface")),
    "run": None,
    "newroot": End(moment=Moment.FETCH, message=verdict.stops("no tmpfs can be mounted")),
    "cage": End(moment=Moment.FETCH, message=verdict.stops("the cage for unpacking cannot be mounted")),
}
BUILD_AGAIN = "build it again: doit clean initrd, doit"
CAUSES = {
    2: "execve fails with ENOENT",
    5: "execve fails with EIO",
    8: "execve fails with ENOEXEC",
    13: "execve fails with EACCES",
    40: "execve fails with ELOOP",
    80: "execve fails with ELIBBAD",
}


def e01(subject: Subject, first: First) -> Iterator[Finding]:
    """E01: /init, or what rdinit= names, is a regular file that may be executed, behind whatever links."""
    if first.start is None:
        links = subject.tree.mode(first.path.strip("/"))
        target = subject.tree.target(first.path.strip("/")) if links is not None and stat.S_ISLNK(links) else None
        why = (
            f"{first.path} is a symbolic link to {target}, which is not there"
            if target
            else f"there is no {first.path}"
        )
        yield Finding(
            rule="E01",
            text=f"{subject.what}: {why}",
            cause="the kernel finds no first program, looks for a root device instead, and has none",
            remedy=subject.mend(BUILD_AGAIN, rdinit_remedy(first.path)),
            end=first.end,
        )
    else:
        yield from fault_of(subject, first, "E01")


def rdinit_remedy(path: str) -> str:
    """Return what helps where the first program is not in somebody else's initrd."""
    named = "" if path == "/init" else f"take rdinit={path} off the command line, or "
    return f"{named}add it with `doit repair --initrd FILE`; is this an initrd at all, and all of its parts?"


def e02(subject: Subject, first: First) -> Iterator[Finding]:
    """E02: the ``#!`` chain is five interpreters long at most, within 255 bytes, without CR, each there and +x."""
    yield from fault_of(subject, first, "E02")
    start = first.start
    if start is None or start.fault:
        return
    if len(start.chain) > 1 and subject.config and not subject.config.builtin("CONFIG_BINFMT_SCRIPT"):
        end = End(moment=Moment.EXEC, message=f"{verdict.not_executed(first.path, 8)}; {verdict.NO_WORKING_INIT}")
        text, cause = f"{first.path} is a script", "the kernel has no CONFIG_BINFMT_SCRIPT=y: it starts ELF files only"
        yield Finding(rule="E02", text=text, cause=cause, remedy="take a kernel that starts scripts", end=end)
    if start.argument.endswith("\r") and not subject.scanner.busybox(start.chain[-1]):
        yield Finding(
            rule="E02",
            text=f"{start.chain[-2]} has DOS line ends: {start.chain[-1]} is called with {start.argument!r}",
            cause="the interpreter does not know that option and ends",
            remedy="write the file with Unix line ends",
            end=End(moment=Moment.LIBRARIES, message=verdict.killed(2)),
        )


def e03(subject: Subject, first: First) -> Iterator[Finding]:
    """E03: the ELF interpreter (PT_INTERP) is there, may be executed, and is of the program's class and machine."""
    yield from fault_of(subject, first, "E03")


def e05(subject: Subject, first: First) -> Iterator[Finding]:
    """E05: the kernel is whole, and the first program for its architecture (i386 on x86_64: CONFIG_IA32_EMULATION)."""
    broken = not subject.kernel_size or subject.kernel.cut_off
    if broken or not subject.kernel.kind:
        text = "the kernel is empty" if not subject.kernel_size else "this is no kernel image that we know"
        yield Finding(
            rule="E05",
            text="the kernel is cut off: it ends before what it says that it unpacks"
            if subject.kernel.cut_off
            else text,
            cause="the boot program refuses it, or the machine hangs without a word",
            remedy=subject.mend(BUILD_AGAIN, "give the file that the distribution calls vmlinuz or Image"),
            end=End(moment=Moment.LOADER, message="the kernel does not start") if broken else None,
            soft=not broken,
        )
    yield from fault_of(subject, first, "E05")


def fault_of(subject: Subject, first: First, rule: str) -> Iterator[Finding]:
    """Yield the finding for why execve refuses the first program, if it is by this rule."""
    fault = first.start.fault if first.start else None
    if fault and fault.rule == rule:
        yield Finding(
            rule=rule,
            text=f"{subject.what}: {fault.text}",
            cause=f"the kernel cannot start {first.path}: {CAUSES.get(fault.error, f'error {fault.error}')}",
            remedy=subject.mend(OUR_REMEDIES[rule].format(packages=subject.place("packages"))),
            end=first.end,
        )


OUR_REMEDIES = {
    "E01": BUILD_AGAIN,
    "E02": "add the package that brings the interpreter (busybox) to {packages}",
    "E03": "add the package that brings the loader (libc6) to {packages}, then doit clean initrd, doit",
    "E05": "choose packages and kernel of one architecture: {packages}",
}


def e06(subject: Subject, first: First) -> Iterator[Finding]:
    """E06: no $ORIGIN in RPATH or RUNPATH of the first program: without /proc the loader cannot tell what it is.

    elf/dl-origin.c asks /proc/self/exe, which nobody has mounted yet.
    """
    if first.start is None or first.start.program is None:
        return
    program = f"/{first.start.program}"
    for caution in closure(subject.tree, (program,), proc=False, scanner=subject.scanner).warnings:
        if caution.rule == "E06" and caution.path == program:
            yield Finding(
                rule="E06",
                text=f"{subject.what}: {caution.text}",
                cause="the first program runs before /proc is mounted, and what it finds by $ORIGIN is not found then",
                remedy="put its libraries into the loader's own folders, or have it linked without $ORIGIN",
                end=first.end,
                soft=first.end is None and not subject.ours,
            )


def e17_initrd(subject: Subject) -> Iterator[Finding]:
    """E17: the folders are there that our init mounts on."""
    for name, end in MOUNT_POINTS.items() if subject.ours else ():
        if not stat.S_ISDIR(subject.tree.mode(name) or 0):
            yield Finding(
                rule="E17",
                text=f"{subject.what}: the initrd has no folder /{name}",
                cause="init mounts on it",
                remedy=BUILD_AGAIN,
                end=end,
            )
