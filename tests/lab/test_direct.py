"""What a bare boot is made of: command line, console, verdicts, the files of a sweep.  No machine is started."""

import gzip
import re
import stat
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tasks import cpio
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tasks.lab import bench, direct, sweep
from tasks.lab.direct import Arch, Bare, Boot, End, Watch
from tasks.lab.sweep import Forecast
from tasks.lab.webserver import serving

PANIC = "Kernel panic - not syncing: No working init found.  Try passing init= option to kernel."
ENTRIES = cpio.with_parents(
    [
        cpio.symlink("bin", "usr/bin"),
        cpio.symlink("sbin", "usr/sbin"),
        cpio.directory("usr/sbin"),
        cpio.directory("newroot"),
        cpio.regular("init", b"#!/bin/busybox sh\n", 0o755),
        cpio.regular("etc/udhcpc.script", b"#!/bin/busybox sh\n", 0o755),
        cpio.regular("usr/bin/busybox", b"\x7fELF", 0o755),
        cpio.regular("usr/lib/libc.so.6", b"\x7fELF", 0o755),
        cpio.regular("usr/lib/modules/6.1/e1000.ko", b"\x7fELF"),
    ]
)


def watched(*blocks: str) -> tuple[End | None, Watch]:
    """Return what a watch makes of a console that came in blocks."""
    watch = Watch(until=re.compile("login:"), stop=re.compile("FAILED"))
    for block in blocks:
        if (found := watch.feed(block.encode())) is not None:
            return found, watch
    return None, watch


@pytest.mark.parametrize(
    ("blocks", "end", "line"),
    [
        (["hello\r\nn01 login: "], End.SEEN, "n01 login:"),
        (["hello\nn01 lo", "gin: "], End.SEEN, "n01 login:"),
        (["\x1b[2Jinit FAILED: no ", "link\nmore"], End.STOPPED, "init FAILED: no link"),
        (["init FAI"], None, ""),
        ([f"[ 1.2] {PANIC}\n", "n01 login: \n"], None, PANIC),
        (["Kernel command line: panic=-1\n"], None, ""),
    ],
    ids=["prompt", "in two blocks", "whole line", "not yet", "nothing counts after a panic", "no panic"],
)
def test_watch(blocks: list[str], end: End | None, line: str) -> None:
    """A console decides by the first line that was waited for; a panic is waited out."""
    found, watch = watched(*blocks)
    assert (found, watch.line) == (end, line)
    assert watch.panicked is line.startswith("Kernel panic")


def test_console_without_escapes() -> None:
    """What is kept of the console is text."""
    _, watch = watched("\x1bc\x1b[?7lSeaBIOS\r\n", "half a li")
    assert watch.text == "SeaBIOS\nhalf a li"


def test_command_line() -> None:
    """The console is the first serial port of each architecture; no card, no network, and never a reset."""
    argv = direct.qemu_argv(Bare(kernel=Path("Image"), initrd=None, arch=Arch.AARCH64, append="quiet"))
    assert argv[0] == "qemu-system-aarch64"
    assert "-no-reboot" in argv
    assert "-netdev" not in argv
    assert "-initrd" not in argv
    append = argv[argv.index("-append") + 1].split()
    assert append[0] == "console=ttyAMA0"
    assert "panic=-1" in append
    assert append[-1] == "quiet"


def test_card_that_does_not_exist() -> None:
    """A driver that QEMU has no card for is an error that names those it has."""
    with pytest.raises(BootmillError, match="tg3") as caught:
        direct.qemu_argv(Bare(kernel=Path("kernel"), initrd=None, nic="tg3"))
    assert "e1000" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("forecast", "end", "agrees"),
    [
        (Forecast(boots=True), End.SEEN, True),
        (Forecast(boots=True), End.PANIC, False),
        (Forecast(boots=True), End.STOPPED, False),
        (Forecast(boots=False), End.SEEN, False),
        (Forecast(boots=False), End.STOPPED, True),
        (Forecast(boots=False), End.SILENT, True),
        (Forecast(boots=False), End.PANIC, False),
        (Forecast(boots=False, words=("No working init found",)), End.PANIC, True),
        (Forecast(boots=False, words=("error -2", "No working init found")), End.PANIC, False),
        (Forecast(boots=False, words=("No working init found",)), End.STOPPED, False),
    ],
)
def test_agreement(forecast: Forecast, end: End, agrees: bool) -> None:
    """A forecast holds when the boot went that way, in these words."""
    assert sweep.agrees(forecast, Boot(end=end, line="", console=f"[1.0] {PANIC}", seconds=1.0)) is agrees


@pytest.mark.parametrize(
    ("boots", "message", "words"),
    [
        (True, "boots", ()),
        (False, "init stops: no network interface", ()),
        (False, "Kernel panic - not syncing: VFS", ("Kernel panic - not syncing: VFS",)),
        (
            False,
            "Failed to execute /init (error -2); Kernel panic",
            ("Failed to execute /init (error -2)", "Kernel panic"),
        ),
    ],
)
def test_forecast(boots: bool, message: str, words: tuple[str, ...]) -> None:
    """The kernel's words have to be seen on the console, each of them; those about our init are not quoted."""
    assert bench.forecast(boots=boots, message=message) == Forecast(boots=boots, words=words)


def test_cards(cluster: Cluster) -> None:
    """A bench boots with the cards of an osimage's drivers that QEMU has."""
    (image,) = cluster.stateless()
    assert bench.cards(image) == ("e1000", "virtio_net")


def test_decisive() -> None:
    """What ends a boot in a hurry is what would end it, too, without /proc for the time."""
    assert sweep.GIVES_UP.search("bootmill[] FAILED: the kernel command line has no imgurl=")
    assert not sweep.GIVES_UP.search("bootmill[9.1] waiting for a network interface (9 s)")
    assert sweep.DECISIVE.search("bootmill[9.1] waiting for a network interface (9 s)")
    assert not sweep.DECISIVE.search("bootmill[5.30] lease 10.0.2.15/24 host unnamed on eth0")


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("", set()),
        ("init", {"init"}),
        ("usr/bin", {"usr/bin"}),
        ("bin", {"bin"}),
    ],
)
def test_without(name: str, gone: set[str]) -> None:
    """One member is taken out; of a folder, what is in it stays, for the kernel to drop."""
    left = {entry.name for entry in sweep.without(ENTRIES, name)}
    assert {entry.name for entry in ENTRIES} - left == gone


def test_without_what_is_not_there() -> None:
    """A name that takes nothing out is a mistake of the caller."""
    with pytest.raises(KeyError):
        sweep.without(ENTRIES, "usr/bin/busy")


def test_written_without_folder(tmp_path: Path) -> None:
    """An archive may lack a folder: it is what the kernel would get."""
    with sweep.written(tmp_path / "initrd.img", sweep.without(ENTRIES, "usr/bin")) as path:
        names = [entry.name for entry in cpio.read(path.read_bytes())]
    assert "usr/bin/busybox" in names
    assert "usr/bin" not in names
    assert not path.exists()


def test_files_of() -> None:
    """The folders of the module tree are not taken out one by one, those to mount on are."""
    names = sweep.files_of(ENTRIES)
    assert {"init", "bin", "usr/bin", "usr/lib/modules/6.1/e1000.ko"} <= set(names)
    assert not {"usr/lib/modules", "usr/lib/modules/6.1"} & set(names)


def test_tiny_root() -> None:
    """The root image has the initrd's busybox, an init of its own, the folders to mount on, nothing else of ours."""
    found = {entry.name: entry for entry in cpio.read(gzip.decompress(sweep.tiny_root(ENTRIES)))}
    assert sweep.MARKER in found["usr/sbin/init"].read().decode()
    assert found["usr/sbin/init"].mode & 0o111
    assert {"usr/bin/busybox", "usr/lib/libc.so.6", "bin", "proc", "dev", "etc"} <= found.keys()
    assert all(stat.S_ISDIR(found[name].mode) for name in ("proc", "sys", "dev", "run"))
    assert not {"init", "etc/udhcpc.script", "newroot", "usr/lib/modules/6.1/e1000.ko"} & found.keys()
    assert sweep.tiny_root(ENTRIES) == sweep.tiny_root(ENTRIES)


def test_serving() -> None:
    """The web server has what it was given, and is gone afterwards."""
    with serving({"/image": b"content"}) as port:
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/image", timeout=5).read() == b"content"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/other", timeout=5)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/image", timeout=5)
