"""The diary's panic, mended: busybox without its loader and libraries, repaired, boots."""

import re
import shutil
from pathlib import Path

import pytest

from tasks import compression, cpio, paths
from tasks.initrd import repair
from tasks.initrd.proof.proof import judge
from tasks.inventory.model import Cluster, Compression
from tasks.lab import direct
from tasks.lab.direct import Bare, End

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-system-x86_64") is None, reason="QEMU is not installed (apt-get install qemu-system-x86)"
)
# As the diary had it: DOS line ends from an editor, and nothing but busybox.
INIT = b"#!/bin/busybox sh\r\n/bin/busybox echo 'repaired: init runs'\r\n/bin/busybox reboot -f\r\n"


def test_the_panic_of_the_diary_is_mended(built: Path, cluster: Cluster, tmp_path: Path) -> None:
    """Before, the proof foretells "No working init found"; after, init runs.  Microcode and gzip stay as they were."""
    image = cluster.stateless()[0]
    tree, kernel = built / paths.rootimg_tree(image), built / paths.kernel(image)
    busybox = (tree / "usr/bin/busybox").read_bytes()
    early = cpio.with_parents([cpio.regular("kernel/x86/microcode/GenuineIntel.bin", bytes(4096))])
    late = cpio.with_parents([cpio.regular("init", INIT, 0o644), cpio.regular("bin/busybox", busybox, 0o755)])
    packed = b"".join(compression.compress(cpio.write(late), Compression.GZIP))
    initrd = tmp_path / "initrd.gz"
    initrd.write_bytes(b"".join(cpio.write(early)) + packed)
    assert "No working init found" in judge(kernel, initrd).message
    repair.repair_words(cluster, ["--initrd", str(initrd), "--kernel", str(kernel), "--sysroot", str(tree)])
    made = initrd.with_name("initrd.gz.repaired")
    assert made.read_bytes().startswith(initrd.read_bytes())
    assert judge(kernel, made).boots
    machine = Bare(kernel=kernel, initrd=made, append="quiet")
    found = direct.boot(machine, until=re.compile("repaired: init runs"), seconds=90)
    assert found.end is End.SEEN, found.console[-3000:]
