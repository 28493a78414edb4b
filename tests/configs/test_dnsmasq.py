"""dnsmasq's configuration, as text."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Network
from pathlib import Path

import pytest

from tasks.configs.clients import Client
from tasks.configs.dnsmasq import FAMILY, HOST_LINE, line
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tests.configs import estates
from tests.configs.whole import render

CONF, HOSTS = Path("build/etc/dnsmasq.d/bootmill.conf"), Path("build/etc/dnsmasq-hosts/bootmill")


def test_the_sample_clusters_files(cluster: Cluster, golden: Callable[[str, str], None]) -> None:
    """The sample inventory gives the files that were read and found good."""
    texts = render(FAMILY, cluster)
    golden("dnsmasq/bootmill.conf", texts[CONF])
    golden("dnsmasq/hosts", texts[HOSTS])


def test_everything_that_can_be_told(golden: Callable[[str, str], None]) -> None:
    """Shared and relayed networks, service nodes, IPv6, machines that do not boot."""
    texts = render(FAMILY, estates.estate())
    golden("estate/dnsmasq/bootmill.conf", texts[CONF])
    golden("estate/dnsmasq/hosts", texts[HOSTS])


def test_the_machines_lie_where_the_daemon_finds_them(cluster: Cluster) -> None:
    """Under `destdir` for us, at its own place for dnsmasq: and not where every file is a configuration."""
    assert "dhcp-hostsfile=/etc/dnsmasq-hosts/bootmill\n" in render(FAMILY, cluster)[CONF]
    staged = render(FAMILY, replace(cluster, site=replace(cluster.site, destdir="/")))
    assert "dhcp-hostsfile=/etc/dnsmasq-hosts/bootmill\n" in staged[Path("/etc/dnsmasq.d/bootmill.conf")]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("n01", "n01"),
        ("10", "10.renci.ben"),
        ("12h", "12h.renci.ben"),
        ("1d", "1d.renci.ben"),
        ("infinite", "infinite.renci.ben"),
        ("ignore", "ignore.renci.ben"),
        ("d1", "d1"),
        ("1x", "1x"),
    ],
)
def test_no_name_is_a_lease_time(name: str, told: str) -> None:
    """What dnsmasq would read as a time or as a word of its own has its domain behind it."""
    client = Client(name, name, "02:00:00:00:00:01", "10.1.0.1", "mgmt", "", "", "boot", "")
    found = line(client, "renci.ben").strip()
    assert found == f"02:00:00:00:00:01,10.1.0.1,{told}"
    assert HOST_LINE.fullmatch(found)


def test_a_short_prefix_is_left_to_others() -> None:
    """dnsmasq refuses less than /64: the rest of its configuration stays good."""
    networks = (replace(estates.NETWORKS[0], subnet6=IPv6Network("fd00:1::/48"), dynamic_range6=None),)
    text = render(FAMILY, replace(estates.estate(), networks=networks))[CONF]
    assert "# fd00:1::/48: dnsmasq serves no IPv6 prefix shorter than 64" in text
    assert "option6:bootfile-url" not in text


def test_a_line_that_is_none_is_refused() -> None:
    """dnsmasq's own checker does not look at the machines' file: the pattern does."""
    frame = FAMILY.frame(estates.estate())
    with pytest.raises(BootmillError, match=r"line 2 is no dhcp-host line: '02:00:00:00:00:01,10\.1\.0\.1,evil name'"):
        FAMILY.check(frame, {"hosts": "# Made by Bootmill\n02:00:00:00:00:01,10.1.0.1,evil name\n"})
