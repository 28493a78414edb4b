"""Texts of the inventory → values: what an attribute may look like, said in sentences.  Pure; `schema` uses them.

Every function raises `ValueError` with a sentence.  What passes can be written into the configuration files as it is.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, TypeVar

from tasks.inventory.model import FstabEntry

MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
MODULE = re.compile(r"[A-Za-z0-9_-]+")
ALIAS = re.compile(r"(?:pci|usb|virtio|acpi|of|vmbus|xen):[\w*:.\[\]?-]{1,200}", re.ASCII)  # as modinfo shows them
RULE = re.compile(r"E(?:0[1-9]|1[0-8])", re.ASCII)
WORD = re.compile(r"[\x21-\x7e]+")
QUOTED = frozenset("\"'\\{};$`<>|&")
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,63}")
HARDWARE = re.compile(r"[A-Za-z0-9_ .+-]{1,64}")
LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,31}")
RELEASE = re.compile(r"[A-Za-z0-9_.+~-]{1,64}")
FOLDER = re.compile(r"/[A-Za-z0-9/._+@:-]{0,254}")
OUTPUT = re.compile(r"[A-Za-z0-9/._+@:~-]{1,255}")
OPTION = re.compile(r"[a-z][a-z_]{1,31}(=[A-Za-z0-9_.:/@-]{1,64})?")

Address = TypeVar("Address", IPv4Address, IPv6Address)
AnyAddress = TypeVar("AnyAddress", bound=IPv4Address | IPv6Address)
Subnet = TypeVar("Subnet", IPv4Network, IPv6Network)


def mac(text: str) -> str:
    """Parse a MAC address: six pairs of hexadecimal digits between ``:`` or ``-``; multicast and zero are refused."""
    if not MAC.fullmatch(text):
        message = f"{text!r} is no MAC address (write 00:18:8b:f8:e3:58)"
        raise ValueError(message)
    plain = text.lower().replace("-", ":")
    if int(plain[:2], 16) & 1 or plain == "00:00:00:00:00:00":
        message = f"{text} is a multicast or empty address, no machine has it"
        raise ValueError(message)
    return plain


def matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    """Return a text that a pattern matches as a whole; `ValueError` says what it is not."""
    if not pattern.fullmatch(text):
        message = f"{text!r} is {what}"
        raise ValueError(message)
    return text


def whole(pattern: re.Pattern[str]) -> str:
    """Return a pattern for a whole text, as JSON Schema writes it (ECMA 262)."""
    return f"^(?:{pattern.pattern})$"


def host_name(text: str) -> str:
    """Parse one DNS label (RFC 1123 2.1): letters, digits and inner hyphens, 63 at most."""
    return matching(LABEL, text, "no host name: small letters, digits and inner hyphens, 63 at most")


def domain_name(text: str) -> str:
    """Parse a domain name: labels between dots, 253 characters at most."""
    if len(text) > 253 or not all(LABEL.fullmatch(label) for label in text.split(".")):
        message = f"{text!r} is no domain name"
        raise ValueError(message)
    return text


def package(text: str) -> str:
    """Parse a Debian package name (Policy 5.6.1)."""
    return matching(PACKAGE, text, "no package name")


def driver(text: str) -> str:
    """Parse a kernel module's name."""
    return matching(MODULE, text, "no kernel module name")


def driver_choice(text: str) -> str:
    """Parse what an osimage may name as drivers: a module's name, an alias of one (``pci:v000014E4d*``), a class."""
    return text if ALIAS.fullmatch(text) else driver(text)


def rule(text: str) -> str:
    """Parse the name of a rule of the boot proof."""
    return matching(RULE, text, "no error of the boot proof (write E12)")


def kernel_word(text: str) -> str:
    """Parse one kernel argument: printable, no blank, nothing that a boot menu would take for its own syntax."""
    if not WORD.fullmatch(text) or QUOTED & set(text):
        message = f"{text!r} is no plain kernel argument (one word, no quotes or shell characters)"
        raise ValueError(message)
    return text


def plain_word(text: str) -> str:
    """Parse one word that needs no quotes anywhere."""
    if not WORD.fullmatch(text) or QUOTED & set(text):
        message = f"{text!r} is no plain word (no blanks, quotes or shell characters)"
        raise ValueError(message)
    return text


def unit(text: str) -> str:
    """Parse a systemd unit's name (systemd.unit(5)): it becomes a file name."""
    if not re.fullmatch(r"[A-Za-z0-9:_.@-]+\.(service|socket|timer|target|mount|path)", text) or text.startswith("."):
        message = f"{text!r} is no unit name (write apt-daily.timer)"
        raise ValueError(message)
    return text


def plain_path(text: str) -> str:
    """Parse a path pattern of an exclusion list: absolute, no parent folder; a leading + brings it back."""
    if not re.fullmatch(r"\+?/[\x21-\x7e]*", text) or ".." in text.split("/"):
        message = f"{text!r} is no absolute path pattern (write /usr/share/doc/* or +/usr/share/doc/keep)"
        raise ValueError(message)
    return text


def below_inventory(text: str) -> str:
    """Parse the path of a file below inventory/: relative, no parent folder."""
    if not WORD.fullmatch(text) or text.startswith("/") or ".." in text.split("/"):
        message = f"{text!r} is no path below inventory/ (write keys/site_ed25519)"
        raise ValueError(message)
    return text


def address_range(text: str) -> tuple[IPv4Address, IPv4Address]:
    """Parse ``10.1.0.200-10.1.0.230``; both ends belong to the range."""
    try:
        first, _, last = str(text).partition("-")
        return ordered((IPv4Address(first.strip()), IPv4Address(last.strip())), text)
    except AddressValueError:
        message = f"{text!r} is no address range (write 10.1.0.200-10.1.0.230)"
        raise ValueError(message) from None


def address_range6(text: str) -> tuple[IPv6Address, IPv6Address]:
    """Parse ``fd00::100-fd00::1ff``; both ends belong to the range."""
    try:
        first, _, last = str(text).partition("-")
        return ordered((no_zone(IPv6Address(first.strip())), no_zone(IPv6Address(last.strip()))), text)
    except AddressValueError:
        message = f"{text!r} is no IPv6 address range (write fd00::100-fd00::1ff)"
        raise ValueError(message) from None


def ordered(ends: tuple[Address, Address], text: str) -> tuple[Address, Address]:
    """Return the ends of a range; the first may not lie behind the last."""
    if int(ends[0]) > int(ends[1]):
        message = f"the range {text} ends before it begins"
        raise ValueError(message)
    return ends


def any_address(text: Any) -> IPv4Address | IPv6Address:
    """Parse an address of either family, without a zone."""
    try:
        address = ip_address(str(text))
    except ValueError:
        message = f"{text!r} is no IPv4 or IPv6 address"
        raise ValueError(message) from None
    return no_zone(address)


def no_zone(address: AnyAddress) -> AnyAddress:
    """Refuse an IPv6 address with a zone (``fe80::1%eth0``), which means something on one machine only.

    Whatever stands behind the % is a zone to `ipaddress`, line ends and brackets too (RFC 4007 11 leaves it open).
    """
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        message = f"{address} names a NIC of one machine: write it without %{address.scope_id}"
        raise ValueError(message)
    return address


def subnet(network: Subnet) -> Subnet:
    """Refuse networks in which no machine of a cluster can have its address, and those with a zone (see `no_zone`)."""
    no_zone(network.network_address)
    what = (
        "multicast"
        if network.is_multicast
        else "link-local"
        if network.is_link_local
        else "reserved"
        if network.is_reserved or network.prefixlen == 0
        else ""
    )
    if what:
        message = f"{network} is {what}: no network for machines"
        raise ValueError(message)
    return network


def interface_name(text: str) -> str:
    """Parse the name of a network interface: 15 characters at most (IFNAMSIZ), none that a shell or a path minds."""
    return matching(INTERFACE, text, "no name of a network interface (write eth0, eno1, ib0, bond0.12)")


def variable(text: str) -> str:
    """Parse the name of a site's own variable: a word as programming languages have them."""
    return matching(VARIABLE, text, "no variable's name: small letters, digits, underscores")


def hardware(text: str) -> str:
    """Parse the name of a hardware model: it is shown, and compared with the table of quirks."""
    return matching(HARDWARE, text, "no model name: letters, digits, blanks and . + - _, 64 at most")


def login(text: str) -> str:
    """Parse a user's name: one word of ASCII that needs no quotes anywhere."""
    return matching(LOGIN, text, "no user's name: one word of letters, digits and . _ @ -")


def release(text: str) -> str:
    """Parse a kernel's version as ``uname -r`` prints it."""
    return matching(RELEASE, text, "no kernel version (write 6.1.0-18-amd64)")


def folder(text: str) -> str:
    """Parse an absolute path that a configuration file names without quotes."""
    if ".." in text.split("/"):
        message = f"{text!r} leads to a parent folder: write where it ends"
        raise ValueError(message)
    return matching(FOLDER, text, "no absolute path of letters, digits and . _ + @ : -")


def output_folder(text: str) -> str:
    """Parse `destdir`: like `folder`, but it may be relative to the checkout."""
    return matching(OUTPUT, text, "no path: letters, digits and / . _ + @ : ~ -")


def export_option(text: str) -> str:
    """Parse an option of exports(5): ``rw``, ``no_root_squash``, ``anonuid=1000``."""
    return matching(OPTION, text, "no option of exports(5) (write rw, no_root_squash, anonuid=1000)")


def host_or_address(text: str) -> str:
    """Parse a host name, a full name or an address."""
    try:
        address = ip_address(text)
    except ValueError:
        return domain_name(text)
    return str(no_zone(address))


def fstab_line(text: Any) -> FstabEntry:
    """Parse a line of fstab(5): six fields between blanks, none inside a field."""
    fields = str(text).split()
    if len(fields) != 6:
        blank = " Options are one word: 'defaults,size=10m' without a blank." if ", " in str(text) else ""
        message = f"an fstab line has 6 fields, this one has {len(fields)}: {text!r}.{blank}"
        raise ValueError(message)
    device, mountpoint, kind, options, dump, check = fields
    if not (mountpoint.startswith("/") or mountpoint in {"none", "swap"}):
        message = f"the mount point {mountpoint!r} is not absolute"
        raise ValueError(message)
    if not (re.fullmatch(r"[0-9]{1,3}", dump) and re.fullmatch(r"[0-9]{1,3}", check)):
        message = f"the last two fields of an fstab line are numbers, not {dump!r} {check!r}"
        raise ValueError(message)
    return FstabEntry(
        device=device, mountpoint=mountpoint, type=kind, options=options, dump=int(dump), check=int(check)
    )


def one_or_many(value: Any) -> Any:
    """Accept ``a`` for ``[a]``, ``a, b`` for ``[a, b]``, and nothing for no item."""
    if value is None:
        return []
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value
