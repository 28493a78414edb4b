"""Drivers are found by name, with all that they depend on, or refused with near matches."""

import gzip
import lzma
from pathlib import Path

import pytest

from tasks.errors import BootmillError
from tasks.initrd import modules
from tasks.initrd.sysroot import DiskTree

DEP = """\
kernel/net/tg3.ko: kernel/lib/libphy.ko kernel/lib/ptp.ko kernel/lib/pps_core.ko
kernel/lib/ptp.ko: kernel/lib/pps_core.ko
kernel/lib/pps_core.ko:
kernel/lib/libphy.ko:
kernel/net/virtio_net.ko.xz: kernel/net/net_failover.ko.gz
kernel/net/net_failover.ko.gz:
kernel/net/zst.ko.zst:
kernel/fs/soft.ko:
kernel/fs/crc.ko:
"""


@pytest.fixture
def tree(tmp_path: Path) -> DiskTree:
    """Return a tree with one kernel and a few modules, packed in several ways."""
    base = tmp_path / "usr/lib/modules/6.1.0-1-amd64"
    for line in DEP.splitlines():
        path = base / line.partition(":")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        content = b"ELF\0license=GPL\0" + (b"firmware=tigon/tg3.bin\0" if path.name == "tg3.ko" else b"")
        if path.suffix == ".gz":
            content = gzip.compress(content)
        elif path.suffix == ".xz":
            content = lzma.compress(content)
        path.write_bytes(content)
    (base / "modules.dep").write_text(DEP)
    (base / "modules.softdep").write_text("# comment\nsoftdep soft crc\nsoftdep tg3 pre: crc post: zst\n")
    (base / "modules.builtin").write_text("kernel/drivers/net/loopback.ko\n")
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.1.0-1-amd64").write_text("")
    return DiskTree(tmp_path)


def order(tree: DiskTree, *drivers: str) -> list[str]:
    """Return the loading order by name."""
    return [module.name for module in modules.modules(tree, "6.1.0-1-amd64", drivers)]


@pytest.mark.parametrize(
    ("drivers", "names"),
    [
        (("tg3",), ["crc", "pps_core", "ptp", "libphy", "tg3"]),
        (("virtio-net",), ["net_failover", "virtio_net"]),
        (("soft",), ["crc", "soft"]),
        (("loopback",), []),
        (("ptp", "tg3"), ["pps_core", "ptp", "crc", "libphy", "tg3"]),
    ],
)
def test_dependencies_come_first(drivers: tuple[str, ...], names: list[str], tree: DiskTree) -> None:
    """Each module once, after what it needs; soft dependencies before; built-in drivers need no module."""
    assert order(tree, *drivers) == names


def test_packed_modules_are_unpacked(tree: DiskTree) -> None:
    """The initrd gets plain .ko files, for busybox's insmod knows no others."""
    found = {module.name: module for module in modules.modules(tree, "6.1.0-1-amd64", ("virtio_net",))}
    assert found["virtio_net"].path.endswith("/virtio_net.ko")
    assert found["virtio_net"].content.startswith(b"ELF")


def test_firmware_is_read_from_the_module(tree: DiskTree) -> None:
    """What a driver may ask for is known without loading it."""
    assert modules.modules(tree, "6.1.0-1-amd64", ("tg3",))[-1].firmware == ("tigon/tg3.bin",)


def test_unknown_drivers_are_named_all_at_once_with_near_matches(tree: DiskTree) -> None:
    """A typing error is an error with a proposal; the seed's tool left the driver out in silence."""
    with pytest.raises(BootmillError) as caught:
        order(tree, "tg33", "nosuch")
    assert "no driver 'tg33': did you mean tg3?" in str(caught.value)
    assert "no driver 'nosuch'" in str(caught.value)


def test_a_packing_that_cannot_be_read_is_told(tree: DiskTree) -> None:
    """A module packed in an unknown way is an error, not a file that insmod refuses on the node."""
    with pytest.raises(BootmillError, match=r"packed as \.zst"):
        order(tree, "zst")


def test_the_kernel_is_the_only_one_or_the_chosen_one(tree: DiskTree) -> None:
    """One kernel needs no choice, two do, and a wrong choice is told with what there is."""
    assert modules.kernel_version(tree, None) == "6.1.0-1-amd64"
    (tree.root / "boot/vmlinuz-6.1.0-2-amd64").write_text("")
    with pytest.raises(BootmillError, match=r"2 kernels: 6\.1\.0-1-amd64, 6\.1\.0-2-amd64"):
        modules.kernel_version(tree, None)
    assert modules.kernel_version(tree, "6.1.0-1-amd64") == "6.1.0-1-amd64"
    with pytest.raises(BootmillError, match=r"kernel 5\.10 is not in the tree"):
        modules.kernel_version(tree, "5.10")


def test_no_kernel_at_all(tmp_path: Path) -> None:
    """A tree without a kernel says which package brings one."""
    (tmp_path / "boot").mkdir()
    with pytest.raises(BootmillError, match=r"(?s)no kernel.*linux-image"):
        modules.kernel_version(DiskTree(tmp_path), None)
