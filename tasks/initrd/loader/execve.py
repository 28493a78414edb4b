"""What the kernel's execve(2) makes of a path in a tree: the program that starts, or the error and its cause.  Pure.

Sources: fs/exec.c (do_open_execat, exec_binprm), fs/binfmt_script.c, fs/binfmt_elf.c of Linux 6.12.  Scripts lead to
their interpreter, five times at most; an ELF file brings its dynamic loader, which has to be there before it starts.
"""

import stat
from dataclasses import dataclass
from errno import EACCES, EIO, ELIBBAD, ELOOP, ENOENT, ENOEXEC

from tasks.initrd.loader import scripts
from tasks.initrd.loader.closure import is_executable
from tasks.initrd.loader.sysroot import Sysroot, resolve

LONGEST_PATH = 4096  # PATH_MAX, with its zero
LONGEST_BEGINNING = 64 << 20  # bytes; a hostile archive of zeros has programs of 4 GiB
# Kernel's architecture → e_machine (include/uapi/linux/elf-em.h) and class (1: 32 bits) of what it starts.
NATIVE = {
    "x86_64": (62, 2),
    "i386": (3, 1),
    "aarch64": (183, 2),
    "armhf": (40, 1),
    "ppc64le": (21, 2),
    "ppc64": (21, 2),
    "riscv64": (243, 2),
    "s390x": (22, 2),
    "loongarch64": (258, 2),
}
# What else it starts where it was built with an option: 32-bit programs on a 64-bit kernel.
COMPATIBLE = {"x86_64": (3, 1, "CONFIG_IA32_EMULATION"), "aarch64": (40, 1, "CONFIG_COMPAT")}
MACHINES = {3: "i386", 8: "mips", 21: "ppc64", 22: "s390", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv"}
PT_INTERP = 3


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a program does not start: the broken rule, a sentence, and the kernel's error number."""

    rule: str
    text: str
    error: int


@dataclass(frozen=True, kw_only=True)
class Start:
    """What execve makes of a path.

    `chain`: the path and the interpreters that its scripts lead to, as they were asked for.  `program`: the real path
    of the ELF file at its end, None where there is a fault.  `argument`: what the last script's ``#!`` line gives its
    interpreter.  `loader`: the ELF interpreter (PT_INTERP) of the program.
    """

    chain: tuple[str, ...]
    program: str | None = None
    argument: str = ""
    loader: str | None = None
    fault: Fault | None = None


@dataclass(frozen=True, kw_only=True)
class Header:
    """What binfmt_elf looks at first: e_machine, EI_CLASS (1: 32 bits, 2: 64), e_type, and PT_INTERP."""

    machine: int
    bits: int
    interpreter: str | None


def start(tree: Sysroot, path: str, arch: str, compat: bool = True) -> Start:
    """Return what becomes of a program on a kernel of `arch` ("": any); `compat`: it starts 32-bit programs too."""
    chain: list[str] = []
    argument = ""
    here = path
    while True:
        chain.append(here)
        if len(chain) > scripts.MAX_SCRIPTS + 1:
            text = f"{path} is a script whose interpreter is a script, and so on: more than {scripts.MAX_SCRIPTS} deep"
            return Start(chain=tuple(chain), fault=Fault(rule="E02", text=text, error=ELOOP))
        opened = open_exec(tree, here, chain)
        if isinstance(opened, Fault):
            return Start(chain=tuple(chain), argument=argument, fault=opened)
        head = beginning(tree, opened)
        if head[:2] != b"#!":
            return native(tree, opened, head, Start(chain=tuple(chain), argument=argument), arch, compat)
        line = scripts.shebang(head)
        if line is None:
            return Start(chain=tuple(chain), fault=no_interpreter(here, head))
        here, argument = line.interpreter, line.argument


def open_exec(tree: Sysroot, path: str, chain: list[str]) -> str | Fault:
    """Return the real path of what is to be started, or why it cannot be opened."""
    rule = "E01" if len(chain) == 1 else "E02"
    of = f", the interpreter of {chain[-2]}," if len(chain) > 1 else ""
    real = resolve(tree, path).path
    if real is None:
        if path.endswith("\r"):
            text = f"{chain[-2]} has DOS line ends: its interpreter is taken for {path!r}"
        else:
            text = f"{path}{of} is not there{dangling(tree, path)}"
        return Fault(rule=rule, text=text, error=ENOENT)
    mode = tree.mode(real) or stat.S_IFDIR
    if not stat.S_ISREG(mode):
        return Fault(rule=rule, text=f"{path}{of} is {kind(mode)}, not a file", error=EACCES)
    if not is_executable(mode):
        return Fault(rule=rule, text=f"{path}{of} has mode {mode & 0o7777:04o}: it is not executable", error=EACCES)
    return real


def beginning(tree: Sysroot, real: str) -> bytes:
    """Return what the kernel reads of a program before it starts it: headers, which stand before all else."""
    return tree.read_at(real, 0, LONGEST_BEGINNING)


def dangling(tree: Sysroot, path: str) -> str:
    """Return what a symbolic link that leads nowhere points to, for a sentence."""
    links = resolve(tree, path).links
    return f": /{links[-1]} is a symbolic link to {tree.target(links[-1])}" if links else ""


def kind(mode: int) -> str:
    """Return the name of a file type."""
    names = {stat.S_IFDIR: "a folder", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe"}
    return names.get(stat.S_IFMT(mode), "something else")


def as_text(raw: bytes) -> str:
    """Return a path's text; bytes that are no UTF-8 are kept as surrogates."""
    return raw.decode(errors="surrogateescape")


def no_interpreter(path: str, head: bytes) -> Fault:
    """Return the fault of a ``#!`` line that the kernel cannot use."""
    long = b"\n" not in head[: scripts.LINE]
    why = f"is longer than {scripts.LINE - 1} bytes" if long else "names no interpreter"
    return Fault(rule="E02", text=f"the #! line of {path} {why}", error=ENOEXEC)


# -- ELF -------------------------------------------------------------------------------------------------------------


def native(tree: Sysroot, real: str, data: bytes, so_far: Start, arch: str, compat: bool) -> Start:
    """Return what becomes of a file that is no script: an ELF file with its loader, or nothing that can be started."""
    path = so_far.chain[-1]
    header = elf_header(data)
    fault: Fault | None = None
    if header is None:
        fault = Fault(rule="E01" if len(so_far.chain) == 1 else "E02", text=not_elf(path, data), error=ENOEXEC)
    elif not runs(header, arch, compat):
        fault = Fault(rule="E05", text=f"{path} is for {machine(header)}, the kernel for {arch}", error=ENOEXEC)
    elif header.interpreter == "":
        fault = Fault(rule="E03", text=f"{path} is cut off: its ELF interpreter cannot be read", error=EIO)
    elif header.interpreter is not None:
        fault = loader_fault(tree, path, header)
    if header is None or fault:
        return Start(chain=so_far.chain, argument=so_far.argument, fault=fault)
    return Start(chain=so_far.chain, argument=so_far.argument, program=real, loader=header.interpreter)


def not_elf(path: str, data: bytes) -> str:
    """Return why a file is neither a script nor a program."""
    if not data:
        return f"{path} is empty"
    if data[:4] == b"\x7fELF":
        return f"{path} is a broken ELF file"
    lost = " (the # of its first line is lost)" if data[:1] == b"!" else ""
    return f"{path} is neither a script (#!) nor an ELF file{lost}"


def loader_fault(tree: Sysroot, path: str, header: Header) -> Fault | None:
    """Return why the kernel cannot load an ELF file's dynamic loader, None where it can."""
    name = header.interpreter or ""
    real = resolve(tree, name).path
    if real is None:
        text = f"{name}, the ELF interpreter of {path}, is not there{dangling(tree, name)}"
        return Fault(rule="E03", text=text, error=ENOENT)
    mode = tree.mode(real) or stat.S_IFDIR
    if not is_executable(mode):
        text = f"{name}, the ELF interpreter of {path}, has mode {mode & 0o7777:04o}: it is not executable"
        return Fault(rule="E03", text=text, error=EACCES)
    content = beginning(tree, real)
    loader = elf_header(content)
    if len(content) < 64:  # the kernel reads a whole header, whatever begins there
        return Fault(rule="E03", text=f"{name}, the ELF interpreter of {path}, is too short", error=EIO)
    if loader is None:
        return Fault(rule="E03", text=f"{name}, the ELF interpreter of {path}, is no ELF file", error=ELIBBAD)
    if (loader.machine, loader.bits) != (header.machine, header.bits):
        text = f"{name}, the ELF interpreter of {path}, is for {machine(loader)}, not for {machine(header)}"
        return Fault(rule="E03", text=text, error=ELIBBAD)
    return None


def runs(header: Header, arch: str, compat: bool) -> bool:
    """Whether a kernel starts programs of this machine; an unknown kernel is believed to."""
    wanted = NATIVE.get(arch)
    if wanted is None or (header.machine, header.bits) == wanted:
        return True
    return compat and (header.machine, header.bits) == COMPATIBLE.get(arch, ())[:2]


def machine(header: Header) -> str:
    """Return a machine's name for people."""
    return f"{MACHINES.get(header.machine, f'machine {header.machine}')} ({32 * header.bits} bits)"


def elf_header(data: bytes) -> Header | None:
    """Return what the kernel reads of an ELF file, None where it is none; a PT_INTERP beyond its end is ""."""
    bits = data[4:5]
    if data[:4] != b"\x7fELF" or bits not in {b"\1", b"\2"} or data[5:6] not in {b"\1", b"\2"}:
        return None
    order = "little" if data[5] == 1 else "big"
    wide = bits == b"\2"

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "little" if order == "little" else "big")

    kind_of, table = number(16, 2), number(32, 8) if wide else number(28, 4)
    size, count = (number(54, 2), number(56, 2)) if wide else (number(42, 2), number(44, 2))
    if len(data) < (64 if wide else 52) or kind_of not in {2, 3} or size != (56 if wide else 32) or not count:
        return None
    if table + size * count > len(data):
        return None
    for at in range(table, table + size * count, size):
        if number(at, 4) == PT_INTERP:
            begin, length = (number(at + 8, 8), number(at + 32, 8)) if wide else (number(at + 4, 4), number(at + 16, 4))
            raw = data[begin : begin + length] if length <= LONGEST_PATH else b""
            whole = len(raw) == length and raw.endswith(b"\0")
            return Header(machine=number(18, 2), bits=bits[0], interpreter=as_text(raw[:-1]) if whole else "")
    return Header(machine=number(18, 2), bits=bits[0], interpreter=None)
