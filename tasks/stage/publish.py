"""Publish what nodes fetch.  Images first, under names that say their content; then the menus that point to them.

A node that boots in the middle of it gets the old menu with the old images or the new one with the new: an image never
changes under its name, and the images of the generation before stay until the next.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasks import files, paths
from tasks.inventory.model import OsImage, Site

MENU_FOLDERS = ("pxelinux.cfg", "grub", "ipxe")
MENU_NAMES = ("pxelinux.cfg/*", "grub/grub.cfg*", "ipxe/*.ipxe")


@dataclass(frozen=True, kw_only=True)
class Published:
    """One file that a node may fetch: where it lies under destdir, and its sha256."""

    path: PurePosixPath
    sha256: str


def publish(site: Site, images: tuple[OsImage, ...], programs: tuple[Path, ...]) -> None:
    """Stage images and menus, list them in `paths.manifest()`, and let go of what two generations no longer name."""
    before = listed(paths.manifest(site))
    staged = [item for image in images for item in publish_image(site, image)]
    staged += publish_menus(site)
    root = paths.under_destdir(site, "/")
    staged += [Published(path=PurePosixPath(path.relative_to(root)), sha256=files.sha256(path)) for path in programs]
    lines = sorted(f"{item.sha256}  {item.path}" for item in staged)
    files.write_atomic(paths.manifest(site), "\n".join(sorted(lines, key=lambda line: line[66:])) + "\n")
    collect_garbage(site, images, before | {str(item.path) for item in staged})


def publish_image(site: Site, image: OsImage) -> list[Published]:
    """Place kernel, initrd and root image under their digests."""
    boot = paths.boot_digest(image).read_text().strip()
    root = paths.root_image_digest(image).read_text().strip()
    folder = PurePosixPath("/tftpboot") / paths.boot_url_dir(image, boot)
    wanted = [
        (paths.kernel(image), folder / "kernel", files.sha256(paths.kernel(image))),
        (paths.initrd(image), folder / "initrd.gz", files.sha256(paths.initrd(image))),
        (paths.root_image(image), paths.root_image_url_path(image, root), root),
        (paths.root_image(image), PurePosixPath("/tftpboot") / paths.root_image_tftp_path(image, root), root),
    ]
    for source, target, _ in wanted:
        files.place(source, paths.under_destdir(site, str(target)))
    return [Published(path=target.relative_to("/"), sha256=digest) for _, target, digest in wanted]


def publish_menus(site: Site) -> list[Published]:
    """Bring the menus under the TFTP root into the rendered state: write what differs, remove what is gone."""
    tftpboot = paths.tftpboot(site)
    rendered = {
        path.relative_to(paths.MENUS) for folder in MENU_FOLDERS for path in sorted((paths.MENUS / folder).glob("*"))
    }
    for name in sorted(rendered):
        files.write_ours(tftpboot / name, (paths.MENUS / name).read_text())
    for pattern in MENU_NAMES:
        for path in sorted(tftpboot.glob(pattern)):
            if path.relative_to(tftpboot) not in rendered and files.is_ours(path):
                path.unlink()
    return [
        Published(path=PurePosixPath("tftpboot") / name, sha256=files.sha256(tftpboot / name))
        for name in sorted(rendered)
    ]


def listed(manifest: Path) -> set[str]:
    """Return the paths of a manifest, none where there is no manifest yet."""
    try:
        return {line[66:] for line in manifest.read_text().splitlines()}
    except FileNotFoundError:
        return set()


def collect_garbage(site: Site, images: tuple[OsImage, ...], named: set[str]) -> None:
    """Remove digest folders of our images that neither this generation nor the one before names."""
    keep = {PurePosixPath(path).parent for path in named}
    root = paths.under_destdir(site, "/")
    for image in images:
        for folder in (
            paths.tftpboot(site) / "boot" / image.name,
            paths.install(site) / "netboot" / image.os / image.arch / image.profile,
        ):
            for generation in sorted(folder.glob("*")):
                if PurePosixPath(generation.relative_to(root)) not in keep:
                    files.remove_tree(generation)
