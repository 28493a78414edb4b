"""A first stage is complete, or it is not made; it is the same everywhere; each file says why it is in."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import compression, cpio, files, paths
from tasks.errors import BootmillError
from tasks.initrd import collect, firststage
from tasks.initrd.collect import Part
from tasks.initrd.loader.closure import closure
from tasks.initrd.loader.sysroot import ArchiveTree, DiskTree, resolve
from tasks.inventory.model import Compression
from tests.initrd import kernels
from tests.initrd.kernels import VERSION
from tests.samples import IMAGE

pytestmark = pytest.mark.integration  # busybox, its loader and its libraries are this machine's
MODULES = {
    "drivers/net/tg3.ko.xz": ("depends=libphy", "firmware=tigon/tg3.bin", "alias=pci:v000014E4d00001659sv*"),
    "drivers/net/libphy.ko": ("depends=",),
    "drivers/net/e1000.ko": ("depends=", "alias=pci:v00008086d0000100Esv*"),
    "fs/overlay.ko": ("depends=",),
    "fs/squashfs.ko.gz": ("depends=",),
}
BASE = f"usr/lib/modules/{VERSION}"


@pytest.fixture
def tree(tmp_path: Path) -> DiskTree:
    """Return a tree with busybox and a kernel, as an unprivileged user unpacks it: no file is executable."""
    made = kernels.write_kernel(tmp_path / "tree", MODULES)
    host = DiskTree(Path("/"))
    needed = closure(host, ("/bin/busybox",))
    for name, target in needed.links.items():
        path = made.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_symlink():
            path.symlink_to(target)
    for name in needed.files:
        path = made.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(host.read(name))
        path.chmod(0o644)
    firmware = made.root / "usr/lib/firmware/tigon/tg3.bin"
    firmware.parent.mkdir(parents=True)
    firmware.write_bytes(b"firmware")
    return made


def parts(tree: DiskTree, *drivers: str, own: list[cpio.Entry] | None = None) -> tuple[Part, ...]:
    """Collect the sample's first stage with some drivers, which are loaded at once."""
    entries = firststage.own_entries("sample", 1) if own is None else own
    wanted = (*drivers, *firststage.root_modules(tree, VERSION))
    return collect.collect(tree, VERSION, wanted, (firststage.BUSYBOX,), entries, at_once=drivers)


def content(found: tuple[Part, ...], name: str) -> str:
    """Return a text of an archive."""
    return next(part.entry.read() for part in found if part.entry.name == name).decode()


def test_it_is_closed_over_itself(tree: DiskTree) -> None:
    """The archive as the only root holds all that its programs need, executable, though the tree has no modes."""
    archive = ArchiveTree.of(part.entry for part in parts(tree, "tg3"))
    assert closure(archive, ("/init", "/etc/udhcpc.script", "/bin/busybox")).missing == []
    busybox = resolve(archive, "/bin/busybox").path
    assert busybox is not None
    assert stat.S_IMODE(archive.mode(busybox) or 0) == 0o755


def test_drivers_are_unpacked_with_their_firmware(tree: DiskTree) -> None:
    """Modules lie plain, in loading order for those that are named, with firmware, and reasons."""
    found = parts(tree, "tg3")
    assert content(found, collect.DRIVERS).split() == [
        f"{BASE}/kernel/drivers/net/libphy.ko",
        f"{BASE}/kernel/drivers/net/tg3.ko",
    ]
    why = {part.entry.name: part.why for part in found}
    assert why[f"{BASE}/kernel/drivers/net/libphy.ko"] == "module, needed by tg3"
    assert why["usr/lib/firmware/tigon/tg3.bin"] == "firmware of tg3"
    assert f"{BASE}/kernel/drivers/net/e1000.ko" not in why


def test_modules_for_root_images_come_along(tree: DiskTree) -> None:
    """What this kernel has of them as modules: modprobe finds them when an image needs them."""
    found = parts(tree, "tg3")
    assert content(found, f"{BASE}/modules.dep").splitlines() == [
        "kernel/drivers/net/libphy.ko:",
        "kernel/drivers/net/tg3.ko: kernel/drivers/net/libphy.ko",
        "kernel/fs/overlay.ko:",
        "kernel/fs/squashfs.ko:",
    ]
    assert content(found, f"{BASE}/modules.alias") == "alias pci:v000014E4d00001659sv* tg3\n"
    assert "overlay" not in content(found, collect.DRIVERS)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("tg3", "e1000"), ("tg3", "e1000")),
        (("nics", "tg3"), ("tg3",)),
        (("pci:v000014E4d*", "disks"), ()),
    ],
)
def test_what_is_loaded_at_once(words: tuple[str, ...], named: tuple[str, ...]) -> None:
    """A driver that a person named is loaded; of a class or an alias, those that the hardware asks for."""
    assert collect.named(words) == named


@pytest.mark.parametrize("lost", ["libc.so.6", "ld-linux-x86-64.so.2", "busybox"])
def test_an_incomplete_one_is_never_made(tree: DiskTree, lost: str) -> None:
    """What is missing in the tree is named, with the remedy."""
    for path in list(tree.root.rglob(lost)):
        path.unlink()
    with pytest.raises(BootmillError) as raised:
        parts(DiskTree(tree.root))
    assert lost in str(raised.value)
    assert "inventory/osimages.yaml" in (raised.value.hint or "")


def test_the_second_look_is_at_the_archive(tree: DiskTree) -> None:
    """An own script whose interpreter is not packed is found, though the tree has had everything."""
    own = [*firststage.base_entries(), cpio.regular("init", b"#!/usr/bin/python3\n", 0o755)]
    with pytest.raises(BootmillError, match=r"would not be complete:\n.*python3"):
        parts(tree, own=own)


def test_a_tree_before_the_merge_of_usr(tree: DiskTree) -> None:
    """Where /bin is a folder of its own, no link of ours hides it."""
    (tree.root / "bin").unlink()
    (tree.root / "bin").mkdir()
    (tree.root / "usr/bin/busybox").rename(tree.root / "bin/busybox")
    archive = ArchiveTree.of(part.entry for part in parts(DiskTree(tree.root)))
    assert stat.S_ISDIR(archive.mode("bin") or 0)
    assert resolve(archive, "/bin/busybox").path == "bin/busybox"


def test_the_order_of_words_and_folders_does_not_matter(tree: DiskTree) -> None:
    """The same parts, packed twice, are the same bytes, whatever order a file system names them in."""
    first, again = (collect.pack(parts(DiskTree(tree.root), "tg3")) for _ in range(2))
    assert first == again
    names = [part.entry.name for part in parts(tree, "tg3")]
    assert names == sorted(names, key=cpio.raw)
    assert {part.entry.mtime for part in parts(tree, "tg3")} == {0}


@pytest.mark.parametrize("how", [None, *Compression])
def test_every_compression_holds_the_same(tree: DiskTree, how: Compression | None) -> None:
    """Whatever an osimage chooses, what is in the archive is the same."""
    found = parts(tree)
    packed = collect.pack(found, how)
    plain = packed if how is Compression.NONE else compression.decompress(packed)
    assert [entry.name for entry in cpio.read(plain)] == [part.entry.name for part in found]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, Compression.GZIP),
        ("CONFIG_RD_GZIP=y\n", Compression.GZIP),
        ("CONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=y\n", Compression.ZSTD),
    ],
)
def test_the_quickest_that_the_kernel_unpacks(tree: DiskTree, config: str | None, expected: Compression) -> None:
    """The kernel's configuration decides; a kernel of which nothing is known gets gzip."""
    if config is not None:
        (tree.root / f"boot/config-{VERSION}").write_text(config)
    assert collect.best(tree, VERSION) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rootimg.cpio.gz", ("/bin/busybox",)),
        ("rootimg.cpio.zst", ("/bin/busybox", "/usr/bin/zstd")),
        ("rootimg.tar.lz4", ("/bin/busybox", "/usr/bin/lz4")),
    ],
)
def test_unpackers_come_with_the_image_that_needs_them(name: str, expected: tuple[str, ...]) -> None:
    """busybox knows gzip, xz and bzip2; others are packed only for root images that need them."""
    assert firststage.programs(name) == expected


def test_the_listing_says_why(tree: DiskTree) -> None:
    """Each file with its size and its reason, sorted, and the sums."""
    found = parts(tree, "tg3")
    *lines, last = collect.listing(found, b"12345").splitlines()
    assert "         8  /usr/lib/firmware/tigon/tg3.bin  (firmware of tg3)" in lines
    assert all(line.endswith(")") for line in lines)
    total = sum(part.entry.size for part in found if not stat.S_ISDIR(part.entry.mode))
    assert last.split() == [str(total), "in", str(len(lines)), "files,", "5", "packed"]


def test_build(tree: DiskTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All four files of an osimage are written; an error names the osimage, and writes none."""
    monkeypatch.chdir(tmp_path)
    image = replace(IMAGE, drivers=("tg3",))
    paths.rootimg_tree(image).parent.mkdir(parents=True)
    tree.root.rename(paths.rootimg_tree(image))
    paths.rootimg_manifest(image).write_text('{"source_date": 1700000000}\n')
    with pytest.raises(BootmillError, match=rf"{image.name}: kernel .* has no driver 'tg4'"):
        collect.build_initrd(replace(image, drivers=("tg4",)))
    assert not paths.initrd(image).exists()
    collect.build_initrd(image)
    entries = cpio.read(compression.decompress(paths.initrd(image).read_bytes()))
    init = next(entry.read() for entry in entries if entry.name == "init")
    assert b"floor=1700000000 " in init
    assert "module, asked for" in paths.initrd_parts(image).read_text()
    assert len(paths.boot_digest(image).read_text().strip()) == 64
    assert files.sha256(paths.kernel(image)) == files.sha256(paths.rootimg_tree(image) / f"boot/vmlinuz-{VERSION}")
