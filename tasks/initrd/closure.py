"""Which files a program needs, found as ld.so finds them (glibc elf/dl-load.c), inside any tree, executing nothing.

The seed's `Kernel panic: no init found` came from libraries that were looked for with ldd's text.  Here the interpreter
comes first, every library carries the reason why it is in, and what is missing is an error with its remedy.
"""

import re
import stat
from collections import deque
from dataclasses import dataclass, field

from tasks.initrd import elf
from tasks.initrd.elf import Elf
from tasks.initrd.sysroot import Sysroot, is_file, resolve

SHEBANG_LIMIT = 256  # BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h
MAX_SCRIPTS = 5  # fs/exec.c: exec_binprm() gives up after five interpreters
HWCAPS = {"EM_X86_64": ("x86-64-v4", "x86-64-v3", "x86-64-v2")}
DEFAULT_DIRS = re.compile(rb"(?:/lib[\w/.-]*/\x00|/usr/lib[\w/.-]*/\x00){2,}")
FALLBACK_DIRS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")


@dataclass(kw_only=True)
class Closure:
    """What must be copied: real paths and links with the reason for each; what could not be found."""

    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """An object in the process image: where it was opened, what it asks for, who asked for it."""

    opened: str
    elf: Elf
    loader: "Loaded | None"


def closure(tree: Sysroot, programs: tuple[str, ...]) -> Closure:
    """Return everything that the programs (ELF files or scripts, absolute paths) need inside the tree."""
    result = Closure()
    for program in programs:
        add_program(tree, program, "asked for", result, 0)
    return result


def add_program(tree: Sysroot, path: str, reason: str, result: Closure, depth: int) -> None:
    """Add a program: a script brings its interpreter, an ELF file its loader and libraries."""
    real = take(tree, path, reason, result)
    if real is None:
        return
    head = tree.read(real)
    if head[:2] == b"#!":
        interpreter = script_interpreter(head)
        if depth >= MAX_SCRIPTS or interpreter is None:
            result.missing.append(f"{path}: its #! line leads to no interpreter")
            return
        add_program(tree, interpreter, f"interpreter of {path}", result, depth + 1)
        return
    try:
        main = elf.parse(head)
    except ValueError as error:
        result.missing.append(f"{path}: {error}")
        return
    if main.interpreter:
        take(tree, main.interpreter, f"ELF interpreter of {path}", result)
        add_libraries(tree, Loaded(opened=f"/{real}", elf=main, loader=None), main, result)


def take(tree: Sysroot, path: str, reason: str, result: Closure) -> str | None:
    """Add one file and the links on the way to it; return its real path, or note it as missing."""
    found = resolve(tree, path)
    if not is_file(tree, found.path):
        result.missing.append(f"{path} ({reason})")
        return None
    for link in found.links:
        result.links.setdefault(link, tree.target(link))
    assert found.path is not None
    result.files.setdefault(found.path, reason)
    return found.path


def script_interpreter(head: bytes) -> str | None:
    """Return the interpreter that the kernel starts for a script (fs/binfmt_script.c), None where it finds none."""
    line = head[2:SHEBANG_LIMIT].partition(b"\n")[0].strip(b" \t")
    word = re.split(rb"[ \t\0]", line, maxsplit=1)[0]
    return word.decode(errors="surrogateescape") or None


def add_libraries(tree: Sysroot, main: Loaded, first: Elf, result: Closure) -> None:
    """Add the libraries of a program, breadth first: a name that was loaded once satisfies all later requests."""
    defaults = default_dirs(tree, first.interpreter)
    known: set[str] = set()
    todo = deque([main])
    while todo:
        asker = todo.popleft()
        for name in asker.elf.needed:
            if name in known:
                continue
            found = find(tree, name, asker, main, defaults)
            if found is None:
                result.missing.append(f"{name} (needed by {asker.opened})")
                known.add(name)
                continue
            real = take(tree, found.opened, f"needed by {asker.opened}", result)
            known.update({name, found.elf.soname or name})
            if real is not None:
                also_hwcaps(tree, found, result)
                todo.append(found)


def find(tree: Sysroot, name: str, asker: Loaded, main: Loaded, defaults: tuple[str, ...]) -> Loaded | None:
    """Return the object that the loader would open for a needed name, None where it would give up."""
    if "/" in name:
        candidates = [expand(name, asker)]
    else:
        candidates = [f"{folder}/{name}" for folder in search_path(asker, main, defaults)]
    for candidate in candidates:
        real = resolve(tree, candidate).path
        if not is_file(tree, real):
            continue
        assert real is not None
        try:
            view = elf.parse(tree.read(real))
        except ValueError:
            return None  # the loader stops at a damaged file; it does not search on
        if view.fits(main.elf):
            return Loaded(opened=candidate, elf=view, loader=asker)
    return None


def search_path(asker: Loaded, main: Loaded, defaults: tuple[str, ...]) -> list[str]:
    """Return the folders in the loader's order: RPATH up the chain unless there is a RUNPATH, RUNPATH, defaults."""
    folders: list[str] = []
    if asker.elf.runpath is None:
        link: Loaded | None = asker
        while link is not None:
            if link.elf.runpath is None:
                folders += [expand(element, link) for element in link.elf.rpath]
            link = link.loader
        if main.elf.runpath is None and asker is not main:
            folders += [expand(element, main) for element in main.elf.rpath]
    else:
        folders += [expand(element, asker) for element in asker.elf.runpath]
    return [*folders, *(() if asker.elf.no_default else defaults)]


def expand(text: str, owner: Loaded) -> str:
    """Replace $ORIGIN by the folder of the object that says it, as it was opened."""
    origin = owner.opened.rpartition("/")[0] or "/"
    return re.sub(r"\$(ORIGIN\b|\{ORIGIN\})", lambda _: origin, text)


def default_dirs(tree: Sysroot, interpreter: str | None) -> tuple[str, ...]:
    """Return the folders that are compiled into this very loader: they stand in its read-only data."""
    real = resolve(tree, interpreter).path if interpreter else None
    if is_file(tree, real):
        assert real is not None
        found = DEFAULT_DIRS.search(tree.read(real))
        if found:
            return tuple(part.decode().rstrip("/") for part in found[0].split(b"\0") if part)
    return FALLBACK_DIRS


def also_hwcaps(tree: Sysroot, found: Loaded, result: Closure) -> None:
    """Take the faster variants beside a library too: the loader prefers them where the CPU can."""
    folder, _, name = found.opened.rpartition("/")
    for level in HWCAPS.get(found.elf.machine, ()):
        variant = f"{folder}/glibc-hwcaps/{level}/{name}"
        if is_file(tree, resolve(tree, variant).path):
            take(tree, variant, f"variant of {name} for {level}", result)


def is_executable(mode: int | None) -> bool:
    """Whether the kernel would start a file of this mode."""
    return mode is not None and stat.S_ISREG(mode) and bool(mode & 0o111)
