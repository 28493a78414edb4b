"""What a node does at its next boot, in the words of no menu language: pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks import paths
from tasks.configs.shapes import BOOTS_IMAGE, MAC, NAME, Shape
from tasks.errors import BootmillError
from tasks.inventory.model import BootState, Console, OsImage

COMMAND_LINE_SIZE = 2048  # arch/x86/include/asm/setup.h; the kernel cuts off what is longer, the end with its zero byte
HAVE_MENUS = frozenset({*BOOTS_IMAGE, BootState.DISCOVER, BootState.LOCAL, BootState.OFFLINE})
PREFERRED = "x86_64"  # the architecture of a node that says nothing of its own, where there is a choice


@dataclass(frozen=True, kw_only=True)
class Loadable:
    """An osimage as it is published: the slice, and the digests that name its files."""

    image: OsImage
    boot: str
    root: str


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """An architecture's discovery image as it is published: the digest that names its files."""

    arch: str
    boot: str

    @property
    def folder(self) -> PurePosixPath:
        """Return the folder of kernel and initrd below the TFTP root."""
        return paths.discovery_url_dir(self.arch, self.boot)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel to load: files below the TFTP root, the URL of that root, and the command line without BOOTIF."""

    kernel: PurePosixPath
    initrd: PurePosixPath
    url: str
    words: tuple[str, ...]
    bootif: str  # "BOOTIF=01-<mac>"; PXELINUX writes it itself (IPAPPEND 2)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A node's boot entry; `kernel` is None where nothing is loaded (local, offline)."""

    node: str
    title: str
    state: BootState
    console: Console | None
    kernel: Kernel | None


def entry(node: Shape, loadable: Mapping[str, Loadable], discoveries: Sequence[Discovery] = ()) -> Entry:
    """Return the boot entry of nodes of a shape, which must be free of `mistakes()`."""
    kernel = None
    if node.osimage:
        image = loadable[node.osimage]
        kernel = boot_kernel(node, paths.boot_url_dir(image.image, image.boot), command_line(node, image))
    elif (found := discovery_for(node, discoveries)) is not None:
        kernel = boot_kernel(node, found.folder, discovery_line(node))
    title = f"{node.state} {node.osimage}" if node.osimage else str(node.state)
    return Entry(node=NAME, title=title, state=node.state, console=node.console, kernel=kernel)


def discovery_for(node: Shape, discoveries: Sequence[Discovery]) -> Discovery | None:
    """Return the discovery image of a node that is to discover: of its architecture, of the usual one, of any."""
    if node.arch is None:
        return None
    by_arch = {each.arch: each for each in discoveries}
    if node.arch:
        return by_arch.get(node.arch)
    return by_arch.get(PREFERRED) or next(iter(discoveries), None)


def boot_kernel(node: Shape, folder: PurePosixPath, words: Iterable[str]) -> Kernel:
    """Return the kernel, the initrd and the command line of a node that boots the pair in a folder."""
    kernel = Kernel(
        kernel=folder / "kernel",
        initrd=folder / "initrd.img",
        url=f"http://{node.next_server}/tftpboot",
        words=tuple(words),
        bootif=f"BOOTIF=01-{MAC}",
    )
    longest = len(" ".join([f"initrd={kernel.initrd}", *kernel.words, kernel.bootif]))
    if longest >= COMMAND_LINE_SIZE:
        message = f"{NAME}: the kernel command line has {longest} characters, the kernel reads {COMMAND_LINE_SIZE}"
        raise BootmillError(message, hint="shorten kernel_args of the node or of its osimage")
    return kernel


def discovery_line(node: Shape) -> Iterator[str]:
    """Yield the words of the discovery image's command line: where it reports, and on which consoles it shows it."""
    yield f"discover=http://{node.next_server}{paths.DISCOVER_URL_PATH}"
    yield "console=tty0"
    yield from serial_console(node)
    yield from node.kernel_args


def command_line(node: Shape, loadable: Loadable) -> Iterator[str]:
    """Yield the words of the kernel command line.

    The image's words come before the node's, which win where a word counts once.  Of several ``console=`` the last one
    becomes /dev/console (Documentation/admin-guide/serial-console.rst): the serial one.  The root image has two
    places, tried in this order.
    """
    root = loadable.root
    yield f"imgurl=http://{node.next_server}{paths.root_image_url_path(loadable.image, root)}"
    yield f"imgurl=tftp://{node.next_server}/{paths.root_image_tftp_path(loadable.image, root)}"
    yield f"imgsha256={root}"
    yield from loadable.image.kernel_args
    yield from serial_console(node)
    yield from node.kernel_args
    if node.state is BootState.SHELL:
        yield "rescue"


def serial_console(node: Shape) -> Iterator[str]:
    """Yield the word that makes the serial line /dev/console."""
    if node.console:
        yield f"console=ttyS{node.console.port},{node.console.speed}n8"


def mistakes(node: Shape, images: tuple[OsImage, ...], discoveries: Sequence[Discovery] = ()) -> Iterator[str]:
    """Yield why a node cannot be given the menus of its boot state: they would not do what they say."""
    known = {image.name: image for image in images}
    if node.state not in HAVE_MENUS:
        yield f"{NAME}: nothing is built for the boot state {node.state} yet"
    elif node.state in BOOTS_IMAGE and node.osimage is None:
        yield f"{NAME}: the boot state {node.state} needs an osimage"
    elif node.osimage is not None and node.osimage not in known:
        yield f"{NAME}: {node.osimage} is not an osimage that can be booted over the network"
    elif node.arch is not None and discovery_for(node, discoveries) is None:
        yield f"{NAME}: no discovery image: no netboot osimage is of {node.arch or 'any'} architecture"
    words = (*node.kernel_args, *(known[node.osimage].kernel_args if node.osimage in known else ()))
    for word in words:
        if word.startswith("#"):
            yield f"{NAME}: the kernel argument {word!r} begins a comment in the menus"
