"""The static boot proof: look at kernel, initrd and root image as a machine will, and say beforehand how it ends.

kernel ── kernelimage ┐                ┌ rules_first ─ rules_programs ─ rules_archive ┐
initrd ── archive     ┼─ Subject ──────┼ rules_kernel ─ rules_root                    ├─ findings ─ verdict
root ──── rootimage   ┘  Machine(s) ───┴ rules_memory ─ rules_cmdline                 ┘

What nodes fetch is looked at, not what it was made from.  Each rule is asked once for all that are alike in what it
looks at: ten thousand nodes that are alike cost what one does.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path

from tasks.errors import BootmillError
from tasks.initrd.archives.archive import Archive
from tasks.initrd.kernel import kconfig, kernelimage
from tasks.initrd.kernel.kconfig import Kconfig
from tasks.initrd.proof import (
    rootimage,
    rules_archive,
    rules_cmdline,
    rules_first,
    rules_kernel,
    rules_memory,
    rules_programs,
    rules_root,
    verdict,
)
from tasks.initrd.proof.finding import Finding, softened, unique, waive
from tasks.initrd.proof.first import First, first
from tasks.initrd.proof.subject import Machine, Subject
from tasks.initrd.proof.verdict import Verdict

WORD = re.compile(r'(?:[^\s"]|"[^"]*(?:"|$))+')  # a quote that does not end takes all that follows (lib/cmdline.c)
Rule = Callable[..., Iterator[Finding]]
FIRST: tuple[Rule, ...] = (
    rules_first.e01,
    rules_first.e02,
    rules_first.e03,
    rules_first.e05,
    rules_first.e06,
    rules_programs.e04,
    rules_programs.e07,
)
ALL: tuple[Rule, ...] = (
    rules_archive.e08,
    rules_archive.e09,
    rules_kernel.e10,
    rules_kernel.e10_unknown,
    rules_kernel.e12_at_once,
    rules_first.e17_initrd,
    rules_root.e17_folders,
    rules_root.e17_fstab,
    rules_root.e18,
    rules_root.w07,
    rules_archive.w01,
    rules_programs.w02,
    rules_programs.w03,
    rules_programs.w04,
    rules_archive.w05,
    rules_programs.w08,
    rules_programs.w09,
    rules_archive.w12,
)
MODULES: tuple[Rule, ...] = (rules_kernel.e11, rules_kernel.w11)
DRIVER: tuple[Rule, ...] = (rules_kernel.e12, rules_kernel.e13)
ROOT: tuple[Rule, ...] = (rules_root.e14, rules_root.e17_root)
MEMORY: tuple[Rule, ...] = (rules_memory.e15, rules_memory.w06)
CMDLINE: tuple[Rule, ...] = (rules_cmdline.e16, rules_cmdline.w10)


class Proof:
    """The verdicts on one subject; `waived` are the rules whose errors do not count."""

    def __init__(self, subject: Subject, waived: Iterable[str] = ()) -> None:
        """Begin with nothing known."""
        self.subject = subject
        self.waived = tuple(waived)
        self.known: dict[Hashable, tuple[Finding, ...]] = {}
        self.firsts: dict[Hashable, First] = {}

    def verdict(self, machine: Machine) -> Verdict:
        """Return whether a machine would boot."""
        found = unique(self.findings(machine))
        return verdict.verdict(waive(softened(found) if self.subject.opaque else found, self.waived))

    def findings(self, machine: Machine) -> Iterator[Finding]:
        """Yield all that is wrong, each rule asked once for all machines that are alike to it."""
        subject, words = self.subject, machine.words
        start = self.first(machine)
        named = tuple(
            verdict.value(words, name) for name in ("rdinit", "init", "root", "rootfstype", "rootsize", "imgurl")
        )
        yield from self.once(FIRST, (named[:3],), subject, start)
        yield from self.once(ALL, (), subject)
        yield from self.once(MODULES, (), subject, subject.carried)
        yield from self.once(DRIVER, (machine.driver,), subject, subject.carried, machine.driver)
        if not self.elsewhere(start):
            yield from self.once(ROOT, named, subject, machine)
        yield from self.once(MEMORY, (machine.memory, machine.firmware, machine.netboot, *named), subject, machine)
        yield from self.once(CMDLINE, (machine,), subject, machine)

    def once(self, rules: tuple[Rule, ...], key: tuple[Hashable, ...], *asked: object) -> tuple[Finding, ...]:
        """Return what rules find; they are asked once for each key."""
        place = (rules, key)
        if place not in self.known:
            self.known[place] = tuple(finding for rule in rules for finding in rule(*asked))
        return self.known[place]

    def first(self, machine: Machine) -> First:
        """Return the first program under a machine's command line."""
        key = tuple(verdict.value(machine.words, name) for name in ("rdinit", "init", "root"))
        if key not in self.firsts:
            self.firsts[key] = first(self.subject, machine.words)
        return self.firsts[key]

    def elsewhere(self, start: First) -> bool:
        """Whether another program than our own init is started (rdinit=): it does not fetch a root image."""
        return start.path != "/init"


def judge(
    kernel: bytes | Path,
    initrd: bytes | Path,
    append: str = "",
    memory_mib: int | None = None,
    *,
    config: str | None = None,
    root: Path | None = None,
    driver: str | None = None,
    waived: Iterable[str] = (),
) -> Verdict:
    """Return whether a machine would boot a kernel and an initrd, ours or anybody's.

    `append`: the kernel command line.  `memory_mib`: the machine's memory, None where it does not matter.  `config`:
    the kernel's .config; without it the one that the kernel or the initrd carries is taken.  `root`: a packed
    root image.  `driver`: of the NIC that boots.  `BootmillError` where a file cannot be read.
    """
    machine = Machine(words=words_of(append), memory=memory_mib, driver=driver)
    return Proof(subject(kernel, initrd, config=config, root=root), waived).verdict(machine)


def subject(
    kernel: bytes | Path, initrd: bytes | Path, *, config: str | None = None, root: Path | None = None
) -> Subject:
    """Return what is judged; `BootmillError` names a file that cannot be read."""
    try:
        data = kernel_bytes(kernel) if isinstance(kernel, Path) else kernel
        image = kernelimage.parse(data)
        archive = Archive.of(initrd)
        return Subject(
            kernel=image,
            kernel_size=len(data),
            config=kconfig.parse(config) if config is not None else config_in(archive, image.version) or image.config,
            packed=archive,
            root=rootimage.read(root) if root else None,
        )
    except OSError as error:
        message = f"{error.filename}: {error.strerror}"
        raise BootmillError(message, hint="examine reads a kernel, an initrd and maybe a root image") from error


def kernel_bytes(path: Path) -> bytes:
    """Return a kernel image; `BootmillError` where it is too long to be one."""
    if path.stat().st_size > kernelimage.LARGEST:
        message = f"{path} is no kernel: it has more than {kernelimage.LARGEST >> 20} MiB"
        raise BootmillError(message, hint="give the file that the distribution calls vmlinuz or Image")
    return path.read_bytes()


def config_text(path: Path) -> str:
    """Return the text of a kernel configuration; `BootmillError` where it is too long to be one."""
    if path.stat().st_size > kconfig.LARGEST:
        message = f"{path} is no kernel configuration: it has more than {kconfig.LARGEST >> 20} MiB"
        raise BootmillError(message, hint="give the distribution's /boot/config-VERSION")
    return path.read_text(errors="replace")


def config_in(archive: Archive, version: str) -> Kconfig | None:
    """Return the configuration that an initrd carries in /boot or with its modules, as some do."""
    return kconfig.config_of(archive.tree, version)


def words_of(append: str) -> tuple[str, ...]:
    """Return the words of a command line; a blank between double quotes does not part them."""
    return tuple(WORD.findall(append))
