"""The servers of boot files: nginx (root images, kernels for iPXE) and tftpd-hpa (boot programs, kernels, menus).

nginx opens its sockets even when it is only asked to check (``nginx -t``): port 80 needs root, and the head node's
address is on no other machine.  So the checked copy listens on a stand-in of the loopback and is otherwise the same;
in that mode nginx does not mind when somebody has the port already (ngx_open_listening_sockets()).
"""

from ipaddress import IPv4Address
from pathlib import Path

from tasks import files, paths, template
from tasks.configs.check import ask, candidate
from tasks.inventory.model import Site

TEMPLATES = Path(__file__).parent / "templates"
STAND_IN = 18080  # first of the ports on which the checked copy listens


def write_httpd(site: Site, addresses: tuple[IPv4Address, ...]) -> None:
    """Write both configurations, if nginx accepts its own.  `addresses` are those from which nodes fetch."""
    stand_ins = tuple(f"127.0.0.1:{STAND_IN + number}" for number, _ in enumerate(addresses))
    with candidate("httpd") as folder:
        (folder / "nginx.conf").write_text(template.render(TEMPLATES / "httpd_check.conf.j2"))
        (folder / "bootmill.conf").write_text(render_nginx(stand_ins))
        argv = ["nginx", "-t", "-q", "-p", f"{folder}/", "-c", f"{folder}/nginx.conf", "-e", "stderr"]
        ask(argv, about=paths.nginx_conf(site))
    files.write_ours(paths.nginx_conf(site), render_nginx(tuple(f"{address}:80" for address in addresses)))
    files.write_ours(paths.tftpd_defaults(site), render_tftpd(addresses))


def render_nginx(listen: tuple[str, ...]) -> str:
    """Return nginx's server; `listen` are pairs ``address:port``."""
    return template.render(TEMPLATES / "httpd_nginx.conf.j2", listen=listen, discover=paths.DISCOVER_URL_PATH)


def render_tftpd(addresses: tuple[IPv4Address, ...]) -> str:
    """Return what Debian's start script of tftpd-hpa reads.  in.tftpd(8) takes one address, or all of them."""
    address = str(addresses[0]) if len(addresses) == 1 else "0.0.0.0"
    return template.render(TEMPLATES / "httpd_tftpd-hpa.j2", address=address)
