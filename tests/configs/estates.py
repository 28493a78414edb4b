"""Clusters for the DHCP servers' tests: one with everything that they can be told, and large or random ones."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from tasks.configs import bootpolicy
from tasks.inventory.model import Bmc, Cluster, Firmware, Netboot, Network, Nic, Node, Switch, Whole
from tests import samples

HEAD, HEAD6 = IPv4Address("10.1.0.1"), IPv6Address("fd00:1::1")


def network(name: str, subnet: str, **values: Any) -> Network:
    """Return a network."""
    plain = {"link": name, "gateway": None, "dynamic_range": None, "next_server": HEAD}
    return Network(name=name, subnet=IPv4Network(subnet), **{**plain, **values})


def ends(first: str, last: str) -> tuple[IPv4Address, IPv4Address]:
    """Return the ends of a range."""
    return IPv4Address(first), IPv4Address(last)


def node(name: str, ip: str, mac: str | None, **values: Any) -> Node:
    """Return a node; values are the model's."""
    return replace(samples.node(name, ip=ip, mac=mac), **values)


def bmc(name: str, address: str, mac: str) -> Bmc:
    """Return a BMC that asks for its address."""
    return Bmc(name=name, address=IPv4Address(address), mac=mac, user="root", password=None)


NETWORKS = (
    network(
        "mgmt",
        "10.1.0.0/24",
        link="wire",
        interface="eth0",
        gateway=IPv4Address("10.1.0.254"),
        dynamic_range=ends("10.1.0.200", "10.1.0.230"),
        subnet6=IPv6Network("fd00:1::/64"),
        dynamic_range6=(IPv6Address("fd00:1::1:0"), IPv6Address("fd00:1::1:ff")),
        next_server6=HEAD6,
        nameservers=(HEAD, HEAD6),
        ntp_servers=("10.1.0.3", "fd00:1::3", "ntp.example.org"),
    ),
    network("storage", "10.2.0.0/22", link="wire", mtu=9000, domain="storage.renci.ben"),
    network(
        "remote",
        "10.3.0.0/24",
        relay=IPv4Address("10.3.0.254"),
        dynamic_range=ends("10.3.0.200", "10.3.0.210"),
        next_server=IPv4Address("10.3.0.1"),
    ),
    network("faraway", "10.4.0.0/24", relay=IPv4Address("192.168.77.1"), gateway=IPv4Address("10.4.0.254")),
    network("guests", "10.5.0.0/24", link="wire", dhcp=False),
    network("foreign", "10.9.0.0/24", dhcp=False),
)
NODES = (
    node("mgt", "10.1.0.1", "02:00:00:00:00:01"),
    node("n1", "10.1.0.11", "02:00:00:00:00:11", ip6=IPv6Address("fd00:1::11")),
    node("n2", "10.1.0.12", "02:00:00:00:00:12", firmware=Firmware.UEFI, netboot=Netboot.GRUB),
    node("n3", "10.1.0.13", "02:00:00:00:00:13", netboot=Netboot.IPXE, ip6=IPv6Address("fd00:1::13")),
    node("n4", "10.2.1.14", "02:00:00:00:00:14"),
    node(
        "n5",
        "10.1.0.15",
        "02:00:00:00:00:15",
        bmc=bmc("n5-ipmi", "10.1.0.115", "02:00:00:00:01:15"),
        nics=(Nic(name="Ib0.12", names=("n5",), ip=IPv4Address("10.2.0.15"), mac="02:00:00:00:02:15"),),
    ),
    node("n6", "10.3.0.16", "02:00:00:00:00:16"),
    node("n7", "10.4.0.17", "02:00:00:00:00:17", netboot=Netboot.IPXE),
    node("n8", "10.9.0.18", "02:00:00:00:00:18"),
    node("10", "10.1.0.19", "02:00:00:00:00:19"),  # a name that looks like a time to dnsmasq
    node("s1", "10.1.0.20", "02:00:00:00:00:20"),
    node("n21", "10.1.0.21", "02:00:00:00:00:21", service_node="s1"),
    node("n22", "10.1.0.22", "02:00:00:00:00:22", service_node="s1", netboot=Netboot.IPXE),
    node("n23", "10.1.0.23", None),
    node("n24", "10.2.1.24", "02:00:00:00:00:24", netboot=Netboot.IPXE),
)
SWITCHES = (Switch(name="sw1", ip=IPv4Address("10.1.0.253"), mac="02:00:00:00:00:f1", ports=48),)


def estate(*, programs: tuple[str, ...] = ()) -> Cluster:
    """Return a cluster with everything that a DHCP server can be told; the site has these programs of its own."""
    site = replace(
        samples.SITE, nameservers=(HEAD,), search=("renci.ben", "ben"), log_servers=(HEAD,), boot_programs=programs
    )
    return Cluster(
        site=site,
        networks=NETWORKS,
        switches=SWITCHES,
        osimages=(),
        media=(),
        shards=(Whole(NODES[:4]), Whole(()), Whole(NODES[4:])),
        service_nodes=(("s1", IPv4Address("10.1.0.20")),),
    )


def everything() -> Cluster:
    """Return the cluster of a site that has every boot program of the table."""
    return estate(programs=tuple(sorted(bootpolicy.KNOWN)))


def large(count: int) -> Cluster:
    """Return a cluster of many nodes, each with a BMC that asks for its address; shards of 512."""
    networks = tuple(
        network(f"net{index}", f"10.{index}.0.0/16", dynamic_range=ends(f"10.{index}.255.1", f"10.{index}.255.200"))
        for index in range(4)
    )
    nodes = tuple(numbered(index) for index in range(count))
    shards = tuple(Whole(nodes[at : at + 512]) for at in range(0, count, 512))
    site = replace(samples.SITE, nameservers=(HEAD,), search=("renci.ben",))
    return Cluster(site=site, networks=networks, switches=(), osimages=(), media=(), shards=shards)


BASE = samples.node("n0", ip="10.0.0.1", mac="02:00:00:00:00:01")


def numbered(index: int) -> Node:
    """Return a node of a large cluster."""
    octets = f"{index >> 16 & 255:02x}:{index >> 8 & 255:02x}:{index & 255:02x}"
    at = IPv4Address((10 << 24) + (index % 2 << 16) + index // 2 + 256)
    own = Bmc(name=f"n{index}-ipmi", address=at + (2 << 16), mac=f"06:00:00:{octets}", user="root", password=None)
    netboot = Netboot.IPXE if index % 10 == 0 else Netboot.PXE
    return replace(BASE, name=f"n{index}", ip=at, mac=f"02:00:00:{octets}", bmc=own, netboot=netboot)
