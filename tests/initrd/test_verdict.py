"""The predicted message: each cause and the words that a booted kernel 6.1 printed for it."""

import pytest

from tasks import cpio
from tasks.initrd.loader import execve, sysroot
from tasks.initrd.proof import verdict
from tasks.initrd.proof.finding import End, Finding, Grade, Moment, errors, unique, waive
from tests.initrd import elves, kernels
from tests.initrd.proofs import LIB, WORDS, Breakage, add, broken, busybox, change, drop, init, judge, mode

NO_ROOT = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
NO_INIT = "Kernel panic - not syncing: No working init found."
KILLED = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00"
BUS_ERROR = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000007"
CUT_OFF = elves.library(soname="libc.so.6", extra=bytes(4096))[:-2048]
CUT_PROGRAM = elves.program("libc.so.6", extra=bytes(4096))[:-2048]
LOADER = f"{LIB}/ld-linux-x86-64.so.2"


def refused(error: int) -> str:
    """Return the words where execve refuses /init, and nothing else can be started."""
    return f"Failed to execute /init (error -{error}); {NO_INIT}"


def chain(length: int) -> list[cpio.Entry]:
    """Return scripts, each the interpreter of the one before; the last one's is busybox."""
    names = ["init", *(f"s{number}" for number in range(1, length))]
    lines = [*(f"#!/{name}\n" for name in names[1:]), "#!/bin/busybox sh\n"]
    return [cpio.regular(name, line.encode(), 0o755) for name, line in zip(names, lines, strict=True)]


@pytest.mark.parametrize(
    ("breakages", "rule", "message"),
    [
        pytest.param([drop("init")], "E01", NO_ROOT, id="no init"),
        pytest.param([add(cpio.symlink("init", "/sbin/nothing"))], "E01", NO_ROOT, id="a dangling init"),
        pytest.param([mode("init", 0o644)], "E01", refused(13), id="init without x"),
        pytest.param([add(cpio.directory("init"))], "E01", refused(13), id="init is a folder"),
        pytest.param([mode("usr/bin/busybox", 0o644)], "E02", refused(13), id="interpreter without x"),
        pytest.param([mode(LOADER, 0o644)], "E03", refused(13), id="loader without x"),
        pytest.param([drop("usr/bin/busybox")], "E02", refused(2), id="no interpreter"),
        pytest.param([init(b"#!/bin/sh\r\n")], "E02", refused(2), id="DOS line ends"),
        pytest.param([drop(LOADER)], "E03", refused(2), id="no loader"),
        pytest.param([drop("lib64")], "E03", refused(2), id="the loader's link is gone"),
        pytest.param([change(LOADER, body=b"no loader" * 9)], "E03", refused(80), id="the loader is none"),
        pytest.param([change(LOADER, body=b"")], "E03", refused(5), id="the loader is empty"),
        pytest.param([change(LOADER, body=elves.loader(machine=183))], "E03", refused(80), id="a foreign loader"),
        pytest.param([init(b"")], "E01", refused(8), id="an empty init"),
        pytest.param([init(b"echo hello\n")], "E01", refused(8), id="no #!"),
        pytest.param([init(b"!/sbin/busybox.anaconda sh\n")], "E01", refused(8), id="the # is lost"),
        pytest.param([init(b"#!/" + b"x" * 300 + b"\n")], "E02", refused(8), id="a long #! line"),
        pytest.param([init(b"#!  \n")], "E02", refused(8), id="an empty #! line"),
        pytest.param([init(elves.program(machine=elves.AARCH64))], "E05", refused(8), id="another machine"),
        pytest.param([add(*chain(6))], "E02", refused(40), id="scripts six deep"),
        pytest.param([drop(f"{LIB}/libresolv.so.2")], "E04", KILLED, id="a library of the interpreter"),
        pytest.param([drop(f"{LIB}/libc.so.6")], "E04", KILLED, id="a library of a library"),
        pytest.param([change(f"{LIB}/libc.so.6", body=b"\x7fELF")], "E04", KILLED, id="a truncated library"),
        pytest.param([change(f"{LIB}/libc.so.6", body=CUT_OFF)], "E04", BUS_ERROR, id="a library is cut off"),
        pytest.param([change("usr/bin/busybox", body=CUT_PROGRAM)], "E04", BUS_ERROR, id="a program is cut off"),
        pytest.param([init(b"#!/bin/busybox sh\r\n")], "E07", KILLED, id="busybox sh with CR"),
        pytest.param([init(b"#!/bin/busybox nosh\n")], "E07", KILLED, id="no such applet"),
        pytest.param([init(b"#!/bin/busybox sh -e\n")], "E07", KILLED, id="the kernel passes one argument"),
        pytest.param([init(elves.program("libm.so.6"))], "E04", KILLED, id="init is a program without a library"),
    ],
)
def test_the_panic_is_predicted(breakages: list[Breakage], rule: str, message: str) -> None:
    """Each cause ends in the kernel's own words, by the rule that names it."""
    found = judge(broken(*breakages))
    assert (found.boots, found.message) == (False, message)
    assert rule in {finding.rule for finding in errors(found.findings)}


@pytest.mark.parametrize(
    "breakages",
    [
        pytest.param([], id="as it was made"),
        pytest.param([add(*chain(5))], id="scripts five deep"),
        pytest.param([mode(f"{LIB}/libc.so.6", 0o644)], id="libraries need no x"),
        pytest.param([drop("dev/console")], id="the kernel brings its own console"),
        pytest.param([init(b"#! /bin/busybox  sh\n")], id="blanks in the #! line"),
        pytest.param(
            [add(cpio.symlink("init", "etc/init"), cpio.regular("etc/init", elves.program(), 0o755))], id="link"
        ),
        pytest.param([init(elves.program(interpreter=""))], id="a static program"),
    ],
)
def test_what_boots_is_let_through(breakages: list[Breakage]) -> None:
    """A proof that always complains is switched off."""
    found = judge(broken(*breakages))
    assert (found.boots, found.message, found.refused) == (True, "boots", False)


@pytest.mark.parametrize(
    ("append", "breakages", "message"),
    [
        ("rdinit=/nothing", [], NO_ROOT),
        ("init=/init", [drop("init")], NO_ROOT),
        ("root=/dev/nfs", [drop("init")], NO_ROOT.replace("0,0", "0,255")),
        ("init=/nothing", [mode("init", 0o644)], "Failed to execute /init (error -13); "
         "Kernel panic - not syncing: Requested init /nothing failed (error -2)."),
        ("", [mode("init", 0o644), add(cpio.symlink("usr/bin/sh", "busybox"))],
         "Failed to execute /init (error -13); /bin/sh runs in its place"),
        ("", [mode("init", 0o644), add(cpio.symlink("usr/bin/sh", "busybox")), drop(f"{LIB}/libresolv.so.2")],
         f"Failed to execute /init (error -13); {KILLED}"),
        ("rdinit=/bin/busybox", [drop("init")], "boots"),
        ("rdinit=/nothing -- rdinit=/init", [], NO_ROOT),
        ("rdinit=/nothing rdinit=/init", [], "boots"),
    ],
)  # fmt: skip
def test_the_command_line_chooses_the_first_program(append: str, breakages: list[Breakage], message: str) -> None:
    """rdinit=, init= and root= decide what is started, and what is said where it cannot be."""
    assert judge(broken(*breakages), append=f"{WORDS} {append}").message == message


def test_a_script_needs_a_kernel_that_starts_scripts() -> None:
    """Without CONFIG_BINFMT_SCRIPT a script is no program."""
    found = judge(broken(), config="CONFIG_BLK_DEV_INITRD=y\nCONFIG_TMPFS=y\n")
    assert found.message == refused(8)


def test_an_interpreter_that_takes_no_carriage_return() -> None:
    """Another shell than busybox gets the carriage return as an option, and ends with exit code 2."""
    shell = cpio.regular("usr/bin/dash", elves.program("libc.so.6"), 0o755)
    found = judge(broken(add(shell), init(b"#!/usr/bin/dash -e\r\n")))
    assert found.message.endswith("exitcode=0x00000200")


@pytest.mark.parametrize(("option", "boots"), [("CONFIG_IA32_EMULATION=y\n", True), ("", False)])
def test_programs_of_32_bits(option: str, boots: bool) -> None:
    """An i386 program runs on an x86_64 kernel that was built for it."""
    tree = broken(init(elves.program(machine=3, bits=32, interpreter="")))
    config = f"CONFIG_BLK_DEV_INITRD=y\nCONFIG_BINFMT_SCRIPT=y\n{option}"
    assert judge(tree, config=config).boots == boots


def test_an_arm_initrd_behind_an_arm_kernel() -> None:
    """What matters is the kernel's architecture, not the head node's."""
    tree = broken(init(elves.program(machine=elves.AARCH64, interpreter="")))
    assert judge(tree, kernel=kernels.arm64(), config=None).boots


def test_the_first_end_is_the_verdict() -> None:
    """However much is wrong, the kernel meets one thing first."""
    found = judge(broken(drop("newroot"), drop(f"{LIB}/libc.so.6"), change("usr/bin/busybox", body=busybox())))
    assert found.message == KILLED
    assert {"E04", "E17"} <= {finding.rule for finding in errors(found.findings)}


# -- findings --------------------------------------------------------------------------------------------------------


def finding(rule: str, **more: object) -> Finding:
    """Return a finding of a rule."""
    end = End(moment=Moment.EXEC, message="panic")
    return Finding(rule=rule, text="t", cause="c", remedy="r", end=end, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "grade", "boots"),
    [
        (finding("E01"), Grade.ERROR, False),
        (finding("W01"), Grade.WARNING, True),
        (finding("E10", soft=True), Grade.WARNING, True),
        (finding("E13", waived=True), Grade.WAIVED, True),
    ],
)
def test_the_letter_of_the_rule_is_its_grade(found: Finding, grade: Grade, boots: bool) -> None:
    """E refuses, W tells; doubt and waiving make less of an error, and nothing that is less ends a boot."""
    told = verdict.verdict([found])
    assert (found.grade, told.boots, told.refused) == (grade, boots, not boots)


def test_only_named_rules_are_waived() -> None:
    """A waived rule is still told."""
    found = waive([finding("E12"), finding("E13")], ("E13",))
    assert [each.grade for each in unique(found)] == [Grade.ERROR, Grade.WAIVED]
    assert str(found[1]) == "waived E13: t\n    c\n    remedy: r"


def test_an_empty_name_is_no_default() -> None:
    """``rdinit=`` names nothing, not /init: the kernel takes its root folder for it, which cannot be executed."""
    found = judge(broken(), append=f"{WORDS} rdinit=")
    assert not found.boots
    assert NO_INIT in found.message


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        pytest.param(b"", "the kernel is empty", id="empty"),
        pytest.param(kernels.bzimage(payload=bytes(4096))[:-1], "the kernel is cut off", id="cut off"),
    ],
)
def test_a_kernel_that_is_not_whole(kernel: bytes, words: str) -> None:
    """E05: whatever is in the initrd, it does not come to that."""
    found = judge(broken(), kernel=kernel)
    assert found.message == "the kernel does not start"
    assert any(words in each.text for each in found.findings if each.rule == "E05")


def test_a_program_is_not_read_whole() -> None:
    """What the kernel looks at stands at its beginning; a few packed bytes may stand for 4 GiB of a program."""

    class Endless:
        """A store of zeros that counts what is asked of it."""

        asked = 0

        def at(self, offset: int, size: int) -> bytes:
            """Return zeros."""
            self.asked = max(self.asked, size)
            return bytes(min(size, 1 << 10))

    zeros = Endless()
    tree = sysroot.ArchiveTree.of([cpio.regular("init", cpio.Span(zeros, 0, 1 << 32), 0o755)])
    fault = execve.start(tree, "/init", "x86_64").fault
    assert fault is not None
    assert (fault.rule, fault.error) == ("E01", 8)
    assert zeros.asked < 1 << 27
