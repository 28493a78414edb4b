"""Valid rows → the model: defaults that follow from other values are filled in."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from tasks.inventory import records, schema
from tasks.inventory.model import (
    Bmc,
    BootState,
    Console,
    DnsRecord,
    Export,
    Group,
    Management,
    Netboot,
    Network,
    Nic,
    Node,
    Password,
    Site,
    Switch,
    SwitchPort,
    Vm,
)


def site(row: schema.SiteIn, head: Node | None) -> Site:
    """Return the site with what follows from it filled in: nodes ask the head node where nobody else is named."""
    return Site(
        domain=row.domain,
        master=row.master,
        destdir=row.destdir,
        nameservers=tuple(row.nameservers) or ((head.ip,) if head else ()),
        forwarders=tuple(row.forwarders),
        ssh_key=row.ssh_key,
        dns_contact=row.dns_contact or f"hostmaster.{row.domain}",
        search=tuple(dict.fromkeys([row.domain, *row.search])),
        ntp_servers=tuple(row.ntp_servers),
        log_servers=tuple(row.log_servers),
        secondaries=tuple(row.secondaries),
        serial_floor=row.serial_floor,
        records=tuple(map(record, row.records)),
        exports=tuple(
            Export(path=one.path, networks=tuple(one.networks), options=tuple(one.options)) for one in row.exports
        ),
        short_names_first=row.short_names_first,
        passwords=tuple(
            Password(key=key, user=one.user, password=one.password) for key, one in sorted(row.passwords.items())
        ),
        dhcp_server=row.dhcp_server,
        boot_programs=tuple(row.boot_programs),
    )


def record(row: schema.DnsRecordIn) -> DnsRecord:
    """Return a record in the form that zones have; what is wrong with it stays, to be told (`check_site`)."""
    try:
        value = records.parsed(row.type, row.value).value
    except ValueError:
        value = row.value
    return DnsRecord(name=row.name.lower(), type=row.type, value=value)


def group(name: str, row: schema.GroupIn, plain: Iterable[tuple[str, str]]) -> Group:
    """Return a group; `plain` are its variables that are the same for all its nodes."""
    return Group(name=name, groups=tuple(row.groups), where=tuple(sorted(row.where.items())), vars=tuple(sorted(plain)))


def network(name: str, row: schema.NetworkIn, head: Node | None, *, asked: bool) -> Network:
    """Return a network; boot files come from the head node unless it says otherwise, names where nobody else is asked.

    A head node with several NICs is at its own address there, which needs no router.  `asked`: the site names servers.
    """
    near = at_home(head, row.subnet) if head else None
    own = (near,) if head and near and near != head.ip and not asked else ()  # at `head.ip` it is the site's default
    return Network(
        name=name,
        subnet=row.subnet,
        gateway=row.gateway,
        dynamic_range=row.dynamic_range,
        next_server=row.next_server or near or (head.ip if head else row.subnet.network_address),
        subnet6=row.subnet6,
        gateway6=row.gateway6,
        dynamic_range6=row.dynamic_range6,
        next_server6=row.next_server6,
        vlan=row.vlan,
        mtu=row.mtu,
        domain=row.domain,
        nameservers=tuple(row.nameservers) or own,
        ntp_servers=tuple(row.ntp_servers),
        link=row.link or name,
        interface=row.interface,
        relay=row.relay,
        dhcp=row.dhcp,
        delegation=row.delegation,
    )


def at_home(node: Node, subnet: IPv4Network) -> IPv4Address | None:
    """Return a node's first address in a subnet: its own, or a further NIC's."""
    return next((one for one in (node.ip, *(nic.ip for nic in node.nics)) if one and one in subnet), None)


def switch(name: str, row: schema.SwitchIn) -> Switch:
    """Return a switch."""
    return Switch(
        name=name,
        ip=row.ip,
        mac=row.mac,
        ports=row.ports,
        model=row.model,
        snmp=row.snmp,
        community=row.community,
        user=row.user,
        auth=row.auth,
        auth_password=row.auth_password,
        privacy=row.privacy,
        privacy_password=row.privacy_password,
    )


def node(name: str, row: schema.NodeIn, groups: tuple[str, ...]) -> Node:
    """Return the model's node; `groups` are all that it is in, in order."""
    netboot = row.netboot
    if netboot is Netboot.PXE and row.firmware == "uefi":
        netboot = Netboot.GRUB  # PXELINUX is a BIOS program
    return Node(
        name=name,
        groups=groups,
        aliases=tuple(row.aliases),
        ip=row.ip,
        mac=row.mac,
        model=row.model,
        firmware=row.firmware,
        netboot=netboot,
        osimage=row.osimage,
        state=BootState(row.state),
        console=Console(port=row.console.port, speed=row.console.speed, flow=row.console.flow) if row.console else None,
        kernel_args=tuple(row.kernel_args),
        bmc=bmc(name, row.bmc) if row.bmc else None,
        port=SwitchPort(switch=row.port.switch, port=row.port.port) if row.port else None,
        memory=row.memory,
        nic=row.nic,
        ip6=row.ip6,
        interface=row.interface,
        driver=row.driver,
        nics=tuple(nic(name, key, one) for key, one in row.nics.items()),
        management=row.management or (Management.IPMI if row.bmc else Management.NONE),
        service_node=row.service_node,
        vm=Vm(host=row.vm.host, cpus=row.vm.cpus, disk=row.vm.disk, bridge=row.vm.bridge) if row.vm else None,
        vars=tuple(sorted(row.vars.items())),
    )


def bmc(name: str, row: schema.BmcIn) -> Bmc:
    """Return a node's BMC; its host name is ``<node>-ipmi``, as in the seed's tables."""
    return Bmc(
        name=f"{name}-ipmi",
        address=row.address,
        mac=row.mac,
        port=row.port,
        user=row.user,
        password=row.password,
        model=row.model,
    )


def nic(node_name: str, name: str, row: schema.NicIn) -> Nic:
    """Return a further interface; without names of its own it is called ``<node>-<nic>``."""
    own = f"{node_name}-{name}".replace(".", "-").replace("_", "-").lower()
    return Nic(
        name=name, names=tuple(row.names) or (own,), ip=row.ip, ip6=row.ip6, mac=row.mac, vlan=row.vlan, mtu=row.mtu
    )
