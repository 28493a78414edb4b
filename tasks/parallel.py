"""Work on all processors: functions of no arguments, each in a forked process, their values in the same order.

A forked process has everything that this one has, so nothing but the values is passed on.
"""

import signal
from collections.abc import Callable, Sequence
from typing import Any

WORK: Sequence[Callable[[], Any]] = ()  # of the processes that are forked next


def side_by_side(work: Sequence[Callable[[], Any]], workers: int) -> list[Any]:
    """Return the functions' values; an exception of one of them is raised here, and the others end."""
    from multiprocessing import get_context  # 20 ms, and most runs have little to do

    global WORK
    WORK = work
    with get_context("fork").Pool(workers, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
        return pool.map(one, range(len(work)), chunksize=1)


def one(number: int) -> Any:
    """Return the value of one function."""
    return WORK[number]()
