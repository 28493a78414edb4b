"""The nodes as xCAT's tables: one function a table, each from all nodes to its rows.  Pure."""

from collections.abc import Iterator

from tasks.inventory.model import BootState, Cluster, Management, Node, OsImage
from tasks.tables import nics
from tasks.tables.columns import OURS
from tasks.tables.csvtext import Row, row
from tasks.tables.nodevalues import (
    BMC_SUFFIX,
    IPMI_PORT,
    MEMORY,
    MODEL,
    NETBOOT_OUT,
    NIC_MODEL,
    NICS_IN,
    VARS,
)
from tasks.tables.rule import is_rule
from tasks.tables.secrets import written

STATE_OUT = {BootState.LOCAL: "boot"}  # the others are named alike
NIC_OUT = {ours: theirs for theirs, ours in NICS_IN.items()}


def hosts(cluster: Cluster) -> Iterator[Row]:
    """Yield the addresses of nodes, their BMCs, and switches."""
    for node in cluster.nodes:
        others = [f"{BMC_SUFFIX}:{node.bmc.address}"] if node.bmc else []
        others += [f"{node.name}!{node.ip6}"] if node.ip6 else []
        yield row(
            "hosts",
            node=node.name,
            ip=str(node.ip),
            hostnames=",".join(node.aliases),
            otherinterfaces=",".join(others),
        )
    for switch in cluster.switches:
        yield row("hosts", node=switch.name, ip=str(switch.ip))


def interfaces(cluster: Cluster) -> Iterator[Row]:
    """Yield the nodes' further interfaces."""
    for node in cluster.nodes:
        if node.nics:
            yield row("nics", node=node.name, **nics.cells(cluster, node))


def nodelist(cluster: Cluster) -> Iterator[Row]:
    """Yield the nodes with their groups; nodes join dynamic ones by what they are."""
    dynamic = {group.name for group in cluster.groups if group.where}
    for node in cluster.nodes:
        yield row("nodelist", node=node.name, groups=",".join(name for name in node.groups if name not in dynamic))


def nodehm(cluster: Cluster) -> Iterator[Row]:
    """Yield how nodes are switched, and their consoles."""
    for node in cluster.nodes:
        method = node.management.value if node.management is not Management.NONE else ""
        console = node.console
        if method or console:
            yield row(
                "nodehm",
                node=node.name,
                power=method,
                mgt=method,
                cons=method if console else "",
                serialport=str(console.port) if console else "",
                serialspeed=str(console.speed) if console else "",
                serialflow="hard" if console and console.flow else "",
            )


def ipmi(cluster: Cluster) -> Iterator[Row]:
    """Yield the BMCs; a password is a reference."""
    for node in cluster.nodes:
        if bmc := node.bmc:
            yield row("ipmi", node=node.name, bmc=bmc.name, username=bmc.user, password=written(bmc.password))


def mac(cluster: Cluster) -> Iterator[Row]:
    """Yield the MACs: the node's first, then those that have names of their own."""
    for node in cluster.nodes:
        found = [node.mac] if node.mac else []
        found += [f"{nic.mac}!{nic.names[0]}" for nic in node.nics if nic.mac]
        found += [f"{node.bmc.mac}!{node.bmc.name}"] if node.bmc and node.bmc.mac else []
        if found:
            yield row("mac", node=node.name, interface=node.interface or "", mac="|".join(found))
    yield from (row("mac", node=switch.name, mac=switch.mac) for switch in cluster.switches if switch.mac)


def noderes(cluster: Cluster) -> Iterator[Row]:
    """Yield what nodes boot with."""
    for node in cluster.nodes:
        yield row(
            "noderes",
            node=node.name,
            netboot=NETBOOT_OUT[node.netboot],
            servicenode=node.service_node or "",
            xcatmaster=node.service_node or "",
            installnic=node.interface or "",
            primarynic=node.interface or "",
        )


def nodetype(cluster: Cluster) -> Iterator[Row]:
    """Yield what nodes run."""
    images = images_of(cluster)
    for node in cluster.nodes:
        if image := images.get(node.osimage):
            yield row(
                "nodetype",
                node=node.name,
                os=image.os,
                arch=image.arch,
                profile=image.profile,
                provmethod=image.name,
            )


def images_of(cluster: Cluster) -> dict[str | None, OsImage]:
    """Return the osimages by name."""
    return {image.name: image for image in cluster.osimages}


def chain(cluster: Cluster) -> Iterator[Row]:
    """Yield the boot states as nodeset says them in xCAT: ``netboot debian12-x86_64-compute``."""
    images = images_of(cluster)
    for node in cluster.nodes:
        image = images.get(node.osimage) if node.state in {BootState.NETBOOT, BootState.INSTALL} else None
        words = [STATE_OUT.get(node.state, node.state.value)]
        words += [f"{image.os}-{image.arch}-{image.profile}"] if image else []
        yield row("chain", node=node.name, currstate=" ".join(words))


def bootparams(cluster: Cluster) -> Iterator[Row]:
    """Yield the nodes' own words for the kernel."""
    for node in cluster.nodes:
        words = " ".join(node.kernel_args)
        if words and not is_rule(words):
            yield row("bootparams", node=node.name, addkcmdline=words)


def switch(cluster: Cluster) -> Iterator[Row]:
    """Yield where nodes are plugged in."""
    for node in cluster.nodes:
        if node.port:
            yield row("switch", node=node.name, switch=node.port.switch, port=unless_rule(node.port.port))


def unless_rule(text: str) -> str:
    """Return a text, nothing where xCAT would take it for a rule: `homeless` has it then."""
    return "" if is_rule(text) else text


def vm(cluster: Cluster) -> Iterator[Row]:
    """Yield virtual machines; memory and NIC model also of others, where they are not what every node has."""
    for node in cluster.nodes:
        guest = node.vm
        found = row(
            "vm",
            node=node.name,
            host=guest.host if guest else "",
            storage=unless_rule(guest.disk or "") if guest and not separated(guest.disk) else "",
            memory=str(node.memory) if guest or node.memory != MEMORY else "",
            cpus=str(guest.cpus) if guest else "",
            nics=(guest.bridge or "") if guest else "",
            nicmodel=NIC_OUT.get(node.nic, node.nic) if node.nic not in {NIC_MODEL, *NICS_IN} else "",
        )
        if len(found.cells) > 1:
            yield found


def separated(text: str | None) -> bool:
    """Return whether xCAT would read a text as a list."""
    return "," in (text or "")


def vpd(cluster: Cluster) -> Iterator[Row]:
    """Yield the hardware models and numbers."""
    for node in cluster.nodes:
        found = variables(node, "vpd") | ({"mtm": node.model} if node.model != MODEL else {})
        if found:
            yield row("vpd", node=node.name, **found)


def nodepos(cluster: Cluster) -> Iterator[Row]:
    """Yield where nodes stand."""
    for node in cluster.nodes:
        if found := variables(node, "nodepos"):
            yield row("nodepos", node=node.name, **found)


def variables(node: Node, table: str) -> dict[str, str]:
    """Return a node's variables that a table has columns for."""
    return {name: value for name, value in node.vars if (table, name) in VARS and value and not is_rule(value)}


# -- what xCAT has no column for -------------------------------------------------------------------------------------


def ours(table: str, name: str, attribute: str, value: str) -> Row:
    """Return a row of our own table."""
    return row(OURS, table=table, name=name, attribute=attribute, value=value)


def homeless(cluster: Cluster) -> Iterator[Row]:
    """Yield the attributes of nodes that xCAT has no column for, or would take for a rule or for a list."""
    default = any(one.key == "ipmi" for one in cluster.site.passwords)
    for node in cluster.nodes:
        found = [*of_node(node), *of_bmc(node, default=default), *of_nics(node), *of_guest(node)]
        yield from (ours("nodes", node.name, attribute, value) for attribute, value in found)


def of_node(node: Node) -> Iterator[tuple[str, str]]:
    """Yield what is the node's own."""
    if node.firmware != "bios":
        yield "firmware", node.firmware.value
    if node.nic in NICS_IN:
        yield "nic", node.nic
    if node.driver is not None:
        yield "driver", node.driver
    if node.port and is_rule(node.port.port):
        yield "port.port", node.port.port
    if is_rule(" ".join(node.kernel_args)):
        yield from (("kernel_args", word) for word in node.kernel_args)
    known = {**variables(node, "vpd"), **variables(node, "nodepos")}
    yield from ((f"vars.{name}", value) for name, value in node.vars if name not in known)


def of_bmc(node: Node, *, default: bool) -> Iterator[tuple[str, str]]:
    """Yield what is the BMC's; `default`: the site has a password for all BMCs."""
    if node.bmc is None:
        return
    if node.management is Management.NONE:
        yield "management", node.management.value
    if node.bmc.port != IPMI_PORT:
        yield "bmc.port", str(node.bmc.port)
    if node.bmc.model is not None:
        yield "bmc.model", node.bmc.model
    if node.bmc.password is None and default:
        yield "bmc.password", ""


def of_nics(node: Node) -> Iterator[tuple[str, str]]:
    """Yield what is the interfaces'."""
    for nic in node.nics:
        if nics.affix(node, nic) == ("", ""):
            yield from ((f"nics.{nic.name}.names", name) for name in nic.names)
        if nic.vlan is not None and nics.kind(nic) != nics.VLAN:
            yield f"nics.{nic.name}.vlan", str(nic.vlan)


def of_guest(node: Node) -> Iterator[tuple[str, str]]:
    """Yield what is the virtual machine's."""
    if node.vm and node.vm.disk and (is_rule(node.vm.disk) or separated(node.vm.disk)):
        yield "vm.disk", node.vm.disk
