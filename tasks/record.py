"""What each artefact was made from, and what it was then: one small file per task, written when the task has ended.

doit's own database is written when the whole run ends.  A run that is killed would leave it describing the state
before, and going back to that state would look like nothing to do.  So a record is taken away before a task begins
and written, whole, after it ended; it also knows the outputs: a file that was deleted or altered is made again.
"""

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tasks import files, paths
from tasks.listing import listed

MANY = 1000  # files in a folder that are looked at one by one
RECORDS = paths.BUILD / ".done"
State = dict[str, object]


def record_of(task: str) -> Path:
    """Return the record of a task."""
    return RECORDS / f"{task.replace('/', '_')}.json"


def begin(task: str, made_from: str, inputs: Sequence[str]) -> State:
    """Take the old record away and return the new one's first half: what the task is about to read."""
    record_of(task).unlink(missing_ok=True)
    return {"from": made_from, "inputs": {name: content(Path(name)) for name in inputs}}


def end(task: str, state: State, outputs: Iterable[str]) -> None:
    """Write the record: the task has ended well, and these are its outputs."""
    files.write_atomic(record_of(task), json.dumps({**state, "outputs": looks(outputs)}) + "\n")


def all_outputs(outputs: Iterable[str], published: Sequence[str]) -> list[str]:
    """Return an artefact's files; `published` is a manifest and the folder that the names in it are below, or empty."""
    found = [*outputs]
    if published:
        manifest, folder = published
        found += [str(Path(folder) / name.lstrip("/")) for name in listed(Path(manifest))]
    return found


def holds(key: str, made_from: str, inputs: Sequence[str], outputs: Sequence[str], published: Sequence[str]) -> bool:
    """Whether an artefact is what this recipe and these inputs make, and is still as it was made.

    (Not `task`: doit hands its own task object to a parameter of that name.)
    """
    try:
        state = json.loads(record_of(key).read_text())
        if state["from"] != made_from or sorted(state["inputs"]) != sorted(inputs):
            return False
        if any(not unchanged(Path(name), state["inputs"][name]) for name in inputs):
            return False
        return bool(state["outputs"] == looks(all_outputs(outputs, published)))
    except (OSError, ValueError, KeyError, TypeError, IndexError):  # no record, or none of this version
        return False


def content(path: Path) -> list[object]:
    """Return size, date and sha256 of an input; a missing one is told by doit."""
    try:
        stat = path.stat()
        return [stat.st_size, stat.st_mtime_ns, files.sha256(path)]
    except FileNotFoundError:
        return []


def unchanged(path: Path, known: list[object]) -> bool:
    """Whether an input has the content that was read; its bytes are looked at only where size or date differ."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return not known
    return known[:2] == [stat.st_size, stat.st_mtime_ns] or (bool(known) and known[2] == files.sha256(path))


def looks(outputs: Iterable[str]) -> dict[str, object]:
    """Return how outputs look from outside: size and date of a file, a digest over those of everything in a tree.

    A name with a slash at its end is a folder that may hold very many files: above `MANY`, its own date says whether
    one came, left or was replaced, and one that was written into is not noticed.
    """
    return {path: look_of_folder(path) if path.endswith("/") else look(Path(path)) for path in outputs}


def look_of_folder(path: str) -> object:
    """Return how a folder that may hold very many files looks."""
    try:
        status = os.stat(path)  # noqa: PTH116  # a Path loses the slash
        with os.scandir(path) as entries:
            some = [*itertools.islice(entries, MANY + 1)]
        each = looks_of(some) if len(some) <= MANY else []
    except OSError:
        return None
    return [status.st_ino, status.st_mtime_ns, *each]


def looks_of(entries: Iterable[os.DirEntry[str]]) -> list[str]:
    """Return how the files of a folder look, sorted by name."""
    found = ((entry.name, entry.stat(follow_symlinks=False)) for entry in entries)
    return sorted(f"{name} {status.st_size} {status.st_mtime_ns}" for name, status in found)


def look(path: Path) -> object:
    """Return how one output looks."""
    if path.is_dir() and not path.is_symlink():
        digest = hashlib.sha256()
        for line in sorted(walk(path)):
            digest.update(line)
        return digest.hexdigest()
    try:
        stat = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [stat.st_size, stat.st_mtime_ns]


def walk(folder: Path) -> Iterator[bytes]:
    """Yield a line for every entry below a folder; what is being written does not count."""
    todo = [os.fspath(folder)]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".partial"):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                    yield os.fsencode(entry.path)
                else:
                    stat = entry.stat(follow_symlinks=False)
                    yield b"%s %d %d" % (os.fsencode(entry.path), stat.st_size, stat.st_mtime_ns)
