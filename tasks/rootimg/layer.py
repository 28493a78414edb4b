"""The site's own files in an image: small things that change often, appended so that the rest is not repacked."""

from pathlib import Path

from tasks import compression, cpio, files, paths
from tasks.inventory.model import Compression, OsImage
from tasks.rootimg import fstab, manifest

LAYER_INODES = 1 << 24  # the layers' inode numbers begin here: never those of the base

# Host keys are made on the node: keys in an image would be the same on all nodes and known to all who can fetch it.
# ed25519 only: an RSA key costs an old CPU many seconds.
SSHD_DROP_IN = """\
[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'test -e "$0" || ssh-keygen -q -t ed25519 -N "" -f "$0"' /etc/ssh/ssh_host_ed25519_key
ExecStartPre=/usr/sbin/sshd -t
"""


def pack_files(image: OsImage, public_key: Path) -> None:
    """Pack the site's own files as the last segment: it carries the trailer."""
    source_date = manifest.load(paths.rootimg_manifest(image)).source_date
    layer = entries(image, paths.rootimg_tree(image), public_key.read_text(), source_date)
    packed = b"".join(compression.compress(cpio.write(layer, first_inode=LAYER_INODES), Compression.GZIP))
    files.write_atomic(paths.files_segment(image), packed)


def entries(image: OsImage, tree: Path, public_key: str, source_date: int) -> list[cpio.Entry]:
    """Return the layer: fstab, the key that root accepts, sshd's host key on demand, units that are switched off."""
    original = tree / "etc/fstab"
    before = original.read_text(errors="replace") if original.is_file() and not original.is_symlink() else ""
    layer = [
        cpio.regular("etc/fstab", fstab.patch(before, image.fstab).encode(), mtime=source_date),
        cpio.directory("root", 0o700, mtime=source_date),
        cpio.directory("root/.ssh", 0o700, mtime=source_date),
        cpio.regular("root/.ssh/authorized_keys", f"{public_key.strip()}\n".encode(), 0o600, mtime=source_date),
        cpio.regular("etc/systemd/system/ssh.service.d/bootmill.conf", SSHD_DROP_IN.encode(), mtime=source_date),
        *(cpio.symlink(f"etc/systemd/system/{unit}", "/dev/null", mtime=source_date) for unit in image.services_off),
    ]
    return cpio.with_parents(layer, mtime=source_date)
