"""Boot menus: each node's boot entry in three languages, and the menus of machines that are not known.

A node has all three, whatever it boots by today: a changed ``firmware`` or ``netboot`` is a matter for dhcpd alone.
They are rendered under build/menus, with a manifest.  A few that changed are replaced one by one; many are rendered as
one tree that takes the place of the old one in one rename.

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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tasks import assemble, files, paths, record, template
from tasks.actions import TaskDict, rule
from tasks.assemble import Former, Slice
from tasks.configs import bootentry
from tasks.configs.bootentry import Discovery, Entry, Loadable
from tasks.configs.shapes import (
    DISCOVERY,
    MAC,
    NAME,
    MenuFrame,
    Shape,
    images_of,
    menu_frame,
    menu_rows,
    unknown_discover,
    used_images,
)
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, OsImage

TEMPLATES = Path(__file__).parent / "templates"
FOLDERS = ("grub", "ipxe", "pxelinux.cfg")
LAYOUT = "menus.layout"
COMMON = "common"  # the part of the menus that are not a node's
SITE_WIDE = {
    "pxelinux.cfg/default": "menus_default.pxelinux.j2",
    "grub/grub.cfg": "menus_default.grub.j2",
    "grub/grub.cfg-local": "menus_local.grub.j2",  # what local nodes and unknown machines source
    "ipxe/boot.ipxe": "menus_boot.ipxe.j2",
    "ipxe/default.ipxe": "menus_default.ipxe.j2",
}
PLAIN = re.compile(r"[\w./:=,@%+-]+", re.ASCII)  # what GRUB takes as it is, without quotes
FEW = 3000  # menus: above it, a new tree is cheaper than one rename for each
Menus = dict[str, bytes]  # name below the TFTP root → text


# How boot programs call the processors for which they were made (GRUB's $grub_cpu, iPXE's ${buildarch}), by the
# architecture of the kernels that these can boot.  PXELINUX is made for PCs only.
PROCESSORS = {"x86_64": ("x86_64", "i386"), "aarch64": ("arm64",)}


@dataclass(frozen=True, kw_only=True)
class Discovering:
    """Who loads a discovery image: of these architectures, machines that nobody knows, the nodes of some slices."""

    archs: tuple[str, ...] = ()
    unknown: bool = False
    slices: tuple[str, ...] = ()


class FAMILY:
    """What the engine asks for to slice the nodes; the files are written here, not by the engine."""

    name = "menus"
    rows = staticmethod(menu_rows)


def menus_task(cluster: Cluster) -> TaskDict:
    """Declare the menus."""
    code = assemble.code_digest(__name__)
    frame = menu_frame(cluster)
    uses = assemble.of_shards("menus.images", code, cluster.shards, images_of)
    images = used_images(cluster, {name for names in uses for name in names})
    slices = assemble.sliced(FAMILY, frame, cluster.shards, code)
    some = tuple(one.digest for one, names in zip(slices, uses, strict=True) if DISCOVERY in names)
    discovering = who_discovers(cluster, some)
    digests = [path for image in images for path in (paths.boot_digest(image), paths.root_image_digest(image))]
    return rule(
        "menus",
        doc="",
        run=write_menus,
        args=(frame, slices, images, discovering, code),
        stands_for=(frame, [one.digest for one in slices], images, discovering),
        inputs=[*digests, *(paths.discovery_digest(arch) for arch in discovering.archs)],
        outputs=[paths.menu_manifest()],
        folders=[paths.MENUS / folder for folder in FOLDERS],
    )


def who_discovers(cluster: Cluster, slices: tuple[str, ...]) -> Discovering:
    """Return who loads a discovery image; `slices` are the digests of those with nodes that are to discover."""
    unknown = unknown_discover(cluster)
    archs = tuple(image.arch for image in cluster.discoverers()) if unknown or slices else ()
    return Discovering(archs=archs, unknown=unknown, slices=slices)


def write_menus(
    frame: MenuFrame, slices: Sequence[Slice], images: Sequence[OsImage], discovering: Discovering, code: str
) -> None:
    """Bring build/menus up to date; `BootmillError` names every node that cannot have menus, and nothing is written."""
    loadables = tuple(loadable(image) for image in images)
    discoveries = [discovery(arch) for arch in discovering.archs]
    slices = [depending(one, discoveries) if one.digest in discovering.slices else one for one in slices]
    key = f"{code} {loadables!r}"
    layout = assemble.read(assemble.KEPT / LAYOUT, key) or {}
    former = Former(layout if layout.pop("folders", None) == folders() else {})
    fresh = [one for one in slices if former.part(one.digest, [LAYOUT]) is None]
    written = render(frame, fresh, loadables, discoveries)
    common = site_wide(discoveries if discovering.unknown else [])
    gone = left(former, slices)
    if not former.parts or len(gone) + sum(map(len, written.values())) > FEW:
        written |= render(frame, [one for one in slices if one.digest not in written], loadables, discoveries)
        write_tree([common, *written.values()])
    else:
        (assemble.KEPT / LAYOUT).unlink(missing_ok=True)  # a killed run leaves nothing to be believed
        write_few([common, *written.values()], gone)
    parts = [(one.digest, lines(written[one.digest]) if one.digest in written else kept(former, one)) for one in slices]
    write_manifest([(COMMON, lines(common)), *parts], key)


def depending(one: Slice, discoveries: Sequence[Discovery]) -> Slice:
    """Return a slice under a digest that changes with the discovery images: some of its menus name them."""
    return Slice(digest=assemble.sha256(f"{one.digest} {discoveries!r}"), shard=one.shard)


def render(
    frame: MenuFrame, slices: Iterable[Slice], loadables: Sequence[Loadable], discoveries: Sequence[Discovery] = ()
) -> dict[str, Menus]:
    """Return the menus of shards by their slices' digest."""
    render_shape = cache(lambda shape: shaped(shape, tuple(loadables), discoveries))
    wrong: list[str] = []
    result: dict[str, Menus] = {}
    for one in slices:
        menus: Menus = {}
        for row in menu_rows(frame, one.shard.nodes()):
            texts = render_shape(row.shape)
            if isinstance(texts, str):
                wrong += [line.replace(NAME, row.name) for line in texts.splitlines()]
            else:
                dashed = row.mac.replace(":", "-")
                for name, text in zip(names(dashed), texts, strict=True):
                    menus[name] = text.replace(NAME, row.name).replace(MAC, dashed).encode()
        result[one.digest] = menus
    if wrong:
        message = "\n    ".join(["some nodes cannot be given menus, so no menu was changed:", *wrong])
        hint = "mend the inventory, or choose another boot state: doit nodeset NODERANGE netboot|local|shell|offline"
        raise BootmillError(message, hint=hint)
    return result


def names(dashed: str) -> tuple[str, str, str]:
    """Return the names of a node's menus below the TFTP root, from its MAC with dashes."""
    return f"pxelinux.cfg/01-{dashed}", f"grub/grub.cfg-01-{dashed}", f"ipxe/{dashed}.ipxe"


def site_wide(discoveries: Sequence[Discovery] = ()) -> Menus:
    """Return the menus that are not a node's; machines that nobody knows load one of these discovery images."""
    known = {each.arch: each for each in discoveries if each.arch in PROCESSORS}
    values = {"discoveries": known, "processors": PROCESSORS, "pc": known.get("x86_64")}
    return {name: template.render(TEMPLATES / file, **values).encode() for name, file in SITE_WIDE.items()}


# -- files -------------------------------------------------------------------------------------------------------------


def left(former: Former, slices: Sequence[Slice]) -> set[str]:
    """Return the menus that the former manifest has in parts that are there no more."""
    now = {COMMON, *(one.digest for one in slices)}
    old = [bytes(text) for digest, text in former.parts.get(LAYOUT, {}).items() if digest not in now]
    return {line[66:] for text in old for line in text.decode().splitlines()}


def write_tree(all_menus: Iterable[Menus]) -> None:
    """Write all menus as a new tree; files that say the same are taken over as they are."""
    with files.replacing_tree(paths.MENUS) as tree:
        for folder in FOLDERS:
            (tree / folder).mkdir()
        before = {folder: files.names_in(paths.MENUS / folder) for folder in FOLDERS}
        for menus in all_menus:
            for name, text in menus.items():
                folder, _, base = name.partition("/")
                files.put(f"{tree}/{name}", text, old=f"{paths.MENUS}/{name}" if base in before[folder] else "")


def write_few(all_menus: Iterable[Menus], gone: set[str]) -> None:
    """Replace the menus that changed, one by one, and remove those of nodes that left."""
    now: set[str] = set()
    for menus in all_menus:
        for name, text in menus.items():
            now.add(name)
            files.write_atomic(paths.MENUS / name, text, durable=False)
    for name in sorted(gone - now):
        (paths.MENUS / name).unlink(missing_ok=True)


def lines(menus: Menus) -> bytes:
    """Return the manifest's lines for some menus."""
    return "".join(f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in menus.items()).encode()


def kept(former: Former, one: Slice) -> bytes:
    """Return a part of the former manifest."""
    return bytes(former.parts[LAYOUT][one.digest])


def write_manifest(parts: Sequence[tuple[str, bytes]], key: str) -> None:
    """Write the manifest, and where in it each shard's lines are."""
    path = paths.menu_manifest()
    files.write_atomic(path, b"".join(text for _, text in parts))
    layout, offset = [], 0
    for digest, text in parts:
        layout.append((digest, offset, offset + len(text)))
        offset += len(text)
    left = {LAYOUT: (str(path), files.look_of(path), layout), "folders": folders()}
    assemble.keep(assemble.KEPT / LAYOUT, key, left)


def folders() -> list[object]:
    """Return how the folders look: one that somebody took a menu from is not what we left."""
    return [record.look_of_folder(f"{paths.MENUS}/{folder}/") for folder in FOLDERS]


def loadable(image: OsImage) -> Loadable:
    """Return an osimage with the digests that name its published files."""
    return Loadable(
        image=image, boot=digest_in(paths.boot_digest(image)), root=digest_in(paths.root_image_digest(image))
    )


def discovery(arch: str) -> Discovery:
    """Return an architecture's discovery image with the digest that names its published files."""
    return Discovery(arch=arch, boot=digest_in(paths.discovery_digest(arch)))


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


def shaped(
    shape: Shape, loadables: tuple[Loadable, ...], discoveries: Sequence[Discovery] = ()
) -> tuple[str, str, str] | str:
    """Return the menus of all nodes of a shape, with `NAME` and `MAC` where theirs go; or what is wrong with them."""
    wrong = [*bootentry.mistakes(shape, tuple(item.image for item in loadables), discoveries)]
    if wrong:
        return "\n".join(wrong)
    try:
        entry = bootentry.entry(shape, {item.image.name: item for item in loadables}, discoveries)
    except BootmillError as error:
        return error.message
    return (
        template.render(TEMPLATES / "menus_node.pxelinux.j2", entry=entry, serial=serial(entry)),
        template.render(TEMPLATES / "menus_node.grub.j2", entry=entry, words=grub_words(entry)),
        template.render(TEMPLATES / "menus_node.ipxe.j2", entry=entry),
    )


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
