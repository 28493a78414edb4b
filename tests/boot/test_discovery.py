"""An unknown machine boots the discovery image: the head node's web server hears what it is, and sends it on."""

import re
import shutil
import time
from pathlib import Path
from uuid import UUID

import pytest

from tasks import paths
from tasks.initrd.proof import proof
from tasks.lab import direct
from tasks.lab.direct import Bare, End, Watch
from tasks.lab.webserver import answering
from tasks.nodes.discovered import parse

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-system-x86_64") is None, reason="QEMU is not installed (apt-get install qemu-system-x86)"
)
MAC = "52:54:00:de:ad:07"
SERIAL, SERIAL_LINE = "BM 07;$(reboot)&x=y", "BM 07 (reboot) x y"
MACHINE_UUID = UUID("4c4c4544-0035-5310-8052-b4c04f335931")
MENU = "/tftpboot/pxelinux.cfg/01-52-54-00-de-ad-07"
SECONDS = 150


class HeadNode:
    """What nginx on the head node would do: log reports, serve menus.  The machine's own is not there at first."""

    def __init__(self) -> None:
        """Begin without a menu."""
        self.requests: list[str] = []

    def answer(self, path: str) -> tuple[int, bytes]:
        """Return status and body; the first time there is no menu."""
        self.requests.append(path)
        if path.startswith(f"{paths.DISCOVER_URL_PATH}?"):
            return 204, b""
        if path != MENU or self.requests.count(MENU) == 1:
            return 404, b""
        return 200, b"# Made by Bootmill: n07\nDEFAULT netboot\n"


def test_an_unknown_machine_reports_and_reboots_into_its_menu(built: Path, tmp_path: Path) -> None:
    """MAC, serial number, UUID, memory and disk arrive; it waits while there is no menu of its own, then reboots."""
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    head = HeadNode()
    watch = Watch(until=re.compile("told: .*; rebooting"), stop=re.compile("FAILED|unexpectedly"))
    with answering(head.answer) as port:
        words = f"BOOTIF=01-{MAC.replace(':', '-')} discover=http://{direct.HOST}:{port}{paths.DISCOVER_URL_PATH}"
        machine = Bare(
            kernel=built / paths.discovery_kernel("x86_64"),
            initrd=built / paths.discovery_initrd("x86_64"),
            append=words,
            nic="virtio_net",
            mac=MAC,
        )
        argv = [
            *direct.qemu_argv(machine),
            *("-smbios", f"type=1,manufacturer=Acme,product=Box,serial={SERIAL},uuid={MACHINE_UUID}"),
            *("-drive", f"file={disk},format=raw,if=none,id=disk"),
            *("-device", "virtio-blk-pci,drive=disk,serial=DISK07"),
        ]
        with direct.console(argv) as pipe:
            end = direct.listen(pipe, watch, time.monotonic() + SECONDS)
            gone = direct.listen(pipe, Watch(until=direct.NEVER, stop=direct.NEVER), time.monotonic() + 30)
    assert end is End.SEEN, watch.text[-4000:]
    assert watch.line.endswith("told: netboot (menu of 52-54-00-de-ad-07); rebooting")
    assert gone is End.GONE  # -no-reboot: a reset is the machine's end
    assert "NIC       eth0 52:54:00:de:ad:07 link up" in watch.text
    reports = [path for path in head.requests if path != MENU]
    found = parse(f'10.0.2.15 - - [now] "GET {reports[0]} HTTP/1.1" 204 0')
    assert found is not None, reports
    assert (found.boot, found.macs, found.serial, found.uuid) == (MAC, (MAC,), SERIAL_LINE, MACHINE_UUID)
    assert (found.vendor, found.product, found.arch, found.cpus) == ("Acme", "Box", "x86_64", 1)
    assert 400 <= found.memory <= 512
    assert [(each.name, each.size, each.serial) for each in found.disks] == [("vda", 64, "DISK07")]
    assert [(each.link, each.driver, each.pci != "") for each in found.nics] == [(True, "virtio_net", True)]


def test_the_proof_judges_it_as_booting(built: Path) -> None:
    """The discovery pair is no osimage's first stage: it needs no image to fetch, and nothing else is missing."""
    kernel, initrd = built / paths.discovery_kernel("x86_64"), built / paths.discovery_initrd("x86_64")
    found = proof.judge(kernel, initrd, "console=ttyS0", 1024)
    assert found.boots, found
