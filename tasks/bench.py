"""`doit bench`: what costs time, measured on this machine.  Ratios count; seconds are this machine's own."""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks import cpio, files, gzipped, paths
from tasks.inventory.model import Cluster
from tasks.run import run

ROUNDS = 3
MANY = 10_000
SITE = "domain: example.org\nmaster: mgt\n"
NETWORKS = "mgmt: {subnet: 10.0.0.0/8}\n"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of the table: what was done, how often a second or how long, over how many rounds."""

    what: str
    seconds: float
    note: str = ""

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.what:<52} {self.seconds * 1000:>9.0f} ms  {self.note}"


def bench(cluster: Cluster, load: Callable[[Path], Cluster]) -> None:
    """Print how long the things take that a user waits for; what is not built yet is left out."""
    for measure in (*loading(load), nothing_to_do(), *packing(cluster)):
        print(measure, flush=True)


def median(what: str, act: Callable[[], object], note: str = "") -> Measure:
    """Time an act a few times and keep the median."""
    spans = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        act()
        spans.append(time.perf_counter() - begin)
    return Measure(what=what, seconds=statistics.median(spans), note=note)


def loading(load: Callable[[Path], Cluster]) -> list[Measure]:
    """Load this inventory, and one of many nodes."""
    with files.scratch(paths.BUILD / "bench") as folder:
        (folder / "site.yaml").write_text(SITE)
        (folder / "networks.yaml").write_text(NETWORKS)
        rows = [node(number) for number in range(1, MANY + 1)]
        (folder / "nodes.yaml").write_text("\n".join(["mgt: {ip: 10.0.0.1}", *rows]) + "\n")
        return [
            median("load this inventory", lambda: load(paths.INVENTORY)),
            median(f"load an inventory of {MANY:,} nodes", lambda: load(folder)),
        ]


def node(number: int) -> str:
    """Return one line of a big nodes.yaml."""
    high, low = divmod(number, 256)
    return f"n{number:05}: {{ip: 10.1.{high}.{low}, mac: 02:00:00:00:{high:02x}:{low:02x}}}"


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
