"""What the head node exports over NFS, exports(5): a file of its own, ``etc/exports.d/bootmill.exports``.

exportfs(8) reads every such file beside /etc/exports, so the site's own exports stay where they are.  No program
checks such a file without exporting, so nothing is written that is not known to be right: paths are written so that no
character has a meaning, options are those of exports(5).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from tasks import paths
from tasks.configs import walls
from tasks.errors import BootmillError
from tasks.family import Around, Family
from tasks.inventory.model import Cluster, Export, Site

HEADER = "# Made by Bootmill from inventory/: edits are lost.  exportfs(8) reads it beside /etc/exports.\n"
KEY = "exports"
PLAIN = re.compile(rb"[A-Za-z0-9/._,:@%+=-]")
# exports(5) of nfs-utils 2.6: options that are words, and the values of those that have one.
WORDS = frozenset(
    {
        *("ro", "rw", "sync", "async", "secure", "insecure", "wdelay", "no_wdelay", "hide", "nohide", "crossmnt"),
        *(
            "subtree_check",
            "no_subtree_check",
            "secure_locks",
            "insecure_locks",
            "auth_nlm",
            "no_auth_nlm",
            "acl",
            "no_acl",
        ),
        *("root_squash", "no_root_squash", "all_squash", "no_all_squash", "mp", "mountpoint", "pnfs", "no_pnfs"),
        "security_label",
    }
)
VALUES = {
    "anonuid": re.compile(r"-?[0-9]{1,10}"),
    "anongid": re.compile(r"-?[0-9]{1,10}"),
    "fsid": re.compile(r"[0-9]{1,10}|root|[0-9A-Fa-f]{8}(?:-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}"),
    "sec": re.compile(r"(?:sys|krb5[ip]?|none)(?::(?:sys|krb5[ip]?|none))*"),
    "xprtsec": re.compile(r"(?:none|tls|mtls)(?::(?:none|tls|mtls))*"),
    "mp": re.compile(r"/[A-Za-z0-9/._-]*"),
    "mountpoint": re.compile(r"/[A-Za-z0-9/._-]*"),
    "refer": re.compile(r"/[A-Za-z0-9/._-]*@[A-Za-z0-9.:+/_-]+"),
    "replicas": re.compile(r"/[A-Za-z0-9/._-]*@[A-Za-z0-9.:+/_-]+"),
}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The exports, and the subnets of every network."""

    site: Site
    networks: tuple[tuple[str, tuple[str, ...]], ...]  # name → subnets; none where nothing is exported


def frame(cluster: Cluster) -> Frame:
    """Return the exports with the subnets that they are for."""
    networks = tuple((network.name, tuple(map(str, network.subnets))) for network in cluster.networks)
    return Frame(site=cluster.site.only("exports"), networks=networks if cluster.site.exports else ())


def lines(frame: Frame) -> Iterator[str]:
    """Yield a line for each export: the folder, then each client with its options.

    Two exports of a folder to one subnet are an error: which of the options would hold is a matter of order.
    """
    seen: set[tuple[str, str]] = set()
    for export in frame.site.exports:
        options = ",".join(option(export, word) for word in export.options)
        clients = []
        for subnet in subnets(frame, export):
            if (export.path, subnet) in seen:
                refuse(export, f"it is exported to {subnet} twice")
            seen.add((export.path, subnet))
            clients.append(f"{walls.address(subnet)}({options})")
        yield f"{folder(export)} {' '.join(clients)}\n"


def subnets(frame: Frame, export: Export) -> Iterator[str]:
    """Yield the subnets of an export's networks, those of all networks where it names none."""
    known = dict(frame.networks)
    for name in dict.fromkeys(export.networks or known):
        if name not in known:
            refuse(export, f"there is no network {name!r}")
        yield from known[name]


def folder(export: Export) -> str:
    """Return a path in which nothing has a meaning: all but plain characters are octal, as exports(5) has them."""
    if not export.path.startswith("/") or ".." in export.path.split("/") or "\0" in export.path:
        refuse(export, "its path is not absolute, or leads back")
    octets = export.path.encode(errors="surrogateescape")
    return "".join(chr(one) if PLAIN.match(bytes([one])) else f"\\{one:03o}" for one in octets)


def option(export: Export, word: str) -> str:
    """Return an option that exports(5) knows; any other is an error, since mountd would leave the export out."""
    name, equals, value = word.partition("=")
    if word in WORDS or (equals and name in VALUES and VALUES[name].fullmatch(value)):
        return word
    return refuse(export, f"{word!r} is no option of exports(5)")


def refuse(export: Export, what: str) -> NoReturn:
    """Raise the error for an export."""
    message = f"site.exports: {export.path}: {what}"
    raise BootmillError(message, hint="correct 'exports' in inventory/site.yaml; man 5 exports names the options")


def around(frame: Frame, _sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return the one file."""
    return {KEY: Around(path=paths.nfs_exports(frame.site), head=HEADER + "".join(lines(frame)))}


FAMILY: Family[Frame] = Family(
    name="nfs",
    frame=frame,
    rows=lambda _frame, _nodes: (),
    text=lambda _frame, _rows: {},
    around=around,
    outputs=lambda frame: [paths.nfs_exports(frame.site)],
    check=lambda _frame, _texts: None,
)
