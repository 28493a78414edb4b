"""What the kernel would say: its messages by cause, and the verdict that follows from the findings.  Pure.

Each message was seen on the console of a booted kernel 6.1; the code behind: init/main.c, init/do_mounts.c,
kernel/exit.c.  A boot ends at the first thing that the kernel meets on its way, whatever else is wrong.

==========================================================  ==========================================================
no /init, or it is a link to nothing                        VFS: Unable to mount root fs on unknown-block(0,0)
/init or an interpreter of it is not executable             Failed to execute /init (error -13), No working init found
an interpreter (#!) or a dynamic loader is missing          Failed to execute /init (error -2), No working init found
another architecture, empty, no #!                          Failed to execute /init (error -8), No working init found
scripts more than five deep                                 Failed to execute /init (error -40), No working init found
a library of /init or of its interpreter is missing         Attempted to kill init! exitcode=0x00007f00
a program or library of it is cut off behind its headers    Attempted to kill init! exitcode=0x00000007 (SIGBUS)
busybox has no such applet                                  Attempted to kill init! exitcode=0x00007f00
the script ends; switch_root does not find the program      Attempted to kill init! exitcode=0x00000100
==========================================================  ==========================================================
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.initrd.proof.finding import Finding, Grade, errors

PANIC = "Kernel panic - not syncing: "
NO_WORKING_INIT = f"{PANIC}No working init found."
BOOTS = "boots"
NOT_FOUND = 127  # exit code of shells, of dynamic loaders and of busybox for what they cannot find
# Device numbers of root= words that need no device: init/do_mounts.c, name_to_dev_t().
ROOT_DEVICES = {"/dev/nfs": "0,255", "/dev/cifs": "0,254", "/dev/ram": "1,0"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a machine would boot, the words on its console where it would not, and what was found.

    `boots` is the prediction.  `refused`: there are errors, so that an osimage is not staged, be it that its boot would
    end or that it would come up with something missing.
    """

    boots: bool
    message: str
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> bool:
        """Whether an error stands that is not waived."""
        return bool(errors(self.findings))


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Return what follows from findings: the boot ends at the first end that the kernel gets to."""
    found = tuple(findings)
    ends = [each.end for each in found if each.end is not None and each.grade is Grade.ERROR]
    if not ends:
        return Verdict(boots=True, message=BOOTS, findings=found)
    first = min(ends, key=lambda end: end.moment)
    return Verdict(boots=False, message=first.message, findings=found)


def no_root(words: Sequence[str]) -> str:
    """Return the panic of a kernel that found no first program, and so looks for a root device: there is none."""
    root = value(words, "root") or ""
    return f"{PANIC}VFS: Unable to mount root fs on unknown-block({ROOT_DEVICES.get(root, '0,0')})"


def not_executed(path: str, error: int) -> str:
    """Return what the kernel says of a first program that execve refuses; `error` is positive."""
    return f"Failed to execute {path} (error -{error})"


def requested(path: str, error: int) -> str:
    """Return the panic where ``init=`` names a program that execve refuses: nothing else is tried after it."""
    return f"{PANIC}Requested init {path} failed (error -{error})."


def killed(code: int) -> str:
    """Return the panic of a first program that ends with an exit code."""
    return f"{PANIC}Attempted to kill init! exitcode=0x{code << 8:08x}"


def crashed(signal: int) -> str:
    """Return the panic of a first program that a signal ends."""
    return f"{PANIC}Attempted to kill init! exitcode=0x{signal:08x}"


def stops(why: str) -> str:
    """Return the prediction for our own init: it ends at a screen that says why."""
    return f"init stops: {why}"


def value(words: Sequence[str], name: str) -> str | None:
    """Return the value of a ``name=value`` word of the command line; the last one counts, ``--`` ends the kernel's."""
    found: str | None = None
    for word in words:
        if word == "--":
            break
        key, equals, text = word.partition("=")
        if key == name and equals:
            found = text.strip('"')
    return found
