"""What every DHCP server is told: networks, machines, and the walls before a configuration file."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from tasks.configs import clients
from tasks.configs.clients import Client, quoted, walled
from tasks.errors import BootmillError
from tasks.inventory.model import BootState, Cluster, Firmware, Netboot, Whole
from tests.configs import estates


def rows(cluster: Cluster) -> dict[str, Client]:
    """Return the clients of all nodes by name."""
    frame = clients.frame(cluster)
    return {client.name: client for shard in cluster.shards for client in clients.rows(frame, shard.nodes())}


def test_who_is_a_client() -> None:
    """Every interface with a MAC in a network that we serve: booting NICs boot, others are plain."""
    found = rows(estates.estate())
    assert {"n8", "n23"}.isdisjoint(found)  # in a foreign network; without a MAC
    assert found["n1"] == Client("n1", "n1", "02:00:00:00:00:11", "10.1.0.11", "mgmt", "fd00:1::11", "mgmt", "boot", "")
    nic = found["n5.Ib0.12"]
    assert nic == Client("n5.Ib0.12", "", "02:00:00:00:02:15", "10.2.0.15", "storage", "", "", "plain", "")
    assert found["n5-ipmi"].kind == "plain"
    assert found["n3"].kind == "ipxe"
    assert found["n21"].server == "10.1.0.20"


def test_switches_belong_to_the_frame() -> None:
    """A switch with a MAC is a client without a boot file."""
    (switch,) = clients.frame(estates.estate()).switches
    assert switch == Client("sw1", "sw1", "02:00:00:00:00:f1", "10.1.0.253", "mgmt", "", "", "plain", "")


@pytest.mark.parametrize("state", list(BootState))
def test_a_node_is_told_the_same_in_every_boot_state(
    cluster: Cluster, edited: Callable[..., Cluster], state: BootState
) -> None:
    """nodeset changes menus, never a DHCP server: a node on its local disk asks for its address, too."""
    assert rows(edited("n01", state=state)) == rows(edited("n01", state=BootState.NETBOOT))


@pytest.mark.parametrize(
    ("values", "same"),
    [
        ({"mac": "00:18:8b:f8:e3:77"}, False),
        ({"mac": None}, False),
        ({"ip": IPv4Address("10.1.0.99")}, False),
        ({"netboot": Netboot.IPXE}, False),
        ({"aliases": ("first",)}, True),
        ({"kernel_args": ("quiet",)}, True),
        ({"firmware": Firmware.UEFI}, True),  # a client says itself what it is
        ({"port": None}, True),
        ({"bmc": None}, True),  # it has no MAC
        ({"groups": ("other",)}, True),
    ],
)
def test_an_edited_node_is_another_client_only_where_dhcp_tells_it(
    cluster: Cluster, edited: Callable[..., Cluster], values: dict[str, Any], same: bool
) -> None:
    """What no DHCP server says of a node renders none of their files."""
    assert (rows(edited("n01", **values)) == rows(edited("n01"))) is same


@pytest.mark.parametrize("prefix", [20, 24, 25, 30])
def test_addresses_are_written_whatever_the_networks_size(prefix: int) -> None:
    """The fast way by 24 bits and the slow way say the same."""
    subnet = IPv4Network(f"10.7.3.128/{prefix}", strict=False)
    network = estates.network("one", str(subnet))
    ip = subnet.network_address + 1
    node = estates.node("n1", str(ip), "02:00:00:00:00:01")
    outside = estates.node("n2", str(subnet.broadcast_address + 1), "02:00:00:00:00:02")
    cluster = replace(estates.estate(), networks=(network,), shards=(Whole((node, outside)),), switches=())
    found = rows(cluster)
    assert set(found) == {"n1"}
    assert (found["n1"].ip, found["n1"].home) == (str(ip), "one")


def test_grub_on_a_bios_is_refused_for_all_at_once(cluster: Cluster) -> None:
    """No GRUB boots BIOS machines over the network here: every node that asks for it is named in one error."""
    nodes = tuple(replace(node, netboot=Netboot.GRUB, firmware=Firmware.BIOS) for node in cluster.nodes)
    with pytest.raises(BootmillError, match=r"n01, n02, .*xen1") as caught:
        rows(replace(cluster, shards=(Whole(nodes),)))
    assert "netboot: pxe" in caught.value.hint


# -- networks --------------------------------------------------------------------------------------------------------


def test_a_network_is_told_by_itself_or_by_the_site() -> None:
    """Its own values win; DHCP's time servers are addresses: names are left out; the head node is the last resort."""
    frame = clients.frame(estates.estate())
    mgmt, storage = frame.by_name["mgmt"], frame.by_name["storage"]
    assert [str(one) for one in mgmt.ntp_servers] == ["10.1.0.3"]
    assert [str(one) for one in mgmt.ntp_servers6] == ["fd00:1::3"]
    assert storage.ntp_servers == (estates.HEAD,)
    assert storage.search == ("storage.renci.ben", "renci.ben", "ben")
    assert (mgmt.nameservers, mgmt.nameservers6) == ((estates.HEAD,), (estates.HEAD6,))


def test_networks_of_one_link_share_a_wire() -> None:
    """In the order of their addresses; a link with nothing to serve is none; a relay agent outside is kept apart."""
    found = {link.name: link for link in clients.links(clients.frame(estates.estate()))}
    assert list(found) == ["wire", "remote", "faraway"]
    assert [network.name for network in found["wire"].networks] == ["mgmt", "storage", "guests"]
    assert [str(relay) for link in found.values() for relay in link.relays] == ["192.168.77.1"]


def test_a_relay_on_another_wire_is_refused() -> None:
    """A relay agent's address in another link's network would give its clients that network's addresses."""
    networks = tuple(
        replace(network, relay=IPv4Address("10.1.0.250")) if network.name == "remote" else network
        for network in estates.NETWORKS
    )
    with pytest.raises(BootmillError, match=r"remote: its relay 10\.1\.0\.250 lies in mgmt") as caught:
        clients.links(clients.frame(replace(estates.estate(), networks=networks)))
    assert "link: wire" in caught.value.hint


def test_a_program_that_nobody_is_offered_is_a_mistake() -> None:
    """The site names a program that is not in the table."""
    with pytest.raises(BootmillError, match=r"no client is ever offered grub/grubaa65\.efi") as caught:
        clients.frame(estates.estate(programs=("grub/grubaa64.efi", "grub/grubaa65.efi")))
    assert "grub/grubaa64.efi" in caught.value.hint


# -- walls -----------------------------------------------------------------------------------------------------------

HOSTILE = ['n01"; } host evil {', "back\\slash", "line\nbreak", "\x00", "ü", "a b", "#x", "N01;", ""]
GOOD = Client("n01", "n01", "02:00:00:00:00:01", "10.1.0.1", "mgmt", "fd00::1", "mgmt", "boot", "10.1.0.2")


@pytest.mark.parametrize("field", [field for field in Client._fields if field != "told"])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_is_more_than_a_value(field: str, text: str) -> None:
    """Even what came past the inventory's border cannot write statements into a configuration."""
    if not text and field not in {"name", "mac", "kind"}:
        return
    assert list(walled([GOOD])) == [GOOD]
    with pytest.raises(BootmillError, match="cannot be written into a DHCP server's configuration"):
        walled([GOOD, GOOD._replace(**{field: text})])


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_ends_its_quotes(text: str) -> None:
    """The same for the frame's texts."""
    assert quoted("http://[fd00::1]/x".replace("[", "").replace("]", "")) == '"http://fd00::1/x"'
    with pytest.raises(BootmillError):
        quoted(text)


def test_a_hostile_name_reaches_no_file(edited: Callable[..., Cluster]) -> None:
    """From the model to the parts."""
    cluster = edited("n01", name='n01"; }')
    frame = clients.frame(cluster)
    found = clients.rows(frame, [node for shard in cluster.shards for node in shard.nodes()])
    with pytest.raises(BootmillError, match="n01"):
        walled(found)
