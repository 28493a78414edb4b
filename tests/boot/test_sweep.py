"""Files are taken out of the sample initrd one at a time: what the proof foretells is what QEMU shows.

Here a sample of six that fail in six ways; `doit bench sweep` takes out every one.
"""

import re
import shutil
from pathlib import Path

import pytest

from tasks import compression, cpio, paths
from tasks.inventory.model import Cluster
from tasks.lab import sweep
from tasks.lab.direct import Bare
from tests.boot import judging

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(
        shutil.which("qemu-system-x86_64") is None,
        reason="qemu-system-x86_64 is not installed (apt-get install qemu-system-x86)",
    ),
]
NIC = "e1000"
# What is taken out (a pattern of its path), how the boot must end: the sweep itself has to notice the difference.
LOST = {
    "nothing": (r"", sweep.Outcome.BOOTS),
    "init": (r"init", sweep.Outcome.PANICS),
    "busybox": (r"usr/bin/busybox", sweep.Outcome.PANICS),
    "loader": (r"usr/lib64/ld-linux-x86-64\.so\.2|lib64/ld-linux-x86-64\.so\.2", sweep.Outcome.PANICS),
    "library": (r".*/libresolv\.so\.2", sweep.Outcome.PANICS),
    "driver": (rf".*/{NIC}\.ko", sweep.Outcome.STOPS),
    "DHCP script": (r"etc/udhcpc\.script", sweep.Outcome.STOPS),
    "another card's driver": (r".*/tg3\.ko", sweep.Outcome.BOOTS),
}


@pytest.mark.parametrize("lost", LOST)
def test_proof_foretells_the_boot(built: Path, cluster: Cluster, tmp_path: Path, lost: str) -> None:
    """Verdict and kernel message are those of the real boot."""
    image = next(each for each in cluster.osimages if each.method == "netboot")
    entries = list(cpio.read(compression.decompress((built / paths.initrd(image)).read_bytes())))
    pattern, outcome = LOST[lost]
    (name,) = [each.name for each in entries if re.fullmatch(pattern, each.name)] if pattern else [""]
    machine = Bare(kernel=built / paths.kernel(image), initrd=None, nic=NIC, append="quiet")
    (row,) = sweep.sweep(entries, machine, judging.judge, names=[name], folder=tmp_path, stop=sweep.DECISIVE)
    assert row.outcome is outcome, str(row)
    assert row.agrees, str(row)
