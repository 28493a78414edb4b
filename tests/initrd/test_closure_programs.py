"""What the kernel needs to start a program: its mode, its loader, its #! line and what that leads to."""

from pathlib import Path

import pytest

from tasks.initrd.loader.closure import Closure, Lack, Missing, Scanner, closure
from tasks.initrd.loader.scripts import Shebang, env_command, shebang
from tests.initrd import elves
from tests.initrd.elves import AARCH64, I386, LOADER, library, program
from tests.initrd.sysroots import LIB, Contents, in_memory, on_disk

HERE: Contents = {LOADER: elves.loader("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib")}
STATIC = elves.build(elves.Spec())
BUSYBOX = elves.build(elves.Spec(extra=b"BusyBox v1.36.1\0[\0[[\0cat\0sh\0udhcpc\0"))


def look(tree: Contents, *programs: str) -> Closure:
    """Return the closure of a tree that has a loader."""
    return closure(in_memory({**HERE, **tree}), programs or ("/init",))


def lacks(found: Closure) -> list[tuple[Lack, str, str]]:
    """Return what is missing, without the details."""
    return [(each.lack, each.name, each.by) for each in found.missing]


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"/init": program()}, []),
        ({"/init": STATIC}, []),
        ({"/init": elves.build(elves.Spec(kind=2, machine=AARCH64))}, []),
        ({}, [(Lack.PROGRAM, "/init", "")]),
        ({"/init": None}, [(Lack.MODE, "/init", "")]),
        ({"/init": "/nowhere"}, [(Lack.PROGRAM, "/init", "")]),
        ({"/init": "init"}, [(Lack.PROGRAM, "/init", "")]),
        ({"/init": b""}, [(Lack.FORMAT, "/init", "")]),
        ({"/init": b"!/sbin/busybox.anaconda sh\n"}, [(Lack.FORMAT, "/init", "")]),
        ({"/init": program()[:100]}, [(Lack.FORMAT, "/init", "")]),
        ({"/init": elves.build(elves.Spec(kind=1))}, [(Lack.FORMAT, "/init", "")]),
        ({"/init": program(interpreter="/lib/ld.so.9")}, [(Lack.INTERPRETER, "/lib/ld.so.9", "/init")]),
        ({"/init": program(), LOADER: library(machine=AARCH64)}, [(Lack.FORMAT, LOADER, "/init")]),
        ({"/init": program(), LOADER: library(bits=32, machine=I386)}, [(Lack.FORMAT, LOADER, "/init")]),
        ({"/init": program(), LOADER: b"#!/bin/sh\n"}, [(Lack.FORMAT, LOADER, "/init")]),
        ({"/init": program("liba.so")}, [(Lack.LIBRARY, "liba.so", "/init")]),
        ({"/init": b"#!/bin/sh\n", "/bin/sh": STATIC}, []),
        ({"/init": b"#!  /bin/sh  -e \n", "/bin/sh": STATIC}, []),
        ({"/init": b"#!/bin/sh\n"}, [(Lack.SCRIPT, "/bin/sh", "/init")]),
        ({"/init": b"#!/bin/sh\r\n", "/bin/sh": STATIC}, [(Lack.SCRIPT, "/bin/sh\r", "/init")]),
        ({"/init": b"#!\n"}, [(Lack.LINE, "/init", "")]),
        ({"/init": b"#!/bin/sh" + b"x" * 300 + b"\n"}, [(Lack.LINE, "/init", "")]),
        ({"/init": b"#!/bin/busybox sh\n", "/bin/busybox": BUSYBOX}, []),
        ({"/init": b"#!/bin/sh -e\n", "/bin/sh": "busybox", "/bin/busybox": BUSYBOX}, []),
        ({"/init": b"#!/bin/busybox\n", "/bin/busybox": BUSYBOX}, [(Lack.SCRIPT, "applet ", "/init")]),
        ({"/init": b"#!/bin/busybox sh\r\n", "/bin/busybox": BUSYBOX}, [(Lack.SCRIPT, "applet sh\r", "/init")]),
        ({"/init": b"#!/bin/busybox sh -e\n", "/bin/busybox": BUSYBOX}, [(Lack.SCRIPT, "applet sh -e", "/init")]),
        (
            {"/init": b"#!/bin/bash\n", "/bin/bash": "busybox", "/bin/busybox": BUSYBOX},
            [(Lack.SCRIPT, "applet bash", "/init")],
        ),
        ({"/init": b"#!/usr/bin/env sh\n", "/usr/bin/env": STATIC, "/sbin/sh": STATIC}, []),
        ({"/init": b"#!/usr/bin/env sh\n", "/usr/bin/env": STATIC}, [(Lack.SCRIPT, "sh", "/init")]),
        ({"/init": b"#!/usr/bin/env init\n", "/usr/bin/env": STATIC, "/bin/init": "../init"}, []),
    ],
)
def test_what_the_kernel_would_not_start(tree: Contents, expected: list[tuple[Lack, str, str]]) -> None:
    """Each cause is told by its kind, with the file that asks for the missing one."""
    assert lacks(look(tree)) == expected


@pytest.mark.parametrize("path", ["init", "bin/sh", LOADER.strip("/"), "lib/x86_64-linux-gnu/liba.so"])
def test_who_must_be_executable(path: str, tmp_path: Path) -> None:
    """The kernel asks it of the program, the script's interpreter and the ELF interpreter; nobody of a library."""
    tree = {**HERE, "/init": b"#!/bin/sh\n", "/bin/sh": program("liba.so"), f"{LIB}/liba.so": library()}
    disk = on_disk(tmp_path, tree)
    (tmp_path / path).chmod(0o644)
    found = closure(disk, ("/init",)).missing
    assert [(each.lack, each.name) for each in found] == ([] if "liba" in path else [(Lack.MODE, f"/{path}")])
    assert closure(disk, ("/init",), modes=False).missing == []


@pytest.mark.parametrize(("depth", "starts"), [(1, True), (5, True), (6, False), (9, False)])
def test_scripts_that_interpret_scripts(depth: int, starts: bool) -> None:
    """Five interpreters after one another are the most (fs/exec.c), wherever one begins to count."""
    chain: Contents = {f"/s{number}": f"#!/s{number + 1}\n".encode() for number in range(depth)}
    tree = {**chain, f"/s{depth}": STATIC}
    assert lacks(look(tree, "/s0")) == ([] if starts else [(Lack.DEPTH, "/s0", "")])
    assert (Lack.DEPTH, "/s0", "") in lacks(look(tree, "/s3", "/s0")) or starts


def test_a_script_that_interprets_itself() -> None:
    """It ends as for the kernel, in too many."""
    assert lacks(look({"/init": b"#!/init\n"})) == [(Lack.DEPTH, "/init", "")]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"#!/bin/sh\n", Shebang(interpreter="/bin/sh")),
        (b"#!/bin/sh", Shebang(interpreter="/bin/sh")),
        (b"#! \t/bin/sh \t-e  -x \t\n", Shebang(interpreter="/bin/sh", argument="-e  -x")),
        (b"#!/bin/sh\0-e\n", Shebang(interpreter="/bin/sh")),
        (b"#!/bin/sh\r\n", Shebang(interpreter="/bin/sh\r")),
        (b"#!/b\xff\n", Shebang(interpreter="/b\udcff")),
        (b"#!\n/bin/sh\n", None),
        (b"#!   \n", None),
        (b"#!" + b" " * 300, None),
        (b"#!/" + b"x" * 252, Shebang(interpreter="/" + "x" * 252)),
        (b"#!/" + b"x" * 252 + b"\n", Shebang(interpreter="/" + "x" * 252)),
        (b"#!/" + b"x" * 253 + b"\n", None),
        (b"#!/bin/sh " + b"x" * 300, Shebang(interpreter="/bin/sh", argument="x" * 245)),
        (b"# /bin/sh\n", None),
        (b"", None),
    ],
)
def test_the_line_as_the_kernel_reads_it(head: bytes, expected: Shebang | None) -> None:
    """256 bytes, one argument, blanks around both; a name that may be cut off is none (fs/binfmt_script.c)."""
    assert shebang(head) == expected


@pytest.mark.parametrize(
    ("argument", "command"),
    [
        ("python3", "python3"),
        ("python3 -I", "python3 -I"),
        ("-S python3 -I", "python3"),
        ("-S -i A=1 B='2 3' perl -w", "perl"),
        ("-vS bash -e", "bash"),
        ("--split-string=sh -x", "sh"),
        ("-i", ""),
        ("A=1", ""),
        ("-S 'broken", "'broken"),
        ("", ""),
    ],
)
def test_the_command_of_env(argument: str, command: str) -> None:
    """Env gets one argument and splits it with -S only (env(1))."""
    assert env_command(argument) == command


def test_reasons_and_links() -> None:
    """Each file and each link says why it is in; folders that a path leaves again are kept."""
    tree: Contents = {
        "/init": program("liba.so", rpath="/opt/plugins/../lib"),
        "/opt/plugins": None,
        "/opt/lib": "/data",
        "/data/liba.so": "liba.so.1",
        "/data/liba.so.1": library(),
    }
    found = look(tree)
    assert found.files["data/liba.so.1"] == "needed by /init, by RPATH of /init"
    assert found.links == {"opt/lib": "/data", "data/liba.so": "liba.so.1"}
    assert found.link_reasons["opt/lib"] == "on the way to /opt/plugins/../lib/liba.so"
    assert list(found.folders) == ["opt/plugins"]
    assert found.files["init"] == "asked for"
    assert found.files[LOADER.strip("/")] == "ELF interpreter of /init"


def test_sentences() -> None:
    """What is missing is one sentence; control characters cannot reach a terminal."""
    plain = Missing(lack=Lack.LIBRARY, name="libc.so.6", by="/bin/sh")
    assert str(plain) == "libc.so.6 (needed by /bin/sh) is missing"
    wild = Missing(lack=Lack.SCRIPT, name="/bin/sh\r", by="/init", detail="DOS line ends")
    assert str(wild) == r"/bin/sh\r (interpreter of /init) is missing: DOS line ends"


@pytest.mark.parametrize(
    ("machine", "bits", "order", "folder"),
    [
        (AARCH64, 64, "<", "/lib/aarch64-linux-gnu"),
        (elves.ARM, 32, "<", "/lib/arm-linux-gnueabihf"),
        (elves.S390, 64, ">", "/lib/s390x-linux-gnu"),
        (elves.PPC64, 64, "<", "/lib64"),
        (I386, 32, "<", "/usr/lib"),
        (8, 32, ">", "/nix/store/abc-glibc-2.38/lib"),
    ],
)
def test_any_machine(machine: int, bits: int, order: str, folder: str) -> None:
    """The default folders are read out of the tree's own loader, whatever machine it is for."""
    kind = {"machine": machine, "bits": bits, "order": order}
    tree: Contents = {
        "/init": program("liba.so", interpreter="/lib/ld.so.1", **kind),
        "/lib/ld.so.1": elves.loader(folder, **kind),
        f"{folder}/liba.so": library(**kind),
        "/lib/other/liba.so": library(),
    }
    found = look(tree)
    assert found.missing == []
    assert found.files[f"{folder}/liba.so".strip("/")] == "needed by /init, in a default folder"


def test_a_float_abi_of_its_own_is_another_machine() -> None:
    """Soft-float libraries are passed over by hard-float programs (EF_ARM_ABI_FLOAT_*), as if of another machine."""
    arm = {"machine": elves.ARM, "bits": 32}
    tree: Contents = {
        "/init": program("liba.so", interpreter="/lib/ld.so.1", runpath="/soft:/hard", flags=0x5000400, **arm),
        "/lib/ld.so.1": elves.loader("/lib", flags=0x5000400, **arm),
        "/soft/liba.so": library(flags=0x5000200, **arm),
        "/hard/liba.so": library(flags=0x5000400, **arm),
    }
    assert "hard/liba.so" in look(tree).files


def test_a_library_by_itself_is_closed_with_the_loader_before_it() -> None:
    """PAM modules and the like are named by hand and have no loader; the programs' serves them."""
    tree: Contents = {"/init": program(), "/p/pam.so": library("liba.so"), f"{LIB}/liba.so": library()}
    assert "lib/x86_64-linux-gnu/liba.so" in look(tree, "/init", "/p/pam.so").files
    assert lacks(look(tree, "/p/pam.so")) == [(Lack.FORMAT, "/p/pam.so", "")]


def test_closures_share_what_was_read() -> None:
    """A scanner that is passed on gives the same answers."""
    tree = in_memory({**HERE, "/init": program("liba.so", "libb.so"), f"{LIB}/liba.so": library()})
    scanner = Scanner(tree)
    first = closure(tree, ("/init",), scanner=scanner)
    assert first == closure(tree, ("/init",), scanner=scanner) == closure(tree, ("/init",))
