"""The inventory's nodes boot from the generated files in virtual machines; a broken initrd panics as the kernel does.

They are slow (a minute each without KVM) and run one after the other: two emulated machines on two cores need four
times as long.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import compression, cpio, paths, run
from tasks.inventory.model import Cluster, OsImage
from tests.lab.conftest import laboratory_processes, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
BOOT_SECONDS = 600


def mounts() -> list[str]:
    """Return the mounts of this machine."""
    return sorted(Path("/proc/self/mounts").read_text().splitlines())


@pytest.mark.parametrize(("name", "address"), [("n01", "10.1.0.11"), ("n05", "10.1.0.15")])
def test_node_boots(built: Path, monkeypatch: pytest.MonkeyPatch, name: str, address: str) -> None:
    """`doit lab boot` ends with a node that answers ssh under its name: n01 by PXELINUX (BIOS), n05 by GRUB (UEFI)."""
    monkeypatch.chdir(built)
    before = mounts()
    argv = [sys.executable, "-m", "doit", "lab", "boot", name]
    done = subprocess.run(argv, cwd=built, capture_output=True, text=True, timeout=BOOT_SECONDS, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"{name}: is up as {name}.renci.ben, {address}, and answers ssh" in done.stdout
    stages = [match[1] for match in re.finditer(r"^ +[\d.]+ s +\+[\d.]+  (.*)$", done.stdout, re.MULTILINE)]
    assert {"power on", "DHCP", "boot program", "kernel started", "init", "root image fetched"} <= set(stages)
    assert stages[-1] == "ssh answers"
    assert mounts() == before
    assert laboratory_processes() == []


def test_interrupt_leaves_nothing(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a boot takes the laboratory down with it."""
    monkeypatch.chdir(built)
    before = mounts()
    argv = [sys.executable, "-m", "doit", "lab", "boot", "n01"]
    process = subprocess.Popen(argv, cwd=built, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    assert any("boot program" in line for line in process.stdout)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0
    end = time.monotonic() + 5
    while laboratory_processes() and time.monotonic() < end:
        time.sleep(0.05)
    assert laboratory_processes() == []
    assert mounts() == before


def as_it_is(entries: list[cpio.Entry]) -> list[cpio.Entry]:
    """Change nothing."""
    return entries


def without_interpreter(entries: list[cpio.Entry]) -> list[cpio.Entry]:
    """Leave the ELF interpreter out, as a list of libraries without PT_INTERP does."""
    kept = [entry for entry in entries if not Path(entry.name).name.startswith("ld-linux")]
    assert len(kept) < len(entries)
    return kept


def without_library(entries: list[cpio.Entry]) -> list[cpio.Entry]:
    """Leave one library of busybox out."""
    kept = [entry for entry in entries if not Path(entry.name).name.startswith("libresolv")]
    assert len(kept) < len(entries)
    return kept


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="QEMU is not installed (qemu-system-x86)")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (as_it_is, r"bootmill\[[\d.]+\] first stage"),
        (without_interpreter, r"Kernel panic - not syncing: No working init found"),
        (without_library, r"libresolv\.so\.2.*[\s\S]*Kernel panic - not syncing: Attempted to kill init"),
    ],
    ids=["whole", "no interpreter", "no library"],
)
def test_kernel_agrees_with_the_proof(
    built: Path,
    cluster: Cluster,
    tmp_path: Path,
    change: Callable[[list[cpio.Entry]], list[cpio.Entry]],
    words: str,
) -> None:
    """An initrd without its interpreter is the panic of the diary; without a library init dies; whole, it starts."""
    image = next(each for each in cluster.osimages if each.method == "netboot")
    packed = tmp_path / "initrd.img"
    entries = list(cpio.read(compression.decompress((built / paths.initrd(image)).read_bytes())))
    packed.write_bytes(b"".join(compression.compress(cpio.write(change(entries)))))
    assert re.search(words, console_of(built, image, packed)), change.__doc__


def console_of(built: Path, image: OsImage, initrd: Path) -> str:
    """Boot a kernel with an initrd and no network, and return what it printed until it gave up or was satisfied."""
    argv = [
        *("qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-cpu", "max", "-m", "512", "-nodefaults"),
        *("-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", str(built / paths.kernel(image))),
        *("-initrd", str(initrd), "-append", "console=ttyS0 panic=-1"),
    ]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={"PATH": run.PATH})
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.decode(errors="replace"))
        if "first stage" in lines[-1]:
            process.kill()
    process.wait()
    process.stdout.close()
    return "".join(lines)
