"""The rules of the other programs: E04, E07, W02, W03, W04, W08, W09.  Each function is one rule."""

import stat
from collections.abc import Iterator
from itertools import islice

from tasks.initrd import firststage
from tasks.initrd.loader import scripts
from tasks.initrd.loader.scripts import Shebang
from tasks.initrd.loader.sysroot import Sysroot
from tasks.initrd.proof import verdict
from tasks.initrd.proof.finding import End, Finding, Moment
from tasks.initrd.proof.first import First
from tasks.initrd.proof.subject import MOST_PROGRAMS, PROGRAM_FOLDERS, Subject

# Programs of the first stage besides busybox, and when they are needed.
HELPERS = dict.fromkeys(firststage.UNPACKERS.values(), (Moment.UNPACK, "the root image does not unpack"))
MOST = 50  # findings of one rule, names in one finding
DHCP_SCRIPT = "/etc/udhcpc.script"


def e04(subject: Subject, first: First) -> Iterator[Finding]:
    """E04: what the first program and its interpreter need is in the initrd, and what its other programs need is too.

    A library that the first program lacks ends in a panic; one that some other program lacks is an error of an initrd
    that we make, and no more than a remark on somebody else's.
    """
    for missing in first.lacks:
        yield Finding(
            rule="E04",
            text=f"{subject.what}: {missing}",
            cause=f"{first.path} starts and ends at once: its loader, or env, does not find it whole",
            remedy=subject.mend(f"add the package that brings it to {subject.place('packages')}"),
            end=first.end,
        )
    known = {str(missing) for missing in first.lacks}
    for missing in subject.closed.missing[:MOST]:
        if str(missing) not in known:
            yield Finding(
                rule="E04",
                text=f"{subject.what}: {missing}",
                cause="the program that needs it does not start",
                remedy=subject.mend(f"add the package that brings it to {subject.place('packages')}"),
                end=end_of_helper(missing.by or missing.name),
                soft=not subject.ours,
            )


def end_of_helper(path: str) -> End | None:
    """Return where a boot ends because one of our first stage's programs does not start."""
    moment, why = HELPERS.get(path, (None, ""))
    return End(moment=moment, message=verdict.stops(why)) if moment else None


def e07(subject: Subject, first: First) -> Iterator[Finding]:
    """E07: busybox has each applet that is called: by a ``#!`` line, by init, by a link to it."""
    yield from first_applet(subject, first)
    if subject.ours:
        yield from init_applets(subject)
    yield from linked_applets(subject)


def first_applet(subject: Subject, first: First) -> Iterator[Finding]:
    """Yield what is wrong with the applet that the first program's ``#!`` line calls."""
    start = first.start
    if start is None or len(start.chain) < 2:
        return
    content = subject.scanner.busybox(start.chain[-1])
    called = scripts.applet(Shebang(interpreter=start.chain[-1], argument=start.argument))
    if content and not scripts.has_applet(content, called):
        lines = " (DOS line ends)" if called.endswith("\r") else ""
        yield Finding(
            rule="E07",
            text=f"{subject.what}: busybox has no applet {called!r}: the #! line of {start.chain[0]} calls it{lines}",
            cause="busybox says that the applet is not found and ends with exit code 127",
            remedy=subject.mend("build it again: doit clean initrd, doit", "correct the first line of the script"),
            end=End(moment=Moment.LIBRARIES, message=verdict.killed(verdict.NOT_FOUND)),
        )


def init_applets(subject: Subject) -> Iterator[Finding]:
    """Yield the applets and scripts that our init calls and that are not there."""
    content = subject.scanner.busybox(firststage.BUSYBOX)
    lost = [name for name in firststage.APPLETS if not scripts.has_applet(content, name)] if content else []
    if lost:
        yield Finding(
            rule="E07",
            text=f"{subject.what}: busybox has no {', '.join(lost)}",
            cause="init calls it",
            remedy="take the distribution's busybox, not a cut-down one",
            end=End(moment=Moment.START, message=verdict.stops(f"applet not found: {lost[0]}")),
        )
    mode = subject.tree.mode(DHCP_SCRIPT.strip("/"))
    if mode is None or not mode & 0o111:
        yield Finding(
            rule="E07",
            text=f"{subject.what}: {DHCP_SCRIPT} is not there, or not executable",
            cause="udhcpc calls it with each lease: without it the address is never given to the card",
            remedy="build it again: doit clean initrd, doit",
            end=End(moment=Moment.FETCH, message=verdict.stops("cannot fetch the root image")),
        )


def linked_applets(subject: Subject) -> Iterator[Finding]:
    """Yield links to busybox whose names are no applets."""
    lost = [f"/{link}" for link in islice(links_in(subject.tree), MOST_PROGRAMS) if leads_to_no_applet(subject, link)]
    if lost:
        more = f" and {len(lost) - MOST} more" if len(lost) > MOST else ""
        yield Finding(
            rule="E07",
            text=f"{subject.what}: busybox has no applets of these links to it: {', '.join(lost[:MOST])}{more}",
            cause="whoever calls them gets `applet not found`",
            remedy=subject.mend("build it again: doit clean initrd, doit", "link them to what brings the programs"),
            soft=not subject.ours,
        )


def leads_to_no_applet(subject: Subject, link: str) -> bool:
    """Whether a link leads to a busybox that has no applet of its name."""
    name = link.rpartition("/")[2]
    content = subject.scanner.busybox(f"/{link}")
    return bool(content) and not name.startswith("busybox") and not scripts.has_applet(content, name)


def links_in(tree: Sysroot) -> Iterator[str]:
    """Yield the symbolic links in the folders for programs."""
    for folder in PROGRAM_FOLDERS:
        if stat.S_ISDIR(tree.mode(folder) or 0):
            for name in tree.names(folder):
                if stat.S_ISLNK(tree.mode(f"{folder}/{name}") or 0):
                    yield f"{folder}/{name}"


# -- warnings --------------------------------------------------------------------------------------------------------


def w02(subject: Subject) -> Iterator[Finding]:
    """W02: no library is there in its glibc-hwcaps variant only."""
    cause = "on a CPU without that level the program does not find it"
    yield from cautioned(subject, "W02", cause, "put the plain library in beside the variant")


def w03(subject: Subject) -> Iterator[Finding]:
    """W03: what imports pthread_cancel or pthread_exit has libgcc_s.so.1, which glibc opens at run time."""
    cause = "a thread that is cancelled ends the whole program: libgcc_s.so.1 must be installed for pthread_cancel"
    yield from cautioned(subject, "W03", cause, subject.mend(f"add libgcc-s1 to {subject.place('packages')}"))


def w04(subject: Subject) -> Iterator[Finding]:
    """W04: each service of nsswitch.conf has its libnss_*.so.2."""
    cause = "names of that service are not found"
    yield from cautioned(subject, "W04", cause, "take the service out of etc/nsswitch.conf, or add its package")


def w08(subject: Subject) -> Iterator[Finding]:
    """W08: no library folder holds ELF files of another machine, and no musl program has $LIB in its RPATH."""
    yield from cautioned(subject, "W08", "the loader passes over it, or stops at it", "take the foreign file out")


def w09(subject: Subject) -> Iterator[Finding]:
    """W09: no damaged file lies before a good library in the loader's order: the loader stops at it."""
    yield from cautioned(subject, "W09", "the loader stops at the first file of that name", "take the damaged file out")


def cautioned(subject: Subject, rule: str, cause: str, remedy: str) -> Iterator[Finding]:
    """Yield what the closures of the programs had doubts about, by one rule."""
    found = [caution for caution in subject.closed.warnings if caution.rule == rule]
    for caution in found[:MOST]:
        yield Finding(rule=rule, text=f"{subject.what}: {caution.text}", cause=cause, remedy=remedy)
