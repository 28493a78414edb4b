"""The laboratory seen from the user's side: start it, find it, enter it, end it.

Who is up is known by a lock, not by a pid: the processes of the laboratory hold build/lab/lock (flock(2)), and the
kernel drops it with the last of them.  A pid file can be stale, a lock cannot.
"""

import contextlib
import fcntl
import os
import secrets
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks import files, paths, run
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, SecretKind, SecretRef
from tasks.lab import head, machine, state
from tasks.lab.state import Ask, Outcome, Reply, Request, Settings, Status

START_SECONDS = 60.0
STOP_SECONDS = 10.0
SECRET_BYTES = 8  # 16 characters: an IPMI 1.5 password holds no more
STARTED: list[run.Process] = []  # our own children: somebody has to wait for them when they end
NEEDED = ("unshare", "nsenter", "ip", "bwrap", "qemu-system-x86_64", "ssh")


@dataclass(frozen=True, kw_only=True)
class Leash:
    """The end of a pipe whose closing, by whatever death, ends the laboratory."""

    fd: int


def running() -> int | None:
    """Return the pid of the running laboratory's outer process, None where there is none."""
    try:
        with state.LOCK.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = state.LOCK.read_text().strip()
        return int(text) if text.isdigit() else 0
    except FileNotFoundError:
        return None
    return None


def require() -> int:
    """Return the pid of the running laboratory; `BootmillError` where there is none."""
    pid = running()
    if not pid:
        message = "the laboratory is down"
        raise BootmillError(message, hint="doit lab up")
    return pid


# -- up and down -----------------------------------------------------------------------------------------------------


def up(cluster: Cluster, *, leashed: bool = False) -> Leash | None:
    """Start the laboratory and return when it is ready.

    With `leashed` it lives no longer than the returned leash, that is, than this process.
    """
    head.check_published(cluster)
    machine.check_machines(cluster)
    for program in NEEDED:
        run.which(program)
    settings = state.settings(cluster, invent_secrets(cluster))
    paths.LAB.mkdir(parents=True, exist_ok=True)
    lock = os.open(state.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        claim(lock)
        reap()
        sweep()
        return launch(settings, lock=lock, leashed=leashed)
    finally:
        os.close(lock)


def claim(lock: int) -> None:
    """Take the laboratory's lock, or say that it is up already."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = "the laboratory of this checkout is up already"
        raise BootmillError(message, hint="doit lab status, or doit lab down") from None


def sweep() -> None:
    """Remove what an earlier laboratory left in build/lab: logs, sockets, leases."""
    for path in paths.LAB.iterdir():
        if path.is_dir():
            files.remove_tree(path)
        elif path != state.LOCK:
            path.unlink()
    for folder in (state.LEASES, state.ETC, paths.LAB / "console", paths.LAB / "known_hosts"):
        folder.mkdir()
    (state.LEASES / "dhcpd.leases").touch()


def launch(settings: Settings, *, lock: int, leashed: bool) -> Leash | None:
    """Start the outer process and wait for its word; it holds the lock from here on."""
    settings_end, our_settings = os.pipe()
    our_ready, ready_end = os.pipe()
    leash_end, our_leash = os.pipe() if leashed else (-1, -1)
    inner = ["--settings-fd", str(settings_end), "--ready-fd", str(ready_end)]
    inner += ["--leash-fd", str(leash_end)] if leashed else []
    theirs = [settings_end, ready_end, *([leash_end] if leashed else [])]
    with state.SUPERVISOR_LOG.open("ab") as output:
        process = run.start(
            [*unshare_argv(), sys.executable, "-m", "tasks.lab.supervisor", *inner],
            output=output,
            before=detached,
            pass_fds=[lock, *theirs],
        )
    STARTED.append(process)
    for fd in theirs:
        os.close(fd)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{process.pid}\n".encode(), 0)
    try:
        hand_over(our_settings, settings)
        await_ready(our_ready, process)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Leash(fd=our_leash) if leashed else None


def detached() -> None:
    """Let the laboratory outlive the doit that started it (no PR_SET_PDEATHSIG); its leash is a pipe, if it has one."""


def unshare_argv() -> list[str]:
    """Return the command that makes the laboratory's namespaces.

    An ordinary user is root in a user namespace of his own; --map-auto gives it the uids of tftpd and nginx too.
    """
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    if user:
        run.which("newuidmap")
    private = ["--mount", "--propagation", "private", "--pid", "--mount-proc", "--net", "--ipc", "--uts"]
    return ["unshare", *user, *private, "--fork", "--kill-child=SIGKILL", "--"]


def hand_over(fd: int, settings: Settings) -> None:
    """Write the settings into the supervisor's pipe; where it died before, its log says more than we could."""
    with contextlib.suppress(BrokenPipeError), open(fd, "wb") as pipe:
        pipe.write(state.dump(settings))


def await_ready(fd: int, process: run.Process) -> None:
    """Return when the laboratory is ready; `BootmillError` with the reason where it is not."""
    with open(fd, "rb") as pipe:
        if not select.select([pipe], [], [], START_SECONDS)[0]:
            message = f"the laboratory was not ready within {START_SECONDS:g} s"
            raise BootmillError(message, hint=f"look into {state.SUPERVISOR_LOG}")
        said = pipe.readline()  # not read(): unshare keeps the other end open for as long as it lives
    if not said:
        process.wait()
        lines = state.SUPERVISOR_LOG.read_text(errors="replace").rstrip().splitlines()[-12:]
        message = "\n".join(["the laboratory could not be started:", *(f"    | {line}" for line in lines)])
        raise BootmillError(message, hint=namespace_hint())
    outcome = state.parse(Outcome, said)
    if outcome.error:
        process.wait()
        raise BootmillError(outcome.error, hint=outcome.hint)


def namespace_hint() -> str:
    """Return what is needed for namespaces, by who asks."""
    if os.geteuid() == 0:
        return "it needs Linux namespaces: inside a container, one that may make them (CAP_SYS_ADMIN)"
    return (
        "an ordinary user needs user namespaces, newuidmap and lines in /etc/subuid and /etc/subgid; or run it as root"
    )


def down() -> bool:
    """End the laboratory; returns whether one was up.  When it returns, none of its processes is left."""
    pid = running()
    if pid is None:
        return False
    try:
        ask(Request(ask=Ask.STOP))
    except (BootmillError, OSError):
        kill(pid)
    end = time.monotonic() + STOP_SECONDS
    while running() is not None:
        if time.monotonic() > end:
            kill(pid)
        time.sleep(0.02)
    reap()
    return True


def reap() -> None:
    """Wait for those laboratories of this process that have ended."""
    STARTED[:] = [process for process in STARTED if process.poll() is None]


def kill(pid: int) -> None:
    """End the outer process at once, and return when the kernel has ended everything below it.

    The lock alone is no sign of that: a dying supervisor closes its files before its children are gone.
    """
    try:
        supervisor = os.pidfd_open(first_child(pid))
    except (BootmillError, OSError):
        supervisor = None
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    if supervisor is not None:
        select.select([supervisor], [], [], STOP_SECONDS)  # readable when it is gone (pidfd_open(2))
        os.close(supervisor)


# -- secrets ---------------------------------------------------------------------------------------------------------


def references(cluster: Cluster) -> set[SecretRef]:
    """Return every secret that the inventory names."""
    passwords = {node.bmc.password for node in cluster.nodes if node.bmc}
    communities = {switch.community for switch in cluster.switches}
    return {reference for reference in passwords | communities if reference is not None}


def invent_secrets(cluster: Cluster) -> dict[str, str]:
    """Return a random value for each secret in the environment: the laboratory never needs a real one.

    A secret in a file is read by the very command under test, so the simulators know the file's own content.
    """
    return {str(reference): invent(reference) for reference in sorted(references(cluster), key=str)}


def invent(reference: SecretRef) -> str:
    """Return the laboratory's value of one secret."""
    if reference.kind is SecretKind.ENV:
        return secrets.token_hex(SECRET_BYTES)
    path = paths.INVENTORY / reference.where
    try:
        return path.read_text().rstrip("\n")
    except OSError as error:
        message = f"{path}: {error.strerror}, and the inventory names it as a secret"
        raise BootmillError(message, hint=f"put any word into it: install -m 600 /dev/stdin {path}") from error


# -- talking and entering --------------------------------------------------------------------------------------------


def ask(request: Request) -> Reply:
    """Ask the running laboratory something."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        try:
            connection.connect(str(state.CONTROL))
        except (FileNotFoundError, ConnectionRefusedError):
            message = "the laboratory does not answer"
            raise BootmillError(message, hint="doit lab down, then doit lab up") from None
        connection.sendall(state.dump(request))
        with connection.makefile("rb") as answer:
            reply = state.parse(Reply, answer.readline())
    if reply.error:
        raise BootmillError(reply.error)
    return reply


def status() -> Status:
    """Return the state of the running laboratory."""
    require()
    found = ask(Request(ask=Ask.STATUS)).status
    assert found is not None
    return found


def environment() -> dict[str, str]:
    """Return the secrets of the running laboratory as the environment variables that the inventory names."""
    values = ask(Request(ask=Ask.SECRETS)).secrets or {}
    return {key.removeprefix("env:"): value for key, value in values.items() if key.startswith("env:")}


def entering(argv: Sequence[str | Path], *, head_pid: int) -> list[str]:
    """Return a command line that runs on the head node: into the laboratory, then into the head's namespaces."""
    supervisor = first_child(require())
    theirs, ours = (Path(f"/proc/{who}/ns/user").stat().st_ino for who in (supervisor, "self"))
    user = ["--user"] if theirs != ours else []  # setns(2) refuses the user namespace that one is in already
    outer = ["nsenter", f"--target={supervisor}", *user, "--mount", "--pid", "--net", "--ipc", "--uts", "--"]
    inner = ["nsenter", f"--target={head_pid}", "--mount", "--net", f"--wdns={Path.cwd()}", "--"]
    return [*outer, *inner, *(os.fspath(word) for word in argv)]


def first_child(pid: int) -> int:
    """Return the only child of the outer process: the supervisor, by the pid that we know it by."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if not children:
        message = "the laboratory is just going down"
        raise BootmillError(message, hint="doit lab status")
    return int(children[0])


def execute(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> int:
    """Run a command on the head node, on the user's own terminal, with the laboratory's secrets in its environment."""
    words = entering(argv, head_pid=status().head_pid)
    return run.interactive(words, env={"PATH": run.PATH, **environment(), **(env or {})})


def capture(argv: Sequence[str | Path], *, timeout: float) -> run.Finished:
    """Run a command on the head node and return what it said; never raises for its exit code."""
    return run.run(entering(argv, head_pid=status().head_pid), check=False, timeout=timeout)
