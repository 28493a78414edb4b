"""What deploy remembers on the head node: what each daemon was told last, and what lay there before each run.

    <root>/var/lib/bootmill/deployed.json          path → sha256 of what its daemon has taken, and the open generation
    <root>/var/backups/bootmill/<number>/          a generation: everything that one run replaced
        manifest.json                              path → file here, mode, owners, whose, sha256 of what took its place
        files/etc/…

A generation is whole before the first file is replaced.  It is open until the run has ended: the next run after a
killed one takes over what is in it, so that the newest generation is always the state before.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tasks import files
from tasks.deploy.root import Found, below, look, put, refuse_links
from tasks.errors import BootmillError

LEDGER = PurePosixPath("/var/lib/bootmill/deployed.json")
LOCK = PurePosixPath("/var/lib/bootmill/deploy.lock")
BACKUPS = PurePosixPath("/var/backups/bootmill")
KEPT = 20  # generations; one that holds another's file is kept for ever
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(kw_only=True)
class Ledger:
    """What was told to whom.  A damaged or missing ledger says less: a daemon is told once more than it need be."""

    told: dict[PurePosixPath, str] = field(default_factory=dict)
    open: int | None = None
    undone: dict[int, int] = field(default_factory=dict)  # a generation that an undo made → the one that it undid


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A file as it was before a run: None where there was none.  `new` is the sha256 of what took its place."""

    old: Found | None
    new: str | None
    foreign: bool = False


Generation = dict[PurePosixPath, Saved]


def sha256(content: bytes) -> str:
    """Return the sha256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Let one deploy at a time work below a root."""
    refuse_links(root, LOCK)
    with files.locked(below(root, LOCK)):
        yield


# -- the ledger --------------------------------------------------------------------------------------------------------


def read(root: Path) -> Ledger:
    """Return the ledger."""
    document = document_in(root, LEDGER)
    told = document.get("told")
    number = document.get("open")
    return Ledger(
        told={PurePosixPath(path): str(digest) for path, digest in pairs(told) if is_ours(path) and is_digest(digest)},
        open=number if isinstance(number, int) else None,
        undone={
            int(made): of
            for made, of in pairs(document.get("undone"))
            if re.fullmatch(r"[0-9]{1,9}", made) and isinstance(of, int) and of < int(made)
        },
    )


def write(root: Path, ledger: Ledger) -> None:
    """Write the ledger, whole."""
    undone = {str(made): of for made, of in sorted(ledger.undone.items())}
    document = {
        "open": ledger.open,
        "undone": undone,
        "told": {str(path): digest for path, digest in sorted(ledger.told.items())},
    }
    put(root, LEDGER, Found(content=(json.dumps(document, indent=1) + "\n").encode(), **owners()))


def owners() -> dict[str, int]:
    """Return this user's ids, for files that are ours alone."""
    return {"uid": os.geteuid(), "gid": os.getegid()}


def document_in(root: Path, path: PurePosixPath) -> dict[str, object]:
    """Return a JSON mapping that we wrote, an empty one where it is damaged or missing."""
    found = look(root, path)
    try:
        document = json.loads(found.content) if found else {}
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def pairs(value: object) -> Iterable[tuple[str, object]]:
    """Return the items of a JSON mapping, nothing where it is none."""
    return value.items() if isinstance(value, dict) else ()


def is_digest(value: object) -> bool:
    """Whether a value is a sha256."""
    return isinstance(value, str) and SHA256.fullmatch(value) is not None


def is_ours(path: str) -> bool:
    """Whether a path in our own books is one that we could have written."""
    return path.startswith("/etc/") and ".." not in path.split("/")


# -- generations -------------------------------------------------------------------------------------------------------


def numbers(root: Path) -> list[int]:
    """Return the numbers of all generations, the oldest first."""
    refuse_links(root, BACKUPS / "0")
    folder = below(root, BACKUPS)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if re.fullmatch(r"[0-9]{1,9}", name))


def newest(root: Path, ledger: Ledger) -> int | None:
    """Return the generation that the next undo brings back, None where there is none.

    What an undo made is stepped over together with what it undid: the state is that before both.
    """
    below = 1_000_000_000
    for number in reversed(numbers(root)):
        if number < below and number not in ledger.undone:
            return number
        below = min(below, ledger.undone.get(number, below)) if number < below else below
    return None


def save(root: Path, generation: Generation) -> int:
    """Write a new generation and return its number; it is there as a whole or not at all."""
    number = max(numbers(root), default=0) + 1
    folder = below(root, BACKUPS / str(number))
    manifest = {}
    with files.replacing_tree(folder) as tree:
        tree.chmod(0o700)  # what lay there may have been readable by its daemon alone
        for path, saved in sorted(generation.items()):
            if saved.old:
                copy = tree / "files" / path.relative_to("/")
                files.write_atomic(copy, saved.old.content, mode=0o600)
            manifest[str(path)] = told_of(saved)
        files.write_atomic(tree / "manifest.json", json.dumps(manifest, indent=1) + "\n", mode=0o600)
    return number


def told_of(saved: Saved) -> dict[str, object]:
    """Return a manifest's entry."""
    rights = {"mode": f"{saved.old.mode:04o}", "uid": saved.old.uid, "gid": saved.old.gid} if saved.old else None
    return {
        "was": rights,
        "foreign": saved.foreign,
        "sha256": sha256(saved.old.content) if saved.old else None,
        "new": saved.new,
    }


def load(root: Path, number: int) -> Generation:
    """Return a generation; `BootmillError` where it was altered."""
    folder = BACKUPS / str(number)
    result: Generation = {}
    for name, entry in pairs(document_in(root, folder / "manifest.json")):
        path = PurePosixPath(name)
        try:
            result[path] = saved_from(root, folder / "files" / path.relative_to("/"), entry)
        except (ValueError, TypeError, KeyError) as error:
            message = f"{below(root, folder)}: the backup of {path} is damaged"
            raise BootmillError(message, hint="look at it by hand; nothing was restored") from error
        if not is_ours(name):
            message = f"{below(root, folder)}: {name} is no file that deploy replaces"
            raise BootmillError(message, hint="look at it by hand; nothing was restored")
    if not result:
        message = f"{below(root, folder)}: this generation cannot be read"
        raise BootmillError(message, hint="look at it by hand; nothing was restored")
    return result


def saved_from(root: Path, copy: PurePosixPath, entry: object) -> Saved:
    """Return what one entry of a manifest stands for."""
    if not isinstance(entry, dict):
        raise TypeError(entry)
    was, new = entry["was"], entry["new"]
    if new is not None and not is_digest(new):
        raise ValueError(new)
    if was is None:
        return Saved(old=None, new=new)
    found = look(root, copy)
    if found is None or sha256(found.content) != entry["sha256"]:
        raise ValueError(copy)
    old = Found(content=found.content, mode=int(was["mode"], 8) & 0o7777, uid=int(was["uid"]), gid=int(was["gid"]))
    return Saved(old=old, new=new, foreign=bool(entry["foreign"]))


def carried(root: Path, ledger: Ledger) -> Generation:
    """Return what a killed run had saved before it replaced files, nothing where the last run ended."""
    if ledger.open is None or ledger.open not in numbers(root):
        return {}
    return load(root, ledger.open)


def forget(root: Path) -> None:
    """Remove old generations: the newest stay, and those with files that were not ours."""
    for number in numbers(root)[:-KEPT]:
        document: Mapping[str, object] = document_in(root, BACKUPS / str(number) / "manifest.json")
        if document and not any(isinstance(entry, dict) and entry.get("foreign") for entry in document.values()):
            files.remove_tree(below(root, BACKUPS / str(number)))
