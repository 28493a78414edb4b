"""ISC dhcpd's configuration: an address and a boot program for every node, a dynamic range for machines unknown yet.

Every node with a MAC has a host entry, whatever its boot state: a node that boots from its disk still asks for its
address and name, and `nodeset` changes menus alone; dhcpd need not be restarted for it.

Statements of a ``host`` are executed after those of its ``subnet`` (dhcp-eval(5), dhcpd.conf(5)), so a host's own
``filename`` wins over the network's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tasks import files, paths, template
from tasks.configs import bootpolicy
from tasks.configs.bootpolicy import Choice
from tasks.configs.check import ask, candidate
from tasks.configs.slices import Client
from tasks.errors import BootmillError
from tasks.inventory.model import Firmware, Netboot, Network, Site

TEMPLATE = Path(__file__).parent / "templates" / "dhcpd.conf.j2"


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One branch of an if statement: its condition, and the file that is offered."""

    condition: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A network with its branches."""

    network: Network
    branches: tuple[Branch, ...]


@dataclass(frozen=True, kw_only=True)
class Host:
    """A client with the branches that only it has."""

    client: Client
    branches: tuple[Branch, ...]


def write_dhcpd(site: Site, networks: tuple[Network, ...], clients: tuple[Client, ...]) -> None:
    """Write dhcpd.conf, if dhcpd accepts it."""
    text = render_dhcpd(site, networks, clients)
    with candidate("dhcpd") as folder:
        (folder / "dhcpd.conf").write_text(text)
        ask(["dhcpd", "-4", "-t", "-cf", folder / "dhcpd.conf"], about=paths.dhcpd_conf(site))
    files.write_ours(paths.dhcpd_conf(site), text)


def render_dhcpd(site: Site, networks: tuple[Network, ...], clients: tuple[Client, ...]) -> str:
    """Return dhcpd.conf; `BootmillError` names every node that no boot program fits."""
    lost = [client.name for client in clients if client.netboot is Netboot.GRUB and client.firmware is Firmware.BIOS]
    if lost:
        message = f"{', '.join(lost)}: there is no GRUB for BIOS machines to boot over the network"
        raise BootmillError(message, hint="write netboot: pxe or netboot: ipxe, or firmware: uefi if they have it")
    return template.render(
        TEMPLATE,
        domain=quoted(site.domain),
        nameservers=site.nameservers,
        subnets=[subnet(network) for network in sorted(networks, key=lambda network: network.subnet)],
        hosts=[host(client) for client in clients],
        quoted=quoted,
    )


def subnet(network: Network) -> Subnet:
    """Return a network with the choices of its clients."""
    return Subnet(network=network, branches=branches(bootpolicy.for_network(network.next_server)))


def host(client: Client) -> Host:
    """Return a client; only one that boots by iPXE has choices of its own."""
    own: tuple[Choice, ...] = ()
    if client.netboot is Netboot.IPXE:
        own = bootpolicy.for_ipxe_node(client.next_server, client.ipxe_script)
    return Host(client=client, branches=branches(own))


def branches(choices: Iterable[Choice]) -> tuple[Branch, ...]:
    """Return the choices as branches of dhcpd's if statement."""
    return tuple(Branch(condition=condition(choice), file=choice.file) for choice in choices)


def condition(choice: Choice) -> str:
    """Return the condition under which a choice is taken, in dhcp-eval(5)'s words.

    Comparisons bind tighter than ``and``.  ``or`` is avoided: it binds no weaker than ``and``, and dhcpd's parser
    takes no operator behind a closing parenthesis.  An option that the client did not send equals nothing.
    """
    tests = ['option user-class = "iPXE"'] if choice.ipxe else []
    if choice.arch is not None:
        tests.append(f"option client-arch = {choice.arch >> 8:02x}:{choice.arch & 0xFF:02x}")
    return " and ".join(tests)


def quoted(text: str) -> str:
    """Return a text as dhcpd's string.  The border lets nothing through that could end one: this is the last wall."""
    if not text.isascii() or not text.isprintable() or set(text) & set('"\\'):
        message = f"{text!r} cannot be written into dhcpd.conf"
        raise BootmillError(message, hint="a quote, a backslash or an unprintable character is in it: remove it")
    return f'"{text}"'
