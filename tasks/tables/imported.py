"""import-xcat: a folder of `tabdump` CSVs → a folder that is an inventory, and a list of what is not in it."""

import csv
import gc
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from tasks import files
from tasks.errors import BootmillError, InventoryError
from tasks.inventory.model import Cluster
from tasks.tables import parse, yamltext
from tasks.tables.csvtext import CONTROL
from tasks.tables.dump import Dump, Lost, read_dump
from tasks.tables.estate import Estate, media, osimages, site, switches
from tasks.tables.factor import Documents, Given, factored
from tasks.tables.machines import machines
from tasks.tables.members import addresses, groups, members
from tasks.tables.reader import Machine, Reader
from tasks.tables.secrets import FOLDER, Secrets
from tasks.tables.subnets import networks
from tasks.tables.words import Usage

USAGE = Usage(
    synopsis="doit import-xcat DIR [NEW_DIR]   (DIR: TABLE.csv from tabdump; without NEW_DIR the YAML is printed)",
    options=(),
    least=1,
    most=2,
)
LIST = "not-carried-over.csv"
SHOWN = 40  # lines of the summary; the list has all
HEAD_NAME = "mgt"
FORMULAS = frozenset("=+-@")  # what a cell begins with that a spreadsheet calculates
NOTE = "# Imported from xCAT's tables by doit import-xcat.\n"
Load = Callable[[Path], Cluster]


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import comes to: the inventory's files, its secrets by path, and what stays behind."""

    documents: Mapping[str, str]
    secrets: Mapping[str, str]
    lost: tuple[Lost, ...]
    nodes: int


def import_xcat(load: Load, words: Sequence[str]) -> None:
    """Carry out ``import-xcat DIR [NEW_DIR]``.

    `load` reads an inventory: what is written has to load, or the mistakes are told with their places in it.
    `BootmillError` where NEW_DIR holds something already, or the tables cannot be read.
    """
    plain, _ = USAGE.understand(words)
    target = Path(plain[1]) if len(plain) > 1 else None
    if target is not None and (target.is_file() or (target.exists() and any(target.iterdir()))):
        message = f"{target}: is there already, and an import never writes over anything"
        raise BootmillError(message, hint="name a folder that does not exist yet, or an empty one")
    gc.disable()  # a million values that stay: to look through them over and over takes a sixth of the time
    try:
        result = converted(Path(plain[0]))
    finally:
        gc.enable()
    if target is None:
        print("\n".join(f"# {name}.yaml\n{text.removeprefix(NOTE)}" for name, text in result.documents.items()))
        print("".join(f"# {line}\n" for line in summary(result.lost)), end="")
        return
    write(result, target)
    kept = f"; passwords are in {target / FOLDER}, and nowhere else" if result.secrets else ""
    print(f"{target}: {result.nodes} nodes{kept}")
    print("".join(f"{line}\n" for line in summary(result.lost)), end="")
    if result.lost:
        print(f"{target / LIST} lists all of it")
    try:
        load(target)
    except InventoryError as error:
        text = "\n".join(error.mistakes)
        message = f"the imported inventory has mistakes, as the tables have:\n{text}"
        raise BootmillError(message, hint=f"mend them in {target}, or mend the tables and import again") from error


def converted(folder: Path) -> Imported:
    """Return what a folder of tables says as an inventory; nothing is written."""
    dump, secrets, rest = read_dump(folder), Secrets(), Estate()
    members(dump)
    groups(dump, rest)
    book = addresses(dump)
    site(dump, rest, secrets)
    networks(dump, rest, str(book.get(parse.short_name(rest.master)) or rest.master))
    switches(dump, rest, secrets, book)
    media(dump, rest)
    osimages(dump, rest)
    found = machines(Reader(dump, rest, book, secrets))
    rest.site["master"] = head(dump, rest, found, book)
    documents = written(rest, factored(found, Given(own=rest.groups, closed=rest.closed)))
    lost = tuple(sorted({*dump.lost, *dump.leftovers()}))
    return Imported(documents=documents, secrets=dict(secrets.files), lost=lost, nodes=len(found))


def head(dump: Dump, rest: Estate, machines: list[Machine], book: Mapping[str, IPv4Address]) -> str:
    """Return the head node's name; xCAT need not have it among its nodes, an inventory has to."""
    name = parse.short_name(rest.master)
    known = {machine.name: machine for machine in machines}
    if name in known:
        return name
    try:
        address = parse.address(rest.master)
    except ValueError:
        if name not in book:
            message = f"{dump.folder / 'site.csv'}: the master {rest.master!r} has no address in the table hosts"
            hint = "add the head node to hosts.csv, or write its address as master"
            raise BootmillError(message, hint=hint) from None
        address = book[name]
    if found := next((machine.name for machine in machines if machine.attributes["ip",] == str(address)), None):
        return found
    names = [name, *(other for other, ip in book.items() if ip == address), HEAD_NAME, f"{HEAD_NAME}-xcat"]
    name = next(name for name in names if parse.is_label(name) and name not in known)
    for row in dump.index.get(("hosts", name), ()):
        dump.take(row, "ip", "hostnames")
    machine = Machine(name=name, groups=())
    machine.put(("ip",), str(address))
    machines.append(machine)
    dump.lost.append(Lost(table="site", row="master", column="value", why=f"is no node in xCAT: {name} is added"))
    return name


def written(rest: Estate, machines: Documents) -> dict[str, str]:
    """Return the text of each file."""
    rows = {
        "site": yamltext.lines(rest.site),
        "networks": yamltext.block(rest.networks),
        "switches": yamltext.block(rest.switches),
        "groups": yamltext.block(machines.groups),
        "nodes": yamltext.lines(machines.membership) + divided(yamltext.lines(machines.nodes)),
        "osimages": yamltext.block(rest.osimages),
        "media": yamltext.block(rest.media),
    }
    return {name: NOTE + text for name, text in rows.items()}


def divided(text: str) -> str:
    """Return a part of a document with an empty line before it, if there is one."""
    return f"\n{text}" if text else ""


def write(result: Imported, target: Path) -> None:
    """Write the inventory: the whole folder appears at once."""
    try:
        with files.replacing_tree(target) as folder:
            for name, text in result.documents.items():
                files.write_atomic(folder / f"{name}.yaml", text)
            if result.secrets:
                (folder / FOLDER).mkdir(mode=0o700)
            for name, text in result.secrets.items():
                files.write_atomic(folder / name, f"{text}\n", mode=0o600)
            if result.lost:
                files.write_atomic(folder / LIST, listed(result.lost))
    except OSError as error:
        message = f"{target}: cannot be written: {error.strerror}"
        raise BootmillError(message) from error


def listed(lost: Sequence[Lost]) -> str:
    """Return the list of what stays behind, as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "row", "column", "why"])
    writer.writerows(map(harmless, (item.table, item.row, item.column, item.why)) for item in lost)
    return out.getvalue()


def harmless(text: str) -> str:
    """Return a text that a spreadsheet does not take for a formula, and a terminal not for a command."""
    plain = CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return f"'{plain}" if plain[:1] in FORMULAS else plain


def summary(lost: Sequence[Lost]) -> list[str]:
    """Return what stays behind for people: like things together, with their number."""
    if not lost:
        return ["everything is carried over"]
    kinds = Counter((item.table, item.column, item.why) for item in lost)
    first = {(item.table, item.column, item.why): item.row for item in reversed(lost)}
    lines = [f"not carried over: {len(lost)}"]
    for kind in list(kinds)[:SHOWN]:
        table, column, why = kind
        more = f" and {kinds[kind] - 1} more" if kinds[kind] > 1 else ""
        lines.append(harmless(f"  {table}.{column} of {first[kind]}{more}: {why}"))
    return [*lines, f"  and {len(kinds) - SHOWN} kinds more"] if len(kinds) > SHOWN else lines
