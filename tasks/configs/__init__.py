"""Step 2: model → text.

cluster ─ frame, rows ─ render ─▶ the daemon's own checker ─ accepted ─▶ etc/hosts, etc/bind/…, etc/dhcp/…, etc/kea/…
                                                          └ refused ──▶ an error; the old file stays
        └ shapes ─ digests of the images ─ render ─▶ menus/{pxelinux.cfg,grub,ipxe}/ + manifest.sha256
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks import paths
from tasks.actions import TaskDict, rule, single

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster


def family(cluster: Cluster, name: str) -> TaskDict:
    """Return the task that renders the files of a module of this step: hosts, zone, dhcpd, …"""
    from tasks import assemble

    return single(assemble.task(cluster, f"tasks.configs.{name}"))


def boot_menus(cluster: Cluster) -> TaskDict:
    """Return the task that renders every node's boot menus."""
    from tasks.configs.menus import menus_task

    return single(menus_task(cluster))


def web_server(cluster: Cluster) -> TaskDict:
    """Return the task that renders the web server's and the TFTP server's configuration."""
    from tasks.configs.httpd import write_httpd

    site = cluster.site.only()
    args = site, cluster.served_addresses()
    outputs = [paths.nginx_conf(site), paths.tftpd_defaults(site)]
    return single(rule("httpd", doc="", run=write_httpd, args=args, outputs=outputs))
