"""The boot proof's verdict in the words of the sweep."""

from tasks.initrd.proof import proof
from tasks.lab import bench, direct
from tasks.lab.direct import Bare
from tasks.lab.sweep import Forecast


def judge(machine: Bare) -> Forecast:
    """Return what the proof foretells of a bare machine."""
    assert machine.initrd is not None
    verdict = proof.judge(
        machine.kernel,
        machine.initrd,
        direct.command_line(machine),
        memory_mib=machine.memory,
        driver=machine.nic,
    )
    return bench.forecast(boots=verdict.boots, message=verdict.message)
