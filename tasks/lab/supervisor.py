"""The laboratory's one process: PID 1 of its own namespaces, parent of daemons, machines and BMCs.

It is started by `outside.up` through unshare(1).  Whatever kills it (an order, its parent's death, SIGKILL) ends every
process of the laboratory, because the kernel ends a PID namespace with its first process (pid_namespaces(7)); mounts,
network namespaces, bridges and taps end with the last process that uses them.  So nothing is cleaned up, and nothing
can be left.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tasks import paths, run
from tasks.errors import BootmillError
from tasks.lab import bmcs, daemons, head, machine, network, ra, state
from tasks.lab.bmc import BmcServer, PowerVerb
from tasks.lab.state import Ask, DaemonState, NodeState, Outcome, Reply, Request, Settings, Status


class Supervisor:
    """A laboratory at work."""

    def __init__(self, settings: Settings) -> None:
        """Plan the machines; nothing is started yet."""
        self.settings = settings
        self.cluster = settings.cluster
        self.begun = time.monotonic()
        self.accelerator: asyncio.Task[str] = asyncio.create_task(machine.choose_accelerator())
        self.ending = asyncio.Event()
        self.head_pid = 0
        self.daemons: list[daemons.Running] = []
        self.machines = machine.machines(self.cluster, accelerator=self.accelerated, say=self.say)
        self.bmcs: dict[str, BmcServer] = {}
        self.open: list[object] = []  # what must stay alive: sockets, servers

    def say(self, line: str) -> None:
        """Write a line to the laboratory's log."""
        print(f"{time.monotonic() - self.begun:8.2f} {line}", flush=True)

    async def start(self) -> None:
        """Bring everything up; `BootmillError` says what did not work."""
        network.build(self.cluster)
        self.start_syslog()
        head.write_etc(self.cluster)
        self.head_pid = self.start_head()
        started = [daemons.start(daemon, inside=self.inside) for daemon in daemons.daemons(self.cluster)]
        self.daemons = started
        self.start_router_answers()
        for node in self.cluster.nodes:
            if node.bmc is not None and node.name in self.machines:
                driver = self.machines[node.name]
                password = self.settings.secrets.get(str(node.bmc.password), "")
                self.bmcs[node.name] = await bmcs.start(node, node.bmc, driver=driver, password=password)
        await asyncio.gather(self.start_control(), *(daemon.wait_ready() for daemon in started))
        self.say(f"ready: {len(started)} daemons, {len(self.machines)} nodes, {len(self.bmcs)} BMCs")

    async def accelerated(self) -> str:
        """Return what virtual machines run on; the first one waits until that is known."""
        return await asyncio.shield(self.accelerator)

    def start_head(self) -> int:
        """Start the process that holds the head node's namespaces, and return its pid."""
        reader, writer = os.pipe()
        argv = head.bwrap_argv(self.cluster, info_fd=writer, host_root=[*Path("/").iterdir()], checkout=Path.cwd())
        words = [f"--net={network.HEAD_NETNS}", "--", *argv]
        with state.daemon_log("head").open("ab") as output:
            run.start(["nsenter", *words], output=output, pass_fds=[writer])
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            said = answer.read()
        if not said:
            last = state.daemon_log("head").read_text(errors="replace").strip()
            message = f"the head node's view of the files could not be made: {last}"
            raise BootmillError(message, hint="bubblewrap needs to be allowed to mount (see `doit doctor`)")
        pid = int(json.loads(said)["child-pid"])
        wait_for_exec(pid)
        return pid

    def inside(self, argv: tuple[str, ...]) -> list[str]:
        """Return a command line that runs on the head node; nsenter executes it, so its pid is the program's."""
        return ["nsenter", f"--target={self.head_pid}", "--mount", "--net", "--wdns=/", "--", *argv]

    def start_syslog(self) -> None:
        """Take what in.tftpd says: it knows no log but syslog."""
        head.RUN.mkdir()
        (head.RUN / "named").mkdir()
        self.open.append(serve_syslog(head.SYSLOG))

    def start_router_answers(self) -> None:
        """Answer router solicitations where the kernel has IPv6."""
        if network.IPV6.exists():
            self.open.append(ra.serve(asyncio.get_running_loop(), network.BRIDGE))

    async def start_control(self) -> None:
        """Listen for `lab status`, `lab down` and the like."""
        previous = os.umask(0o177)  # only our own user may connect (unix(7): connecting needs write permission)
        try:
            self.open.append(await asyncio.start_unix_server(self.answer, str(state.CONTROL)))
        finally:
            os.umask(previous)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one question."""
        try:
            reply = await self.reply(state.parse(Request, await reader.readline()))
        except BootmillError as error:
            reply = Reply(error=str(error))
        writer.write(state.dump(reply))
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    async def reply(self, request: Request) -> Reply:
        """Return the answer to a question."""
        if request.ask is Ask.STATUS:
            return Reply(status=self.status())
        if request.ask is Ask.SECRETS:
            return Reply(secrets=self.settings.secrets)
        if request.ask is Ask.STOP:
            self.ending.set()
            return Reply()
        if request.node not in self.machines:
            return Reply(error=f"{request.node!r} is no virtual machine of this laboratory")
        await self.machines[request.node].power(PowerVerb(request.verb))
        return Reply()

    def status(self) -> Status:
        """Return what `lab status` shows."""
        return Status(
            head_pid=self.head_pid,
            uptime=time.monotonic() - self.begun,
            accelerator=self.accelerator.result() if self.accelerator.done() else "",
            daemons=tuple(
                DaemonState(name=each.daemon.name, pid=each.process.pid if each.process.poll() is None else 0)
                for each in self.daemons
            ),
            nodes=tuple(self.node_state(name) for name in self.machines),
        )

    def node_state(self, name: str) -> NodeState:
        """Return a node as its BMC sees it."""
        node = self.machines[name].node
        return NodeState(
            name=name,
            address=str(node.ip),
            bmc=str(node.bmc.address) if node.bmc else "",
            power=self.machines[name].is_on(),
            boot_device=self.bmcs[name].boot_device() if name in self.bmcs else "",
            pid=self.machines[name].pid,
        )

    def children(self) -> list[run.Process]:
        """Return the processes that somebody waits for."""
        owned = [daemon.process for daemon in self.daemons]
        return owned + [each.process for each in self.machines.values() if each.process is not None]

    async def stop(self) -> None:
        """Switch everything off in good order, so that logs and leases are whole.  The kernel does the rest."""
        for each in self.machines.values():
            if each.process is not None and each.is_on():
                each.process.kill()
        await asyncio.gather(*(daemon.stop() for daemon in self.daemons))
        self.say("down")


def wait_for_exec(pid: int) -> None:
    """Return when bubblewrap's child has become the program it was to run: only then are all its mounts made."""
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}/comm").read_text().strip() != "sleep":
        if time.monotonic() > end:
            message = "the head node's view of the files was not ready within 10 s"
            raise BootmillError(message, hint=f"look into {state.daemon_log('head')}")
        time.sleep(0.005)


def serve_syslog(path: Path) -> object:
    """Bind /dev/log and append what comes to tftpd.log or syslog.log; returns what must stay alive.

    in.tftpd knows no other log.  dhcpd says everything here that it says on its standard error too.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    listener.bind(str(path))
    path.chmod(0o666)
    outputs = {name: state.daemon_log(name).open("ab", buffering=0) for name in ("tftpd", "syslog")}

    def hear() -> None:
        line = listener.recv(8192).partition(b">")[2].strip(b"\0\n") + b"\n"
        outputs["tftpd" if b" in.tftpd[" in line else "syslog"].write(line)

    asyncio.get_running_loop().add_reader(listener, hear)
    return listener, outputs


def reap(own: Callable[[], list[run.Process]]) -> None:
    """Collect orphans: the first process of a PID namespace inherits them.  Our own children belong to their Popen."""
    alive = {process.pid for process in own() if process.poll() is None}
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in alive:  # one of ours ended just now: its own SIGCHLD is on its way
            return
        os.waitpid(found.si_pid, 0)


async def supervise(settings: Settings, *, ready_fd: int, leash_fd: int | None) -> int:
    """Run a laboratory until it is told to stop; returns the exit code."""
    supervisor = Supervisor(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.ending.set)
    loop.add_signal_handler(signal.SIGCHLD, reap, supervisor.children)
    if leash_fd is not None:  # end of file: whoever held the other end is gone, however it went
        loop.add_reader(leash_fd, supervisor.ending.set)
    outcome = Outcome()
    try:
        await supervisor.start()
    except BootmillError as error:
        outcome = Outcome(error=error.message, hint=error.hint)
    except OSError as error:
        outcome = Outcome(error=f"{error.filename or 'the laboratory'}: {error.strerror}")
    with os.fdopen(ready_fd, "wb") as ready, contextlib.suppress(BrokenPipeError):
        ready.write(state.dump(outcome))
    if not outcome.error:
        await supervisor.ending.wait()
    if leash_fd is not None:
        loop.remove_reader(leash_fd)
    await supervisor.stop()
    return 1 if outcome.error else 0


def main(words: list[str]) -> int:
    """Read the settings from a pipe and become the laboratory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--leash-fd", type=int)
    options = parser.parse_args(words)
    with os.fdopen(options.settings_fd, "rb") as pipe:
        settings = state.parse(Settings, pipe.read())
    for folder in ("console", "machines"):
        (paths.LAB / folder).mkdir(parents=True, exist_ok=True)
    return asyncio.run(supervise(settings, ready_fd=options.ready_fd, leash_fd=options.leash_fd))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
