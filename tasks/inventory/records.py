"""DNS records that a site adds by hand: what each type may say (RFC 1035, 2782, 3596), and whom it points to.  Pure.

Nothing but names, numbers and addresses, and in TXT any one line: who writes a zone file writes that anew.
"""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from tasks.inventory.model import RecordType

LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
RELATIVE = re.compile(rf"{LABEL}(?:\.{LABEL})*")
LONGEST_NAME = 253
NUMBERS = {RecordType.MX: 1, RecordType.SRV: 3, RecordType.CNAME: 0, RecordType.NS: 0}  # before the target
SHAPES = {
    RecordType.MX: "10 mail",
    RecordType.SRV: "0 0 123 mgt",
    RecordType.CNAME: "mgt",
    RecordType.NS: "mgt",
}


class Parsed(NamedTuple):
    """A record's value in its one form, and the name that it points to."""

    value: str
    target: str | None = None


def name(text: str, kind: RecordType) -> str:
    """Return a record's name: relative to the zone, ``@`` for the zone itself, ``*`` at most as its first label."""
    plain = text.lower()
    if plain == "@" and kind is not RecordType.CNAME:
        return plain
    if plain == "@":
        message = "the zone itself cannot be a CNAME: it has an SOA record (RFC 1034 3.6.2)"
        raise ValueError(message)
    if plain.endswith("."):
        message = f"{text!r} ends in a dot: names are relative to the zone, write them without its domain"
        raise ValueError(message)
    if not RELATIVE.fullmatch(plain.removeprefix("*.") if plain != "*" else "a") or len(plain) > LONGEST_NAME:
        message = f"{text!r} is no name of a record: labels of letters, digits, - and _ between dots"
        raise ValueError(message)
    if kind is RecordType.SRV and not re.match(r"_[a-z0-9-]+\._[a-z]+(\.|$)", plain):
        message = f"{text!r} is no name of an SRV record: _service._protocol, such as _ntp._udp (RFC 2782)"
        raise ValueError(message)
    return plain


def parsed(kind: RecordType, text: str) -> Parsed:
    """Return what a record says; `ValueError` where it cannot say that."""
    match kind:
        case RecordType.A:
            return Parsed(str(IPv4Address(text.strip())))
        case RecordType.AAAA:
            address = IPv6Address(text.strip())
            if address.scope_id is not None:
                message = f"{text!r} names a NIC of one machine: write it without %{address.scope_id}"
                raise ValueError(message)
            return Parsed(str(address))
        case RecordType.TXT:
            return Parsed(line(text))
    return pointing(kind, text.split())


def line(text: str) -> str:
    """Return the text of a TXT record: any characters that can be seen, in quotes or not."""
    if not text.isprintable():
        message = f"{text!r} is no text for a TXT record: one line of characters that can be seen"
        raise ValueError(message)
    return text


def pointing(kind: RecordType, words: list[str]) -> Parsed:
    """Return what a record that points to a name says: numbers below 65536, then the name."""
    numbers, target = words[:-1], words[-1].lower() if words else ""
    plain = all(re.fullmatch(r"[0-9]{1,5}", number) and int(number) < 1 << 16 for number in numbers)
    if len(numbers) != NUMBERS[kind] or not plain:
        message = f"{' '.join(words)!r} is no value of {kind}: write it as in {SHAPES[kind]!r}"
        raise ValueError(message)
    if target == "." and kind in {RecordType.MX, RecordType.SRV}:
        return Parsed(" ".join([*numbers, target]))  # there is none (RFC 7505, RFC 2782)
    if not RELATIVE.fullmatch(target.removesuffix(".")) or len(target) > LONGEST_NAME:
        message = f"{target!r} is no name that {kind} could point to"
        raise ValueError(message)
    return Parsed(" ".join([*(str(int(number)) for number in numbers), target]), target)
