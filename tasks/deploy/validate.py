"""Ask each daemon's own checker about the files that are to be put in place, with all that stays around them.

A daemon's main file (named.conf, nginx.conf) belongs to the machine and includes ours.  It is checked as a whole in a
shadow of its folder: what changes lies there in its new form, all else is a link to what is there, and the absolute
names of the folder in configuration texts lead into the shadow.
"""

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tasks import files, paths, run
from tasks.deploy import root as roots
from tasks.deploy.services import NAMED_ZONES, Service
from tasks.errors import BootmillError, MissingToolError

PATIENCE = 300.0  # seconds for a checker
SMALL = 1 << 20  # octets: a greater file in a daemon's folder is none that a person wrote
Texts = Mapping[PurePosixPath, bytes | None]  # what each file of a service is to say; None: it goes away


class Candidate(NamedTuple):
    """What is to be asked about one service: all of its files, and which of them are new to it."""

    service: Service
    texts: Texts
    new: frozenset[PurePosixPath]


@contextmanager
def scratch() -> Iterator[Path]:
    """Give an empty folder (absolute) that only we can read; after a refusal it stays, to be looked at."""
    folder = (paths.BUILD / "checks" / "deploy").absolute()
    files.remove_tree(folder)
    folder.mkdir(parents=True, mode=0o700)
    yield folder
    files.remove_tree(folder)


def check(root: Path, candidates: Sequence[Candidate], *, live: bool) -> list[str]:
    """Ask about all services; `BootmillError` holds every refusal.  Returns what could not be asked.

    `live`: the services run on this machine, so nginx may be asked whether it has the addresses.
    """
    refused, notes = [], []
    with scratch() as folder:
        for candidate in candidates:
            for argv, path, env in questions(root, folder / candidate.service.name, candidate, live=live):
                try:
                    ask(argv, path, dict(env))
                except MissingToolError as error:
                    notes.append(f"{candidate.service.name}: not checked once more: {error.message}")
                except BootmillError as error:
                    refused.append(str(error))
        if refused:
            message = "\n".join(["nothing was replaced, for what is to be deployed is refused:", *refused])
            raise BootmillError(
                message, hint="the daemon's words are about the new files together with those around them"
            )
    return list(dict.fromkeys(notes))


def ask(argv: Sequence[str | Path], path: PurePosixPath, env: Mapping[str, str]) -> None:
    """Run one checker; `BootmillError` with its last words where it refuses."""
    done = run.run(argv, env=env, check=False, timeout=PATIENCE)
    if done.code:
        message = f"{path}: {run.blame(str(argv[0]), done.code, done.stdout + done.stderr)}"
        by_hand = {**run.libraries(argv[0]), **env}
        raise BootmillError(message, hint=run.pasteable([str(word) for word in argv], env=by_hand, cwd=None))


class Question(NamedTuple):
    """A checker's command line, the file that it is about, its environment."""

    argv: list[str | Path]
    path: PurePosixPath
    env: tuple[tuple[str, str], ...] = ()


def questions(root: Path, folder: Path, candidate: Candidate, *, live: bool) -> Iterator[Question]:
    """Yield the checkers' command lines for a service and the file that each is about."""
    service, texts, new = candidate
    main = PurePosixPath(service.main) if service.main else None
    if main and (service.name == "named" or live) and (main in texts or roots.look(root, main)):
        shadow(root, folder, main, texts, relative=service.name == "nginx")
        place = folder / main.relative_to("/")
        if service.name == "named":
            yield Question(["named-checkconf", place], main)
            yield from load_zones(folder, texts)
        else:
            yield Question(["nginx", "-t", "-q", "-c", place, "-e", "stderr"], main)
        return
    if new:
        homes = {path.parent for path in texts}
        swaps = [] if live else [check.elsewhere for check in service.checks if check.elsewhere]
        for path, content in texts.items():
            if content is not None:
                for pattern, instead in swaps:
                    content = re.sub(pattern.encode(), instead.encode(), content)
                written(
                    folder,
                    path,
                    functools.reduce(lambda text, home: mapped(text, home, f"{folder}{home}/"), homes, content),
                )
        for path, one in itertools.product(texts, service.checks):
            if texts[path] is not None and fnmatchcase(str(path), one.files):
                copy = str(folder / path.relative_to("/"))
                yield Question([word.replace("{}", copy) for word in one.argv], path, one.env)
        if service.name == "named":  # it is not installed yet: our zones by themselves
            yield from load_zones(folder, texts)


def load_zones(folder: Path, texts: Texts) -> Iterator[Question]:
    """Yield the question whether named can load our zones; those of others are their business."""
    if texts.get(NAMED_ZONES) is not None:
        yield Question(["named-checkconf", "-z", folder / NAMED_ZONES.relative_to("/")], NAMED_ZONES)


# -- shadows -----------------------------------------------------------------------------------------------------------


def shadow(root: Path, folder: Path, main: PurePosixPath, texts: Texts, *, relative: bool) -> None:
    """Make the shadow of the folder in which a main file lies.

    nginx takes relative names as from its main file's folder, and names in its files have no quotes: a path with a
    blank in it could not be written there.  named takes absolute ones only.
    """
    home = main.parent
    target = "" if relative else f"{folder}{home}/"
    found = roots.look(root, main)
    whole = {main: found.content if found else b"", **texts}
    for path, content in whole.items():
        if content is not None:
            written(folder, path, mapped(content, home, target))
    gone = {path for path, content in texts.items() if content is None}
    for inside in sorted({home, *(path.parent for path in whole)}):
        if inside.is_relative_to(home):
            fill(roots.below(root, inside), folder, inside, gone, (home, target))


def fill(
    source: Path, folder: Path, inside: PurePosixPath, gone: Iterable[PurePosixPath], names: tuple[PurePosixPath, str]
) -> None:
    """Give a shadow everything of a folder that it does not have in a new form, but what goes away.

    What names a file of the folder is copied, so that the name leads into the shadow; all else is a link.
    """
    shadow = folder / inside.relative_to("/")
    shadow.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()) if source.is_dir() else []:
        place = shadow / path.name
        if place.exists() or inside / path.name in gone:
            continue
        content = small(path)
        if f"{names[0]}/".encode() in content:
            place.write_bytes(mapped(content, *names))
        else:
            place.symlink_to(path.absolute())


def small(path: Path) -> bytes:
    """Return the bytes of a file that a person may have written; nothing of one that this user may not read."""
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size < SMALL else b""
    except OSError:
        return b""


def written(folder: Path, path: PurePosixPath, content: bytes) -> Path:
    """Write a text into a scratch folder and return its place."""
    place = folder / path.relative_to("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def mapped(content: bytes, home: PurePosixPath, target: str) -> bytes:
    """Return a configuration text in which the names of a folder's files lead elsewhere."""
    name = f"{home}/".encode()
    if name not in content:
        return content
    return re.sub(rb"(?<![\w./-])" + re.escape(name), lambda _: target.encode(), content)
