"""The head node's view of the machine: the generated files at their real paths, the host's own out of sight.

bubblewrap builds a new root on a tmpfs inside our mount namespace: the host's folders as they are, a small /etc, an
empty /var, and over them build/etc/… and build/tftpboot where a head node has them.  Nothing of the host is written.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tasks import files, paths
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tasks.lab import state

HIDDEN = frozenset({"dev", "etc", "install", "lost+found", "proc", "run", "sys", "tftpboot", "var"})
OWN_ETC = Path("/etc/bootmill-lab")
# What programs want to see in /etc: names, libraries, certificates; nothing about this machine's own services.
PLAIN_ETC = (
    "alternatives",
    "ca-certificates",
    "group",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "nsswitch.conf",
    "passwd",
    "protocols",
    "services",
    "ssl",
)
RUN = Path("/run/bootmill-head")  # becomes the head node's /run
SYSLOG = RUN / "log"


def published(cluster: Cluster) -> dict[Path, Path]:
    """Return where each generated file or folder belongs on the head node: artefact → absolute path."""
    site = cluster.site
    return {
        paths.hosts(site): Path("/etc/hosts"),
        paths.dhcpd_conf(site).parent: Path("/etc/dhcp"),
        paths.named_conf(site).parent: Path("/etc/bind"),
        paths.nginx_conf(site).parent: Path("/etc/nginx/conf.d"),
        paths.tftpboot(site): Path("/tftpboot"),
        paths.install(site): Path("/install"),
    }


def check_published(cluster: Cluster) -> None:
    """Raise a `BootmillError` that names every generated file that is not there yet."""
    site = cluster.site
    needed = [*published(cluster), paths.dhcpd_conf(site), paths.named_conf(site), paths.nginx_conf(site)]
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        message = f"the laboratory runs the generated files, and these are not there: {', '.join(sorted(missing))}"
        raise BootmillError(message, hint="doit stage")


def write_etc(cluster: Cluster) -> None:
    """Write the few files of the head node that Bootmill's users keep themselves: resolver, named and nginx frames."""
    master = cluster.node(cluster.site.master)
    files.write_atomic(state.ETC / "resolv.conf", f"search {cluster.site.domain}\nnameserver {master.ip}\n")
    files.write_atomic(state.ETC / "hostname", f"{master.name}\n")
    files.write_atomic(state.ETC / "named.conf", named_conf(cluster))
    files.write_atomic(state.ETC / "nginx.conf", nginx_conf())


def named_conf(cluster: Cluster) -> str:
    """Return the named.conf that includes the generated parts, as a head node's own does."""
    zones = paths.named_conf(cluster.site)
    options = zones.with_name(f"{zones.name}-options")
    parts = [f'include "/etc/bind/{part.name}";' for part in (options, zones) if part.exists()]
    return "\n".join(["controls { };", *parts, ""])


def nginx_conf() -> str:
    """Return nginx.conf around the generated server.

    Workers run as www-data, as on a real head node: a published file that only its owner can read fails here too.
    """
    return """daemon off;
worker_processes 1;
user www-data;
pid /run/nginx.pid;
error_log stderr info;
events { worker_connections 1024; }
http {
    log_format lab '$remote_addr "$request" $status $body_bytes_sent $request_time';
    access_log /dev/stdout lab;
    default_type application/octet-stream;
    sendfile on;
    include /etc/nginx/conf.d/*.conf;
}
"""


def bwrap_argv(cluster: Cluster, *, info_fd: int, host_root: Iterable[Path], checkout: Path) -> list[str]:
    """Return the bubblewrap command that holds the head node's mount namespace until it is killed.

    `host_root` are the entries of ``/``; `checkout` is mounted last, so that it is there wherever it lies.
    """
    return [
        "bwrap",
        "--die-with-parent",
        *("--info-fd", str(info_fd)),
        *host_mounts(host_root),
        *etc_mounts(cluster),
        *("--bind", "/proc", "/proc", "--ro-bind", "/sys", "/sys"),
        *("--dev", "/dev", "--symlink", "/run/log", "/dev/log"),
        *("--bind", str(RUN), "/run"),
        *("--tmpfs", "/var", "--dir", "/var/cache/bind", "--dir", "/var/lib/nginx", "--dir", "/var/log/nginx"),
        *("--dir", "/var/tmp", "--symlink", "/run", "/var/run"),
        *("--bind", str(state.LEASES.absolute()), "/var/lib/dhcp"),
        *("--ro-bind", str(paths.tftpboot(cluster.site).absolute()), "/tftpboot"),
        *("--ro-bind", str(paths.install(cluster.site).absolute()), "/install"),
        *late_mounts(checkout),
        *("--chdir", str(checkout), "--", "sleep", "infinity"),
    ]


def host_mounts(entries: Iterable[Path]) -> Iterator[str]:
    """Yield the mounts of the host's own top folders; links such as /bin stay links."""
    for entry in sorted(entries):
        if entry.name in HIDDEN:
            continue
        if entry.is_symlink():
            yield from ("--symlink", str(entry.readlink()), str(entry))
        elif entry.is_dir():
            yield from ("--ro-bind" if entry.name == "usr" else "--bind", str(entry), str(entry))


def etc_mounts(cluster: Cluster) -> Iterator[str]:
    """Yield the mounts that make up /etc."""
    for name in PLAIN_ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    for name in ("hostname", "resolv.conf"):
        yield from ("--ro-bind", str((state.ETC / name).absolute()), f"/etc/{name}")
    yield from ("--ro-bind", str(state.ETC.absolute()), str(OWN_ETC))
    yield from ("--ro-bind-try", "/etc/nginx/mime.types", "/etc/nginx/mime.types")
    for source, target in published(cluster).items():
        if target.is_relative_to("/etc"):
            yield from ("--ro-bind", str(source.absolute()), str(target))


def late_mounts(checkout: Path) -> Iterator[str]:
    """Yield what must be seen although it may lie in a hidden folder: Python and the checkout."""
    for folder in sorted({Path(sys.prefix), Path(sys.base_prefix), checkout}):
        if folder.parts[1] in HIDDEN or folder == checkout:
            yield from ("--bind", str(folder), str(folder))
