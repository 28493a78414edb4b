"""The records that a site adds to its zone by hand, taken apart and written anew: none of its text passes as it is.

A name without a last dot is relative to the site's domain, as in a zone file; we write every name in full.
"""

import re
from ipaddress import IPv4Address, IPv6Address

from tasks.errors import BootmillError
from tasks.inventory.model import DnsRecord, RecordType

# RFC 1035 2.3.4 and RFC 2181 11: lengths, and that any octet may be in a label; these are those that people use.
LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
NUMBER = re.compile(r"[0-9]{1,5}")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"\s*', re.DOTALL)
ESCAPE = re.compile(r"\\(?P<octet>[0-9]{3})|\\(?P<escaped>.)|(?P<plain>.)", re.DOTALL)
PLAIN = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')
LONGEST = 255  # octets in one of a TXT record's strings
LONGEST_NAME = 254  # characters, the last dot included: 255 octets as it is sent
FIELDS = {RecordType.MX: "preference, host", RecordType.SRV: "priority, weight, port, host"}


def record(one: DnsRecord, domain: str) -> tuple[str, str]:
    """Return a record's full name (without the last dot) and its line from the class on: ``IN SRV 0 0 123 …``.

    `BootmillError` says what is wrong with a record that the inventory's check should not have let through.
    """
    try:
        return owner(one.name, domain), f"IN {one.type} {value(one, domain)}"
    except ValueError as error:
        message = f"site.records: {one.name} {one.type} {one.value!r}: {error}"
        raise BootmillError(message, hint="correct 'records' in inventory/site.yaml") from error


def owner(name: str, domain: str) -> str:
    """Return the full name of what a record is about: ``@`` is the domain, a first label ``*`` stands for any."""
    if name == "@":
        return domain
    star = "*." if name == "*" or name.startswith("*.") else ""
    rest = name.removeprefix("*").removeprefix(".") if star else name
    full = full_name(rest, domain) if rest or not star else f"{domain}."
    if not f".{full}".endswith(f".{domain}."):
        message = f"{full} does not lie in {domain}"
        raise ValueError(message)
    return star + full.removesuffix(".")


def full_name(name: str, domain: str) -> str:
    """Return a name with its last dot, checked label by label."""
    full = name if name.endswith(".") else f"{name}.{domain}."
    if full != "." and not all(LABEL.fullmatch(label) for label in full[:-1].split(".")):
        message = f"{name!r} is no name: letters, digits, underscores and inner hyphens, 63 at most between two dots"
        raise ValueError(message)
    if len(full) > LONGEST_NAME:
        message = f"{full} is longer than {LONGEST_NAME} characters"
        raise ValueError(message)
    return full.lower()


def value(one: DnsRecord, domain: str) -> str:
    """Return a record's data, written anew."""
    match one.type:
        case RecordType.A:
            return str(IPv4Address(one.value.strip()))
        case RecordType.AAAA:
            return address6(one.value.strip())
        case RecordType.CNAME | RecordType.NS:
            return full_name(one.value.strip(), domain)
        case RecordType.TXT:
            return strings(one.value)
        case RecordType.MX | RecordType.SRV:
            return numbered(one, domain)


def address6(text: str) -> str:
    """Return an IPv6 address; one with a zone (``fe80::1%eth0``) holds on one machine only, and may say anything."""
    found = IPv6Address(text)
    if found.scope_id is not None:
        message = f"{text!r} names an interface"
        raise ValueError(message)
    return str(found)


def numbered(one: DnsRecord, domain: str) -> str:
    """Return the data of a record that has numbers (16 bits each) before a host; the host ``.`` is none at all."""
    *numbers, host = one.value.split() or [""]
    count = len(FIELDS[one.type].split(",")) - 1
    if len(numbers) != count or not all(NUMBER.fullmatch(word) and int(word) < 1 << 16 for word in numbers):
        message = f"write {FIELDS[one.type]}, numbers up to 65535"
        raise ValueError(message)
    return " ".join([*(str(int(word)) for word in numbers), full_name(host, domain)])


def strings(text: str) -> str:
    """Return a TXT record's text, quoted: strings of 255 octets at most.

    A text that is quoted already, as in a zone file (``"v=spf1 -all"``, or several such strings), is taken apart.
    """
    plain = text.strip()
    quoted = plain and not STRING.sub("", plain)
    given = [unescaped(found) for found in STRING.findall(plain)] if quoted else [text.encode()]
    pieces = [octets[start : start + LONGEST] for octets in given for start in range(0, len(octets) or 1, LONGEST)]
    return " ".join(f'"{"".join(map(escaped, piece))}"' for piece in pieces)


def unescaped(text: str) -> bytes:
    r"""Return what a quoted string stands for (RFC 1035 5.1): ``\DDD`` is an octet, ``\X`` is X."""
    return b"".join(octets(match) for match in ESCAPE.finditer(text))


def octets(match: re.Match[str]) -> bytes:
    """Return what one character or escape stands for."""
    if match["octet"] is None:
        return (match["escaped"] or match["plain"]).encode()
    if int(match["octet"]) > 255:
        message = f"\\{match['octet']} is no octet: 255 at most"
        raise ValueError(message)
    return bytes([int(match["octet"])])


def escaped(octet: int) -> str:
    """Return an octet as a quoted string has it."""
    return chr(octet) if octet in PLAIN else f"\\{octet:03}"
