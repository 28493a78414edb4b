"""The first run: a Python environment in ``.venv``, the locked requirements, and what the system lacks.

Standard library only.  Everything happens in ``.venv`` except one apt transaction for packages without daemons
(tasks.system says why); apt is started where we are root or sudo asks for nothing, else its line is printed.
"""

import fcntl
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks import __main__ as entry
from tasks import debs, system
from tasks.errors import BootmillError
from tasks.system import ROOT, Level, Need

VENV = ROOT / ".venv"
INSTALLED = VENV / "installed.lock"
HEARTBEAT = 10.0  # seconds of silence before a line says what is going on
TAIL = 15  # lines of a failed program's output

# needrestart (Ubuntu) would restart the machine's own services behind our back.
APT_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
    "LC_ALL": "C.UTF-8",
}
# --no-remove: nothing of the user's gives way to a package of ours (busybox would replace busybox-static).
APT_OPTIONS = (
    "--yes", "--quiet", "--no-remove", "--no-install-recommends",
    "--option", "DPkg::Lock::Timeout=300",
    "--option", "Dpkg::Options::=--force-confdef",
    "--option", "Dpkg::Options::=--force-confold",
)  # fmt: skip


def main(level: str) -> int:
    """Bring everything that a level needs; return 0, or 1 after a sentence that says what to do."""
    try:
        with alone():
            prepare(Level[level.upper()])
            remember(level)
    except BootmillError as error:
        print(f"Bootmill: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nBootmill: interrupted; the next run goes on", file=sys.stderr)
        return 130
    return 0


def prepare(level: Level) -> None:
    """Bring the system's packages, then the Python environment."""
    lock = ROOT / "tasks" / entry.LOCKS[level.name.lower()]
    fresh = is_installed(lock)
    missing = system.missing(level)
    if fresh and not missing:
        return
    check_owner()
    VENV.mkdir(exist_ok=True)
    bring_system(missing, venv=not fresh)
    if not fresh:
        install(lock)


# -- whose is it -----------------------------------------------------------------------------------------------------


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other first run works in this checkout (flock(2) on the folder itself: no file is needed)."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another run is setting this checkout up: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def check_owner() -> None:
    """Raise a `BootmillError` where .venv cannot be written: it is another user's, or the checkout is read-only."""
    folder = VENV if VENV.exists() else ROOT
    if folder == VENV and os.geteuid() not in {0, VENV.stat().st_uid}:
        message = f"{VENV} belongs to {owner(VENV)}, and something in it is out of date"
        hint = f"run as {owner(VENV)}, or remove it (sudo rm -r {shlex.quote(str(VENV))}) and run again"
        raise BootmillError(message, hint=hint)
    if os.access(folder, os.W_OK):
        return
    message = f"{folder} cannot be written by this user: Bootmill keeps its programs there"
    hint = f"run as its owner ({owner(folder)}), or copy the checkout to where you may write"
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        message, hint = f"{folder} lies on a read-only file system", "copy the checkout to where you may write"
    raise BootmillError(message, hint=hint)


def owner(path: Path) -> str:
    """Return the name of a path's owner, or the number where nobody has it."""
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"


# -- Python ----------------------------------------------------------------------------------------------------------


def identity(lock: Path) -> bytes:
    """Return what is written into .venv when a lock is installed: the version of Python and the whole lock."""
    return f"# Python {sys.version_info.major}.{sys.version_info.minor}\n".encode() + lock.read_bytes()


def is_installed(lock: Path) -> bool:
    """Return whether .venv holds this lock's packages, alone or among those of the test suite."""
    try:
        have = INSTALLED.read_bytes()
    except OSError:
        return False
    return have in {identity(lock), identity(lock.with_name(entry.LOCKS["test"]))} and (VENV / "bin/python").exists()


def install(lock: Path) -> None:
    """Install a lock into .venv, digests checked; an interrupted installation leaves no stamp and is begun anew.

    Only the step from the build's packages to the test suite's adds to what is there: `doit test` runs in it.
    """
    grows = is_installed(lock.with_name(entry.LOCKS["build"]))
    INSTALLED.unlink(missing_ok=True)
    if not grows:
        for path in sorted(VENV.iterdir()):
            if path != system.DAEMONS:
                discard(path)
        run_logged([base_python(), "-m", "venv", VENV], f"making {VENV}")
    count = sum(line[:1].isalnum() for line in lock.read_text().splitlines())
    # PIP_USER and friends in the environment are the user's; --isolated would also hide the mirror they configured.
    argv: list[str | Path] = [
        *(VENV / "bin/python", "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check"),
        *("--progress-bar", "off", "--require-hashes", "--no-deps", "--requirement", lock),
    ]
    run_logged(argv, f"installing {count} Python packages", {"PIP_USER": "0", "PIP_TARGET": "", "PIP_PREFIX": ""})
    partial = INSTALLED.with_suffix(".partial")
    partial.write_bytes(identity(lock))
    partial.replace(INSTALLED)


def base_python() -> str:
    """Return the interpreter outside of any virtual environment: we may have been started by the one in .venv."""
    return str(getattr(sys, "_base_executable", sys.executable))


def discard(path: Path) -> None:
    """Remove a file or a tree."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


# -- the system ------------------------------------------------------------------------------------------------------


def bring_system(missing: Sequence[Need], *, venv: bool) -> None:
    """Install what is missing with apt, daemons apart: those are unpacked into .venv."""
    packages = {need.package for need in missing if not need.daemon}
    if venv and not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        packages.add(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
    daemons = [need for need in missing if need.daemon]
    if not packages and not daemons:
        return
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        names = ", ".join(sorted({*packages, *(need.package for need in daemons)}))
        message = "this machine has no apt: Bootmill can install what it needs on Debian and Ubuntu only"
        raise BootmillError(message, hint=f"install what these Debian packages bring: {names}")
    with tempfile.TemporaryDirectory(prefix="daemons-", dir=VENV) as folder:
        fetched = fetch(daemons, Path(folder), packages)
        packages |= {name for deb in fetched for name in debs.unmet_libraries(deb)}
        apt_install(packages)
        for deb in fetched:
            debs.unpack(deb, system.DAEMONS)
    still = [need for need in missing if not system.is_met(need)]
    if still:
        lost = [f"{need.package} ({', '.join((*need.programs, *need.files, *need.libraries))})" for need in still]
        raise BootmillError(f"installed, and still not there: {'; '.join(lost)}", hint="python3 -m tasks doctor")


def fetch(daemons: Sequence[Need], folder: Path, packages: set[str]) -> list[Path]:
    """Download the packages of daemons into a folder; where the machine has its own, copy its program instead."""
    absent = []
    for need in daemons:
        own = [path for name in need.programs if (path := system.find_program(name))]
        for path in own:
            debs.copy_program(path, system.DAEMONS)
        if not own:
            absent.append(need.package)
    if not absent:
        return []
    if not debs.has_lists():
        if not may_apt():
            raise must_type(packages, update=True)
        apt("update", [])
    text = f"fetching {', '.join(sorted(absent))} (only the programs: no service is installed)"
    argv = ["apt-get", "--quiet", "download", *sorted(absent)]
    try:
        run_logged(argv, text, APT_ENVIRONMENT, cwd=folder)
    except BootmillError:
        if not may_apt():
            raise
        apt("update", [])
        run_logged(argv, text, APT_ENVIRONMENT, cwd=folder)
    return sorted(folder.glob("*.deb"))


def apt_install(packages: set[str]) -> None:
    """Install packages, after one `apt-get update` where the lists are missing or too old to be of use."""
    if not packages:
        return
    if not may_apt():
        raise must_type(packages, update=not debs.has_lists())
    if not debs.has_lists():
        apt("update", [])
    try:
        apt("install", sorted(packages))
    except BootmillError:
        apt("update", [])
        apt("install", sorted(packages))


def may_apt() -> bool:
    """Return whether apt can be run without asking: as root, or through a sudo that wants no password."""
    if os.geteuid() == 0:
        return True
    if shutil.which("sudo") is None:
        return False
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


def must_type(packages: set[str], *, update: bool) -> BootmillError:
    """Return the error that holds the one line which an administrator has to type."""
    lines = ["sudo apt-get update"] if update else []
    lines += [system.apt_line(packages)] if packages else []
    message = f"{len(packages)} system packages are missing, and this user may not install them"
    return BootmillError(message, hint=f"{' && '.join(lines)}\n    and then run the same command again")


def apt(verb: str, packages: Sequence[str]) -> None:
    """Run apt-get as root."""
    settings = [f"{key}={value}" for key, value in APT_ENVIRONMENT.items()]
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    text = f"installing {len(packages)} system packages: {' '.join(packages)}" if packages else "reading package lists"
    options = APT_OPTIONS if packages else APT_OPTIONS[4:6]
    run_logged([*root, "env", *settings, "apt-get", verb, *options, *packages], text)


# -- telling ---------------------------------------------------------------------------------------------------------


def run_logged(
    argv: Sequence[str | Path], text: str, extra: dict[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Run a program, say what it does and how long it took; on failure show its last lines and how to try again."""
    say(f"{text} …")
    words = [str(word) for word in argv]
    environment = {**os.environ, **{key: value for key, value in (extra or {}).items() if value}}
    for key in [key for key, value in (extra or {}).items() if not value]:
        environment.pop(key, None)
    begun = time.monotonic()
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=cwd
            )
        except OSError as error:
            raise BootmillError(f"{words[0]} cannot be started: {error.strerror}") from error
        try:
            code = wait(process, log.fileno(), begun)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if code:
            shown = "\n".join(f"    | {line}" for line in last_lines(log.fileno(), TAIL))
            raise BootmillError(f"{text}: exit code {code}\n{shown}", hint=f"try it by hand: {shlex.join(words)}")
    say(f"    done in {time.monotonic() - begun:.0f} s")


def wait(process: "subprocess.Popen[bytes]", log: int, begun: float) -> int:
    """Wait for a program's end; say now and then what its last line was."""
    while True:
        try:
            return process.wait(HEARTBEAT)
        except subprocess.TimeoutExpired:
            line = "".join(last_lines(log, 1)).strip()[:100]
            say(f"    {time.monotonic() - begun:.0f} s: {line}")


def last_lines(log: int, count: int) -> list[str]:
    """Return the last lines of an open file without moving its position, which belongs to the program that writes."""
    size = os.fstat(log).st_size
    return os.pread(log, 1 << 14, max(0, size - (1 << 14))).decode(errors="replace").splitlines()[-count:]


def say(text: str) -> None:
    """Tell the user what goes on; on stderr, so that the output of doit stays clean in a pipe."""
    print(text, file=sys.stderr, flush=True)


def remember(level: str) -> None:
    """Write the stamp that lets later runs skip all this: what was found, to be looked for again."""
    paths = [str(path) for need in system.needs(Level[level.upper()]) for path in system.found(need) if path]
    lines = [entry.fingerprint(level), str(VENV / "bin/python"), str(INSTALLED), *sorted(set(paths))]
    with suppress(OSError):  # another user's .venv, and all is well in it: this user looks again next time
        Path(entry.stamp_path(level)).write_text("\n".join(lines) + "\n")
