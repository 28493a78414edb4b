"""Libraries that programs open while they run: libgcc_s, name services, what the ELF note of dlopen metadata lists."""

import json

import pytest

from tasks.initrd.loader.closure import Closure, closure
from tests.initrd import elves
from tests.initrd.elves import LOADER, library, note, program
from tests.initrd.sysroots import LIB, MUSL, Contents, in_memory

OLD_LIBC = library(soname="libc.so.6", exports=("printf", "pthread_exit", "getpwnam"))
LIBC = library(soname="libc.so.6", exports=("printf", "pthread_exit", "getpwnam", "GLIBC_2.34"))
HERE: Contents = {LOADER: elves.loader(LIB, f"/usr{LIB}", "/lib", "/usr/lib"), f"{LIB}/libc.so.6": LIBC}


def look(tree: Contents, *, nsswitch: bool = True) -> Closure:
    """Return the closure of /init in a tree that has a loader and a libc."""
    return closure(in_memory({**HERE, **tree}), ("/init",), nsswitch=nsswitch)


def libraries(found: Closure) -> set[str]:
    """Return the names of what was found besides program, loader and libc."""
    return {path.rpartition("/")[2] for path in found.files} - {"init", "libc.so.6", LOADER.rpartition("/")[2]}


@pytest.mark.parametrize(
    ("init", "wanted"),
    [
        (program("libc.so.6", imports=("pthread_cancel",)), True),
        (program("libc.so.6", imports=("pthread_exit", "printf")), True),
        (program("libc.so.6", imports=("my_pthread_exit",)), False),
        (program("libc.so.6", exports=("pthread_exit",)), False),
        (program("libc.so.6", imports=("printf",)), False),
        (program("libc.so.6", weak=("pthread_cancel",)), False),
        (program("libc.so.6", imports=("pthread_exit",), order=">", machine=elves.S390), True),
        (program("libc.so.6", imports=("pthread_exit",), bits=32, machine=elves.I386), True),
    ],
)
def test_threads_that_end_need_libgcc(init: bytes, wanted: bool) -> None:
    """Glibc opens it for them and aborts without: it is in where it is there, and told where it is not."""
    shape = {"bits": 64 if init[4] == 2 else 32, "order": "<" if init[5] == 1 else ">"}
    shape["machine"] = int.from_bytes(init[18:20], "little" if init[5] == 1 else "big")
    here: Contents = {
        LOADER: elves.loader(LIB, "/lib", **shape),
        f"{LIB}/libc.so.6": library(soname="libc.so.6", exports=("pthread_exit",), **shape),
    }
    libgcc: Contents = {f"{LIB}/libgcc_s.so.1": library("libc.so.6", soname="libgcc_s.so.1", **shape)}
    assert libraries(look({**here, **libgcc, "/init": init})) == ({"libgcc_s.so.1"} if wanted else set())
    without = look({**here, "/init": init})
    assert [each.rule for each in without.warnings] == (["W03"] if wanted else [])
    assert without.missing == []


def test_musl_needs_no_libgcc() -> None:
    """Its threads end without."""
    tree: Contents = {MUSL: library(), "/init": program("libc.so", imports=("pthread_exit",), interpreter=MUSL)}
    assert look(tree).warnings == []


SERVICES = (
    b"passwd: files systemd\ngroup: files [SUCCESS=merge] sss # ours\nhosts: files mymachines [!UNAVAIL=return] dns\n"
)


@pytest.mark.parametrize(
    ("imports", "conf", "libc", "names"),
    [
        (("getpwnam",), SERVICES, LIBC, {"libnss_systemd.so.2"}),
        (("getgrnam",), SERVICES, LIBC, {"libnss_sss.so.2"}),
        (("getaddrinfo", "getpwuid"), SERVICES, LIBC, {"libnss_mymachines.so.2", "libnss_systemd.so.2"}),
        (("printf",), SERVICES, LIBC, set()),
        (("getpwnam",), None, LIBC, set()),
        (("getpwnam",), None, OLD_LIBC, {"libnss_files.so.2"}),
        (("getaddrinfo",), None, OLD_LIBC, {"libnss_files.so.2", "libnss_dns.so.2"}),
        (("getaddrinfo",), b"hosts: dns\n", OLD_LIBC, {"libnss_dns.so.2"}),
        (("getaddrinfo",), b"hosts: ../../evil\n", LIBC, set()),
    ],
)
def test_name_services(imports: tuple[str, ...], conf: bytes | None, libc: bytes, names: set[str]) -> None:
    """What nsswitch.conf asks of the databases that a program looks into; libc has some inside since 2.34."""
    tree: Contents = {"/init": program("libc.so.6", imports=imports), f"{LIB}/libc.so.6": libc}
    tree |= {"/etc/nsswitch.conf": conf} if conf else {}
    modules: Contents = {f"{LIB}/{name}": library("libc.so.6") for name in names}
    assert libraries(look({**tree, **modules})) == names
    lost = look(tree).warnings
    assert {each.rule for each in lost} == ({"W04"} if names else set())
    assert all(any(name in str(each) for each in lost) for name in names)


def test_without_nsswitch() -> None:
    """A copy that will not have the file needs nothing of it."""
    tree: Contents = {"/init": program("libc.so.6", imports=("getpwnam",)), "/etc/nsswitch.conf": SERVICES}
    assert look(tree, nsswitch=False).warnings == []
    assert [each.rule for each in look(tree).warnings] == ["W04"]


def listed(*rows: object) -> bytes:
    """Return a note that lists dlopened libraries."""
    return note("FDO", 0x407C0C0A, json.dumps(rows).encode() + b"\0")


KMOD = {"soname": ["libkmod.so.3", "libkmod.so.2"], "feature": "kmod", "priority": "required"}


@pytest.mark.parametrize(
    ("rows", "names", "rules"),
    [
        ((KMOD,), {"libkmod.so.2", "liblzma.so.5"}, set()),
        (({"soname": ["libkmod.so.9"], "priority": "required"},), set(), {"W03"}),
        (({"soname": ["libkmod.so.9"], "priority": "suggested"},), set(), set()),
        (({"soname": "libkmod.so.2"}, 7, None, {"soname": [7, None, "a\0b", ""]}), set(), set()),
    ],
)
def test_the_note(rows: tuple[object, ...], names: set[str], rules: set[str]) -> None:
    """The first name that is there is taken, with its needs; what is required and lost is told."""
    tree: Contents = {
        "/init": program("libc.so.6", note=listed(*rows)),
        f"{LIB}/libkmod.so.2": library("liblzma.so.5"),
        f"{LIB}/liblzma.so.5": library(),
    }
    found = look(tree)
    assert libraries(found) == names
    assert {each.rule for each in found.warnings} == rules
    assert not names or found.files[f"{LIB}/libkmod.so.2".strip("/")] == "dlopened by /init for kmod"


@pytest.mark.parametrize("text", [b"", b"{}", b"[", b"[" * 5000, b"\xff\xff", b"null"])
def test_a_note_that_is_no_list(text: bytes) -> None:
    """Whatever stands in it, nothing comes of it."""
    assert libraries(look({"/init": program("libc.so.6", note=note("FDO", 0x407C0C0A, text))})) == set()
