"""What a change means for nodes that run: which must boot again before it is true for them.  Pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tasks.deploy.difference import Change, Kind, Pair
from tasks.inventory.model import BootState, Cluster, Node

# What a running node has from its last boot: kernel, command line, root image, address.
NODE = frozenset({"console", "ip", "ip6", "kernel_args", "osimage", "state"})
# What an image is made of: another kernel, initrd or root image.
OSIMAGE = frozenset(
    {"compression", "drivers", "exclude", "fstab", "kernel", "kernel_args", "media", "packages", "services_off"}
)
SITE = frozenset({"ssh_key"})  # its public half is in every root image
BOOTS_IMAGE = frozenset({BootState.NETBOOT, BootState.SHELL})


class Reboot(NamedTuple):
    """A node that must boot again, and why."""

    node: str
    why: tuple[Change, ...]


def reboots(new: Cluster, changed: Iterable[tuple[Pair, list[Change]]], others: Iterable[Change]) -> list[Reboot]:
    """Return the nodes that must boot again, in natural order.

    The head node does not boot from itself; a node that came or went has nothing running that could be old.
    """
    why: dict[str, list[Change]] = {}
    for pair, changes in changed:
        if pair.old and pair.new and pair.new.name != new.site.master and boots(pair.old, pair.new):
            mine = [change for change in changes if change.top in NODE]
            if mine:
                why[pair.name] = mine
    common = [*others]
    if any(image_changes(common, None)):
        for node in new.nodes:
            if node.osimage and node.state in BOOTS_IMAGE and node.name != new.site.master:
                mine = [*image_changes(common, node.osimage)]
                if mine:
                    why.setdefault(node.name, []).extend(mine)
        order = {node.name: index for index, node in enumerate(new.nodes)}
        return [Reboot(name, tuple(why[name])) for name in sorted(why, key=order.__getitem__)]
    return [Reboot(name, tuple(changes)) for name, changes in why.items()]


def boots(old: Node, new: Node) -> bool:
    """Whether a node boots over the network, before or after."""
    return bool(old.mac or new.mac)


def image_changes(others: Iterable[Change], osimage: str | None) -> Iterator[Change]:
    """Yield the changes that make another image: of one osimage, or of any."""
    for change in others:
        if change.kind is not Kind.CHANGED:
            continue
        of_image = change.table == "osimages" and change.top in OSIMAGE and osimage in {None, change.row}
        if of_image or (change.table == "site" and change.top in SITE):
            yield change
