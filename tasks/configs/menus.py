"""Boot menus: each node's boot entry in three languages, and the menus of machines that are not known.

A node has all three, whatever it boots by today: a changed ``firmware`` or ``netboot`` is a matter for dhcpd alone.
They are rendered under build/menus as one tree that takes the place of the old one in one rename, with a manifest.
Files that did not change are taken over as they are; those of nodes that left are not.

============  ======================================  =======================  =====================
boot program  asks for                                a node's own menu        of unknown machines
============  ======================================  =======================  =====================
PXELINUX      the node's own, then default            pxelinux.cfg/01-<mac>    pxelinux.cfg/default
GRUB          grub/grub.cfg only                      grub/grub.cfg-01-<mac>   grub/grub.cfg itself
iPXE          what dhcpd says: its own, or boot.ipxe  ipxe/<mac>.ipxe          ipxe/default.ipxe
============  ======================================  =======================  =====================

Debian's monolithic grubnetx64.efi asks only for ``$prefix/grub.cfg`` and its prefix is (tftp,server)/grub: grub.cfg
derives the node's file from ``$net_default_mac``.  ipxe/boot.ipxe does the same for an iPXE that was told nothing else.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from tasks import files, paths, template
from tasks.configs import bootentry
from tasks.configs.bootentry import Entry, Loadable
from tasks.configs.slices import MenuNode
from tasks.errors import BootmillError
from tasks.inventory.model import OsImage

TEMPLATES = Path(__file__).parent / "templates"
SITE_WIDE = {
    "pxelinux.cfg/default": "menus_default.pxelinux.j2",
    "grub/grub.cfg": "menus_default.grub.j2",
    "grub/grub.cfg-local": "menus_local.grub.j2",  # what local nodes and unknown machines source
    "ipxe/boot.ipxe": "menus_boot.ipxe.j2",
    "ipxe/default.ipxe": "menus_default.ipxe.j2",
}
PLAIN = re.compile(r"[\w./:=,@%+-]+", re.ASCII)  # what GRUB takes as it is, without quotes


def write_menus(nodes: tuple[MenuNode, ...], images: tuple[OsImage, ...]) -> None:
    """Bring build/menus up to date; `BootmillError` names every node that cannot have menus, and nothing is written."""
    menus = render_menus(nodes, tuple(loadable(image) for image in images))
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in menus.items()}
    with files.replacing_tree(paths.MENUS) as tree:
        for name, text in menus.items():
            put(tree / name, paths.MENUS / name, text.encode())
        manifest = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
        put(tree / paths.menu_manifest().name, paths.menu_manifest(), manifest.encode())


def put(path: Path, old: Path, content: bytes) -> None:
    """Write a file into the new tree, or take the old tree's file over where it says the same."""
    try:
        same = old.read_bytes() == content
    except (FileNotFoundError, NotADirectoryError):
        same = False
    if same:
        files.place(old, path)
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def loadable(image: OsImage) -> Loadable:
    """Return an osimage with the digests that name its published files."""
    return Loadable(
        image=image, boot=digest_in(paths.boot_digest(image)), root=digest_in(paths.root_image_digest(image))
    )


def digest_in(path: Path) -> str:
    """Return the sha256 that a digest file holds: 64 hexadecimal digits and a line end."""
    try:
        text = path.read_bytes().decode("ascii", "replace")
    except FileNotFoundError:
        text = ""
    if not re.fullmatch(r"[0-9a-f]{64}\n", text):
        message = f"{path}: holds no sha256"
        raise BootmillError(message, hint=f"remove {path.parent} and build the osimage again: doit stage")
    return text.strip()


# -- text ------------------------------------------------------------------------------------------------------------


def render_menus(nodes: tuple[MenuNode, ...], loadables: tuple[Loadable, ...]) -> dict[str, str]:
    """Return every menu: name below the TFTP root → text, sorted by name."""
    images = tuple(item.image for item in loadables)
    wrong = [mistake for node in nodes for mistake in bootentry.mistakes(node, images)]
    if wrong:
        message = "\n    ".join(["some nodes cannot be given menus, so no menu was changed:", *wrong])
        hint = "mend the inventory, or choose another boot state: doit nodeset NODERANGE netboot|local|shell|offline"
        raise BootmillError(message, hint=hint)
    menus = {name: template.render(TEMPLATES / file) for name, file in SITE_WIDE.items()}
    by_name = {item.image.name: item for item in loadables}
    for node in nodes:
        menus.update(node_menus(node, bootentry.entry(node, by_name)))
    return dict(sorted(menus.items()))


def node_menus(node: MenuNode, entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield a node's menus: name and text."""
    yield node.pxelinux, template.render(TEMPLATES / "menus_node.pxelinux.j2", entry=entry, serial=serial(entry))
    yield node.grub, template.render(TEMPLATES / "menus_node.grub.j2", entry=entry, words=grub_words(entry))
    yield node.ipxe, template.render(TEMPLATES / "menus_node.ipxe.j2", entry=entry)


def serial(entry: Entry) -> str:
    """Return what PXELINUX's SERIAL takes, or nothing.

    It finds ports 0 to 3 by the BIOS and would take a greater number for an I/O address; its clock ends at 115200.
    """
    console = entry.console
    return f"{console.port} {console.speed}" if console and console.port <= 3 and console.speed <= 115200 else ""


def grub_words(entry: Entry) -> list[str]:
    """Return the kernel command line in GRUB's quoting; unquoted, it would expand ``*`` and ``?`` as file names.

    The border lets no quote into a kernel argument.
    """
    if entry.kernel is None:
        return []
    return [word if PLAIN.fullmatch(word) else f"'{word}'" for word in (*entry.kernel.words, entry.kernel.bootif)]
