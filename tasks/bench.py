"""`doit bench`: what costs time, measured on this machine.  Ratios count; seconds are this machine's own."""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tasks import paths
from tasks.bench_site import bench_site
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tasks.measure import Measure, median
from tasks.run import run

MANY = (10_000,)
LEAST = 100
MOST = 199_999  # an inventory of more is refused


def bench(cluster: Cluster, load: Callable[[Path], Cluster], subjects: Mapping[str, str], words: list[str]) -> None:
    """Print how long the things take that a user waits for; what is not built yet is left out.

    Words are subjects (`subjects`: word → module whose ``measures(cluster)`` yields lines) and numbers of nodes, for
    which the configuration is measured.  Without a word: 10,000 nodes.
    """
    wrong = [word for word in words if word not in subjects and not is_number(word)]
    if wrong:
        message = (
            f"{', '.join(wrong)}: neither {', '.join(subjects)} nor a number of nodes between {LEAST} and {MOST:,}"
        )
        raise BootmillError(message, hint="doit bench 10000 100000 | doit bench initrd")
    for word in words or map(str, MANY):
        lines = importlib.import_module(subjects[word]).measures(cluster) if word in subjects else site(load, int(word))
        for line in lines:
            print(line, flush=True)


def is_number(word: str) -> bool:
    """Return whether a word is a number of nodes that an inventory may have."""
    return word.isascii() and word.isdigit() and LEAST <= int(word) <= MOST


def site(load: Callable[[Path], Cluster], number: int) -> Iterator[object]:
    """Yield what a site of so many nodes costs, and what every run costs here."""
    yield median("load this inventory", lambda: load(paths.INVENTORY))
    yield nothing_to_do()
    yield from bench_site(number)


def nothing_to_do() -> Measure:
    """Run doit where everything is up to date (or as far as it is)."""
    command = [sys.executable, "-m", "doit", "check"]
    return median("doit check, as a process", lambda: run(command, check=False))
