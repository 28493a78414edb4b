"""Which files a program needs, found as the kernel and ld.so find them, inside any tree, executing nothing.

The seed's `Kernel panic: no init found` came from libraries that were looked for with ldd's text.  Here the interpreter
comes first, every file carries the reason why it is in, and what is missing is an error with its cause.  The proof of a
copy is a second closure, with the copy as the tree.
"""

import stat
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from tasks.initrd.loader import dlopened, scripts
from tasks.initrd.loader.elf import BrokenElfError, Elf
from tasks.initrd.loader.glibc import Glibc
from tasks.initrd.loader.musl import Musl, is_musl
from tasks.initrd.loader.objects import Objects, kind_of
from tasks.initrd.loader.plan import Caution, Closure, Lack, Missing, printable
from tasks.initrd.loader.process import Process
from tasks.initrd.loader.rules import Rules
from tasks.initrd.loader.scripts import Shebang
from tasks.initrd.loader.sysroot import Resolved, Sysroot, is_file

__all__ = [
    "Caution",
    "Closure",
    "Lack",
    "Missing",
    "Scanner",
    "closure",
    "is_executable",
]


Note = TypeVar("Note", Caution, Missing)


class Scanner:
    """What was learned of one tree, for several closures over it: pass it on and no file is read twice."""

    def __init__(self, tree: Sysroot) -> None:
        """Begin with nothing seen.  The tree must not change any more."""
        self.objects = Objects(tree)
        self.rules: dict[tuple[str, str], Rules] = {}
        self.busyboxes: dict[str, bytes] = {}

    def rules_of(self, interpreter: str, real: str, loader: Elf) -> Rules:
        """Return the rules of the dynamic loader at a path."""
        key = (interpreter, real)
        if key not in self.rules:
            musl = is_musl(interpreter)
            self.rules[key] = Musl(self.objects, interpreter, loader) if musl else Glibc(self.objects, real, loader)
        return self.rules[key]

    def busybox(self, path: str) -> bytes:
        """Return the content of the program at a path where it is busybox, nothing else."""
        real = self.objects.resolve(path).path
        if real is None or not is_file(self.objects.tree, real):
            return b""
        if real not in self.busyboxes:
            content = self.objects.content(real)
            self.busyboxes[real] = content if scripts.is_busybox(content) else b""
        return self.busyboxes[real]


def closure(
    tree: Sysroot,
    programs: tuple[str, ...],
    *,
    proc: bool = True,
    nsswitch: bool = True,
    modes: bool = True,
    scanner: Scanner | None = None,
) -> Closure:
    """Return everything that the programs (ELF files or scripts, absolute paths) need inside the tree.

    Without `proc` the programs run before /proc is mounted, as /init does: its $ORIGIN is not known (rule E06).
    Without `nsswitch` the copy will have no /etc/nsswitch.conf.  Without `modes` the tree's permissions say nothing:
    they are kept elsewhere, as those of a root image's tree are in its manifest.  A `scanner` of the same tree saves
    reading it again.
    Never raises for what is in the tree.
    """
    return Walk(scanner or Scanner(tree), proc=proc, nsswitch=nsswitch, modes=modes).run(programs)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A file that is wanted: its path, why, what it is if it is not there, and who asks."""

    path: str
    reason: str = "asked for"
    lack: Lack = Lack.PROGRAM
    by: str = ""


@dataclass
class Walk:
    """One closure on its way."""

    scanner: Scanner
    proc: bool
    nsswitch: bool
    modes: bool
    result: Closure = field(default_factory=Closure)
    todo: deque[Request] = field(default_factory=deque)
    asked: set[str] = field(default_factory=set)  # paths of programs
    taken: dict[str, str | None] = field(default_factory=dict)  # path → real path
    closed: set[str] = field(default_factory=set)  # ELF programs
    noted: set[Caution | Missing] = field(default_factory=set)

    @property
    def objects(self) -> Objects:
        """Return the tree's files."""
        return self.scanner.objects

    def run(self, programs: Iterable[str]) -> Closure:
        """Add the programs, and those that they bring in turn."""
        self.todo.extend(Request(path=path) for path in programs)
        while self.todo:
            request = self.todo.popleft()
            if request.path not in self.asked:
                self.asked.add(request.path)
                self.add_program(request)
        return self.result

    def add_program(self, request: Request) -> None:
        """Add a program and its interpreters: five after one another at most, as the kernel counts (fs/exec.c)."""
        step = request
        for _ in range(scripts.MAX_SCRIPTS + 1):
            real = self.take(step)
            line = self.start(step, real) if real is not None else None
            if real is None or line is None:
                return
            self.add_argument(step.path, line)
            reason = f"interpreter of {printable(step.path)}"
            step = Request(path=line.interpreter, reason=reason, lack=Lack.SCRIPT, by=step.path)
        self.miss(Lack.DEPTH, request.path, request.by)

    def start(self, step: Request, real: str) -> Shebang | None:
        """Do what the kernel does with a file that is to be executed; return its #! line where it is a script."""
        self.check_mode(step.path, real, step.by)
        head = self.objects.head(real)
        if not head.startswith(b"#!"):
            self.add_elf(step, real)
            return None
        line = scripts.shebang(head)
        if line is None:
            self.miss(Lack.LINE, step.path, step.by)
        return line

    def add_argument(self, script: str, line: Shebang) -> None:
        """Add what an interpreter runs by its argument: an applet of busybox, a command of env(1)."""
        content = self.scanner.busybox(line.interpreter)
        name = scripts.applet(line)
        if content and not scripts.has_applet(content, name):
            self.miss(Lack.SCRIPT, f"applet {name}", script, f"{printable(line.interpreter)} does not have it")
        command = scripts.env_command(line.argument) if line.interpreter.endswith("/env") else ""
        if command:
            paths = [command] if "/" in command else [f"{folder}/{command}" for folder in scripts.PATH]
            path = next((each for each in paths if self.objects.resolve(each).path is not None), command)
            reason = f"command of {printable(script)}"
            self.todo.append(Request(path=path, reason=reason, lack=Lack.SCRIPT, by=script))

    def add_elf(self, step: Request, real: str) -> None:
        """Add the loader and the libraries of an ELF program."""
        view = self.objects.view(real)
        if isinstance(view, BrokenElfError) or view.kind not in {"ET_EXEC", "ET_DYN"}:
            why = str(view) if isinstance(view, BrokenElfError) else f"its type is {view.kind}"
            self.miss(Lack.FORMAT, step.path, step.by, why)
        elif real not in self.closed:
            self.closed.add(real)
            if view.interpreter is not None:
                self.add_dynamic(step, real, view, view.interpreter)
            elif view.needed:
                self.add_library(step, real, view)

    def add_dynamic(self, step: Request, real: str, view: Elf, interpreter: str) -> None:
        """Add a program that has a dynamic loader, taken by its exact path: executable, of the same machine."""
        reason = f"ELF interpreter of {printable(step.path)}"
        asked = Request(path=interpreter, reason=reason, lack=Lack.INTERPRETER, by=step.path)
        found = self.take(asked)
        if found is None:
            return
        self.check_mode(interpreter, found, step.path)
        loader = self.objects.view(found)
        if isinstance(loader, BrokenElfError):
            self.miss(Lack.FORMAT, interpreter, step.path, str(loader))
        elif not loader.fits(view):
            self.miss(Lack.FORMAT, interpreter, step.path, f"it is for {kind_of(loader)}, not {kind_of(view)}")
        else:
            self.map(real, view, loader, self.scanner.rules_of(interpreter, found, loader), interpreter)

    def add_library(self, step: Request, real: str, view: Elf) -> None:
        """Add what a library needs that was asked for by itself, with the loader of the programs before it."""
        known = [(path, rules) for (path, _), rules in self.scanner.rules.items() if rules.loader.fits(view)]
        if known:
            interpreter, rules = known[0]
            self.map(real, view, rules.loader, rules, interpreter)
        else:
            self.miss(Lack.FORMAT, step.path, step.by, "it is a library, and no program before it names a loader")

    def map(self, real: str, view: Elf, loader: Elf, rules: Rules, interpreter: str) -> None:
        """Add what the loader maps for a program, and what the program opens while it runs."""
        main = rules.start(f"/{real}", real, view, proc=self.proc)
        process = Process(self.objects, rules, main)
        process.load_all(loader, interpreter)
        dlopened.load(process, nsswitch=self.nsswitch)
        if rules.is_glibc:
            process.check_versions()
        for each in process.mapped:
            self.take(Request(path=each.loaded.opened, reason=each.reason, lack=Lack.LIBRARY))
        for missing in process.missing:
            self.note(self.result.missing, missing)
        for caution in process.cautions:
            self.note(self.result.warnings, caution)

    def take(self, request: Request) -> str | None:
        """Add one file, and the links and folders on the way to it; return its real path, None where it is no file."""
        if request.path not in self.taken:
            self.taken[request.path] = self.take_anew(request)
        elif self.taken[request.path] is None:
            self.take_anew(request)  # missing for somebody else, too
        return self.taken[request.path]

    def take_anew(self, request: Request) -> str | None:
        """Add one file that was not asked for by this path before."""
        found = self.objects.resolve(request.path)
        if found.path is None:
            self.miss(request.lack, request.path, request.by, self.why_absent(request.path, found))
            return None
        if not is_file(self.objects.tree, found.path):
            self.miss(Lack.MODE, request.path, request.by, "it is no regular file")
            return None
        for link in found.links:
            self.result.links.setdefault(link, self.objects.tree.target(link))
            self.result.link_reasons.setdefault(link, f"on the way to {printable(request.path)}")
        for folder in found.left:
            self.result.folders.setdefault(folder, f"on the way to {printable(request.path)}")
        self.result.files.setdefault(found.path, request.reason)
        return found.path

    def why_absent(self, path: str, found: Resolved) -> str:
        """Return why nothing is at a path, where more is known than that."""
        if found.loop:
            return "its links have no end"
        if found.links:
            last = found.links[-1]
            return f"/{printable(last)} is a link to {printable(self.objects.tree.target(last))}, which is not there"
        return "the line ends with a carriage return (DOS line ends)" if path.endswith("\r") else ""

    def check_mode(self, path: str, real: str, by: str) -> None:
        """Miss the execute permission; libraries need none."""
        if self.modes and not is_executable(self.objects.tree.mode(real)):
            self.miss(Lack.MODE, path, by)

    def miss(self, lack: Lack, name: str, by: str, detail: str = "") -> None:
        """Note something that is missing."""
        self.note(self.result.missing, Missing(lack=lack, name=name, by=by, detail=detail))

    def note(self, notes: list[Note], new: Note) -> None:
        """Note a thing once."""
        if new not in self.noted:
            self.noted.add(new)
            notes.append(new)


def is_executable(mode: int | None) -> bool:
    """Whether the kernel would start a file of this mode."""
    return mode is not None and stat.S_ISREG(mode) and bool(mode & 0o111)
