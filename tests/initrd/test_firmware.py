"""Firmware is looked for as the kernel looks for it, taken along as the kernel can read it, and missed by name."""

import lzma
from pathlib import Path

import pytest

from tasks.errors import UntrustedInputError
from tasks.initrd.kernel import firmware
from tasks.initrd.kernel.firmware import Loader, Lost
from tasks.initrd.kernel.kconfig import Kconfig
from tasks.initrd.kernel.modules import kernel_modules
from tasks.initrd.loader.sysroot import DiskTree
from tests.initrd import kernels
from tests.initrd.kernels import PACKERS, VERSION

BOTH = Kconfig(values={f"CONFIG_FW_LOADER_COMPRESS{kind}": "y" for kind in ("", "_XZ", "_ZSTD")})
XZ_ONLY = Kconfig(values={"CONFIG_FW_LOADER_COMPRESS_XZ": "y"})
NONE = Kconfig()


def with_files(root: Path, *names: str) -> DiskTree:
    """Return a tree with firmware files, packed as their names say; the content is the name."""
    for name in names:
        path = root / "usr/lib/firmware" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = name.encode()
        content = {".xz": lzma.compress(plain, check=lzma.CHECK_CRC32), ".zst": PACKERS[".zst"](plain)}
        path.write_bytes(content.get(path.suffix, plain))
    if not (root / "lib").is_symlink():
        (root / "lib").symlink_to("usr/lib")
    return DiskTree(root)


def found(root: Path, pattern: str, *names: str) -> list[str]:
    """Return where a request leads, below the folder of firmware."""
    loader = Loader(with_files(root, *names), VERSION, BOTH)
    return [each.source.removeprefix("usr/lib/firmware/") for each in loader.find(pattern)]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["a.bin"], ["a.bin"]),
        (["a.bin", f"{VERSION}/a.bin"], [f"{VERSION}/a.bin"]),
        ([f"{VERSION}/a.bin", "updates/a.bin"], ["updates/a.bin"]),
        (["updates/a.bin", f"updates/{VERSION}/a.bin"], [f"updates/{VERSION}/a.bin"]),
        (["a.bin", "updates/a.bin.xz"], ["a.bin"]),
        (["a.bin.xz", "a.bin.zst"], ["a.bin.zst"]),
        (["a.bin.gz"], []),
        (["6.2/a.bin"], []),
        ([], []),
    ],
)
def test_the_kernels_order(names: list[str], chosen: list[str], tmp_path: Path) -> None:
    """Four folders, plain before packed, .zst before .xz (fw_path[], _request_firmware())."""
    assert found(tmp_path, "a.bin", *names) == chosen


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("brcm/chip*-sdio.*.bin", ["brcm/chip1-sdio.a.bin", "brcm/chip2-sdio.b.bin.xz"]),
        ("b*/chip1-sdio.a.bin", ["brcm/chip1-sdio.a.bin"]),
        ("brcm/chip[12]*", ["brcm/chip1-sdio.a.bin", "brcm/chip2-sdio.b.bin.xz"]),
        ("brcm/*.txt", []),
        ("brcm*", []),
        ("../firmware/brcm/chip1-sdio.a.bin", []),
        ("/lib/firmware/brcm/chip1-sdio.a.bin", []),
        ("brcm/../brcm/chip*", []),
    ],
)
def test_patterns_and_paths(pattern: str, chosen: list[str], tmp_path: Path) -> None:
    """Some names in modules are patterns; none may leave the folder."""
    assert found(tmp_path, pattern, "brcm/chip1-sdio.a.bin", "brcm/chip2-sdio.b.bin.xz", "brcm/other.bin") == chosen


def test_links_stay_in_the_tree(tmp_path: Path) -> None:
    """linux-firmware is full of links: they are followed inside the tree only."""
    tree = with_files(tmp_path, "real.bin")
    (tmp_path / "lib/firmware/link.bin").symlink_to("/lib/firmware/real.bin")
    (tmp_path / "lib/firmware/host.bin").symlink_to("/etc/hostname")
    loader = Loader(tree, VERSION, NONE)
    assert [each.source for each in loader.find("link.bin")] == ["usr/lib/firmware/real.bin"]
    assert loader.find("host.bin") == []


@pytest.mark.parametrize(
    ("file", "config", "path"),
    [
        ("a.bin", None, "a.bin"),
        ("a.bin.xz", XZ_ONLY, "a.bin.xz"),
        ("a.bin.zst", XZ_ONLY, "a.bin"),
        ("a.bin.zst", BOTH, "a.bin.zst"),
        ("a.bin.xz", NONE, "a.bin"),
        ("a.bin.xz", None, "a.bin"),
    ],
)
def test_what_the_kernel_cannot_read_is_unpacked(file: str, config: Kconfig | None, path: str, tmp_path: Path) -> None:
    """A packed file is copied as it is where the kernel is known to read it, else unpacked."""
    tree = with_files(tmp_path, file)
    kernels.write_kernel(tmp_path, {"m.ko": ("firmware=a.bin",)})
    taken = firmware.for_initrd(tree, VERSION, kernel_modules(tree, VERSION).closure(["m"]), config)
    assert [blob.path for blob in taken.blobs] == [f"usr/lib/firmware/{path}"]
    content = (tmp_path / "lib/firmware" / file).read_bytes() if path == file else file.encode()
    assert taken.blobs[0].content == content
    assert taken.lost == ()


def test_xz_with_a_checksum_that_kernels_do_not_know(tmp_path: Path) -> None:
    """xz's own default is CRC64, which the kernel refuses: unpacked, whatever its configuration says."""
    tree = with_files(tmp_path, "a.bin.xz")
    (tmp_path / "lib/firmware/a.bin.xz").write_bytes(lzma.compress(b"x"))
    loader = Loader(tree, VERSION, BOTH)
    assert loader.blob(loader.find("a.bin")[0], "m").content == b"x"


def test_damaged_firmware_is_told(tmp_path: Path) -> None:
    """What has to be unpacked and cannot be is an error with the file's name."""
    tree = with_files(tmp_path, "a.bin.xz")
    (tmp_path / "lib/firmware/a.bin.xz").write_bytes(lzma.compress(b"x" * 99)[:40])
    loader = Loader(tree, VERSION, NONE)
    with pytest.raises(UntrustedInputError, match=r"/usr/lib/firmware/a\.bin\.xz: "):
        _ = loader.blob(loader.find("a.bin")[0], "m").content


@pytest.mark.parametrize(
    ("driver", "names", "there", "lost"),
    [
        ("tg3", ("tigon/tg3.bin",), (), ["tg3 may ask for firmware that is not there: tigon/tg3.bin"]),
        ("tg3", ("tigon/tg3.bin",), ("tigon/tg3.bin",), []),
        ("bnx2", ("a-6.2.3.fw", "b-6.0.fw"), ("a-6.2.3.fw",), ["bnx2 needs firmware that is not there: b-6.0.fw"]),
        ("bnx2x", ("e2-7.13.15.0.fw", "e2-7.13.21.0.fw"), ("e2-7.13.15.0.fw",), []),
        (
            *("bnx2x", ("e2-7.13.15.0.fw", "e2-7.13.21.0.fw"), ()),
            ["bnx2x needs firmware that is not there: e2-7.13.15.0.fw or e2-7.13.21.0.fw"],
        ),
        ("wifi", ("chip-*.bin",), (), ["wifi may ask for firmware that is not there: chip-*.bin"]),
    ],
)
def test_what_is_lacking(
    driver: str, names: tuple[str, ...], there: tuple[str, ...], lost: list[str], tmp_path: Path
) -> None:
    """Who cannot do without is told apart from who can; versions of one file are alternatives."""
    tree = with_files(tmp_path, *there)
    kernels.write_kernel(tmp_path, {f"{driver}.ko": [f"firmware={name}" for name in names]})
    taken = firmware.for_initrd(tree, VERSION, kernel_modules(tree, VERSION).closure([driver]), NONE)
    assert [str(each) for each in taken.lost] == lost
    assert [str(each) for each in firmware.lost_in(tree, VERSION, {driver: names}, NONE)] == lost


def test_a_file_that_this_kernel_cannot_read_is_as_good_as_missing(tmp_path: Path) -> None:
    """In a finished initrd nothing will be unpacked any more: the reason is told."""
    tree = with_files(tmp_path, "a.bin.zst")
    wanted = {"m": ["a.bin"]}
    why = "there is a .zst, which this kernel cannot read"
    assert firmware.lost_in(tree, VERSION, wanted, XZ_ONLY) == [
        Lost(driver="m", names=("a.bin",), needed=False, why=why)
    ]
    assert firmware.lost_in(tree, VERSION, wanted, BOTH) == []


def test_built_in_drivers_ask_too(tmp_path: Path) -> None:
    """modules.builtin.modinfo says what the kernel's own drivers ask for."""
    tree = kernels.write_kernel(tmp_path, {"m.ko": ()})
    path = tmp_path / "lib/modules" / VERSION / "modules.builtin.modinfo"
    path.write_bytes(
        b"edge-nic.license=GPL\0edge-nic.firmware=edge.bin\0edge-nic.firmware=more.bin\0other.license=GPL\0"
    )
    known = kernel_modules(tree, VERSION).index.builtin_info
    assert {name: info.firmware for name, info in known.items() if info.firmware} == {
        "edge_nic": ("edge.bin", "more.bin")
    }
