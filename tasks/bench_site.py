"""A generated site of many nodes, and how long its configuration takes: what `doit bench` prints of scale.

Every node has a MAC, an address, a BMC, a switch port and two groups.  Measured is doit as a user starts it, on the
tasks that render configuration, against a doit that has nothing to do at all, against ninja on a graph with as many
outputs, and against `cp -r` of what was written.
"""

import os
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks import files, paths
from tasks.run import run

ROUNDS = 5
RACK = 48
TASKS = ("configs", "menus")
EMPTY = 'DOIT_CONFIG = {"backend": "sqlite3"}\n\n\ndef task_nothing():\n    return {"actions": []}\n'
SITE = "domain: big.example\nmaster: mgt\ndefaults: {console: {port: 0, speed: 115200}}\n"
NETWORKS = """\
mgmt:
  subnet: 10.0.0.0/12
  gateway: 10.14.0.254
  dynamic_range: 10.15.0.1-10.15.255.254
ipmi: {subnet: 10.16.0.0/12, dhcp: false}
"""
GROUPS = """\
compute:
  ip: "10.{{ n[0] // 65536 }}.{{ n[0] // 256 % 256 }}.{{ n[0] % 256 }}"
  bmc:
    address: "10.{{ 16 + n[0] // 65536 }}.{{ n[0] // 256 % 256 }}.{{ n[0] % 256 }}"
    password: !secret env:BOOTMILL_BMC_PASSWORD
  port: {switch: "sw{{ '%04d' % (n[0] // 48) }}", port: "{{ n[0] % 48 + 1 }}"}
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: what was measured, and what it is compared with (seconds)."""

    what: str
    seconds: float
    against: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        """Return the line."""
        ratios = "   ".join(f"{self.seconds / other:.2f} x {name} ({other:.3f} s)" for name, other in self.against)
        return f"    {self.what:<24} {self.seconds:>8.3f} s   {ratios}".rstrip()


def bench_site(number: int) -> Iterator[str]:
    """Yield the lines of the table for a site of so many nodes."""
    yield f"configuration of {number:,} nodes"
    with files.scratch(paths.BUILD / "bench") as folder:
        site = folder / "site"
        checkout(site)
        generate(site / "inventory", number)
        nothing = folder / "nothing"
        nothing.mkdir()
        (nothing / "dodo.py").write_text(EMPTY)
        doit(nothing)
        empty = median(lambda: doit(nothing))
        first = once(lambda: doit(site, *TASKS))
        written = [path for path in (site / "build").rglob("*") if path.is_file()]
        copied = once(lambda: copy(site / "build", folder / "copy"))
        yield str(Row(what="from nothing", seconds=first, against=(("cp -r", copied),)))
        time.sleep(0.2)  # until no file is so new that it could change without a new date
        doit(site, *TASKS)
        ninja = Ninja(folder / "ninja", len(written))
        same = median(lambda: doit(site, *TASKS))
        yield str(Row(what="nothing to do", seconds=same, against=(("an empty doit", empty), *ninja.no_op())))
        edits = []
        for turn in range(ROUNDS):
            edit(site / "inventory" / "nodes.yaml", number // 2 + turn)
            edits.append(once(lambda: doit(site, *TASKS)))
        yield str(Row(what="one node edited", seconds=statistics.median(edits), against=ninja.one_edit()))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    yield f"    {'largest process':<24} {peak:>8.0f} MB"


def checkout(folder: Path) -> None:
    """Give the generated site the code of this checkout, and the daemons' programs."""
    folder.mkdir(parents=True)
    for name in ("dodo.py", "pyproject.toml"):
        shutil.copy(name, folder)
    copy(Path("tasks"), folder / "tasks")
    (folder / ".venv").symlink_to(Path(".venv").absolute())


def generate(folder: Path, number: int) -> None:
    """Write the inventory."""
    folder.mkdir()
    numbers = usable(number)
    switches = range(numbers[-1] // RACK + 1)
    rows = ["mgt: {ip: 10.14.0.1, mac: 02:ff:00:00:00:01}", *(node(one) for one in numbers)]
    texts = {
        "site": SITE,
        "networks": NETWORKS,
        "groups": GROUPS,
        "switches": "".join(f"sw{one:04}: {{ip: 10.31.{one // 250}.{one % 250 + 1}, ports: 48}}\n" for one in switches),
        "nodes": "\n".join(rows) + "\n",
    }
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)


def usable(number: int) -> list[int]:
    """Return the numbers of so many nodes, without those that make the first or the last address of a /24."""
    found: list[int] = []
    one = 0
    while len(found) < number:
        one += 1
        if 0 < one % 256 < 255:
            found.append(one)
    return found


def node(number: int, *, high: int = 0) -> str:
    """Return one line of nodes.yaml."""
    mac = ":".join(f"{byte:02x}" for byte in number.to_bytes(3, "big"))
    return f"n{number:06}: {{groups: [compute, rack{number // RACK:04}], mac: 02:{high:02x}:01:{mac}}}"


def edit(path: Path, index: int) -> None:
    """Give one node another MAC."""
    lines = path.read_text().split("\n")
    number = int(lines[index].partition(":")[0].lstrip("n"))
    lines[index] = node(number, high=7)
    path.write_text("\n".join(lines))


def doit(folder: Path, *words: str) -> None:
    """Run doit in a folder."""
    run([sys.executable, "-m", "doit", "--dir", folder, "--file", folder / "dodo.py", *words])


def copy(source: Path, target: Path) -> None:
    """Copy a tree as `cp -r` does."""
    run(["cp", "-r", source, target])


def once(act: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def median(act: Callable[[], object]) -> float:
    """Return how many seconds something takes, most of the time."""
    return statistics.median(once(act) for _ in range(ROUNDS))


class Ninja:
    """Ninja on a graph with as many outputs, each copied from an input of its own; nothing where there is no ninja."""

    def __init__(self, folder: Path, outputs: int) -> None:
        """Write the graph, and the outputs as if they had been built."""
        self.folder = folder
        self.there = shutil.which("ninja") is not None
        if not self.there:
            return
        folder.mkdir()
        self.number = outputs
        lines = ["rule cp", "  command = cp $in $out", "  generator = 1"]  # believe what is there without a log
        for one in range(self.number):
            for name in (f"in{one}", f"out{one}"):
                (folder / name).touch()
            lines.append(f"build out{one}: cp in{one}")
        (folder / "build.ninja").write_text("\n".join(lines) + "\n")
        self.run()

    def run(self, *words: str) -> None:
        """Run ninja."""
        run(["ninja", "-C", self.folder, *words])

    def no_op(self) -> tuple[tuple[str, float], ...]:
        """Return how long it takes to find that there is nothing to do."""
        return (("ninja", median(self.run)),) if self.there else ()

    def one_edit(self) -> tuple[tuple[str, float], ...]:
        """Return how long it takes to make one output again."""
        if not self.there:
            return ()

        def act() -> None:
            os.utime(self.folder / f"in{self.number // 2}")
            self.run()

        return (("ninja", median(act)),)
