"""ISC dhcpd's configuration, as text."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from tasks.configs.dhcpd import quoted, render_dhcpd
from tasks.configs.slices import client
from tasks.errors import BootmillError
from tasks.inventory.model import BootState, Cluster, Firmware, Netboot


def rendered(cluster: Cluster) -> str:
    """Return the cluster's dhcpd.conf."""
    clients = tuple(client(cluster, node) for node in cluster.nodes if node.mac)
    return render_dhcpd(cluster.site, cluster.networks, clients)


def test_the_sample_clusters_dhcpd_conf(cluster: Cluster, golden: Callable[[str, str], None]) -> None:
    """The sample inventory gives the dhcpd.conf that was read and found good."""
    golden("dhcpd.conf", rendered(cluster))


@pytest.mark.parametrize("state", list(BootState))
def test_a_node_keeps_its_address_in_every_boot_state(
    cluster: Cluster, edited: Callable[..., Cluster], state: BootState
) -> None:
    """nodeset changes menus, never dhcpd.conf: a node on its local disk asks for its address, too."""
    assert rendered(edited("n01", state=state)) == rendered(cluster)


def test_a_node_without_a_mac_has_no_host_entry(edited: Callable[..., Cluster]) -> None:
    """What dhcpd cannot recognise it is not told about."""
    text = rendered(edited("n01", mac=None))
    assert "host n01 " not in text
    assert "host n02 " in text


def test_grub_on_a_bios_is_refused_for_all_at_once(cluster: Cluster) -> None:
    """No GRUB boots BIOS machines over the network here: every node that asks for it is named in one error."""
    nodes = tuple(replace(node, netboot=Netboot.GRUB, firmware=Firmware.BIOS) for node in cluster.nodes)
    with pytest.raises(BootmillError, match=r"n01, n02, .*xen1") as caught:
        rendered(replace(cluster, nodes=nodes))
    assert "netboot: pxe" in caught.value.hint


def test_every_network_has_its_own_server_and_router(cluster: Cluster) -> None:
    """Boot files and the default route are the network's own; networks stand in the order of their addresses."""
    first = replace(
        cluster.networks[0],
        name="first",
        subnet=IPv4Network("10.0.0.0/23"),
        gateway=None,
        dynamic_range=None,
        next_server=IPv4Address("10.0.0.5"),
    )
    text = rendered(replace(cluster, networks=(*cluster.networks, first)))
    own = text[text.index("# first\n") : text.index("# mgmt\n")]
    assert "subnet 10.0.0.0 netmask 255.255.254.0 {\n    next-server 10.0.0.5;" in own
    assert "routers" not in own
    assert "range" not in own
    assert "http://10.0.0.5/tftpboot/ipxe/boot.ipxe" in own


@pytest.mark.parametrize("text", ['n01"; } host evil {', "back\\slash", "line\nbreak", "\x00", "ü"])
def test_no_text_ends_its_quotes(cluster: Cluster, edited: Callable[..., Cluster], text: str) -> None:
    """Even a name that came past the inventory's border cannot write statements into dhcpd.conf."""
    with pytest.raises(BootmillError, match=r"cannot be written into dhcpd\.conf"):
        quoted(text)
    with pytest.raises(BootmillError):
        rendered(edited("n01", name=text))
