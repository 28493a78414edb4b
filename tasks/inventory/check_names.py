"""What machines are called in DNS, and the site's records that point to a name which nobody has, or to an alias.  Pure.

A name lies in the domain of the network of its address: ``mail`` at an address in a network with the domain
``ib.a.example`` is ``mail.ib.a.example``, and there is no ``mail.a.example``.  Only the head node has its name in the
site's domain too.  Aliases are CNAMEs beside the name that they stand for.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from tasks.inventory import records
from tasks.inventory.check_base import Marks, Mistake, Tables
from tasks.inventory.model import DnsRecord, Node, RecordType

Address = IPv4Address | IPv6Address


class Spoken(NamedTuple):
    """A name in DNS, its domain, and for an alias the name that it stands for."""

    name: str
    domain: str
    canonical: str = ""

    @property
    def full(self) -> str:
        """Return the full name."""
        return f"{self.name}.{self.domain}"


class Pointer(NamedTuple):
    """A record of the site that points to a name: as it is written, and in full, without the last dot."""

    number: int
    record: DnsRecord
    target: str
    full: str


def pointers(tables: Tables) -> Iterator[Pointer]:
    """Yield the records that point to a name."""
    for number, record in enumerate(tables.site.records if tables.site else ()):
        try:
            target = records.parsed(record.type, record.value).target
        except ValueError:
            continue
        if target and tables.site:
            full = target.removesuffix(".") if target.endswith(".") else f"{target}.{tables.site.domain}"
            yield Pointer(number, record, target, full)


def of_nodes(nodes: Iterable[Node], tables: Tables) -> Iterator[Spoken]:
    """Yield the nodes' names that a record may not point to as to others: aliases, and names in another domain."""
    for node in nodes:
        yield from machine(tables, (node.name, *node.aliases), node.ip, node.ip6)
        for nic in node.nics:
            yield from machine(tables, nic.names, nic.ip, nic.ip6)
        if node.bmc:
            yield from machine(tables, (node.bmc.name,), node.bmc.address)


def of_switches(tables: Tables) -> Iterator[Spoken]:
    """Yield the same of the switches."""
    for switch in tables.switches:
        yield from machine(tables, (switch.name,), switch.ip)


def machine(tables: Tables, names: tuple[str, ...], *addresses: Address | None) -> Iterator[Spoken]:
    """Yield one machine's aliases, and its name where it is in another domain than the site's; as zones have them."""
    if tables.site is None:
        return
    homes = [tables.finder.find(address) for address in addresses if address]
    domains = [(home and home.domain) or tables.site.domain for home in homes]
    if not domains:
        return
    if tables.site.domain not in domains and names[0] != tables.site.master:
        yield Spoken(names[0], domains[0])
    for alias in names[1:]:
        yield Spoken(alias, domains[0], names[0])


def misdirected(tables: Tables, marks: Marks, spoken: Iterable[Spoken]) -> Iterator[Mistake]:
    """Yield records that point to a machine by a name that it has not, or to an alias where only a machine may be."""
    pointing = [*pointers(tables)]
    if not pointing or tables.site is None:
        return
    elsewhere: dict[str, Spoken] = {}
    aliases: dict[str, Spoken] = {}
    for one in spoken:
        if one.domain != tables.site.domain:
            elsewhere[f"{one.name}.{tables.site.domain}"] = one
        if one.canonical:
            aliases[one.full] = one
    own = {f"{record.name}.{tables.site.domain}" for record in tables.site.records}
    for number, record, target, full in pointing:
        there = elsewhere.get(full) if full not in own else None
        alias = aliases.get(there.full if there else full) if record.type != RecordType.CNAME else None
        text = ""
        if alias:
            right = f"{alias.canonical}.{alias.domain}"
            text = f"{record.type} must not point to {target}, an alias (RFC 2181 10.3): name the machine, {right}."
        elif there:
            text = f"there is no {full}: {there.name} lies in a network with a domain of its own, write {there.full}."
        if text:
            yield marks.place("site", "", "records", number, "value"), record.name, text
