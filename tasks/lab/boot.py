"""`lab boot n01`: give the order that a user gives, then watch the node until it answers ssh under its own name."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks import files, paths
from tasks.errors import BootmillError, CommandError
from tasks.inventory.model import Cluster, Node
from tasks.lab import outside, state, timeline
from tasks.lab.bmc import PowerVerb
from tasks.lab.state import Ask, Request
from tasks.lab.timeline import Source, Watch

PATIENCE = 240.0  # seconds from power-on to ssh; TCG needs 60 on a quiet machine
NAP = 0.25
SSH_EVERY = 1.5  # seconds between attempts to log in
ATTEMPT = 15.0
WORDS_OF_BLAME = 20


class Logs:
    """The logs of a laboratory from a moment on."""

    def __init__(self, node: Node) -> None:
        """Remember where each log ends now."""
        names = {source: state.daemon_log(source.value) for source in Source}
        self.paths = {**names, Source.CONSOLE: state.console_log(node.name)}
        self.seen = {source: path.stat().st_size if path.exists() else 0 for source, path in self.paths.items()}
        self.begun = dict(self.seen)

    def grown(self) -> dict[Source, str]:
        """Return what each log grew by since the last call."""
        texts: dict[Source, str] = {}
        for source, path in self.paths.items():
            data = tail(path, self.seen[source])
            self.seen[source] += len(data)
            texts[source] = data.decode(errors="replace")
        return texts

    def spoken(self, source: Source, lines: int) -> list[str]:
        """Return the last lines that a log got since the beginning."""
        text = tail(self.paths[source], self.begun[source]).decode(errors="replace")
        return [line for line in map(timeline.plain, text.splitlines()) if line][-lines:]


def tail(path: Path, offset: int) -> bytes:
    """Return a file's bytes from an offset on; nothing where the file is not there yet."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""


class Progress:
    """One line that tells how far the boot is: rewritten on a terminal, printed per stage elsewhere."""

    def __init__(self, node: Node) -> None:
        """Look once whether a person is watching."""
        self.node = node
        self.live = sys.stdout.isatty()

    def stage(self, reached: timeline.Reached) -> None:
        """Print a stage that was reached."""
        self.clear()
        print(f"{self.node.name}: {reached.seconds:6.1f} s  {reached.name}", flush=True)

    def tick(self, seconds: float, words: str) -> None:
        """Show the time and the console's last line."""
        if self.live:
            print(f"\r\x1b[K{self.node.name}: {seconds:6.1f} s  … {words[:80]}", end="", flush=True)

    def clear(self) -> None:
        """Take the live line away."""
        if self.live:
            print("\r\x1b[K", end="", flush=True)


def boot(cluster: Cluster, name: str, *, keep: bool, timeout: float) -> None:
    """Boot a node in the laboratory and prove that it is the one that the inventory describes.

    A laboratory that was not up lives for this boot alone, unless `keep`.
    """
    node = bootable(cluster, name)
    with laboratory(cluster, keep=keep):
        order_and_watch(cluster, node, timeout)


def bootable(cluster: Cluster, name: str) -> Node:
    """Return the node of this name, if it can be a virtual machine that boots over the network."""
    names = [node.name for node in cluster.booting() if node.name != cluster.site.master]
    if name not in names:
        message = f"{name!r} is no node that boots over the network"
        raise BootmillError(message, hint=f"nodes with a MAC and an osimage: {', '.join(names)}")
    return cluster.node(name)


@contextmanager
def laboratory(cluster: Cluster, *, keep: bool) -> Iterator[None]:
    """Use the laboratory that is up, or bring one up for this block.

    It hangs on a leash: not even SIGKILL on this process leaves it behind.
    """
    if outside.running() is not None:
        yield
        return
    outside.up(cluster, leashed=not keep)
    try:
        yield
    finally:
        if not keep:
            outside.down()


def order_and_watch(cluster: Cluster, node: Node, timeout: float) -> None:
    """Give the order and follow the boot to its end; prints the timeline, raises with the cause of a failure."""
    logs = Logs(node)
    watch = Watch(stages=timeline.stages(node))
    files.remove_tree(state.known_hosts(node.name))
    begun = time.monotonic()
    give_order(node)
    progress = Progress(node)
    try:
        mistakes = follow(cluster, node, logs, watch, progress, begun=begun, timeout=timeout)
    finally:
        progress.clear()
    print(timeline.table(watch.reached.values()), flush=True)
    if mistakes:
        message = "\n      ".join([f"{node.name} is up, but not as the inventory has it:", *mistakes])
        raise BootmillError(
            message, hint=f"look at it: doit lab boot {node.name} --keep, then doit lab ssh {node.name}"
        )
    print(f"{node.name}: is up as {node.name}.{cluster.site.domain}, {node.ip}, and answers ssh")


def give_order(node: Node) -> None:
    """Give the order that a user would give, on the head node; a guest without BMC is switched by the laboratory."""
    word = "rnetboot" if node.bmc else "nodeset"
    argv: list[str | Path] = [sys.executable, "-m", "doit", word, node.name, *([] if node.bmc else ["netboot"])]
    code = outside.execute(argv)
    if code:
        message = f"`doit {word} {node.name}` failed on the laboratory's head node (exit code {code})"
        raise BootmillError(message, hint="its own words are above")
    if node.bmc is None:
        for verb in (PowerVerb.OFF, PowerVerb.ON):
            outside.ask(Request(ask=Ask.POWER, node=node.name, verb=verb))


def follow(
    cluster: Cluster, node: Node, logs: Logs, watch: Watch, progress: Progress, *, begun: float, timeout: float
) -> list[str]:
    """Watch until the node answers ssh, and return what is wrong with it then; `BootmillError` where it never does."""
    tried = begun
    while (seconds := time.monotonic() - begun) < timeout:
        for reached in watch.feed(logs.grown(), seconds):
            progress.stage(reached)
        if watch.fatal:
            time.sleep(1)  # the lines after a panic say where
            watch.feed(logs.grown(), seconds)
            raise failure(node, f"{node.name} cannot boot: {watch.fatal}", logs, watch)
        progress.tick(seconds, watch.last_words())
        if watch.reached.keys() & {"root image fetched", "root switched"} and time.monotonic() - tried > SSH_EVERY:
            mistakes = examine(cluster, node)
            tried = time.monotonic()
            if mistakes is not None:
                arrived = timeline.Reached(name="ssh answers", seconds=time.monotonic() - begun, line="")
                watch.reached[arrived.name] = arrived
                progress.stage(arrived)
                return mistakes
        outside.require()
        time.sleep(NAP)
    last = [*watch.reached.values()][-1].name if watch.reached else "nothing"
    raise failure(node, f"{node.name} did not answer ssh within {timeout:g} s; the last stage was: {last}", logs, watch)


def failure(node: Node, what: str, logs: Logs, watch: Watch) -> BootmillError:
    """Return the error for a boot that failed: stages, console, and what the daemons said to the node."""
    lines = [what, timeline.table(watch.reached.values())]
    lines += ["  the console's last lines:", *(f"    | {line}" for line in watch.before_end(WORDS_OF_BLAME))]
    for source in (Source.DHCPD, Source.TFTPD, Source.NGINX):
        said = [line for line in logs.spoken(source, 200) if str(node.ip) in line or (node.mac or "-") in line][-6:]
        lines += [f"  {source} said:", *(f"    | {line}" for line in said or ["nothing about this node"])]
    return BootmillError("\n".join(lines), hint=f"everything it printed: {state.console_log(node.name)}")


# -- ssh -------------------------------------------------------------------------------------------------------------


def ssh_argv(cluster: Cluster, node: Node, words: list[str], *, batch: bool) -> list[str | Path]:
    """Return the ssh command to a node with the site's key.

    Its host key is new at every boot of a stateless node, so it is kept per boot and accepted once.  ``-F none`` keeps
    the user's own ssh configuration out.
    """
    options = {
        "BatchMode": "yes" if batch else "no",
        "ConnectTimeout": "3",
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "IdentityFile": str(paths.site_key(cluster.site)),
        "LogLevel": "ERROR",
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": str(state.known_hosts(node.name)),
    }
    settings = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return ["ssh", "-F", "none", *settings, f"root@{node.ip}", *words]


def examine(cluster: Cluster, node: Node) -> list[str] | None:
    """Log in and compare the node with the inventory; None while it does not answer."""
    master = cluster.node(cluster.site.master)
    asked = {f"{each.name}.{cluster.site.domain}": str(each.ip) for each in (node, master)}
    mark = "-- 8< --"
    lookups = [f"busybox nslookup {name} 2>&1 || getent ahostsv4 {name}" for name in asked]
    script = f"; echo '{mark}'; ".join(["hostname", "ip -4 -oneline address show", *lookups])
    try:
        done = outside.capture(ssh_argv(cluster, node, [script], batch=True), timeout=ATTEMPT)
    except CommandError:
        return None
    parts = done.stdout.split(f"{mark}\n")
    if len(parts) != 2 + len(asked):
        return None
    answers = {name: (wanted, found) for (name, wanted), found in zip(asked.items(), parts[2:], strict=True)}
    return list(timeline.verdict(node, parts[0].strip(), parts[1], answers))
