"""Many nodes at once, one forked process each; results as data, in natural order.

A process per node because pyghmi is neither safe among threads nor after a fork that follows its first session; and a
process can be ended at its deadline, wherever it hangs.  Nothing of a worker reaches our output but its one line.
"""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from tasks.errors import BootmillError
from tasks.inventory.noderange import natural
from tasks.run import die_with_parent

LIMIT = 32  # processes at a time
DEADLINE = 30.0  # seconds for one node
LONGEST = 4000  # characters of a result: an answer fits into a pipe, so no worker waits for its reader
FORK = multiprocessing.get_context("fork")

Work = Callable[[], str]


@dataclass(frozen=True, kw_only=True)
class NodeResult:
    """What became of one node."""

    node: str
    ok: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A process at work, and until when it may be."""

    node: str
    process: BaseProcess
    pipe: Connection
    deadline: float


def run(
    jobs: Mapping[str, Work],
    *,
    tell: Callable[[NodeResult], None] = lambda result: None,
    limit: int = LIMIT,
    deadline: float = DEADLINE,
) -> tuple[NodeResult, ...]:
    """Do each node's job in a process of its own and return the results in natural order of the nodes.

    A job returns its line or raises `BootmillError`.  `tell` gets each result as soon as all before it are known.  On
    Ctrl-C the workers are ended, and what is not known by then is told as interrupted.
    """
    order = natural(jobs)
    waiting = list(reversed(order))
    working: dict[Connection, Worker] = {}
    results: dict[str, NodeResult] = {}
    told = 0
    try:
        while waiting or working:
            while waiting and len(working) < limit:
                node = waiting.pop()
                worker = start(node, jobs[node], deadline)
                working[worker.pipe] = worker
            for result in finished(working):
                results[result.node] = result
            told = tell_known(order, results, told, tell)
    except KeyboardInterrupt:
        for worker in working.values():
            stop(worker)
        for node in order:
            results.setdefault(node, NodeResult(node=node, ok=False, text="interrupted"))
        tell_known(order, results, told, tell)
    return tuple(results[node] for node in order)


def tell_known(
    order: list[str], results: Mapping[str, NodeResult], told: int, tell: Callable[[NodeResult], None]
) -> int:
    """Tell the results that follow those told already, up to the first that is not known; returns how many are told."""
    while told < len(order) and order[told] in results:
        tell(results[order[told]])
        told += 1
    return told


def start(node: str, work: Work, deadline: float) -> Worker:
    """Fork a process for one node."""
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=child, args=(node, work, theirs), daemon=True)
    sys.stdout.flush()
    sys.stderr.flush()
    process.start()
    theirs.close()
    return Worker(node=node, process=process, pipe=ours, deadline=time.monotonic() + deadline)


def child(node: str, work: Work, pipe: Connection) -> None:
    """Do one node's job and send its result; Ctrl-C is the parent's business, and so is speaking."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    try:
        result = NodeResult(node=node, ok=True, text=work())
    except BootmillError as error:
        result = NodeResult(node=node, ok=False, text=error.message)
    except Exception as error:  # a bug; its message may hold anything, a password included, so only its place is told
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        result = NodeResult(node=node, ok=False, text=f"unexpected {type(error).__name__} in {place}")
    pipe.send((result.ok, result.text[:LONGEST]))
    pipe.close()


def finished(working: dict[Connection, Worker]) -> list[NodeResult]:
    """Wait until something happens; return the results that are there, and take their workers off the table."""
    patience = min(worker.deadline for worker in working.values()) - time.monotonic()
    ready = wait(list(working), max(0.0, patience))
    results = [collect(working.pop(pipe)) for pipe in list(working) if pipe in ready]
    now = time.monotonic()
    for worker in [worker for worker in working.values() if worker.deadline <= now]:
        stop(working.pop(worker.pipe))
        results.append(NodeResult(node=worker.node, ok=False, text="did not end in time, and was ended"))
    return results


def collect(worker: Worker) -> NodeResult:
    """Return what a worker sent; one that died without a word is a failure too."""
    try:
        ok, text = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        return NodeResult(node=worker.node, ok=False, text=f"its worker died (exit code {worker.process.exitcode})")
    stop(worker)
    return NodeResult(node=worker.node, ok=bool(ok), text=str(text))


def stop(worker: Worker) -> None:
    """End a worker and collect it; one that has sent its result has nothing left to do."""
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()
