"""The only module, with dodo.py, that speaks doit: how an artefact is declared, and how a run is told.

`rule()` declares an artefact (files from files); `command()` declares an act upon the world (power, nodeset).
"""

import hashlib
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidDodoFile, TaskFailed
from doit.reporter import ConsoleReporter

from tasks import files, graph, paths, record
from tasks.errors import BootmillError, InventoryError
from tasks.recipe import recipe

TaskDict = dict[str, Any]


def rule(
    name: str,
    *,
    doc: str,
    run: Callable[..., None] | str,
    args: tuple[object, ...] = (),
    inputs: Iterable[Path] = (),
    outputs: Iterable[Path] = (),
    folders: Iterable[Path] = (),
    after: Iterable[str] = (),
    salt: object = None,
    watched: Iterable[Path] = (),
    published: tuple[Path, Path] | None = None,
    stands_for: object = None,
    code: str = "",
) -> TaskDict:
    """Declare one artefact: what it is made from, where it lies, which function makes it.

    It is made again when an input file's content, the digest of `args`, or the code and templates behind `run`
    change, or when an output is gone or was altered, or one of the files that a manifest names: `published` is the
    manifest and the folder that its names are below.  `after` names tasks that go first although no file leads here
    from them; `salt` counts like an argument without being passed (the size and date of a file that is too big to
    hash); `folders` are outputs that hold very many files (`record.looks`); `watched` names files outside of the
    checkout whose look decides what is declared.  `stands_for` is digested in place of `args`, and `code` is the
    module in place of `run`'s.  `run` may be a name, ``module:function``: what it imports costs nothing until it runs.
    """
    made_in, function = run.split(":") if isinstance(run, str) else (run.__module__, run.__name__)
    module = code or made_in
    task = f"{module}.{function}:{name}"
    made_from = digest((args if stands_for is None else stands_for, salt))
    depends = sorted({*map(str, inputs), *recipe(module)})
    targets = [str(path) for path in outputs]
    made = [*targets, *(f"{path}/" for path in folders)]
    listing = [*map(str, published or ())]
    graph.watch(map(str, watched))
    return {
        "name": name,
        "doc": doc,
        "actions": [(run_action, [task, made_from, depends, made, listing, run, args])],
        "file_dep": depends,
        "targets": targets,
        "uptodate": [(record.holds, [task, made_from, depends, made, listing])],
        "task_dep": list(after),
        "clean": [(clean, [made])],
    }


def single(task: TaskDict) -> TaskDict:
    """Turn a rule into a task without subtasks (``doit hosts``); its description is the docstring in dodo.py."""
    return {key: value for key, value in task.items() if key not in {"name", "doc"}}


def command(
    run: str,
    *,
    args: tuple[object, ...] = (),
    after: Iterable[str] = (),
    words: bool = True,
    options: Iterable[str] = (),
) -> TaskDict:
    """Declare an act upon the world: it runs whenever it is called, and speaks for itself.

    `run` names a function, ``module:function``, that is imported when the command is called: what is not called costs
    nothing.  With `words` it gets what the user typed behind the task's name as its last argument, a list of strings.
    `options` may stand before the words (behind them anything may): ``--json``, ``-d``, with a value ``-w=``.
    """
    task: TaskDict = {
        "actions": [(run_command, [run, args])],
        "uptodate": [False],
        "verbosity": 2,
        "task_dep": list(after),
    }
    return {**task, "pos_arg": "words", "options": list(options)} if words else task


def run_action(
    task: str,
    made_from: str,
    inputs: list[str],
    outputs: list[str],
    published: list[str],
    run: Callable[..., None] | str,
    args: tuple[object, ...],
) -> TaskFailed | None:
    """Make an artefact under its lock and note what it was made from; a user's mistake is a clean failure, exit code 1.

    The lock goes by task, not by arguments: two runs with different inventories share the place of unfinished work.
    """
    try:
        with files.locked(paths.BUILD / ".locks" / task):
            state = record.begin(task, made_from, inputs)
            (named(run) if isinstance(run, str) else run)(*args)
            record.end(task, state, record.all_outputs(outputs, published))
    except BootmillError as error:
        return TaskFailed(str(error), report=True)
    except KeyboardInterrupt:
        return TaskFailed("interrupted: what was there before is untouched")
    except OSError as error:  # a full or failing disk often comes without a file's name
        return TaskFailed(f"{error.filename or task}: {error.strerror or error}")
    return None


def named(function: str) -> Callable[..., None]:
    """Import a function by its name, ``module:function``."""
    module, _, name = function.partition(":")
    found: Callable[..., None] = getattr(importlib.import_module(module), name)
    return found


def run_command(run: str, args: tuple[object, ...], words: list[str] | None = None) -> TaskFailed | None:
    """Perform an act; a `BootmillError` becomes a clean failure with exit code 1."""
    sys.stdout.flush()
    try:
        act = named(run)
        act(*args, *([as_typed(words)] if words is not None else []))
    except BootmillError as error:
        return TaskFailed(str(error))
    except BrokenPipeError:  # whoever read us has read enough: doit plan | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    except OSError as error:
        return TaskFailed(f"{error.filename or run}: {error.strerror or error}")
    return None


def as_typed(words: list[str]) -> list[str]:
    """Return the words with those that have ``=`` in them (``mgt==ipmi``): doit keeps them for its own variables."""
    typed = sys.argv[1:]
    kept = [word for word in typed if "=" in word and not word.startswith("-")]
    return (
        sorted([*kept, *words], key=lambda word: typed.index(word) if word in typed else len(typed)) if kept else words
    )


def clean(outputs: list[str]) -> None:
    """Remove an artefact, be it a file or a tree; outside build/ (``destdir: /``) nothing is ever removed."""
    for path in map(Path, outputs):
        if path.is_relative_to(paths.BUILD):
            files.remove_tree(path)


def digest(args: object) -> str:
    """Return what changes when the artefact's slice of the model changes.

    The model is frozen dataclasses, tuples and enums all the way down, so its repr is canonical.
    """
    return hashlib.sha256(repr(args).encode()).hexdigest()


def table(namespace: dict[str, Any]) -> None:
    """Hand dodo.py's tasks to doit: its ``task_*`` functions are called only where something changed."""
    creators = {name.removeprefix("task_"): value for name, value in namespace.items() if name.startswith("task_")}
    for name in creators:
        del namespace[f"task_{name}"]
    with loading():  # doit opens its database before it asks for tasks: there has to be a build/
        tasks = graph.Table(creators)

    def task_table() -> Iterator[TaskDict]:
        with loading():
            yield from tasks.tasks()

    namespace["task_table"] = task_table


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
        message = f"{error.filename or paths.BUILD}: {error.strerror}"
        raise InvalidDodoFile(message) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing was changed\n")
        raise SystemExit(130) from None


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
        super().__init__(sys.stderr if "--json" in sys.argv else outstream, options)  # a command's JSON stays alone
        self.live = bool(getattr(self.outstream, "isatty", lambda: False)())
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
