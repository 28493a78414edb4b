"""Build the root tree of an osimage from its extracted medium alone: no network, no root, nothing of the head node.

mmdebstrap runs in namespaces of its own: a mount namespace whose tmpfs holds the unfinished tree (a killed build leaves
nothing), a network namespace without any network, and, for an ordinary user, a user namespace with the ranges of
/etc/subuid.  The result is a tar, the same bytes for root and for a user.
"""

import json
import os
import shlex
from pathlib import Path
from urllib.parse import quote

from tasks import files, paths
from tasks.errors import BootmillError, CommandError
from tasks.inventory.model import DEBIAN_ARCH, Media, OsImage, Site
from tasks.rootimg import manifest
from tasks.rootimg.unpack import unpack
from tasks.run import run

# The kernel package would build an initrd that nobody boots (20 s): its hook is left out of the tree.
PATH_EXCLUDE = ("/etc/kernel/postinst.d/initramfs-tools",)
HOOKS = "/usr/share/mmdebstrap/hooks/merged-usr"


def install_tree(site: Site, image: OsImage, media: Media) -> None:
    """Install the packages of an osimage and leave `paths.rootimg_tree()` and `paths.rootimg_manifest()`."""
    about = json.loads(paths.media_manifest(media).read_text())
    source_date = int(about["source_date_epoch"])
    with files.scratch(paths.image_dir(image) / "build") as folder:
        tar = folder / "root.tar"
        command = mmdebstrap(site, image, media, about["suite"], about["components"], tar, source_date)
        try:
            if os.geteuid() != 0:  # where this fails (a chroot, a hardened kernel), `unshare --map-auto` would hang
                run(["unshare", "--user", "--map-root-user", "true"])
            run(namespaces(folder, command))
        except BootmillError as error:
            raise explained(error, image) from error
        with files.replacing_tree(paths.rootimg_tree(image)) as tree:
            tree_manifest = unpack(tar, tree, source_date)
    manifest.save(tree_manifest, paths.rootimg_manifest(image))


def mmdebstrap(
    site: Site, image: OsImage, media: Media, suite: str, components: list[str], tar: Path, source_date: int
) -> list[str]:
    """Return the command that installs the tree into a tar; TMPDIR is where it may work."""
    uri = f"copy://{quote(str(paths.media_tree(site, media).resolve()))}"
    mirror = f"deb [trusted=yes] {uri} {suite} {' '.join(components)}"
    return [
        "env", f"TMPDIR={tar.parent.resolve()}/tree", f"SOURCE_DATE_EPOCH={source_date}",
        "mmdebstrap", "--quiet", "--mode=root", "--variant=essential", "--format=tar",
        f"--architectures={DEBIAN_ARCH[image.arch]}",
        f"--include={','.join(image.packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in PATH_EXCLUDE),
        '--aptopt=APT::Install-Recommends "false"',
        "--skip=check/qemu", f"--hook-dir={HOOKS}",
        suite, str(tar.resolve()), mirror,
    ]  # fmt: skip


def namespaces(folder: Path, command: list[str]) -> list[str]:
    """Wrap a command so that all it mounts, starts and scribbles is gone with it."""
    work = folder.resolve() / "tree"
    work.mkdir()
    script = f"mount -t tmpfs -o mode=0755,size=90% tmpfs {shlex.quote(str(work))} && exec {shlex.join(command)}"
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    apart = ["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
    return ["unshare", *user, *apart, "sh", "-c", script]


def explained(error: BootmillError, image: OsImage) -> BootmillError:
    """Return the failure with what an administrator can do about the common causes."""
    text = error.said if isinstance(error, CommandError) else str(error)
    complaints = [line for line in text.splitlines() if line.startswith("E: ")]
    if "Unable to locate package" in text or "has no installation candidate" in text:
        hint = f"a package of {image.name} is not on the medium: correct its name in inventory/osimages.yaml"
    elif "unshare" in text and any(word in text for word in ("uid_map", "newuidmap", "not permitted", "No space")):
        hint = "user namespaces do not work for this user: run `python3 -m tasks doctor`, or build as root"
    elif "filesystem propagation" in text:
        hint = "this is a chroot whose root is no mount point: outside of it, `mount --bind DIR DIR` before entering"
    elif "No space left" in text:
        hint = "the tree is built in memory: it needs about twice the image's unpacked size in free RAM and swap"
    else:
        return error
    message = "\n    ".join([error.message.splitlines()[0], *complaints[:5]])
    return BootmillError(message, hint=f"{hint}\n    {error.hint}")
