"""named's configuration, in files that its own named.conf includes.

named.conf may hold only one ``options``, and Debian keeps it apart from the zones; so do we: ``named.conf.bootmill``
declares the zones, ``named.conf.bootmill-options`` says whom to serve and whom to ask.  Neither takes a name that
Debian's bind9 brings, so an existing named.conf stays and includes them.  ``named.conf.bootmill-secondary`` is for the
secondary servers, which hold copies of the zones: they are told of each new serial, and they alone may transfer.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from tasks import template
from tasks.configs import walls
from tasks.configs.check import ask
from tasks.errors import BootmillError

TEMPLATES = Path(__file__).parent / "templates"
ON_HEAD_NODE = "/etc/bind/zones"
CACHE = "/var/cache/bind"  # Debian's working directory of named; a machine without named has none
ACCEPTED = re.compile(
    r"^zone \S+: (?:loaded serial \d+|.* has no (?:REQUIRED GLUE )?address records .*)\n", re.MULTILINE
)
REFUSED = re.compile(r"\| zone (?P<zone>[^\s/]+)/IN: not loaded due to errors")
Address = IPv4Address | IPv6Address


def named_conf(zones: Iterable[str], secondaries: Sequence[Address], folder: str = ON_HEAD_NODE) -> str:
    """Return the zones' clauses, with the files where the head node has them."""
    return template.render(
        TEMPLATES / "zone_conf_named.conf.j2",
        zones=zones,
        secondaries=walls.addresses(secondaries),
        folder=quoted(folder),
    )


def options(
    networks: Sequence[str], secondaries: Sequence[Address], forwarders: Sequence[Address], directory: str
) -> str:
    """Return the options: whom named serves, networks and secondary servers, and whom it asks."""
    return template.render(
        TEMPLATES / "zone_conf_named.options.j2",
        networks=walls.addresses(networks),
        secondaries=walls.addresses(secondaries),
        forwarders=walls.addresses(forwarders),
        directory=directory,
    )


def secondary_conf(zones: Iterable[str], primaries: Sequence[str]) -> str:
    """Return the zones' clauses for a secondary server."""
    return template.render(TEMPLATES / "zone_conf_secondary.conf.j2", zones=zones, primaries=walls.addresses(primaries))


def quoted(text: str) -> str:
    """Return a text as it stands between the quotes of named.conf: a checkout can lie anywhere.

    A backslash stays as it is there; only before a quote it is none (isc_lex_gettoken() in lib/isc/lex.c).
    """
    return text.replace('"', '\\"')


def ask_named(conf: Path, about: Path, zone_dir: Path) -> None:
    """Ask named's checker about a configuration and the zones that it names; a refusal is about the zone's file.

    What it says of the zones that it accepts (and of records that lead nowhere, which named only warns of) is left out.
    """
    try:
        ask(["named-checkconf", "-z", conf], about=about, without=ACCEPTED)
    except BootmillError as error:
        match = REFUSED.search(error.message)
        if match is None:
            raise
        message = error.message.replace(str(about), str(zone_dir / f"db.{match['zone']}"), 1)
        raise BootmillError(message, hint=error.hint) from error
