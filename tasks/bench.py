"""`doit bench`: what costs time, measured on this machine.  Ratios count; seconds are this machine's own."""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks import cpio, gzipped, paths
from tasks.bench_site import bench_site
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tasks.run import run

ROUNDS = 3
MANY = (10_000,)
LEAST = 100
MOST = 199_999  # an inventory of more is refused


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of the table: what was done, how often a second or how long, over how many rounds."""

    what: str
    seconds: float
    note: str = ""

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.what:<52} {self.seconds * 1000:>9.0f} ms  {self.note}"


def bench(cluster: Cluster, load: Callable[[Path], Cluster], words: list[str]) -> None:
    """Print how long the things take that a user waits for; what is not built yet is left out.

    Words are numbers of nodes: the configuration of so many is measured, 10,000 where none is given.
    """
    wrong = [word for word in words if not (word.isascii() and word.isdigit() and LEAST <= int(word) <= MOST)]
    if wrong:
        message = f"{', '.join(wrong)}: no number of nodes between {LEAST} and {MOST:,}"
        raise BootmillError(message, hint="doit bench 10000 100000")
    measures = [median("load this inventory", lambda: load(paths.INVENTORY)), nothing_to_do(), *packing(cluster)]
    for measure in measures:
        print(measure, flush=True)
    for number in map(int, words) if words else MANY:
        for line in bench_site(number):
            print(line, flush=True)


def median(what: str, act: Callable[[], object], note: str = "") -> Measure:
    """Time an act a few times and keep the median."""
    spans = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        act()
        spans.append(time.perf_counter() - begin)
    return Measure(what=what, seconds=statistics.median(spans), note=note)


def nothing_to_do() -> Measure:
    """Run doit where everything is up to date (or as far as it is)."""
    command = [sys.executable, "-m", "doit", "check"]
    return median("doit check, as a process", lambda: run(command, check=False))


def packing(cluster: Cluster) -> list[Measure]:
    """Compress each built root image's content again."""
    measures = []
    for image in cluster.stateless():
        packed = paths.root_image(image)
        if packed.exists():
            measures += image_measures(packed.read_bytes())
    return measures


def image_measures(packed: bytes) -> list[Measure]:
    """Unpack, read and compress one root image."""
    content = gzipped.decompress(packed)
    size = f"{len(content) / 1e6:.0f} MB"
    return [
        median("unpack a root image", lambda: gzipped.decompress(packed), size),
        median("read its archive", lambda: sum(1 for _ in cpio.read(content)), size),
        median("compress it", lambda: sum(map(len, gzipped.compress([content]))), size),
    ]
