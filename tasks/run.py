"""The only door to processes: argument lists, a clean environment, failures that can be pasted into a shell."""

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tasks import system
from tasks.errors import CommandError, MissingToolError

PATH = system.PATH
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(
    None
)  # opened here: between fork and exec no library may be loaded, another thread may hold its lock
LINES_OF_BLAME = 15
Process = subprocess.Popen[bytes]  # what start() returns, for those who keep it


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A process that ended: exit code and what it said."""

    code: int
    stdout: str
    stderr: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of our children: nothing of the user's locale, time zone or shell reaches an artefact."""
    keep = {
        key: os.environ[key] for key in ("HOME", "TMPDIR", "http_proxy", "https_proxy", "no_proxy") if key in os.environ
    }
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", **keep, **(extra or {})}


def libraries(program: str | Path) -> dict[str, str]:
    """Return where a program that was only unpacked (tasks.system says why) finds the libraries unpacked beside it."""
    found = shutil.which(program, path=PATH)
    if found is None or not Path(found).is_relative_to(system.DAEMONS):
        return {}
    folders = ":".join(map(str, sorted(system.DAEMONS.glob("usr/lib/*-linux-gnu*"))))
    return {"LD_LIBRARY_PATH": folders} if folders else {}


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies, even by SIGKILL (prctl(2))."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def which(program: str) -> str:
    """Return the program's path; `MissingToolError` names the package that brings it."""
    found = shutil.which(program, path=PATH)
    if found is None:
        message = f"{program} is not installed"
        hint = system.remedy(program)
        raise MissingToolError(message, hint=hint)
    return found


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    stdout: IO[bytes] | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> Finished:
    """Run a program to its end and return what it said.

    `stdout` takes the program's output into an open file instead.  A non-zero exit is a `CommandError` unless
    `check` is false; a run longer than `timeout` seconds is one always.
    """
    words = [which(os.fspath(argv[0])), *(os.fspath(word) for word in argv[1:])]
    env = {**libraries(words[0]), **(env or {})}
    try:
        done = subprocess.run(
            words,
            env=environment(env),
            cwd=cwd,
            input=stdin.encode() if stdin is not None else None,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=stdout if stdout is not None else subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=die_with_parent,  # safe beside threads: it only calls prctl
            timeout=timeout,
            check=False,
            start_new_session=True,  # a program that signals its process group (mmdebstrap does) must not mean ours
        )
    except subprocess.TimeoutExpired as error:
        message = f"{Path(words[0]).name} did not end within {timeout:g} s"
        raise CommandError(message, hint=pasteable(words, env=env, cwd=cwd)) from error
    out = (done.stdout or b"").decode(errors="replace")
    err = done.stderr.decode(errors="replace")
    if check and done.returncode:
        hint = pasteable(words, env=env, cwd=cwd)
        raise CommandError(blame(words[0], done.returncode, err or out), hint=hint, said=out + err)
    return Finished(code=done.returncode, stdout=out, stderr=err)


def start(
    argv: Sequence[str | Path],
    *,
    output: IO[bytes] | int = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
    before: Callable[[], None] = die_with_parent,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start a program that goes on beside us (a daemon, a virtual machine); it dies when we do."""
    words = [which(os.fspath(argv[0])), *(os.fspath(word) for word in argv[1:])]
    return subprocess.Popen(
        words,
        env=environment({**libraries(words[0]), **(env or {})}),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        preexec_fn=before,  # noqa: PLW1509 - see run()
        pass_fds=tuple(pass_fds),
        start_new_session=True,
    )


def interactive(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> int:
    """Run a program on the user's own terminal (ssh, a nested doit) and return its exit code."""
    words = [which(os.fspath(argv[0])), *(os.fspath(word) for word in argv[1:])]
    return subprocess.call(words, env={**os.environ, **(env or {})})


def blame(program: str, code: int, said: str) -> str:
    """Return the sentence for a failed program: its name, its exit and the last lines that it wrote."""
    end = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
    lines = [f"    | {line}" for line in said.rstrip().splitlines()[-LINES_OF_BLAME:]]
    return "\n".join([f"{Path(program).name} {end}", *lines])


def pasteable(words: Sequence[str], *, env: Mapping[str, str] | None, cwd: Path | None) -> str:
    """Return the command line as a person would type it to see the failure again."""
    where = f"cd {shlex.quote(str(cwd))} && " if cwd else ""
    settings = "".join(f"{key}={shlex.quote(value)} " for key, value in sorted((env or {}).items()))
    return f"try it by hand: {where}{settings}{shlex.join(words)}"
