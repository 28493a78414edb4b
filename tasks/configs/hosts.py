"""The hosts file, hosts(5): ``address  name.domain  name  aliases``.

The full name comes first: it is the canonical one (gethostbyaddr(3), ``hostname --fqdn``).
"""

from pathlib import Path

from tasks import files, paths, template
from tasks.configs.slices import Record
from tasks.errors import BootmillError
from tasks.inventory.model import Site

TEMPLATE = Path(__file__).parent / "templates" / "hosts.j2"
# The names that the loopback lines of the template give away.
LOOPBACK = frozenset({"localhost", "ip6-localhost", "ip6-loopback", "ip6-allnodes", "ip6-allrouters"})


def write_hosts(site: Site, records: tuple[Record, ...]) -> None:
    """Write the hosts file."""
    files.write_ours(paths.hosts(site), render_hosts(site, records))


def render_hosts(site: Site, records: tuple[Record, ...]) -> str:
    """Return the hosts file.  A machine that is called like the loopback would cut every program off: an error."""
    taken = sorted({name for record in records for name in (record.name, *record.aliases)} & LOOPBACK)
    if taken:
        message = f"{', '.join(taken)}: no machine can have this name, it is the loopback's in every hosts file"
        raise BootmillError(message, hint="choose another name in inventory/nodes.yaml or inventory/switches.yaml")
    width = max((len(str(record.ip)) for record in records), default=0)
    return template.render(TEMPLATE, domain=site.domain, records=records, width=max(width, len("127.0.0.1")))
