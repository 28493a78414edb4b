"""Scratch checkouts: the project as a user has it, built for real, away from the folder that is being worked on."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PUBLISHED = ("build/tftpboot", "build/install/netboot", "build/etc")


@dataclass(frozen=True, kw_only=True)
class Done:
    """A doit run that ended: exit code, what it printed, and each task's result (success, up-to-date, fail)."""

    code: int
    text: str
    results: dict[str, str]

    @property
    def made(self) -> set[str]:
        """Return the names of the artefacts that were made."""
        return {name for name, result in self.results.items() if result == "success"}


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A copy of the project below `root`."""

    root: Path

    def doit(self, *words: str, env: Mapping[str, str] | None = None, prefix: tuple[str, ...] = ()) -> Done:
        """Run doit as a user does and return what it printed."""
        command = [*prefix, sys.executable, "-m", "doit", *words]
        environment = {**os.environ, **(env or {})}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        return Done(code=done.returncode, text=done.stdout + done.stderr, results={})

    def report(self, *words: str) -> Done:
        """Run doit with its JSON reporter and return each task's result."""
        report = self.root / "build" / "report.json"
        done = self.doit("run", "--reporter", "json", "--output-file", str(report), *words)
        tasks = json.loads(report.read_text())["tasks"] if report.exists() else []
        report.unlink(missing_ok=True)
        results = {task["name"]: task["result"] for task in tasks}
        return Done(code=done.code, text=done.text, results=results)

    def digests(self) -> dict[str, str]:
        """Return {path: sha256} of everything that is published."""
        found = [path for folder in PUBLISHED for path in sorted((self.root / folder).rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.root)): sha256(path) for path in found}

    def first_digests(self) -> dict[str, str]:
        """Return what `digests()` was after the first build: later ones keep the images of the generation before."""
        found: dict[str, str] = json.loads((self.root / "build/first-digests.json").read_text())
        return found

    def processes(self) -> list[str]:
        """Return the command lines of processes that work in this checkout, the caller apart."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.root) in words and int(folder.name) != os.getpid():
                found.append(words)
        return found

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file; the old text must be there."""
        path = self.root / name
        text = path.read_text()
        assert old in text, f"{name} does not say {old!r}"
        path.write_text(text.replace(old, new, 1))


def sha256(path: Path) -> str:
    """Return a file's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(target: Path, *, cache: Path | None = None) -> Checkout:
    """Copy the project, without anything built, to `target`; downloaded packages are shared through `cache`."""
    target.mkdir(parents=True)
    for name in ("dodo.py", "pyproject.toml"):
        shutil.copy(ROOT / name, target)
    for name in ("tasks", "inventory"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "keys"))
    (target / ".venv").symlink_to(ROOT / ".venv")  # where the daemons' programs lie
    if cache is not None:
        (target / "build").mkdir()
        (target / "build/cache").symlink_to(cache)
    return Checkout(root=target)
