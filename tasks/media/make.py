"""Make an install medium: a bootable, self-contained Debian ISO with every package that the osimages need.

It is laid out as Debian's own (`.disk/`, `dists/`, `pool/`, `install.amd64/`, El Torito for BIOS and UEFI), so that
all later steps treat it like a DVD from debian.org.  Same packages, same bytes: everything bears the archive's date.
"""

import gzip
import hashlib
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from tasks import files, paths
from tasks.errors import BootmillError
from tasks.inventory.model import DEBIAN_ARCH, Media
from tasks.media.apt import Apt, Package
from tasks.run import run

# Always on the medium: what a merged-/usr tree is started with, and what makes rescue work possible.
ALWAYS = ("busybox", "usr-is-merged")
GRUB_EFI = {"amd64": Path("/usr/lib/grub/x86_64-efi/monolithic/gcdx64.efi")}
EFI_NAME = {"amd64": "BOOTX64.EFI"}
ISOLINUX = (Path("/usr/lib/ISOLINUX/isolinux.bin"), Path("/usr/lib/syslinux/modules/bios/ldlinux.c32"))
EFI_IMAGE_BLOCKS = 8192  # KiB: a FAT file system that holds GRUB (about 1.5 MB) with room to spare
BOOT_ARGS = "priority=high console=tty0 console=ttyS0,115200"


def make_iso(media: Media, packages: Sequence[str]) -> None:
    """Download the closure of `packages` and write the medium to `paths.made_iso()`."""
    if media.suite is None:
        message = f"{media.name} has no suite"
        raise BootmillError(message, hint="give 'suite' or 'iso' in inventory/media.yaml")
    arch = DEBIAN_ARCH.get(media.arch)
    if arch not in GRUB_EFI:
        message = f"a medium for {media.arch} cannot be made here"
        raise BootmillError(message, hint="write the path of an install ISO into inventory/media.yaml (iso: …)")
    apt = Apt(folder=paths.CACHE / "apt" / f"{media.suite}-{arch}", suite=media.suite, arch=arch)
    apt.prepare()
    apt.update()
    chosen = apt.closure([*ALWAYS, *packages])
    installer = apt.describe([f"debian-installer-{media.os.removeprefix('debian')}-netboot-{arch}"])
    downloaded = apt.download([*chosen, *installer])
    date = apt.date().astimezone(UTC)
    iso = paths.made_iso(media)
    with files.replacing_tree(iso.with_suffix(".tree")) as tree:
        pool(tree, chosen, downloaded)
        install_files(tree, downloaded[installer[0].name], arch)
        index(tree, media, arch, chosen, date)
        boot_files(tree, arch, date)
        checksums(tree)
        clamp(tree, date)
        burn(tree, iso, media, date)
    files.remove_tree(iso.with_suffix(".tree"))


def pool(tree: Path, packages: Sequence[Package], downloaded: dict[str, Path]) -> None:
    """Put the packages where the archive has them; hard links, not copies."""
    for package in packages:
        files.place(downloaded[package.name], tree / package.filename)


def install_files(tree: Path, deb: Path, arch: str) -> None:
    """Put the installer's kernel and initrd under install.<arch>/, as on Debian's own media."""
    unpacked = tree / ".installer"
    unpacked.mkdir()
    run(["dpkg-deb", "--extract", deb, unpacked])
    images = sorted(unpacked.glob(f"usr/lib/debian-installer/images/*/{arch}/text/debian-installer/{arch}"))
    if not images:
        message = f"{deb.name} holds no text installer for {arch}"
        raise BootmillError(message, hint="Debian changed its layout: give an install ISO in inventory/media.yaml")
    target = tree / f"install.{arch}"
    target.mkdir()
    (images[-1] / "linux").rename(target / "vmlinuz")
    (images[-1] / "initrd.gz").rename(target / "initrd.gz")
    files.remove_tree(unpacked)


def index(tree: Path, media: Media, arch: str, packages: Sequence[Package], date: datetime) -> None:
    """Write .disk/info, Packages and Release: what makes a folder of packages an archive."""
    number = media.os.removeprefix("debian")
    title = f'Debian GNU/Linux {number} "{str(media.suite).title()}" - Bootmill {arch} BIN-1 {date:%Y%m%d-%H:%M}'
    put(tree / ".disk/info", title)
    put(tree / ".disk/base_installable", "")
    put(tree / ".disk/cd_type", "not_complete")
    listing = "\n\n".join(package.paragraph for package in packages)
    folder = tree / f"dists/{media.suite}"
    put(folder / f"main/binary-{arch}/Packages", listing)
    packed = folder / f"main/binary-{arch}/Packages.gz"
    packed.write_bytes(gzip.compress(f"{listing}\n".encode(), mtime=0))
    about = {
        "Origin": "Debian",
        "Label": "Debian",
        "Suite": media.suite,
        "Codename": media.suite,
        "Version": number,
        "Date": format_datetime(date, usegmt=True).replace("GMT", "UTC"),
        "Architectures": arch,
        "Components": "main",
        "Description": "packages that the site's osimages need",
    }
    sums = [
        f" {hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_size} {path.relative_to(folder)}"
        for path in sorted((folder / "main").rglob("*"))
        if path.is_file()
    ]
    put(folder / "Release", "\n".join([*(f"{key}: {value}" for key, value in about.items()), "SHA256:", *sums]))
    (tree / "dists/stable").symlink_to(str(media.suite))


def boot_files(tree: Path, arch: str, date: datetime) -> None:
    """Write the two El Torito boot paths: ISOLINUX for BIOS, a FAT image with GRUB for UEFI."""
    kernel, initrd = f"/install.{arch}/vmlinuz", f"/install.{arch}/initrd.gz"
    for source in (*ISOLINUX, GRUB_EFI[arch]):
        if not source.exists():
            message = f"{source} is missing"
            raise BootmillError(message, hint="apt-get install isolinux syslinux-common grub-efi-amd64-bin")
    (tree / "isolinux").mkdir()
    for source in ISOLINUX:
        shutil.copyfile(source, tree / "isolinux" / source.name)
    lines = ["SERIAL 0 115200", "DEFAULT install", "PROMPT 0", "LABEL install", f"  KERNEL {kernel}"]
    put(tree / "isolinux/isolinux.cfg", "\n".join([*lines, f"  APPEND initrd={initrd} {BOOT_ARGS}"]))
    entry = f"  linux {kernel} {BOOT_ARGS}\n  initrd {initrd}\n"
    put(tree / "boot/grub/grub.cfg", f"set timeout=5\nmenuentry 'Install' {{\n{entry}}}")
    image = tree / "boot/grub/efi.img"
    epoch = {"SOURCE_DATE_EPOCH": str(int(date.timestamp()))}
    serial = hashlib.sha256(date.isoformat().encode()).hexdigest()[:8]
    run(fat(image, serial), env=epoch)
    run(["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"], env=epoch)
    run(["mcopy", "-i", image, GRUB_EFI[arch], f"::/EFI/BOOT/{EFI_NAME[arch]}"], env=epoch)


def fat(image: Path, serial: str) -> list[str | Path]:
    """Return the command that makes an empty FAT image (mformat(1): geometry, since the file is no real disk)."""
    sectors, heads = 32, 16
    tracks = EFI_IMAGE_BLOCKS * 2 // (sectors * heads)
    return ["mformat", "-i", image, "-C", "-t", str(tracks), "-h", str(heads), "-s", str(sectors), "-N", serial, "::"]


def checksums(tree: Path) -> None:
    """Write md5sum.txt over everything else, as Debian's media carry it (isolinux.bin apart: xorriso patches it)."""
    lines = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  ./{path.relative_to(tree)}"
        for path in sorted(tree.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name != "isolinux.bin"
    ]
    put(tree / "md5sum.txt", "\n".join(lines))


def clamp(tree: Path, date: datetime) -> None:
    """Give everything one date and one mode, whatever the umask and the clock are."""
    when = int(date.timestamp())
    for path in [tree, *sorted(tree.rglob("*"))]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (when, when), follow_symlinks=False)


def burn(tree: Path, iso: Path, media: Media, date: datetime) -> None:
    """Write the ISO: Rock Ridge, both boot paths, the archive's date for every stamp that xorriso would take itself."""
    with files.replacing(iso) as out:
        volume = f"DEBIAN_{media.os.removeprefix('debian')}_{media.arch.upper()}"[:32]
        stamp = f"{date:%Y%m%d%H%M%S00}"
        command = [
            "xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", volume,
            f"--modification-date={stamp}", "--set_all_file_dates", stamp,
            "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat",
            "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
            "-eltorito-alt-boot", "-e", "boot/grub/efi.img", "-no-emul-boot",
            "-o", "-", str(tree),
        ]  # fmt: skip
        run(command, env={"SOURCE_DATE_EPOCH": str(int(date.timestamp()))}, stdout=out)


def put(path: Path, text: str) -> None:
    """Write a line-ended text file inside the unfinished tree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n" if text else "", encoding="utf-8")
