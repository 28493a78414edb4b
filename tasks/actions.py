"""The only module, with dodo.py, that speaks doit: how an artefact is declared, and how a run is told.

`rule()` declares an artefact (files from files); `command()` declares an act upon the world (power, nodeset).
"""

import ast
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidDodoFile, TaskFailed
from doit.reporter import ConsoleReporter

from tasks import files, paths, record
from tasks.errors import BootmillError, InventoryError

TaskDict = dict[str, Any]
HERE = Path(__file__).parent
# These say how bytes are written or processes are started, not which: no artefact's content depends on them.
DOORS = frozenset(
    f"tasks.{name}" for name in ("actions", "errors", "files", "inventory.model", "paths", "record", "run", "system")
)


def rule(
    name: str,
    *,
    doc: str,
    run: Callable[..., None],
    args: tuple[object, ...] = (),
    inputs: Iterable[Path] = (),
    outputs: Iterable[Path] = (),
    after: Iterable[str] = (),
    salt: object = None,
    published: Callable[[], Iterable[Path]] = tuple,
) -> TaskDict:
    """Declare one artefact: what it is made from, where it lies, which function makes it.

    It is made again when an input file's content, the digest of `args`, or the code and templates behind `run`
    change, or when an output (or a file that `published` names) is gone or was altered.  `after` names tasks that go
    first although no file leads here from them; `salt` counts like an argument without being passed (the size and
    date of a file that is too big to hash).
    """
    task = f"{run.__module__}.{run.__name__}:{name}"
    made_from = digest((args, salt))
    depends = sorted({*map(str, inputs), *recipe(run.__module__)})
    targets = list(outputs)

    def all_outputs() -> list[Path]:
        return [*targets, *published()]

    return {
        "name": name,
        "doc": doc,
        "actions": [(run_action, [task, made_from, depends, all_outputs, run, args])],
        "file_dep": depends,
        "targets": [str(path) for path in targets],
        "uptodate": [(record.holds, [task, made_from, depends, all_outputs])],
        "task_dep": list(after),
        "clean": [(clean, [targets])],
    }


def single(task: TaskDict) -> TaskDict:
    """Turn a rule into a task without subtasks (``doit hosts``); its description is the docstring in dodo.py."""
    return {key: value for key, value in task.items() if key not in {"name", "doc"}}


def command(
    run: Callable[..., None],
    *,
    args: tuple[object, ...] = (),
    after: Iterable[str] = (),
    words: bool = True,
) -> TaskDict:
    """Declare an act upon the world: it runs whenever it is called, and speaks for itself.

    With `words`, `run` gets what the user typed behind the task's name as its last argument, a list of strings.
    """
    task: TaskDict = {
        "actions": [(run_command, [run, args])],
        "uptodate": [False],
        "verbosity": 2,
        "task_dep": list(after),
    }
    return {**task, "pos_arg": "words"} if words else task


def run_action(
    task: str,
    made_from: str,
    inputs: list[str],
    outputs: Callable[[], Iterable[Path]],
    run: Callable[..., None],
    args: tuple[object, ...],
) -> TaskFailed | None:
    """Make an artefact under its lock and note what it was made from; a user's mistake is a clean failure, exit code 1.

    The lock goes by task, not by arguments: two runs with different inventories share the place of unfinished work.
    """
    try:
        with files.locked(paths.BUILD / ".locks" / task):
            state = record.begin(task, made_from, inputs)
            run(*args)
            record.end(task, state, outputs())
    except BootmillError as error:
        return TaskFailed(str(error), report=True)
    except KeyboardInterrupt:
        return TaskFailed("interrupted: what was there before is untouched")
    except OSError as error:  # a full or failing disk often comes without a file's name
        return TaskFailed(f"{error.filename or task}: {error.strerror or error}")
    return None


def run_command(
    run: Callable[..., None], args: tuple[object, ...], words: list[str] | None = None
) -> TaskFailed | None:
    """Perform an act; a `BootmillError` becomes a clean failure with exit code 1."""
    sys.stdout.flush()
    try:
        run(*args, *([words] if words is not None else []))
    except BootmillError as error:
        return TaskFailed(str(error))
    return None


def clean(outputs: list[Path]) -> None:
    """Remove an artefact, be it a file or a tree; outside build/ (``destdir: /``) nothing is ever removed."""
    for path in outputs:
        if path.is_relative_to(paths.BUILD):
            files.remove_tree(path)


def digest(args: tuple[object, ...]) -> str:
    """Return what changes when the artefact's slice of the model changes.

    The model is frozen dataclasses, tuples and enums all the way down, so its repr is canonical.
    """
    return hashlib.sha256(repr(args).encode()).hexdigest()


# -- code is an input ------------------------------------------------------------------------------------------------


def recipe(module: str) -> set[str]:
    """Return the source files behind a module: itself, what it imports of tasks/ (doors apart), its templates."""
    found: set[str] = set()
    todo = [module]
    while todo:
        source = source_of(todo.pop())
        if source is None or str(source) in found:
            continue
        found.add(str(source))
        if source.name != "__init__.py":
            todo.extend(name for name in imports(source) if name not in DOORS)
    for path in [Path(name) for name in found]:
        found.update(str(template) for template in (path.parent / "templates").glob(f"{path.stem}*.j2"))
    return found


def source_of(module: str) -> Path | None:
    """Return the file of a module of ours, relative to the working directory where it lies below it."""
    path = HERE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    if not module.startswith("tasks.") or not path.is_file():
        return None
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@cache
def imports(source: Path) -> tuple[str, ...]:
    """Return the modules that a source file imports, read statically: nothing is executed."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names.extend(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(name for name in names if name.startswith("tasks."))


# -- loading and telling ---------------------------------------------------------------------------------------------


@contextmanager
def loading() -> Iterator[None]:
    """Turn the inventory's mistakes into doit's exit code 3 without a traceback; prepare build/ for its database."""
    os.umask(0o022)
    try:
        paths.BUILD.mkdir(exist_ok=True)
        refuse_foreign_build()
        yield
    except InventoryError as error:
        raise InvalidDodoFile("\n".join(error.mistakes)) from None
    except BootmillError as error:
        raise InvalidDodoFile(str(error)) from None
    except OSError as error:
        message = f"{error.filename}: {error.strerror}"
        raise InvalidDodoFile(message) from None


def refuse_foreign_build() -> None:
    """Raise where another user's build/ would end in a database error."""
    for path in (paths.BUILD, paths.DATABASE):
        if path.exists() and not os.access(path, os.W_OK):
            message = f"{path} cannot be written to (owner: {owner(path)})"
            raise BootmillError(message, hint=f"build as its owner, or remove {paths.BUILD} as that user")


def owner(path: Path) -> str:
    """Return the name of a file's owner, the number where nobody has that number (NFS, containers)."""
    try:
        return path.owner()
    except KeyError:
        return str(path.stat().st_uid)


def process_start() -> float:
    """Return when this process began, on `time.monotonic()`'s clock: loading the inventory is part of the wait."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - age


def seconds(span: float) -> str:
    """Return a span of time for people: ``0.4 s``, ``12 s``, ``3 min 05 s``."""
    if span < 10:
        return f"{span:.1f} s"
    return f"{span:.0f} s" if span < 100 else f"{span // 60:.0f} min {span % 60:02.0f} s"


class Waiting(threading.Thread):
    """Says that a long task is at work, so that silence is never mistaken for a hang.

    On a terminal the last line counts the seconds and vanishes with the task; elsewhere one line is written.
    """

    PATIENCE = 2.0  # seconds before a task that is still running says so
    ERASE = "\r\x1b[K"

    def __init__(self, name: str, reporter: "Reporter") -> None:
        """Note what is waited for since when."""
        super().__init__(daemon=True)
        self.task = name
        self.reporter = reporter
        self.since = time.monotonic()
        self.over = threading.Event()
        self.shown = False

    def run(self) -> None:
        """Speak after a while, and on a terminal every second from then on."""
        pause = self.PATIENCE
        while not self.over.wait(pause):
            self.shown = True
            making = self.reporter.paint("33", "making")
            if not self.reporter.live:
                self.reporter.write(f"{making}  {self.task} …\n")
                return
            self.reporter.write(f"{self.ERASE}{making}  {self.task:<44} {seconds(time.monotonic() - self.since):>9}")
            pause = 1.0

    def end(self) -> None:
        """Stop, and take the counting line away."""
        self.over.set()
        self.join()
        if self.shown and self.reporter.live:
            self.reporter.write(self.ERASE)


class Reporter(ConsoleReporter):  # type: ignore[misc]  # doit is untyped
    """Tell what is being made, what was made and in how long; plain lines where there is no terminal."""

    desc = "what was made, in how long"

    def __init__(self, outstream: Any, options: Any) -> None:
        """Look once whether a person is watching."""
        super().__init__(outstream, options)
        self.live = bool(getattr(outstream, "isatty", lambda: False)())
        self.colour = self.live and not os.environ.get("NO_COLOR")
        self.begun = process_start()
        self.started: dict[str, float] = {}
        self.waiting: dict[str, Waiting] = {}
        self.made = self.kept = 0
        self.acted = False

    def write(self, text: str) -> None:
        """Write at once: whoever reads a pipe or a log sees each line when it happens."""
        self.outstream.write(text)
        self.outstream.flush()

    def paint(self, code: str, text: str) -> str:
        """Colour a word where a terminal shows colours and NO_COLOR is not set."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def execute_task(self, task: Any) -> None:
        """Note the start; a task that takes longer than two seconds announces itself."""
        if not task.actions:
            return
        self.started[task.name] = time.monotonic()
        if task.verbosity == 2:
            self.acted = True
            return
        waiting = Waiting(task.name, self)
        waiting.start()
        self.waiting[task.name] = waiting

    def settle(self, task: Any) -> float:
        """Stop the announcement and return how long the task took."""
        waiting = self.waiting.pop(task.name, None)
        if waiting:
            waiting.end()
        return time.monotonic() - self.started.pop(task.name, time.monotonic())

    def add_success(self, task: Any) -> None:
        """Print one line for an artefact that was made."""
        span = self.settle(task)
        if not task.actions or task.verbosity == 2:
            return
        self.made += 1
        target = task.targets[0] if task.targets else ""
        self.write(f"{self.paint('32', 'made')}    {task.name:<44} {seconds(span):>9}  {target}\n")

    def skip_uptodate(self, task: Any) -> None:
        """Count what needed nothing."""
        self.kept += 1 if task.actions else 0

    def add_failure(self, task: Any, fail: Any) -> None:
        """Say at once what failed and what to do; a traceback only where Bootmill itself is wrong."""
        self.settle(task)
        self.failures.append({"task": task, "exception": fail})
        text = fail.message if isinstance(fail, TaskFailed) else fail.get_msg()
        words = f"{self.paint('1;31', 'FAILED')}  {task.name}\n    {text.strip()}\n"
        if task.verbosity == 2:  # a command's own output (--json) stays clean
            sys.stderr.write(words)
        else:
            self.write(words)

    def complete_run(self) -> None:
        """Sum up in one line."""
        if self.acted and not self.made:
            return
        span = seconds(time.monotonic() - self.begun)
        if self.failures:
            self.write(f"{len(self.failures)} failed, {self.made} made, {self.kept} up to date, in {span}\n")
        elif self.made:
            self.write(f"{self.made} made, {self.kept} up to date, in {span}\n")
        else:
            self.write(f"nothing to do: {self.kept} artefacts are up to date ({span})\n")
