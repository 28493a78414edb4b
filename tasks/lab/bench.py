"""`doit bench sweep`: every file of each built initrd is taken out alone, judged by `doit examine`, and booted in QEMU.

Ten seconds a file on an emulated machine: a quarter of an hour for an initrd.
"""

import json
import sys
from collections.abc import Iterator

from tasks import compression, cpio, files, paths
from tasks.inventory.model import Cluster, OsImage
from tasks.lab import direct, sweep
from tasks.lab.direct import Arch, Bare
from tasks.lab.machine import DEVICES
from tasks.lab.sweep import Forecast, Row
from tasks.measure import Measure
from tasks.run import run

COMMON = "e1000"  # the card of a machine where the osimage's drivers name none that QEMU has
STOPS = "init stops: "  # how the proof calls init's own end screen: no words of the kernel


def measures(cluster: Cluster) -> Iterator[Row | Measure]:
    """Yield a row for each file that was taken out, and the sum for each osimage that is built."""
    for image in cluster.stateless():
        if paths.initrd(image).exists():
            rows: list[Row] = []
            for row in image_rows(image):
                rows.append(row)
                yield row
            yield summary(image.name, rows)


def image_rows(image: OsImage) -> Iterator[Row]:
    """Yield the rows of one osimage: the first card meets every file, each further one what the drivers consist of."""
    entries = list(cpio.read(compression.decompress(paths.initrd(image).read_bytes())))
    modules = [name for name in sweep.files_of(entries) if sweep.MODULES.search(name)]
    for number, nic in enumerate(cards(image)):
        machine = Bare(kernel=paths.kernel(image), initrd=None, arch=Arch(image.arch), nic=nic, append="quiet")
        with files.scratch(paths.LAB / "sweep") as folder:
            yield from sweep.sweep(entries, machine, judge, names=modules if number else (), folder=folder)


def cards(image: OsImage) -> tuple[str, ...]:
    """Return the drivers of an osimage that QEMU has a card for."""
    return tuple(name for name in image.drivers if name in DEVICES) or (COMMON,)


def summary(name: str, rows: list[Row]) -> Measure:
    """Return the line that counts an osimage's rows."""
    wrong = [row.name for row in rows if not row.agrees]
    note = f"{len(rows) - len(wrong)} of {len(rows)} boots were foretold"
    seconds = sum(row.seconds for row in rows)
    return Measure(what=f"sweep of {name}", seconds=seconds, note=", ".join([note, *wrong]))


def judge(machine: Bare) -> Forecast:
    """Return what the boot proof foretells, asked as a user asks it: steps do not import each other."""
    values = {
        "kernel": machine.kernel,
        "initrd": machine.initrd,
        "append": direct.command_line(machine),
        "memory": machine.memory,
        "driver": machine.nic,
    }
    options = [word for name, value in values.items() if value is not None for word in (f"--{name}", str(value))]
    said = run([sys.executable, "-m", "doit", "examine", "--json", *options], check=False).stdout
    (verdict,) = json.loads(said)["images"][0]["verdicts"]
    return forecast(boots=verdict["boots"], message=verdict["message"])


def forecast(*, boots: bool, message: str) -> Forecast:
    """Return a verdict's message as the parts that have to stand on the console."""
    return Forecast(boots=boots, words=() if boots or message.startswith(STOPS) else tuple(message.split("; ")))
