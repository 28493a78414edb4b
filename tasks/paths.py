"""Where every artefact lies.  Pure functions; all paths are relative to the checkout.

Published files lie under `site.destdir` as under DESTDIR of a Makefile: ``build`` + ``/tftpboot/…`` by default,
``/tftpboot/…`` itself where a head node says ``destdir: /``.  Work files always lie under ``build/``.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.inventory.model import Media, Node, OsImage, Site

INVENTORY = Path("inventory")
BUILD = Path("build")
DATABASE = BUILD / ".doit.db"
REPORTS = BUILD / "reports"
MENUS = BUILD / "menus"
CACHE = BUILD / "cache"
LAB = BUILD / "lab"
COMPILED = BUILD / ".compiled"
SERIALS = INVENTORY / "serials.yaml"  # what our zones' serials are; written by Bootmill, not an input


def under_destdir(site: Site, path: str) -> Path:
    """Put `site.destdir` before an absolute output path: ``/tftpboot`` → ``build/tftpboot``."""
    return Path(site.destdir) / path.lstrip("/")


def site_key(site: Site) -> Path:
    """Return the private ssh key whose public half the nodes accept."""
    return INVENTORY / site.ssh_key


def public_key(site: Site) -> Path:
    """Return the public half of the site's ssh key."""
    return INVENTORY / f"{site.ssh_key}.pub"


# -- configuration ---------------------------------------------------------------------------------------------------


def hosts(site: Site) -> Path:
    """Return the rendered hosts file."""
    return under_destdir(site, "/etc/hosts")


def dhcpd_conf(site: Site) -> Path:
    """Return ISC dhcpd's configuration."""
    return under_destdir(site, "/etc/dhcp/dhcpd.conf")


def dhcpd6_conf(site: Site) -> Path:
    """Return ISC dhcpd's configuration for DHCPv6."""
    return under_destdir(site, "/etc/dhcp/dhcpd6.conf")


def kea4_conf(site: Site) -> Path:
    """Return the configuration of Kea's DHCPv4 server."""
    return under_destdir(site, "/etc/kea/kea-dhcp4.conf")


def kea6_conf(site: Site) -> Path:
    """Return the configuration of Kea's DHCPv6 server."""
    return under_destdir(site, "/etc/kea/kea-dhcp6.conf")


def kea_reservations(site: Site, name: str) -> Path:
    """Return the file that a subnet of Kea's includes."""
    return under_destdir(site, f"/etc/kea/bootmill/{name}.json")


def dnsmasq_conf(site: Site) -> Path:
    """Return what dnsmasq reads at its start."""
    return under_destdir(site, "/etc/dnsmasq.d/bootmill.conf")


def dnsmasq_hosts(site: Site) -> Path:
    """Return the machines that dnsmasq knows; not in dnsmasq.d, where every file is taken for a configuration."""
    return under_destdir(site, "/etc/dnsmasq-hosts/bootmill")


def named_conf(site: Site) -> Path:
    """Return the part of named.conf that declares our zones."""
    return under_destdir(site, "/etc/bind/named.conf.bootmill")


def named_options(site: Site) -> Path:
    """Return the part of named.conf that says whom named serves and whom it asks."""
    return under_destdir(site, "/etc/bind/named.conf.bootmill-options")


def named_secondary(site: Site) -> Path:
    """Return what the named.conf of the secondary name servers includes."""
    return under_destdir(site, "/etc/bind/named.conf.bootmill-secondary")


def zone_dir(site: Site) -> Path:
    """Return the folder of zone files."""
    return under_destdir(site, "/etc/bind/zones")


def chrony_conf(site: Site) -> Path:
    """Return the part of the head node's chrony.conf that serves the time to the cluster."""
    return under_destdir(site, "/etc/chrony/conf.d/bootmill.conf")


def nfs_exports(site: Site) -> Path:
    """Return the folders that the head node exports."""
    return under_destdir(site, "/etc/exports.d/bootmill.exports")


def node_files(site: Site) -> Path:
    """Return the folder of what belongs into the /etc of nodes: a folder for each network."""
    return under_destdir(site, "/etc/bootmill/nodes")


def node_file(site: Site, network: str, name: str) -> Path:
    """Return a file for the /etc of a network's nodes: resolv.conf, chrony.conf."""
    return node_files(site) / network / name


def nginx_conf(site: Site) -> Path:
    """Return the nginx server that hands out /install and /tftpboot."""
    return under_destdir(site, "/etc/nginx/conf.d/bootmill.conf")


def tftpd_defaults(site: Site) -> Path:
    """Return the settings with which Debian starts tftpd-hpa."""
    return under_destdir(site, "/etc/default/tftpd-hpa")


def for_tools(site: Site, name: str) -> Path:
    """Return a file for tools that are not ours (Ansible, ssh, …): none reads it until a person says so."""
    return under_destdir(site, f"/etc/bootmill/{name}")


# -- media -----------------------------------------------------------------------------------------------------------


def made_iso(media: Media) -> Path:
    """Return the install medium that we write when the site has none."""
    return BUILD / "media" / f"{media.name}.iso"


def media_tree(site: Site, media: Media) -> Path:
    """Return the extracted medium, e.g. build/install/debian12/x86_64."""
    return under_destdir(site, f"/install/{media.os}/{media.arch}")


def media_manifest(media: Media) -> Path:
    """Return the report on an extracted medium (what it is, every file with its digest); written last."""
    return BUILD / "media" / f"{media.name}.json"


# -- images ----------------------------------------------------------------------------------------------------------


def image_dir(image: OsImage) -> Path:
    """Return the work folder of an osimage."""
    return BUILD / "images" / image.name


def rootimg_tree(image: OsImage) -> Path:
    """Return the unpacked root tree (content only: owners and modes are in the manifest)."""
    return image_dir(image) / "rootimg"


def rootimg_manifest(image: OsImage) -> Path:
    """Return the manifest of the root tree; written last."""
    return image_dir(image) / "rootimg.manifest"


def base_segment(image: OsImage) -> Path:
    """Return the packed tree without the site's own files."""
    return image_dir(image) / "base.cpio.gz"


def files_segment(image: OsImage) -> Path:
    """Return the appended layer: fstab, keys and other small things of the site."""
    return image_dir(image) / "files.cpio.gz"


def root_image(image: OsImage) -> Path:
    """Return the packed root image: base and files segments, concatenated."""
    return image_dir(image) / "rootimg.cpio.gz"


def root_image_digest(image: OsImage) -> Path:
    """Return the one-line file with the sha256 of the root image."""
    return image_dir(image) / "rootimg.cpio.gz.sha256"


def initrd(image: OsImage) -> Path:
    """Return the initrd of an osimage."""
    return image_dir(image) / "initrd.img"


def initrd_parts(image: OsImage) -> Path:
    """Return the list of what is in an initrd, with sizes and reasons."""
    return REPORTS / f"initrd-{image.name}.txt"


def kernel(image: OsImage) -> Path:
    """Return the kernel of an osimage, copied out of its tree."""
    return image_dir(image) / "kernel"


def boot_digest(image: OsImage) -> Path:
    """Return the one-line file with the digest that names the pair (kernel, initrd)."""
    return image_dir(image) / "boot.sha256"


def discovery_dir(arch: str) -> Path:
    """Return the work folder of an architecture's discovery image."""
    return BUILD / "images" / f"discovery-{arch}"


def discovery_initrd(arch: str) -> Path:
    """Return the initrd that reports what a machine is."""
    return discovery_dir(arch) / "initrd.img"


def discovery_kernel(arch: str) -> Path:
    """Return the kernel of an architecture's discovery image."""
    return discovery_dir(arch) / "kernel"


def discovery_digest(arch: str) -> Path:
    """Return the one-line file with the digest that names the discovery pair (kernel, initrd)."""
    return discovery_dir(arch) / "boot.sha256"


def discovery_parts(arch: str) -> Path:
    """Return the list of what is in a discovery initrd, with sizes and reasons."""
    return REPORTS / f"initrd-discovery-{arch}.txt"


def proof(image: OsImage) -> Path:
    """Return the report of the static boot proof."""
    return REPORTS / f"prove-{image.name}.txt"


def proof_document(image: OsImage) -> Path:
    """Return the same report for programs."""
    return REPORTS / f"prove-{image.name}.json"


# -- what nodes fetch ------------------------------------------------------------------------------------------------


def tftpboot(site: Site) -> Path:
    """Return the TFTP root."""
    return under_destdir(site, "/tftpboot")


def install(site: Site) -> Path:
    """Return the tree that nodes fetch from over HTTP."""
    return under_destdir(site, "/install")


def manifest(site: Site) -> Path:
    """Return the list of everything that a node may fetch, with digests."""
    return under_destdir(site, "/tftpboot/manifest.sha256")


def boot_url_dir(image: OsImage, digest: str) -> PurePosixPath:
    """Return the folder of kernel and initrd below the TFTP root."""
    return PurePosixPath("boot") / image.name / digest[:16]


def discovery_url_dir(arch: str, digest: str) -> PurePosixPath:
    """Return the folder of an architecture's discovery kernel and initrd below the TFTP root."""
    return PurePosixPath("boot") / f"discovery-{arch}" / digest[:16]


def root_image_url_path(image: OsImage, digest: str) -> PurePosixPath:
    """Return the absolute URL path of a root image; its name says its content."""
    return PurePosixPath("/install/netboot") / image.os / image.arch / image.profile / digest[:16] / "rootimg.cpio.gz"


def root_image_tftp_path(image: OsImage, digest: str) -> PurePosixPath:
    """Return the same root image below the TFTP root: what a node falls back to when HTTP fails."""
    return PurePosixPath("boot") / image.name / digest[:16] / "rootimg.cpio.gz"


DISCOVER_URL_PATH = "/bootmill/discover"  # what the discovery image asks the web server for: its log is the report

# The boot programs below the TFTP root that the stage step publishes and the configuration step may name.
BOOT_PROGRAMS = ("pxelinux.0", "grub/grubia32.efi", "grub/grubx64.efi", "ipxe/undionly.kpxe", "ipxe/snponly.efi")


def menu_manifest() -> Path:
    """Return the list of rendered menus with their digests."""
    return MENUS / "manifest.sha256"


def menu_names(node: Node) -> dict[str, str]:
    """Return each menu language's file of a node, below the TFTP root.  Nodes without a MAC have none."""
    if node.mac is None:
        return {}
    dashed = node.mac.replace(":", "-")
    return {
        "pxelinux": f"pxelinux.cfg/01-{dashed}",
        "grub": f"grub/grub.cfg-01-{dashed}",
        "ipxe": f"ipxe/{dashed}.ipxe",
    }
