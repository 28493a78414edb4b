"""What `doit plan` and `doit deploy` ask this step for: its families, their files, which menus a run would write."""

import hashlib
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from tasks import files, paths
from tasks.assemble import Slice
from tasks.configs import httpd, menus, shapes
from tasks.errors import BootmillError
from tasks.family import Aggregate, Family, MenuChange
from tasks.inventory.model import Cluster, OsImage, Site

FAMILIES = ("hosts", "zone", "dhcpd", "kea", "dnsmasq", "chrony", "resolv", "nfs")
BOOTED = re.compile(r"^    (?:KERNEL|APPEND) .*", re.MULTILINE)  # what PXELINUX boots


def makers() -> list[Family[Any] | Aggregate[Any]]:
    """Return the families, and the web server's files."""
    return [*(importlib.import_module(f"tasks.configs.{name}").FAMILY for name in FAMILIES), HTTPD]


def outputs(cluster: Cluster) -> list[Path]:
    """Return every file for the head node's /etc, rendered or not."""
    return [path for maker in makers() for path in maker.outputs(maker.frame(cluster))]


# -- the web server ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Web:
    """What the configuration of nginx and tftpd-hpa depends on."""

    site: Site
    addresses: tuple[IPv4Address, ...]


def web(cluster: Cluster) -> Web:
    """Return the frame."""
    return Web(site=cluster.site.only(), addresses=cluster.served_addresses())


def web_files(frame: Web) -> Mapping[Path, str]:
    """Return both files as `httpd.write_httpd` writes them."""
    return {
        paths.nginx_conf(frame.site): httpd.render_nginx(tuple(f"{address}:80" for address in frame.addresses)),
        paths.tftpd_defaults(frame.site): httpd.render_tftpd(frame.addresses),
    }


HTTPD: Final = Aggregate[Web](
    name="httpd",
    frame=web,
    rows=lambda _frame, _nodes: (),
    text=lambda frame, _rows: web_files(frame),
    outputs=lambda frame: [paths.nginx_conf(frame.site), paths.tftpd_defaults(frame.site)],
    check=lambda _frame, _texts: None,
)


# -- menus -------------------------------------------------------------------------------------------------------------


def menu_changes(cluster: Cluster) -> list[MenuChange]:
    """Return what a run would do to the boot menus: all are made in memory and compared with those on the disk.

    `BootmillError` where an osimage is not built yet: its menus name its digest.
    """
    shards = [Slice(digest=str(number), shard=shard) for number, shard in enumerate(cluster.shards)]
    names = {name for one in shards for name in shapes.images_of(one.shard.nodes())}
    images = shapes.used_images(cluster, names)
    discovering = menus.who_discovers(cluster, (shapes.DISCOVERY,) if shapes.DISCOVERY in names else ())
    missing = [*unbuilt(images, discovering.archs)]
    if missing:
        message = f"{', '.join(missing)}: not built yet, and the menus name the digest of what is built"
        raise BootmillError(message, hint="build it: doit stage")
    discoveries = [menus.discovery(arch) for arch in discovering.archs]
    loadables = [menus.loadable(image) for image in images]
    written = menus.render(shapes.menu_frame(cluster), shards, loadables, discoveries)
    parts = [menus.site_wide(discoveries if discovering.unknown else ()), *written.values()]
    owners = {name: node.name for node in cluster.nodes for name in paths.menu_names(node).values()}
    return [*compared({name: text for part in parts for name, text in part.items()}, owners), *manifest(parts)]


def unbuilt(images: Sequence[OsImage], archs: Sequence[str]) -> Iterator[str]:
    """Yield the names of images that have no digest yet."""
    for image in images:
        if not (paths.boot_digest(image).is_file() and paths.root_image_digest(image).is_file()):
            yield image.name
    for arch in archs:
        if not paths.discovery_digest(arch).is_file():
            yield f"the discovery image of {arch}"


def manifest(parts: list[menus.Menus]) -> Iterator[MenuChange]:
    """Yield the manifest where it would change."""
    path = paths.menu_manifest()
    now, new = on_disk(path), b"".join(map(menus.lines, parts))
    if now != new:
        yield MenuChange(path, "", decoded(now), new.decode())


def compared(texts: menus.Menus, owners: Mapping[str, str]) -> Iterator[MenuChange]:
    """Yield the menus that differ from those on the disk, then those that would go."""
    former = dict(line.split("  ", 1)[::-1] for line in (decoded(on_disk(paths.menu_manifest())) or "").splitlines())
    for name, text in texts.items():
        now = on_disk(paths.MENUS / name)
        if now == text:
            continue
        known = now is not None and former.get(name) == hashlib.sha256(now).hexdigest()  # not edited by hand
        old, new = decoded(now), text.decode()
        boots = known and BOOTED.findall(old or "") != BOOTED.findall(new) and bool(BOOTED.search(new))
        yield MenuChange(paths.MENUS / name, owners.get(name, ""), old, new, boots)
    strays = former or {
        f"{folder}/{name}": "" for folder in menus.FOLDERS for name in files.names_in(paths.MENUS / folder)
    }
    for name in sorted(strays.keys() - texts.keys()):
        now = on_disk(paths.MENUS / name)
        if now is not None:
            yield MenuChange(paths.MENUS / name, "", decoded(now), None)


def on_disk(path: Path) -> bytes | None:
    """Return a file's bytes, None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise BootmillError(message, hint="a file belongs there: look at its owner, or remove it") from error


def decoded(content: bytes | None) -> str | None:
    """Return a text; bytes that are none are shown as such."""
    return None if content is None else content.decode(errors="replace")
