"""The web server's and the TFTP server's configuration, as text."""

from collections.abc import Callable
from ipaddress import IPv4Address

from tasks.configs.httpd import render_nginx, render_tftpd


def test_the_sample_clusters_servers(golden: Callable[[str, str], None]) -> None:
    """One next-server: both listen there and nowhere else."""
    golden("nginx.conf", render_nginx(("10.1.0.1:80",)))
    golden("tftpd-hpa", render_tftpd((IPv4Address("10.1.0.1"),)))


def test_several_networks_are_all_served() -> None:
    """nginx listens on each next-server; in.tftpd takes one address or all."""
    text = render_nginx(("10.1.0.1:80", "10.2.0.1:80"))
    assert "    listen 10.1.0.1:80;\n    listen 10.2.0.1:80;\n" in text
    assert 'TFTP_ADDRESS="0.0.0.0:69"' in render_tftpd((IPv4Address("10.1.0.1"), IPv4Address("10.2.0.1")))
