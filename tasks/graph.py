"""The table of tasks, remembered: where neither the inventory nor the code changed, nothing is declared again.

Declaring takes the cluster, and the cluster takes YAML, pydantic and Jinja2: half a second for nothing where everything
is up to date.  So the table as doit gets it is plain data that is kept with the looks of all that it was made from.
What a task does is not in it: that is declared, the usual way, when the task runs.
"""

import gc
import marshal
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tasks import files, paths, recipe, record

TaskDict = dict[str, Any]
Creator = Callable[[], Any]
REMEMBERED = paths.COMPILED / "table"
SOURCES = paths.COMPILED / "sources"
RACY = 100_000_000  # ns: the file system's clock does not tick more often than that
PLAIN = ("basename", "name", "doc", "file_dep", "targets", "task_dep", "verbosity", "pos_arg", "options")


class Table:
    """The tasks of dodo.py."""

    def __init__(self, creators: dict[str, Creator]) -> None:
        """Keep what declares each task; nothing is declared before somebody asks."""
        self.creators = creators
        self.declared: dict[tuple[str, str], TaskDict] = {}

    def tasks(self) -> Iterator[TaskDict]:
        """Yield every task as doit takes it."""
        rows = recall()
        if rows is None:
            begun, seen = time.time_ns(), looks()
            recipe.recall(SOURCES)
            gc.disable()  # a cluster is a million values that stay: looking at them over and over costs a tenth
            rows = [row for name in self.creators for row in self.declare(name)]
            gc.freeze()
            gc.enable()
            recipe.remember(SOURCES)
            remember(rows, begun, seen)
        for row in rows:
            yield self.task(row)

    def declare(self, creator: str) -> Iterator[TaskDict]:
        """Yield the plain half of a creator's tasks; keep the other."""
        made = self.creators[creator]()
        doc = self.creators[creator].__doc__
        if not isinstance(made, dict):
            yield {
                "creator": creator,
                "basename": creator,
                "name": None,
                "doc": doc,
            }  # the group, even where it is empty
        for task in [made] if isinstance(made, dict) else made:
            row = {"creator": creator, "doc": doc, "basename": creator} | {
                key: task[key] for key in PLAIN if key in task
            }
            holds = task.get("uptodate", [True])[0]
            row["holds"] = list(holds[1]) if isinstance(holds, tuple) else holds
            row["clean"] = bool(task.get("clean"))
            self.declared[row["basename"], row.get("name", "")] = task
            yield row

    def task(self, row: TaskDict) -> TaskDict:
        """Return a row as doit takes it."""
        task = {key: row[key] for key in PLAIN if key in row and key != "options"}
        if "options" in row:
            task["params"] = [parameter(option) for option in row["options"]]
        if "holds" not in row or row["holds"] is True:  # a group
            return {**task, "actions": None}
        key = row["creator"], row["basename"], row.get("name", "")
        perform = self.perform_words if "pos_arg" in row else self.perform
        task["actions"] = [(perform, list(key))]
        task["uptodate"] = [(record.holds, row["holds"])] if row["holds"] else [False]
        task["clean"] = [(self.clean, list(key))] if row["clean"] else []
        return task

    def found(self, creator: str, basename: str, name: str) -> TaskDict:
        """Return a task as it was declared."""
        if (basename, name) not in self.declared:
            list(self.declare(creator))
        return self.declared[basename, name]

    def perform(self, *key: str) -> Any:
        """Do what a task does."""
        run, arguments = self.found(*key)["actions"][0]
        return run(*arguments)

    def perform_words(self, creator: str, basename: str, name: str, words: list[str], **options: Any) -> Any:
        """Do what a task does with the options and the words that the user typed behind its name."""
        run, arguments = self.found(creator, basename, name)["actions"][0]
        given = [word for option, value in options.items() if value for word in spelled(option, value)]
        return run(*arguments, words=[*given, *words])

    def clean(self, *key: str) -> None:
        """Remove what a task made."""
        for run, arguments in self.found(*key)["clean"]:
            run(*arguments)


def parameter(option: str) -> TaskDict:
    """Return an option (``-d``, ``--json``, ``-w=`` with a value) as doit takes it; its name is how it is spelled."""
    plain = option.rstrip("=")
    kind, empty = (list, []) if option.endswith("=") else (bool, False)
    length = "long" if plain.startswith("--") else "short"
    return {"name": plain, length: plain.lstrip("-"), "type": kind, "default": empty}


def spelled(option: str, value: bool | list[str]) -> list[str]:
    """Return an option as the user spelled it."""
    return [option] if value is True else [word for one in value or () for word in (option, one)]


def recall() -> list[TaskDict] | None:
    """Return the table as it was, if all that it was made from looks as it did."""
    try:
        begun, seen, rows = marshal.loads(REMEMBERED.read_bytes())
    except (OSError, ValueError, EOFError, TypeError):
        return None
    if seen != looks() or any(look and look[3] > begun - RACY for look in seen["files"].values()):
        return None
    return rows if isinstance(rows, list) else None


def remember(rows: list[TaskDict], begun: int, seen: dict[str, Any]) -> None:
    """Keep the table."""
    files.write_quickly(REMEMBERED, marshal.dumps((begun, seen, rows)))


def looks() -> dict[str, Any]:
    """Return what the table depends on: this Python, and how each file of code and of the inventory looks.

    A changed file cannot keep its ctime; the size and the date of modification can be set back.
    """
    found: dict[str, Any] = {}
    for folder, endings in (("tasks", (".py", ".j2")), (str(paths.INVENTORY), (".yaml",))):
        found |= {path: look(path) for path in walk(folder, endings) if path != str(paths.SERIALS)}
    for path in ("dodo.py", *outside()):
        found[path] = look(path)
    return {"python": sys.version, "files": found}


def walk(folder: str, endings: tuple[str, ...]) -> Iterator[str]:
    """Yield the files below a folder that end so, sorted."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from walk(entry.path, endings)
        elif entry.name.endswith(endings):
            yield entry.path


def outside() -> Iterable[str]:
    """Return the files outside of the checkout that decide what is declared: programs, ISOs; noted by `watch()`."""
    try:
        found = WATCHED.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # damaged: what is declared next notes it again
        return ()
    return sorted(path for path in found if "\0" not in path)


WATCHED = paths.COMPILED / "watched"


def watch(found: Iterable[str]) -> None:
    """Note files outside of the checkout whose look the table depends on, be they there or not."""
    known = set(outside())
    if not known.issuperset(found):
        files.write_quickly(WATCHED, "".join(f"{path}\n" for path in sorted(known.union(found))).encode())


def look(path: str) -> tuple[int, int, int, int] | None:
    """Return how a file looks from outside, None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116  # a Path takes as long to make as the call
    except OSError:
        return None
    changes = (
        time.time_ns() if stat.S_ISBLK(status.st_mode) else status.st_ctime_ns
    )  # a drive: another disc may be in it
    return status.st_ino, status.st_size, status.st_mtime_ns, changes
