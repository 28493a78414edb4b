"""Work on all processors: functions of no arguments, each in a forked process, their values in the same order.

A forked process has everything that this one has, so nothing but the values is passed on.
"""

import signal
from collections.abc import Callable, Sequence
from typing import Any

from tasks.errors import BootmillError

WORK: Sequence[Callable[[], Any]] = ()  # of the processes that are forked next


def side_by_side(work: Sequence[Callable[[], Any]], workers: int) -> list[Any]:
    """Return the functions' values; an exception of one of them is raised here.

    `BootmillError` where a process was killed (the kernel does that when memory ends).
    """
    # 20 ms, and most runs have little to do
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    global WORK
    WORK = work
    ignore = (signal.SIGINT, signal.SIG_IGN)  # it is this process that is interrupted
    try:
        with ProcessPoolExecutor(workers, get_context("fork"), signal.signal, ignore) as pool:
            return [*pool.map(one, range(len(work)))]
    except BrokenProcessPool as error:
        message = "a process that compiled the inventory was killed"
        raise BootmillError(message, hint="was there too little memory?") from error


def one(number: int) -> Any:
    """Return the value of one function."""
    return WORK[number]()
