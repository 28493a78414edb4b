"""Rules E04, E06, E07, E17 (the initrd's folders), W02, W03, W04, W08, W09: each red where it is broken, and green."""

import pytest

from tasks import cpio
from tasks.initrd.proof.finding import Grade
from tests.initrd import elves
from tests.initrd.proofs import LIB, Breakage, add, broken, busybox, change, drop, found_by, init, judge, mode

TOOL = cpio.regular("usr/bin/tool", elves.program("libtool.so.1"), 0o755)
TOOL_LIBRARY = cpio.regular(f"{LIB}/libtool.so.1", elves.library(soname="libtool.so.1"))
FOREIGN = "etc/bootmill"  # without it, an initrd is somebody else's


def foreign(*breakages: Breakage) -> dict[str, cpio.Entry]:
    """Return an initrd that is not known to be ours."""
    return broken(*breakages, drop(FOREIGN, "etc/bootmill/drivers"))


@pytest.mark.parametrize(
    ("breakages", "rule", "words", "message"),
    [
        ([add(TOOL)], "E04", "libtool.so.1", "boots"),
        ([change("usr/bin/busybox", body=busybox("wget"))], "E07", "has no wget", "init stops: applet not found: wget"),
        ([drop("etc/udhcpc.script")], "E07", "udhcpc.script", "init stops: cannot fetch the root image"),
        ([mode("etc/udhcpc.script", 0o644)], "E07", "udhcpc.script", "init stops: cannot fetch the root image"),
        ([add(cpio.symlink("usr/bin/vi", "busybox"))], "E07", "no applets of these links to it: /usr/bin/vi", "boots"),
        ([drop("proc")], "E17", "no folder /proc", "init stops: the kernel command line has no imgurl="),
        ([drop("sys")], "E17", "no folder /sys", "init stops: no network interface"),
        ([drop("newroot")], "E17", "no folder /newroot", "init stops: no tmpfs can be mounted"),
        ([drop("cage")], "E17", "no folder /cage", "init stops: the cage for unpacking cannot be mounted"),
        ([drop("run")], "E17", "no folder /run", "boots"),
    ],
)
def test_what_our_first_stage_needs(breakages: list[Breakage], rule: str, words: str, message: str) -> None:
    """What is missing is an error that names it, and the screen at which init would end."""
    found = judge(broken(*breakages))
    assert any(words in each.text and each.grade is Grade.ERROR for each in found_by(found, rule)), found
    assert found.message == message


@pytest.mark.parametrize(
    "breakages",
    [
        [add(TOOL, TOOL_LIBRARY)],
        [add(cpio.symlink("usr/bin/wget", "busybox"))],
        [add(cpio.symlink("usr/bin/busybox.static", "busybox"))],
    ],
)
def test_what_is_complete_is_silent(breakages: list[Breakage]) -> None:
    """The same with what it needs."""
    assert judge(broken(*breakages)).findings == ()


@pytest.mark.parametrize(
    "breakages",
    [
        [add(TOOL)],
        [change("usr/bin/busybox", body=busybox("wget"))],
        [drop("etc/udhcpc.script", "newroot", "proc", "sys", "cage")],
        [add(cpio.symlink("usr/bin/vi", "busybox"))],
    ],
)
def test_what_others_do_with_their_initrd_is_theirs(breakages: list[Breakage]) -> None:
    """Of somebody else's initrd only what the kernel needs is sure: no false alarm."""
    found = judge(foreign(*breakages), append="")
    assert (found.boots, found.refused) == (True, False)


def test_a_foreign_initrd_is_refuted_all_the_same() -> None:
    """The first program's libraries are everybody's."""
    assert not judge(foreign(drop(f"{LIB}/libc.so.6"))).boots


def test_origin_is_not_known_before_proc_is_mounted() -> None:
    """E06: a library that the first program finds by $ORIGIN is not found by process 1."""
    library = cpio.regular("opt/lib/libx.so.1", elves.library(soname="libx.so.1"))
    program = elves.program("libx.so.1", runpath="$ORIGIN/opt/lib")
    found = judge(broken(add(cpio.directory("opt"), cpio.directory("opt/lib"), library), init(program)))
    assert found.message.endswith("exitcode=0x00007f00")
    assert found_by(found, "E06")
    absolute = elves.program("libx.so.1", runpath="/opt/lib")
    found = judge(broken(add(cpio.directory("opt"), cpio.directory("opt/lib"), library), init(absolute)))
    assert found.findings == ()


def hwcaps(name: str) -> list[cpio.Entry]:
    """Return a library that is there for faster CPUs only."""
    folders = [cpio.directory(f"{LIB}/glibc-hwcaps"), cpio.directory(f"{LIB}/glibc-hwcaps/x86-64-v3")]
    return [*folders, cpio.regular(f"{LIB}/glibc-hwcaps/x86-64-v3/{name}", elves.library(soname=name))]


THREADS = cpio.regular("usr/bin/tool", elves.program("libc.so.6", imports=("pthread_cancel",)), 0o755)
LOOKUPS = cpio.regular("usr/bin/tool", elves.program("libc.so.6", imports=("getpwnam",)), 0o755)
NSSWITCH = cpio.regular("etc/nsswitch.conf", b"passwd: sss\n")
RUNPATH = cpio.regular("usr/bin/tool", elves.program("libtool.so.1", runpath="/opt"), 0o755)
OPT = cpio.directory("opt")


@pytest.mark.parametrize(
    ("rule", "red", "green"),
    [
        ("W02", [add(TOOL, *hwcaps("libtool.so.1"))], [add(TOOL, TOOL_LIBRARY, *hwcaps("libtool.so.1"))]),
        (
            "W03",
            [add(THREADS)],
            [add(THREADS, cpio.regular(f"{LIB}/libgcc_s.so.1", elves.library(soname="libgcc_s.so.1")))],
        ),
        (
            "W04",
            [add(LOOKUPS, NSSWITCH)],
            [add(LOOKUPS, NSSWITCH, cpio.regular(f"{LIB}/libnss_sss.so.2", elves.library(soname="libnss_sss.so.2")))],
        ),
        (
            "W08",
            [add(RUNPATH, OPT, TOOL_LIBRARY, cpio.regular("opt/libtool.so.1", elves.library(machine=elves.AARCH64)))],
            [add(RUNPATH, OPT, TOOL_LIBRARY)],
        ),
        (
            "W09",
            [add(RUNPATH, OPT, TOOL_LIBRARY, cpio.regular("opt/libtool.so.1", b"OUTPUT_FORMAT(elf64-x86-64)"))],
            [add(RUNPATH, OPT, cpio.regular("opt/libtool.so.1", elves.library(soname="libtool.so.1")))],
        ),
    ],
)
def test_doubts_about_libraries(rule: str, red: list[Breakage], green: list[Breakage]) -> None:
    """A doubt is a warning; it does not say that the machine would not boot."""
    found = judge(broken(*red))
    assert {each.grade for each in found_by(found, rule)} == {Grade.WARNING}
    assert found.boots
    assert not found_by(judge(broken(*green)), rule)
