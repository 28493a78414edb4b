"""xCAT's table ``nics``: what each column says of each interface, and the way there.  Pure.

nicips                eth1!10.2.0.11|fd00:2::11,ib0!10.3.0.11       several values of one interface between bars
nichostnamesuffixes   eth1!-eth1|-eth1,ib0!-ib                      a suffix an address
nicaliases            eth1!moe larry,ib0!curly                      names between blanks
"""

from collections.abc import Iterable, Iterator, Mapping

from tasks.inventory.model import Cluster, Nic, Node
from tasks.tables import rule

VLAN, INFINIBAND, ETHERNET = "vlan", "Infiniband", "Ethernet"


def items(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each interface with its values; `ValueError` for an item that names no interface."""
    for item in filter(None, text.split(",")):
        name, mark, values = item.strip().partition("!")
        if not mark or not name:
            message = f"{item!r} names no interface (xCAT writes eth1!10.2.0.11)"
            raise ValueError(message)
        yield name, values.split("|")


def origin(written: str, name: str, index: int) -> str:
    """Return the rule that makes one value of an interface, of the rule that makes the whole cell; nothing if none."""
    for item in rule.pieces(written, ","):
        if values := rule.without(item, f"{name}!"):
            parts = rule.pieces(values, "|")
            return parts[index] if index < len(parts) else ""
    return ""


def joined(values: Mapping[str, Iterable[str]], separator: str = "|") -> str:
    """Return a cell from the values of each interface; those without any are left out."""
    return ",".join(f"{name}!{text}" for name, these in values.items() if (text := separator.join(these)))


def cells(cluster: Cluster, node: Node) -> dict[str, str]:
    """Return what a node's row in the table has."""
    if not node.nics:
        return {}
    affixes = {nic.name: affix(node, nic) for nic in node.nics}
    return {
        "nicips": joined({nic.name: map(str, addresses(nic)) for nic in node.nics}),
        "nichostnamesuffixes": joined(
            {
                nic.name: [affixes[nic.name][1]] * max(len(addresses(nic)), 1)
                for nic in node.nics
                if affixes[nic.name][1]
            }
        ),
        "nichostnameprefixes": joined(
            {
                nic.name: [affixes[nic.name][0]] * max(len(addresses(nic)), 1)
                for nic in node.nics
                if affixes[nic.name][0]
            }
        ),
        "nictypes": joined({nic.name: [kind(nic)] for nic in node.nics}),
        "nicnetworks": joined({nic.name: networks(cluster, nic) for nic in node.nics}),
        "nicaliases": joined({nic.name: nic.names[1:] for nic in node.nics}, " "),
        "nicextraparams": joined({nic.name: [f"MTU={nic.mtu}"] for nic in node.nics if nic.mtu}),
    }


def addresses(nic: Nic) -> list[object]:
    """Return an interface's addresses."""
    return [address for address in (nic.ip, nic.ip6) if address is not None]


def affix(node: Node, nic: Nic) -> tuple[str, str]:
    """Return what stands before and behind the node's name in the interface's; twice nothing where it is not in it."""
    name = nic.names[0]
    if name.startswith(node.name):
        return "", name.removeprefix(node.name)
    return (name.removesuffix(node.name), "") if name.endswith(node.name) else ("", "")


def kind(nic: Nic) -> str:
    """Return an interface's type."""
    if nic.vlan is not None and nic.name.endswith(f".{nic.vlan}"):
        return VLAN
    return INFINIBAND if nic.name.startswith("ib") else ETHERNET


def networks(cluster: Cluster, nic: Nic) -> list[str]:
    """Return the names of the networks that an interface's addresses are in."""
    found = [cluster.finder.find(address) for address in (nic.ip, nic.ip6) if address is not None]
    return [network.name for network in found if network]
