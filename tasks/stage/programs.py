"""Network boot programs: from the head node's packages to the TFTP root."""

from pathlib import Path

from tasks import files, paths
from tasks.errors import BootmillError, MissingToolError
from tasks.inventory.model import Site
from tasks.listing import listed

# Name below the TFTP root → where Debian's package has it, and which package that is.
PROGRAMS = {
    "pxelinux.0": ("/usr/lib/PXELINUX/pxelinux.0", "pxelinux"),
    "ldlinux.c32": ("/usr/lib/syslinux/modules/bios/ldlinux.c32", "syslinux-common"),
    "grub/grubia32.efi": ("/usr/lib/grub/i386-efi/monolithic/grubnetia32.efi", "grub-efi-ia32-bin"),
    "grub/grubx64.efi": ("/usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi", "grub-efi-amd64-bin"),
    "ipxe/undionly.kpxe": ("/usr/lib/ipxe/undionly.kpxe", "ipxe"),
    "ipxe/snponly.efi": ("/usr/lib/ipxe/snponly.efi", "ipxe"),
}


def sources() -> list[Path]:
    """Return the programs that this machine has: a package update is noticed, a missing one told by `publish_nbp()`."""
    return [path for source, _ in PROGRAMS.values() if (path := Path(source)).exists()]


def wanted() -> list[Path]:
    """Return where the programs are on this machine, if they are."""
    return [Path(source) for source, _ in PROGRAMS.values()]


def targets(site: Site) -> list[Path]:
    """Return where the programs are published."""
    return [paths.tftpboot(site) / name for name in PROGRAMS]


def publish_nbp(site: Site) -> None:
    """Copy the boot programs under the TFTP root; all that are missing are named at once."""
    lost = [(source, package) for source, package in PROGRAMS.values() if not Path(source).exists()]
    if lost:
        message = "boot programs are missing: " + ", ".join(source for source, _ in lost)
        raise MissingToolError(message, hint=f"apt-get install {' '.join(sorted({package for _, package in lost}))}")
    known = set(listed(paths.manifest(site)).values())
    foreign = [path for name in PROGRAMS if (path := paths.tftpboot(site) / name).is_file() and not ours(path, known)]
    if foreign:
        message = f"not made by Bootmill: {', '.join(map(str, foreign))}"
        raise BootmillError(message, hint=f"move them aside: mv {foreign[0]} {foreign[0]}.before-bootmill")
    for name, (source, _) in PROGRAMS.items():
        files.write_atomic(paths.tftpboot(site) / name, Path(source).read_bytes())


def ours(path: Path, known: set[str]) -> bool:
    """Whether a boot program under the TFTP root is of our publishing: it lies in build/, or the manifest knows it,
    or it is just what the package has.
    """
    if path.is_relative_to(paths.BUILD):
        return True
    digest = files.sha256(path)
    return digest in known or digest in {files.sha256(source) for source in sources()}
