"""The cluster as xCAT's tables: one function a table.  Pure.

Nothing is lost: what xCAT has no column for, or what it would take for a rule, goes into the table ``bootmill``.
"""

import json
from collections.abc import Callable, Iterator
from types import MappingProxyType

from tasks.inventory.model import Cluster, Network, SecretRef, Site, SnmpVersion, Switch
from tasks.tables import noderows
from tasks.tables.columns import TABLES, Table
from tasks.tables.csvtext import Row, row
from tasks.tables.noderows import ours
from tasks.tables.nodevalues import MODEL, OUR_PREFIX, WHERE
from tasks.tables.secrets import written
from tasks.tables.subnets import REMOTE, SUFFIX6

PKGLIST, EXLIST = "osimages/{}.pkglist", "osimages/{}.exlist"  # beside the tables, as linuximage names them
WHERE_OUT: dict[str, str] = {name: theirs for theirs, name in reversed([*WHERE.items()])}


def rows(cluster: Cluster, table: Table) -> tuple[Row, ...]:
    """Return a table's rows, in the order of the inventory; nodes in natural order."""
    return tuple(MAKERS[table.name](cluster))


def every(cluster: Cluster) -> Iterator[tuple[Table, tuple[Row, ...]]]:
    """Yield every table with its rows."""
    for table in TABLES:
        yield table, rows(cluster, table)


# -- site ------------------------------------------------------------------------------------------------------------


def site(cluster: Cluster) -> Iterator[Row]:
    """Yield the settings, by their keys' names; ours that xCAT lacks begin with ``bootmill.``, lists are JSON."""
    values = cluster.site
    nics = dict.fromkeys(one.interface for one in cluster.networks if one.interface and one.dhcp and not one.relay)
    settings = {
        "domain": values.domain,
        "forwarders": ",".join(map(str, values.forwarders)),
        "master": str(cluster.node(values.master).ip),
        "nameservers": ",".join(map(str, values.nameservers)),
        "ntpservers": ",".join(values.ntp_servers),
        "dhcpinterfaces": ",".join(filter(None, nics)),
        "FQDNfirst": "0" if values.short_names_first else "1",
        **{f"bootmill.{name}": value for name, value in own_settings(values).items()},
    }
    yield from (row("site", key=key, value=settings[key]) for key in sorted(settings) if settings[key])


def own_settings(site: Site) -> dict[str, str]:
    """Return the settings that xCAT does not have."""
    lists: dict[str, list[object]] = {
        "boot_programs": list(site.boot_programs),
        "exports": [{"path": one.path, "networks": one.networks, "options": one.options} for one in site.exports],
        "records": [{"name": one.name, "type": one.type, "value": one.value} for one in site.records],
        "search": list(site.search[1:]),
        "secondaries": [str(address) for address in site.secondaries],
    }
    return {
        "destdir": site.destdir,
        "dhcp_server": site.dhcp_server or "",
        "dns_contact": site.dns_contact,
        "serial_floor": str(site.serial_floor),
        "ssh_key": site.ssh_key,
        **{name: json.dumps(value, ensure_ascii=False) for name, value in lists.items() if value},
    }


def passwd(cluster: Cluster) -> Iterator[Row]:
    """Yield what uses log in with; passwords are references."""
    for one in cluster.site.passwords:
        yield row("passwd", key=one.key, username=one.user, password=written(one.password))


# -- networks and switches -------------------------------------------------------------------------------------------


def networks(cluster: Cluster) -> Iterator[Row]:
    """Yield the subnets, those of IPv6 behind those of IPv4."""
    logs = ",".join(map(str, cluster.site.log_servers))
    for one in cluster.networks:
        yield row(
            "networks",
            netname=one.name,
            net=str(one.subnet.network_address),
            mask=str(one.subnet.netmask),
            mgtifname=nic(one),
            gateway=str(one.gateway or ""),
            tftpserver=str(one.next_server),
            nameservers=",".join(map(str, one.nameservers)),
            ntpservers=",".join(one.ntp_servers),
            logservers=logs,
            dynamicrange="-".join(map(str, one.dynamic_range or ())),
            vlanid=str(one.vlan or ""),
            domain=one.domain or "",
            mtu=str(one.mtu or ""),
        )
    for one in cluster.networks:
        if one.subnet6 is not None:
            yield row(
                "networks",
                netname=f"{one.name}{SUFFIX6}",
                net=str(one.subnet6.network_address),
                mask=str(one.subnet6.prefixlen),
                mgtifname=nic(one),
                gateway=str(one.gateway6 or ""),
                tftpserver=str(one.next_server6 or ""),
                dynamicrange="-".join(map(str, one.dynamic_range6 or ())),
            )


def nic(network: Network) -> str:
    """Return the head node's NIC on a network."""
    return (REMOTE if network.relay else "") + (network.interface or "")


def switches(cluster: Cluster) -> Iterator[Row]:
    """Yield the switches; the community, or version 3's password, is a reference."""
    for switch in cluster.switches:
        yield row(
            "switches",
            switch=switch.name,
            snmpversion=switch.snmp.value,
            username=switch.user or "",
            password=written(password(switch)),
            auth=switch.auth or "",
            privacy=switch.privacy or "",
            switchtype=switch.model if switch.model != MODEL else "",
        )


def password(switch: Switch) -> SecretRef | None:
    """Return the one password that xCAT knows of a switch."""
    return switch.auth_password if switch.snmp is SnmpVersion.V3 else switch.community


# -- groups ----------------------------------------------------------------------------------------------------------


def nodegroup(cluster: Cluster) -> Iterator[Row]:
    """Yield the groups, by name: what makes them, and those that only nodes name."""
    known = {group.name: group for group in cluster.groups}
    parts: dict[str, list[str]] = {}
    for group in cluster.groups:
        for parent in group.groups:
            parts.setdefault(parent, []).append(group.name)
    for name in sorted({*known, *parts, *(group for node in cluster.nodes for group in node.groups)}):
        where = known[name].where if name in known else ()
        kind = "dynamic" if where else "static"
        yield row(
            "nodegroup",
            groupname=name,
            grouptype=kind,
            members=kind,
            membergroups=",".join(parts.get(name, ())),
            wherevals="" if odd(where) else "::".join(f"{asked(attribute)}=={value}" for attribute, value in where),
        )


def asked(attribute: str) -> str:
    """Return what xCAT calls an attribute that a dynamic group asks for."""
    return WHERE_OUT.get(attribute, f"{OUR_PREFIX}{attribute}")


def odd(where: tuple[tuple[str, str], ...]) -> bool:
    """Return whether xCAT could not read a question, or read another one."""
    return any("::" in value or value.endswith(":") or attribute == "netboot" for attribute, value in where)


# -- osimages --------------------------------------------------------------------------------------------------------


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


# -- what xCAT has no column for -------------------------------------------------------------------------------------


def bootmill(cluster: Cluster) -> Iterator[Row]:
    """Yield what no table of xCAT can hold."""
    for medium in cluster.media:
        attribute, value = ("iso", medium.iso) if medium.iso is not None else ("suite", medium.suite)
        yield ours("media", medium.name, attribute, value or "")
    for group in cluster.groups:
        yield ours("groups", group.name, "", "")  # it has a row in groups.yaml
        yield from (ours("groups", group.name, "groups", parent) for parent in group.groups)
        yield from (ours("groups", group.name, f"vars.{name}", value) for name, value in group.vars)
        if odd(group.where):
            yield from (ours("groups", group.name, f"where.{name}", value) for name, value in group.where)
    for network in cluster.networks:
        yield from (ours("networks", network.name, name, value) for name, value in of_network(network))
    yield from noderows.homeless(cluster)
    for image in cluster.osimages:
        yield from (ours("osimages", image.name, "fstab", str(entry)) for entry in image.fstab)
        yield from (ours("osimages", image.name, "services_off", unit) for unit in image.services_off)
        yield from (ours("osimages", image.name, "waive", name) for name in image.waive)
        if image.compression is not None:
            yield ours("osimages", image.name, "compression", image.compression)
    for switch in cluster.switches:
        yield from (ours("switches", switch.name, name, value) for name, value in of_switch(switch))


def of_network(network: Network) -> Iterator[tuple[str, str]]:
    """Yield the attributes of a network that xCAT does not have."""
    if network.link != network.name:
        yield "link", network.link
    if network.relay is not None and network.relay != network.gateway:
        yield "relay", str(network.relay)
    if not network.dhcp:
        yield "dhcp", "false"
    if network.delegation:
        yield "delegation", "true"


def of_switch(switch: Switch) -> Iterator[tuple[str, str]]:
    """Yield the attributes of a switch that xCAT does not have, and passwords beside the one that it has."""
    yield "ports", str(switch.ports)
    three = switch.snmp is SnmpVersion.V3
    secrets = {
        "community": (switch.community, None if three else password(switch)),
        "auth_password": (switch.auth_password, password(switch) if three and switch.auth else None),
        "privacy_password": (switch.privacy_password, password(switch) if three and switch.privacy else None),
    }
    for name, (own, implied) in secrets.items():
        if own != implied:
            yield name, written(own)


MAKERS: MappingProxyType[str, Callable[[Cluster], Iterator[Row]]] = MappingProxyType(
    {
        "bootmill": bootmill,
        "bootparams": noderows.bootparams,
        "chain": noderows.chain,
        "hosts": noderows.hosts,
        "ipmi": noderows.ipmi,
        "linuximage": linuximage,
        "mac": noderows.mac,
        "networks": networks,
        "nics": noderows.interfaces,
        "nodegroup": nodegroup,
        "nodehm": noderows.nodehm,
        "nodelist": noderows.nodelist,
        "nodepos": noderows.nodepos,
        "noderes": noderows.noderes,
        "nodetype": noderows.nodetype,
        "osimage": osimage,
        "passwd": passwd,
        "site": site,
        "switch": noderows.switch,
        "switches": switches,
        "vm": noderows.vm,
        "vpd": noderows.vpd,
    }
)
