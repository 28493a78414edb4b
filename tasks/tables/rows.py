"""The cluster as xCAT's tables: one function a table.  Pure.

Nothing is lost: what xCAT has no column for, or what it would take for a rule, goes into the table ``bootmill``.
"""

from collections.abc import Callable, Iterator
from types import MappingProxyType

from tasks.inventory.model import BootState, Cluster, Netboot, Node, OsImage
from tasks.tables.columns import OURS, TABLES, Table
from tasks.tables.csvtext import Row, row
from tasks.tables.rule import is_rule

BMC_SUFFIX = "-ipmi"
NETBOOT = MappingProxyType({Netboot.PXE: "pxe", Netboot.GRUB: "grub2", Netboot.IPXE: "xnba"})
STATE = MappingProxyType({BootState.LOCAL: "boot"})  # the others are named alike
NIC = MappingProxyType({"virtio_net": "virtio"})
MEMORY, NIC_MODEL, MODEL, FIRMWARE = 1024, "e1000", "generic", "bios"  # what a node has that says nothing
PKGLIST, EXLIST = "osimages/{}.pkglist", "osimages/{}.exlist"  # beside the tables, as linuximage names them


def rows(cluster: Cluster, table: Table) -> tuple[Row, ...]:
    """Return a table's rows, in the order of the inventory; nodes in natural order."""
    return tuple(MAKERS[table.name](cluster))


def every(cluster: Cluster) -> Iterator[tuple[Table, tuple[Row, ...]]]:
    """Yield every table with its rows."""
    for table in TABLES:
        yield table, rows(cluster, table)


def site(cluster: Cluster) -> Iterator[Row]:
    """Yield the settings, by their keys' names; ours that xCAT lacks begin with ``bootmill.``."""
    values = cluster.site
    settings = {
        "domain": values.domain,
        "forwarders": ",".join(map(str, values.forwarders)),
        "master": str(cluster.node(values.master).ip),
        "nameservers": ",".join(map(str, values.nameservers)),
        "bootmill.destdir": values.destdir,
        "bootmill.dns_contact": values.dns_contact,
        "bootmill.ssh_key": values.ssh_key,
    }
    yield from (row("site", key=key, value=settings[key]) for key in sorted(settings) if settings[key])


def networks(cluster: Cluster) -> Iterator[Row]:
    """Yield the subnets."""
    for network in cluster.networks:
        ends = network.dynamic_range
        yield row(
            "networks",
            netname=network.name,
            net=str(network.subnet.network_address),
            mask=str(network.subnet.netmask),
            gateway=str(network.gateway or ""),
            tftpserver=str(network.next_server),
            dynamicrange=f"{ends[0]}-{ends[1]}" if ends else "",
        )


def switches(cluster: Cluster) -> Iterator[Row]:
    """Yield the switches; a community is a reference."""
    for switch in cluster.switches:
        community = f"!secret {switch.community}" if switch.community else ""
        yield row("switches", switch=switch.name, password=community)


def hosts(cluster: Cluster) -> Iterator[Row]:
    """Yield the addresses of nodes, their BMCs, and switches."""
    for node in cluster.nodes:
        bmc = f"{BMC_SUFFIX}:{node.bmc.address}" if node.bmc else ""
        yield row("hosts", node=node.name, ip=str(node.ip), hostnames=",".join(node.aliases), otherinterfaces=bmc)
    for switch in cluster.switches:
        yield row("hosts", node=switch.name, ip=str(switch.ip))


def nodelist(cluster: Cluster) -> Iterator[Row]:
    """Yield the nodes with their groups."""
    yield from (row("nodelist", node=node.name, groups=",".join(node.groups)) for node in cluster.nodes)


def nodegroup(cluster: Cluster) -> Iterator[Row]:
    """Yield the groups that have nodes, by name."""
    for name in sorted({group for node in cluster.nodes for group in node.groups}):
        yield row("nodegroup", groupname=name, grouptype="static", members="static")


def nodehm(cluster: Cluster) -> Iterator[Row]:
    """Yield how nodes are switched, and their consoles."""
    for node in cluster.nodes:
        method = "ipmi" if node.bmc else ""
        port = str(node.console.port) if node.console else ""
        speed = str(node.console.speed) if node.console else ""
        if method or port:
            yield row("nodehm", node=node.name, power=method, mgt=method, serialport=port, serialspeed=speed)


def ipmi(cluster: Cluster) -> Iterator[Row]:
    """Yield the BMCs; a password is a reference."""
    for node in cluster.nodes:
        if node.bmc:
            password = f"!secret {node.bmc.password}" if node.bmc.password else ""
            user = "" if is_rule(node.bmc.user) else node.bmc.user
            yield row("ipmi", node=node.name, bmc=node.bmc.name, username=user, password=password)


def mac(cluster: Cluster) -> Iterator[Row]:
    """Yield the MACs."""
    yield from (row("mac", node=node.name, mac=node.mac) for node in cluster.nodes if node.mac)


def noderes(cluster: Cluster) -> Iterator[Row]:
    """Yield each node's kind of boot program."""
    yield from (row("noderes", node=node.name, netboot=NETBOOT[node.netboot]) for node in cluster.nodes)


def nodetype(cluster: Cluster) -> Iterator[Row]:
    """Yield what nodes run."""
    for node in cluster.nodes:
        image = image_of(cluster, node)
        if image:
            yield row(
                "nodetype",
                node=node.name,
                os=image.os,
                arch=image.arch,
                profile=image.profile,
                provmethod=image.name,
            )


def image_of(cluster: Cluster, node: Node) -> OsImage | None:
    """Return a node's osimage."""
    return next((image for image in cluster.osimages if image.name == node.osimage), None)


def chain(cluster: Cluster) -> Iterator[Row]:
    """Yield the boot states as nodeset says them in xCAT: ``netboot debian12-x86_64-compute``."""
    for node in cluster.nodes:
        image = image_of(cluster, node) if node.state in {BootState.NETBOOT, BootState.INSTALL} else None
        words = [
            STATE.get(node.state, node.state.value),
            *([f"{image.os}-{image.arch}-{image.profile}"] if image else []),
        ]
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
            port = "" if is_rule(node.port.port) else node.port.port
            yield row("switch", node=node.name, switch=node.port.switch, port=port)


def vm(cluster: Cluster) -> Iterator[Row]:
    """Yield the memory and the NIC model of nodes where they are not what every node has."""
    for node in cluster.nodes:
        memory = str(node.memory) if node.memory != MEMORY else ""
        nic = NIC.get(node.nic, node.nic) if node.nic not in {NIC_MODEL, *NIC.values()} else ""
        if memory or nic:
            yield row("vm", node=node.name, memory=memory, nicmodel=nic)


def vpd(cluster: Cluster) -> Iterator[Row]:
    """Yield the hardware models."""
    yield from (row("vpd", node=node.name, mtm=node.model) for node in cluster.nodes if node.model != MODEL)


def osimage(cluster: Cluster) -> Iterator[Row]:
    """Yield the osimages."""
    for image in cluster.osimages:
        yield row(
            "osimage",
            imagename=image.name,
            profile=image.profile,
            imagetype="linux",
            provmethod=image.method,
            osdistroname=image.media,
            osname="Linux",
            osvers=image.os,
            osarch=image.arch,
        )


def linuximage(cluster: Cluster) -> Iterator[Row]:
    """Yield what osimages are made of; package and exclusion lists are files beside the tables."""
    for image in cluster.osimages:
        yield row(
            "linuximage",
            imagename=image.name,
            addkcmdline=" ".join(image.kernel_args),
            pkglist=PKGLIST.format(image.name),
            exlist=EXLIST.format(image.name) if image.exclude else "",
            netdrivers=",".join(image.drivers),
            kernelver=image.kernel or "",
        )


def nothing(cluster: Cluster) -> Iterator[Row]:
    """Yield no row: the table exists, and Bootmill keeps nothing in it."""
    yield from ()


def bootmill(cluster: Cluster) -> Iterator[Row]:
    """Yield what no table of xCAT can hold."""
    for medium in cluster.media:
        attribute, value = ("iso", medium.iso) if medium.iso is not None else ("suite", medium.suite)
        yield ours("media", medium.name, attribute, value or "")
    for node in cluster.nodes:
        yield from (ours("nodes", node.name, attribute, value) for attribute, value in homeless(node))
    for image in cluster.osimages:
        yield from (ours("osimages", image.name, "fstab", str(entry)) for entry in image.fstab)
        yield from (ours("osimages", image.name, "services_off", unit) for unit in image.services_off)
    for switch in cluster.switches:
        yield ours("switches", switch.name, "ports", str(switch.ports))


def ours(table: str, name: str, attribute: str, value: str) -> Row:
    """Return a row of our own table."""
    return row(OURS, table=table, name=name, attribute=attribute, value=value)


def homeless(node: Node) -> Iterator[tuple[str, str]]:
    """Yield the attributes of a node that xCAT has no column for, or would take for a rule."""
    if node.firmware != FIRMWARE:
        yield "firmware", node.firmware.value
    if node.nic in NIC.values():
        yield "nic", node.nic
    if node.bmc and is_rule(node.bmc.user):
        yield "bmc.user", node.bmc.user
    if node.port and is_rule(node.port.port):
        yield "port.port", node.port.port
    if is_rule(" ".join(node.kernel_args)):
        yield from (("kernel_args", word) for word in node.kernel_args)


MAKERS: MappingProxyType[str, Callable[[Cluster], Iterator[Row]]] = MappingProxyType(
    {
        "bootmill": bootmill,
        "bootparams": bootparams,
        "chain": chain,
        "hosts": hosts,
        "ipmi": ipmi,
        "linuximage": linuximage,
        "mac": mac,
        "networks": networks,
        "nodegroup": nodegroup,
        "nodehm": nodehm,
        "nodelist": nodelist,
        "noderes": noderes,
        "nodetype": nodetype,
        "osimage": osimage,
        "passwd": nothing,
        "site": site,
        "switch": switch,
        "switches": switches,
        "vm": vm,
        "vpd": vpd,
    }
)
