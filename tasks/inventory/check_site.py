"""What site.yaml says: records, exports; and all references to secrets, wherever they are.  Pure."""

import re
from collections import Counter
from collections.abc import Iterator
from ipaddress import AddressValueError

from tasks.inventory import check_names, records
from tasks.inventory.check_base import Marks, Mistake, Tables
from tasks.inventory.check_between import claims, standing
from tasks.inventory.mistakes import unknown
from tasks.inventory.model import DnsRecord, RecordType, SecretKind, SecretRef

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CONTRARY = ({"ro", "rw"}, {"sync", "async"}, {"subtree_check", "no_subtree_check"}, {"root_squash", "no_root_squash"})


def site(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield what is wrong with site.yaml, and with secrets."""
    yield from exports(tables, marks)
    yield from dns(tables, marks)
    yield from aliased(tables, marks)
    yield from secrets(tables, marks)


def exports(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield exports of nowhere, to nobody, twice, or with options that say the contrary of each other."""
    known, seen = tables.written["networks"], set[str]()
    for number, export in enumerate(tables.site.exports if tables.site else ()):
        for network in export.networks:
            if known is not None and network not in known:
                mark = marks.place("site", "", "exports", number, "networks")
                yield mark, export.path, unknown("network", network, known)
        if export.path in seen:
            yield marks.place("site", "", "exports", number, "path"), "", f"{export.path} is exported twice"
        seen.add(export.path)
        for pair in CONTRARY:
            if pair <= set(export.options):
                text = f"the options {' and '.join(sorted(pair))} exclude each other"
                yield marks.place("site", "", "exports", number, "options"), export.path, text


def dns(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield records that a zone cannot have."""
    found = tables.site.records if tables.site else ()
    names = Counter(record.name for record in found)
    seen: set[DnsRecord] = set()
    for number, record in enumerate(found):
        try:
            records.name(record.name, record.type)
        except ValueError as error:
            yield marks.place("site", "", "records", number, "name"), "", str(error)
        mark = marks.place("site", "", "records", number, "value")
        try:
            records.parsed(record.type, record.value)
        except AddressValueError:
            yield mark, record.name, f"{record.value!r} is no {'IPv4' if record.type == 'A' else 'IPv6'} address"
        except ValueError as error:
            yield mark, record.name, str(error)
        if record in seen:
            yield mark, record.name, "this record is there already"
        elif record.type == RecordType.CNAME and names[record.name] > 1:
            text = "a CNAME stands alone: no other record has its name (RFC 1034 3.6.2)"
            yield marks.place("site", "", "records", number, "type"), record.name, text
        seen.add(record)


def targets(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield records that point to names that are not there."""
    pointing = [*pointers(tables)]
    if not pointing or tables.site is None:
        return
    known = {str(claim.value) for node in tables.nodes for claim in claims(node) if claim.kind == "host name"}
    known |= {str(claim.value) for _, _, claim in standing(tables) if claim.kind == "host name"}
    known |= own_names(tables) | (tables.written.get("nodes") or frozenset())
    for number, record, target in pointing:
        if target not in known:
            dotted = (
                f"{target} means {target}.{tables.site.domain} here: write {target}. for a name outside of the zone"
            )
            text = dotted if "." in target else unknown("host", target, known)
            yield marks.place("site", "", "records", number, "value"), record.name, text


def own_names(tables: Tables) -> frozenset[str]:
    """Return the names of the records themselves."""
    return frozenset(record.name for record in tables.site.records) if tables.site else frozenset()


def aliased(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield records that point to a CNAME, although their type must name the machine itself."""
    if tables.site is None:
        return
    names = {f"{one.name}.{tables.site.domain}" for one in tables.site.records if one.type == RecordType.CNAME}
    for number, record, target, full in check_names.pointers(tables):
        if full in names and record.type != RecordType.CNAME:
            text = f"{record.type} must not point to the CNAME {target} (RFC 2181 10.3): name the machine itself"
            yield marks.place("site", "", "records", number, "value"), record.name, text


def pointers(tables: Tables) -> Iterator[tuple[int, DnsRecord, str]]:
    """Yield the records that point into the zone (names with a dot at their end do not): number, record, name."""
    for number, record, target, _ in check_names.pointers(tables):
        if not target.endswith("."):
            yield number, record, target


def secrets(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield the references that cannot lead to a secret: a file outside of inventory/, no name of a variable."""
    seen: set[int] = set()
    for table, row, path, secret in references(tables):
        if id(secret) in seen:  # a group's reference is one for all its nodes
            continue
        seen.add(id(secret))
        text = misled(secret)
        if text:
            yield marks.place(table, row, *path), row, text


def misled(secret: SecretRef) -> str:
    """Return what is wrong with a reference, nothing where it may lead to a secret."""
    if secret.kind is SecretKind.ENV:
        return "" if VARIABLE.fullmatch(secret.where) else "this is no name of an environment variable"
    if secret.where.startswith("/") or ".." in secret.where.split("/") or "\\" in secret.where:
        return "a secret's file lies below inventory/, without '..'"
    return ""


def references(tables: Tables) -> Iterator[tuple[str, str, tuple[str, ...], SecretRef]]:
    """Yield every reference to a secret: table, row, path."""
    for password in tables.site.passwords if tables.site else ():
        yield "site", "", ("passwords", password.key, "password"), password.password
    for switch in tables.switches:
        for attribute in ("community", "auth_password", "privacy_password"):
            secret = getattr(switch, attribute)
            if secret is not None:
                yield "switches", switch.name, (attribute,), secret
    for node in tables.nodes:
        if node.bmc is not None and node.bmc.password is not None:
            yield "nodes", node.name, ("bmc", "password"), node.bmc.password
