"""The inventory's nodes as the boot proof sees them: what counts for a boot, and who is alike in it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks import assemble
from tasks.inventory.model import BootState, Cluster, Console, Firmware, Netboot, Node, OsImage, natural_key

if TYPE_CHECKING:
    from tasks.initrd.proof.subject import Machine

BOOTS_IMAGE = frozenset({BootState.NETBOOT, BootState.SHELL})


class Shape(NamedTuple):
    """What nodes that boot alike have in common, as plain values: it is kept on disk between runs."""

    words: tuple[str, ...]
    memory: int
    driver: str | None
    firmware: str
    netboot: str
    console: tuple[int, int] | None
    bmc: bool


Alike = tuple[Shape, tuple[str, ...]]  # a shape and the names of its nodes, in natural order


def shape(node: Node) -> Shape:
    """Return what counts of a node; a virtual machine's NIC is the one that its hypervisor gives it."""
    console = (node.console.port, node.console.speed) if node.console else None
    return Shape(
        words=(*words_of(node), *(("rescue",) if node.state is BootState.SHELL else ())),
        memory=node.memory,
        driver=node.driver or (node.nic if node.vm else None),
        firmware=node.firmware.value,
        netboot=node.netboot.value,
        console=console,
        bmc=node.bmc is not None,
    )


def words_of(node: Node) -> tuple[str, ...]:
    """Return what the menus make of a node's own settings: the serial line, then its kernel_args."""
    serial = (f"console=ttyS{node.console.port},{node.console.speed}n8",) if node.console else ()
    return (*serial, *node.kernel_args)


def machine(shape: Shape, image: OsImage) -> "Machine":
    """Return what nodes of a shape bring to the boot of an osimage."""
    from tasks.initrd.proof.subject import Machine  # nodes are sorted at each declaration, judged only by a proof

    return Machine(
        words=(*image.kernel_args, *shape.words),
        menus=True,
        memory=shape.memory,
        driver=shape.driver,
        firmware=Firmware(shape.firmware),
        netboot=Netboot(shape.netboot),
        console=Console(port=shape.console[0], speed=shape.console[1]) if shape.console else None,
        bmc=shape.bmc,
    )


def shapes_in(nodes: Sequence[Node]) -> tuple[tuple[str, tuple[tuple[object, ...], tuple[str, ...]]], ...]:
    """Return (osimage, (shape, names)) of the nodes that boot one, as plain tuples."""
    found: dict[tuple[str, Shape], list[str]] = {}
    for node in nodes:
        if node.mac and node.osimage and node.state in BOOTS_IMAGE:
            found.setdefault((node.osimage, shape(node)), []).append(node.name)
    return tuple((image, (tuple(alike), tuple(names))) for (image, alike), names in found.items())


def by_image(cluster: Cluster) -> dict[str, tuple[Alike, ...]]:
    """Return, for each osimage, the shapes of the nodes that boot it; what was seen of a shard is kept between runs."""
    code = assemble.code_digest(__name__)
    rows = assemble.of_shards("prove.shapes", code, cluster.shards, shapes_in)
    found: dict[str, dict[Shape, list[str]]] = {}
    for image, (alike, names) in (row for shard in rows for row in shard):
        found.setdefault(image, {}).setdefault(Shape(*alike), []).extend(names)
    return {image: tuple(sorted_alike(shapes.items())) for image, shapes in found.items()}


def sorted_alike(found: Iterable[tuple[Shape, list[str]]]) -> list[Alike]:
    """Return shapes with their nodes in natural order, those with the first node first."""
    rows = [(alike, tuple(sorted(names, key=natural_key))) for alike, names in found]
    return sorted(rows, key=lambda row: natural_key(row[1][0]))


def selected(cluster: Cluster, names: Iterable[str]) -> dict[str, tuple[Alike, ...]]:
    """Return the same for some nodes only."""
    wanted = frozenset(names)
    found = {
        image: [(alike, tuple(name for name in nodes if name in wanted)) for alike, nodes in rows]
        for image, rows in by_image(cluster).items()
    }
    return {image: kept for image, rows in found.items() if (kept := tuple(row for row in rows if row[1]))}
