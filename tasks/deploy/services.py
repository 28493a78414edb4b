"""Which file belongs to which daemon, how the daemon is told, and in which order.  One table; everything else asks it.

The order is that of the table: names before addresses (a DHCP client that asks for its name at once finds it),
addresses before what a node fetches with them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from tasks.errors import BootmillError


class Verb(StrEnum):
    """How a daemon takes a new configuration.  Debian's start scripts do not fall back from one to the other."""

    RELOAD = "reload"
    RESTART = "restart"


class Merge(StrEnum):
    """Which files hold what others wrote beside what we write: that stays."""

    HOSTS = "hosts"
    INCLUDE = "include"


@dataclass(frozen=True, kw_only=True)
class Check:
    """What reads a file before it is put in place; ``{}`` in a word is the candidate's path.

    `elsewhere`: a pattern and what takes its place in the files where the check is not made on the head node.
    """

    files: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    elsewhere: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Service:
    """A daemon: its files (patterns below /, in the order in which they are written) and how it is told."""

    name: str
    files: tuple[str, ...]
    units: tuple[str, ...] = ()  # the names that distributions give it; none: files that nobody has to be told of
    verb: Verb = Verb.RELOAD
    argv: tuple[str, ...] = ()  # said instead of the verb where one of the units runs
    checks: tuple[Check, ...] = ()
    main: str = ""  # the file that includes ours; the whole is checked where it is there
    role: str = ""  # of services with the same role only one serves

    def rank(self, path: PurePosixPath) -> int:
        """Return the place of a file among the service's, by the first pattern that fits."""
        return next(index for index, pattern in enumerate(self.files) if fnmatchcase(str(path), pattern))


NAMED_LOCAL = PurePosixPath("/etc/bind/named.conf.local")
NAMED_CONF = PurePosixPath("/etc/bind/named.conf")
NAMED_ZONES = PurePosixPath("/etc/bind/named.conf.bootmill")
NAMED_OPTIONS = PurePosixPath("/etc/bind/named.conf.bootmill-options")
ZONES = "/etc/bind/zones/db.*"
HOSTS = PurePosixPath("/etc/hosts")
# Kea locks the log that it would write, and looks for the interfaces, which only the head node has.
KEA_ENV = (("KEA_LOCKFILE_DIR", "none"),)
LOOPBACK = (r'"interface": "[^"]*"', '"interface": "lo"')
MERGED = {HOSTS: Merge.HOSTS, NAMED_LOCAL: Merge.INCLUDE, NAMED_CONF: Merge.INCLUDE}

SERVICES = (
    Service(name="hosts", files=("/etc/hosts",)),
    Service(
        name="named",
        # What is named comes before what names it: named never reads a configuration whose zones are not there yet.
        files=("/etc/bind/zones/*", "/etc/bind/*/*", "/etc/bind/named.conf.bootmill*", "/etc/bind/*"),
        units=("named", "bind9"),
        main=str(NAMED_CONF),
    ),
    Service(
        name="dhcpd",
        files=("/etc/dhcp/*",),
        units=("isc-dhcp-server", "dhcpd"),
        verb=Verb.RESTART,  # dhcpd(8) reads its configuration once
        checks=(
            Check(files="/etc/dhcp/dhcpd.conf", argv=("dhcpd", "-4", "-t", "-cf", "{}")),
            Check(files="/etc/dhcp/dhcpd6.conf", argv=("dhcpd", "-6", "-t", "-cf", "{}")),
        ),
        role="dhcp",
    ),
    Service(
        name="kea-dhcp4",
        files=("/etc/kea/bootmill/dhcp4*", "/etc/kea/kea-dhcp4*"),
        units=("kea-dhcp4-server", "kea-dhcp4"),
        verb=Verb.RESTART,
        checks=(Check(files="*/kea-dhcp4.conf", argv=("kea-dhcp4", "-t", "{}"), env=KEA_ENV, elsewhere=LOOPBACK),),
        role="dhcp",
    ),
    Service(
        name="kea-dhcp6",
        files=("/etc/kea/bootmill/dhcp6*", "/etc/kea/kea-dhcp6*"),
        units=("kea-dhcp6-server", "kea-dhcp6"),
        verb=Verb.RESTART,
        checks=(Check(files="*/kea-dhcp6.conf", argv=("kea-dhcp6", "-t", "{}"), env=KEA_ENV, elsewhere=LOOPBACK),),
        role="dhcp",
    ),
    Service(
        name="dnsmasq",
        files=("/etc/dnsmasq-hosts/*", "/etc/dnsmasq*"),
        units=("dnsmasq",),
        verb=Verb.RESTART,  # SIGHUP does not make it read its configuration, dnsmasq(8)
        checks=(Check(files="*.conf", argv=("dnsmasq", "--test", "--conf-file={}")),),
        role="dhcp",
    ),
    Service(name="tftpd-hpa", files=("/etc/default/tftpd-hpa",), units=("tftpd-hpa",), verb=Verb.RESTART),
    Service(name="nginx", files=("/etc/nginx/*",), units=("nginx",), main="/etc/nginx/nginx.conf"),
    Service(
        name="nfs",
        files=("/etc/exports", "/etc/exports.d/*"),
        units=("nfs-server", "nfs-kernel-server"),
        argv=("exportfs", "-ra"),
    ),
    Service(name="chrony", files=("/etc/chrony/*", "/etc/chrony.conf"), units=("chrony", "chronyd"), verb=Verb.RESTART),
    Service(
        name="conserver",
        files=("/etc/conserver*", "/etc/conserver/*"),
        units=("conserver-server", "conserver"),
    ),
    Service(name="conman", files=("/etc/conman.conf",), units=("conman", "conmand"), verb=Verb.RESTART),
    Service(name="files", files=("/etc/*",)),  # what nobody has to be told of: it is read when it is needed
)
KEA = "kea"  # one word for both of its daemons


def of(path: PurePosixPath) -> Service:
    """Return the service of a file below /etc."""
    return next(service for service in SERVICES if any(fnmatchcase(str(path), pattern) for pattern in service.files))


def server(service: Service) -> str:
    """Return the word for a service among those of its role: Kea's two daemons are one server."""
    return KEA if service.name.startswith(f"{KEA}-") else service.name


def named(words: Iterable[str]) -> frozenset[str]:
    """Return the names of the services that words stand for; `BootmillError` names what is none."""
    known = {service.name: {service.name} for service in SERVICES}
    known[KEA] = {service.name for service in SERVICES if server(service) == KEA}
    strange = [word for word in words if word not in known]
    if strange:
        message = f"{strange[0]!r} is no service"
        raise BootmillError(message, hint=f"known are {', '.join(sorted(known))}")
    return frozenset(name for word in words for name in known[word])


def asked(dhcp_server: str | None) -> set[str]:
    """Return the server that the inventory asks for (`site.dhcp_server`), by its word here."""
    return {"dhcpd" if dhcp_server == "isc" else dhcp_server} if dhcp_server else set()


def serving(
    rendered: Iterable[str], *, asked: Iterable[str], before: Iterable[str], running: Iterable[str], role: str = "dhcp"
) -> str | None:
    """Return which server takes a role of which only one may: None where nothing is rendered for it.

    The one that was asked for, by a word or in site.yaml; else the only one that is rendered; else the one that was
    deployed before; else the one that runs on this machine.  `BootmillError` where that leaves several.
    """
    choices = sorted({*rendered})
    for narrower in (asked, choices, before, running):
        found = sorted({*choices} & {*narrower})
        if len(found) == 1 or (found and narrower is asked):
            choices = found
            break
    if len(choices) < 2:
        return choices[0] if choices else None
    message = f"{', '.join(choices)}: only one of them can be the {role.upper()} server of this machine"
    raise BootmillError(
        message, hint=f"name it in site.yaml (dhcp_server), or once: doit deploy {choices[0]}; later runs stay with it"
    )
