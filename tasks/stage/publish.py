"""Publish what nodes fetch.  Images first, under names that say their content; then the menus that point to them.

A node that boots in the middle of it gets the old menu with the old images or the new one with the new: an image never
changes under its name, and the images before it stay for a while.
"""

import hashlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasks import files, paths
from tasks.errors import BootmillError
from tasks.inventory.model import OsImage, Site
from tasks.listing import listed

GRACE = 3600.0  # seconds in which a node may still come back to an image that its menu named
DIGEST_NAME = re.compile(r"[0-9a-f]{16}")
OUR_FILES = ("kernel", "initrd.img", "rootimg.cpio.gz")
MENU_FOLDERS = ("pxelinux.cfg", "grub", "ipxe")
MENU_NAMES = ("pxelinux.cfg/*", "grub/grub.cfg*", "ipxe/*.ipxe")


@dataclass(frozen=True, kw_only=True)
class Published:
    """One file that a node may fetch: where it lies under destdir, and its sha256."""

    path: PurePosixPath
    sha256: str


def publish(site: Site, images: tuple[OsImage, ...], discoveries: tuple[str, ...], programs: tuple[Path, ...]) -> None:
    """Stage images and menus, list them in `paths.manifest()`, and let go of images that nobody needs any more.

    `discoveries` are the architectures that have a discovery image.
    """
    staged = [item for image in images for item in publish_image(site, image)]
    staged += [item for arch in discoveries for item in publish_discovery(site, arch)]
    staged += publish_menus(site)
    root = paths.under_destdir(site, "/")
    staged += [Published(path=PurePosixPath(path.relative_to(root)), sha256=files.sha256(path)) for path in programs]
    remember(site)
    lines = [f"{item.sha256}  {item.path}\n" for item in sorted(staged, key=lambda item: str(item.path))]
    files.write_atomic(paths.manifest(site), "".join(lines))
    collect_garbage(site, homes(site, images, discoveries), {str(item.path) for item in staged})


def publish_image(site: Site, image: OsImage) -> list[Published]:
    """Copy kernel, initrd and root image under their digests, and compare the bytes with them on the way."""
    boot = paths.boot_digest(image).read_text().strip()
    root = paths.root_image_digest(image).read_text().strip()
    pair = checked_pair(image.name, paths.kernel(image), paths.initrd(image), boot)
    places = (
        paths.root_image_url_path(image, root),
        PurePosixPath("/tftpboot") / paths.root_image_tftp_path(image, root),
    )
    wanted = [(paths.root_image(image), place, root) for place in places]
    return copy(site, [*at(paths.boot_url_dir(image, boot), pair), *wanted])


def publish_discovery(site: Site, arch: str) -> list[Published]:
    """Copy kernel and initrd of an architecture's discovery image under their digest."""
    boot = paths.discovery_digest(arch).read_text().strip()
    pair = checked_pair(f"discovery-{arch}", paths.discovery_kernel(arch), paths.discovery_initrd(arch), boot)
    return copy(site, at(paths.discovery_url_dir(arch, boot), pair))


Pair = tuple[tuple[Path, str], tuple[Path, str]]  # the kernel with its sha256, the initrd with its


def checked_pair(name: str, kernel: Path, initrd: Path, boot: str) -> Pair:
    """Return kernel and initrd with their digests; `BootmillError` where they are not those that `boot` names."""
    digests = files.sha256(kernel), files.sha256(initrd)
    if hashlib.sha256(bytes.fromhex(digests[0]) + bytes.fromhex(digests[1])).hexdigest() != boot:
        message = f"kernel and initrd of {name} are not the pair that was built"
        task = "discovery" if name.startswith("discovery-") else "initrd"
        raise BootmillError(message, hint=f"somebody wrote into build/: doit clean {task} && doit")
    return (kernel, digests[0]), (initrd, digests[1])


def at(folder: PurePosixPath, pair: Pair) -> list[tuple[Path, PurePosixPath, str]]:
    """Return source, target and digest of a pair in a folder below the TFTP root."""
    names = ("kernel", "initrd.img")
    place = PurePosixPath("/tftpboot") / folder
    return [(source, place / name, digest) for name, (source, digest) in zip(names, pair, strict=True)]


def copy(site: Site, wanted: list[tuple[Path, PurePosixPath, str]]) -> list[Published]:
    """Publish files: source, absolute target, digest."""
    for source, target, digest in wanted:
        files.publish(source, paths.under_destdir(site, str(target)), digest)
    return [Published(path=target.relative_to("/"), sha256=digest) for _, target, digest in wanted]


def publish_menus(site: Site) -> list[Published]:
    """Bring the menus under the TFTP root into the rendered state: write what differs, remove what is gone."""
    tftpboot = paths.tftpboot(site)
    rendered = {
        path.relative_to(paths.MENUS) for folder in MENU_FOLDERS for path in sorted((paths.MENUS / folder).glob("*"))
    }
    for name in sorted(rendered):
        files.write_ours(tftpboot / name, (paths.MENUS / name).read_bytes(), durable=False)
    for pattern in MENU_NAMES:
        for path in sorted(tftpboot.glob(pattern)):
            if path.is_file() and path.relative_to(tftpboot) not in rendered and files.is_ours(path):
                path.unlink()
    return [
        Published(path=PurePosixPath("tftpboot") / name, sha256=files.sha256(tftpboot / name))
        for name in sorted(rendered)
    ]


def published(site: Site) -> list[Path]:
    """Return what the manifest names: files that are published again when they are gone or altered."""
    return [paths.under_destdir(site, path) for path in listed(paths.manifest(site))]


def remember(site: Site) -> None:
    """Note in the folders' dates that the former manifest still named these images: a folder's date is when it was
    last on some menu, not when it was made.
    """
    for folder in {path.parent for path in published(site) if DIGEST_NAME.fullmatch(path.parent.name)}:
        if folder.is_dir():
            os.utime(folder)


def homes(site: Site, images: tuple[OsImage, ...], discoveries: tuple[str, ...]) -> list[Path]:
    """Return the folders in which images lie under their digests."""
    boot = [paths.tftpboot(site) / "boot" / name for name in (image.name for image in images)]
    pairs = [paths.tftpboot(site) / paths.discovery_url_dir(arch, "x").parent for arch in discoveries]
    roots = [paths.install(site) / "netboot" / image.os / image.arch / image.profile for image in images]
    return [*boot, *pairs, *roots]


def collect_garbage(site: Site, folders: list[Path], named: set[str]) -> None:
    """Remove images that no node can be fetching any more: neither of this generation, nor the newest of the others,
    nor younger than an hour.  Only folders that are named by a digest and hold nothing but our files are looked at.
    """
    keep = {PurePosixPath(path).parent for path in named}
    root = paths.under_destdir(site, "/")
    for folder in folders:
        for kind in (OUR_FILES[:2], OUR_FILES[2:]):  # boot pairs and root images have generations of their own
            ours = [path for path in folder.glob("*") if is_generation(path, kind)]
            others = [path for path in ours if PurePosixPath(path.relative_to(root)) not in keep]
            others.sort(key=lambda path: path.stat().st_mtime)
            for path in others[:-1]:
                if time.time() - path.stat().st_mtime > GRACE:
                    files.remove_tree(path)


def is_generation(path: Path, kind: tuple[str, ...]) -> bool:
    """Whether a folder is one of ours: named by a digest, with nothing in it but files of one kind."""
    if not DIGEST_NAME.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
        return False
    names = {entry.name for entry in path.iterdir()}
    return names <= {*kind, *(files.partial_name(Path(name)).name for name in kind)}  # a killed run leaves the latter
