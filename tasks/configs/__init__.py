"""Step 2: model → text.

cluster ─ slice ─ render ─▶ the daemon's own checker ─ accepted ─▶ etc/hosts, etc/bind/…, etc/dhcp/…, etc/nginx/…
                                                     └ refused ──▶ an error; the old file stays
        └ slice ─ digests of the images ─ render ─▶ menus/{pxelinux.cfg,grub,ipxe}/ + manifest.sha256
"""

from tasks import paths
from tasks.actions import TaskDict, rule, single
from tasks.configs.dhcpd import write_dhcpd
from tasks.configs.hosts import write_hosts
from tasks.configs.httpd import write_httpd
from tasks.configs.menus import write_menus
from tasks.configs.slices import client, menu_node, records, subnets, used_images
from tasks.configs.zone import write_zones, zone_files
from tasks.inventory.model import Cluster


def hosts(cluster: Cluster) -> TaskDict:
    """Return the task that renders the hosts file."""
    site = cluster.site.only("domain")
    task = rule("hosts", doc="", run=write_hosts, args=(site, records(cluster)), outputs=[paths.hosts(site)])
    return single(task)


def zone(cluster: Cluster) -> TaskDict:
    """Return the task that renders the zones and named's configuration."""
    site = cluster.site.only("domain", "master", "forwarders", "dns_contact")
    args = site, subnets(cluster), records(cluster)
    outputs = [paths.named_conf(site), paths.named_options(site), *zone_files(site, subnets(cluster))]
    return single(rule("zone", doc="", run=write_zones, args=args, outputs=outputs))


def dhcpd(cluster: Cluster) -> TaskDict:
    """Return the task that renders dhcpd.conf."""
    site = cluster.site.only("domain", "nameservers")
    clients = tuple(client(cluster, node) for node in cluster.nodes if node.mac)
    args = site, cluster.networks, clients
    return single(rule("dhcpd", doc="", run=write_dhcpd, args=args, outputs=[paths.dhcpd_conf(site)]))


def menus(cluster: Cluster) -> TaskDict:
    """Return the task that renders every node's boot menus."""
    images = used_images(cluster)
    nodes = tuple(menu_node(cluster, node) for node in cluster.nodes if node.mac)
    inputs = [path for image in images for path in (paths.boot_digest(image), paths.root_image_digest(image))]
    outputs = [paths.menu_manifest(), paths.MENUS]
    return single(rule("menus", doc="", run=write_menus, args=(nodes, images), inputs=inputs, outputs=outputs))


def httpd(cluster: Cluster) -> TaskDict:
    """Return the task that renders the web server's and the TFTP server's configuration."""
    site = cluster.site.only()
    args = site, cluster.served_addresses()
    outputs = [paths.nginx_conf(site), paths.tftpd_defaults(site)]
    return single(rule("httpd", doc="", run=write_httpd, args=args, outputs=outputs))
