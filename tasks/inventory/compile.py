"""Documents → Cluster.  Every mistake is collected; nothing is returned while there is one."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from tasks import template
from tasks.errors import InventoryError
from tasks.inventory import check, load, noderange, schema
from tasks.inventory.load import Document, Mark, Path_
from tasks.inventory.model import (
    Bmc,
    BootState,
    Cluster,
    Console,
    Media,
    Netboot,
    Network,
    Node,
    OsImage,
    SecretRef,
    Site,
    Switch,
    SwitchPort,
)

OSIMAGE_NAME = re.compile(r"([a-z]+[0-9.]*)-([a-z0-9_]+)-(netboot|install)-([a-z][a-z0-9_]*)")
MEDIA_NAME = re.compile(r"([a-z]+[0-9.]*)-([a-z0-9_]+)")
NUMBERS = re.compile(r"[0-9]+")
Row = TypeVar("Row", bound=schema.Table)
COMPOUND = ("bmc", "port", "console")  # attributes made of attributes: merged one by one, as xCAT's columns are


@dataclass(kw_only=True)
class Mistakes:
    """What is wrong, with its place; `finish()` raises all of it at once."""

    found: list[tuple[Mark, str]] = field(default_factory=list)

    def add(self, mark: Mark, text: str) -> None:
        """Note a mistake once."""
        if (mark, text) not in self.found:
            self.found.append((mark, text))

    def finish(self) -> None:
        """Raise an `InventoryError` with every mistake in reading order, if there is one."""
        if self.found:
            ordered = sorted(self.found, key=lambda item: (item[0].file, item[0].line, item[0].column))
            raise InventoryError([f"{mark}: {text}" for mark, text in ordered])


@dataclass(frozen=True, kw_only=True)
class Cell:
    """An attribute's value before it has a type, and where it was written."""

    value: Any
    mark: Mark


def load_cluster(folder: Path) -> Cluster:
    """Read inventory/ and return the cluster; `InventoryError` holds every mistake with its place."""
    mistakes = Mistakes()
    names = ("site", "networks", "switches", "groups", "nodes", "osimages", "media", "discovered", "bootstate")
    documents = {name: load.read(folder / f"{name}.yaml") for name in names}
    for document in documents.values():
        for mark, text in document.mistakes:
            mistakes.add(mark, text)
    for name in ("site", "networks", "nodes"):
        if not (folder / f"{name}.yaml").exists():
            mistakes.add(documents[name].mark(()), "is missing: copy the sample from Bootmill's inventory/")
    mistakes.finish()
    cluster, marks = Compiler(documents, mistakes).cluster()
    for mark, text in check.cluster(cluster, marks):
        mistakes.add(mark, text)
    mistakes.finish()
    return cluster


class Compiler:
    """One pass from documents to the model."""

    def __init__(self, documents: dict[str, Document], mistakes: Mistakes) -> None:
        """Keep the documents by table name."""
        self.documents = documents
        self.mistakes = mistakes
        self.marks: check.Marks = {}

    def cluster(self) -> tuple[Cluster, "check.Marks"]:
        """Return the cluster and the place of each of its values, for the checks that compare rows."""
        site_row = self.row("site", schema.SiteIn, self.documents["site"].value or {}, ())
        if site_row is None:
            self.mistakes.finish()
        assert site_row is not None
        nodes = self.nodes(site_row)
        master = next((node for node in nodes if node.name == site_row.master), None)
        if master is None:
            self.mistakes.add(self.documents["site"].mark(("master",)), f"master {site_row.master!r} is no node in nodes.yaml")
        networks = [self.network(name, row, master) for name, row in self.rows("networks", schema.NetworkIn)]
        switches = [self.switch(name, row) for name, row in self.rows("switches", schema.SwitchIn)]
        images = [image for name, row in self.rows("osimages", schema.OsImageIn) if (image := self.osimage(name, row))]
        media = [medium for name, row in self.rows("media", schema.MediaIn) if (medium := self.medium(name, row))]
        self.mistakes.finish()
        assert master is not None
        return (
            Cluster(
                site=self.site(site_row, master),
                networks=tuple(networks),
                switches=tuple(switches),
                nodes=tuple(nodes),
                osimages=tuple(images),
                media=tuple(media),
            ),
            self.marks,
        )

    # -- tables ------------------------------------------------------------------------------------------------------

    def rows(self, table: str, kind: type[Row]) -> Iterator[tuple[str, Row]]:
        """Yield the valid rows of a table that is keyed by name."""
        value = self.documents[table].value or {}
        if not isinstance(value, dict):
            self.mistakes.add(self.documents[table].mark(()), f"{table}.yaml maps names to attributes")
            return
        for name, content in value.items():
            row = self.row(table, kind, content if content is not None else {}, (name,))
            if row is not None:
                self.remember(table, name, content or {}, (name,))
                yield name, row

    def remember(self, table: str, name: str, content: Any, path: Path_) -> None:
        """Note the places of a row's values."""
        document = self.documents[table]
        self.marks[(table, name, "")] = document.mark(path)
        for key in content if isinstance(content, dict) else ():
            self.marks[(table, name, key)] = document.mark((*path, key))

    def row(self, table: str, kind: type[Row], content: Any, path: Path_) -> Row | None:
        """Validate one row; complaints go to where the value was written."""
        document = self.documents[table]
        try:
            return kind.model_validate(content)
        except ValidationError as error:
            for problem in error.errors():
                place = tuple(part for part in problem["loc"] if not isinstance(part, str) or part != "[key]")
                subject = f"{path[0]}: " if path else ""
                self.mistakes.add(document.mark((*path, *place)), f"{subject}{sentence(problem, kind)}")
            return None

    def site(self, row: schema.SiteIn, master: Node) -> Site:
        """Return the site with what follows from it filled in."""
        return Site(
            domain=row.domain,
            master=row.master,
            destdir=row.destdir,
            nameservers=tuple(row.nameservers) or (master.ip,),
            forwarders=tuple(row.forwarders),
            ssh_key=row.ssh_key,
            dns_contact=row.dns_contact or f"hostmaster.{row.domain}",
        )

    def network(self, name: str, row: schema.NetworkIn, master: Node | None) -> Network:
        """Return a network; boot files come from the head node unless it says otherwise."""
        head = master.ip if master else IPv4Address(0)
        return Network(
            name=name,
            subnet=row.subnet,
            gateway=row.gateway,
            dynamic_range=row.dynamic_range,
            next_server=row.next_server or head,
        )

    def switch(self, name: str, row: schema.SwitchIn) -> Switch:
        """Return a switch; its name is a host name."""
        self.host_name("switches", name)
        return Switch(name=name, ip=row.ip, ports=row.ports, community=row.community)

    def host_name(self, table: str, name: str) -> None:
        """Complain about a row whose name cannot be a host name."""
        try:
            schema.host_name(name)
        except ValueError as error:
            self.mistakes.add(self.documents[table].mark((name,)), str(error))

    def osimage(self, name: str, row: schema.OsImageIn) -> OsImage | None:
        """Return an osimage; its name says os, arch, method and profile."""
        parts = OSIMAGE_NAME.fullmatch(name)
        if parts is None:
            text = f"{name!r} is no osimage name: <os>-<arch>-<netboot|install>-<profile>"
            self.mistakes.add(self.documents["osimages"].mark((name,)), text)
            return None
        os, arch, method, profile = parts.groups()
        return OsImage(
            name=name,
            os=os,
            arch=arch,
            method=method,
            profile=profile,
            media=row.media,
            packages=tuple(sorted(set(row.packages))),
            exclude=tuple(row.exclude),
            drivers=tuple(row.drivers),
            kernel=row.kernel,
            kernel_args=tuple(row.kernel_args),
            fstab=tuple(row.fstab),
            services_off=tuple(row.services_off),
        )

    def medium(self, name: str, row: schema.MediaIn) -> Media | None:
        """Return a medium; it has an ISO or a suite to make one from, and its name says os and arch."""
        mark = self.documents["media"].mark((name,))
        parts = MEDIA_NAME.fullmatch(name)
        if parts is None:
            self.mistakes.add(mark, f"{name!r} is no media name: <os>-<arch>, e.g. debian12-x86_64")
            return None
        if (row.iso is None) == (row.suite is None):
            self.mistakes.add(mark, f"{name}: give either 'iso' (a file or a DVD device) or 'suite' (to make one)")
            return None
        return Media(name=name, os=parts[1], arch=parts[2], iso=row.iso, suite=row.suite)

    # -- nodes -------------------------------------------------------------------------------------------------------

    def nodes(self, site: schema.SiteIn) -> list[Node]:
        """Return the nodes in natural order: entries by noderange, then groups, then the site's defaults."""
        own = self.entries("nodes")
        self.machine_written(own)
        groups = self.attribute_table("groups")
        defaults = {
            path: Cell(value=value, mark=self.documents["site"].mark(("defaults", *path)))
            for path, value in leaves(site.defaults)
        }
        self.marks |= {("groups", name, ""): self.documents["groups"].mark((name,)) for name in groups}
        result = []
        for name in noderange.natural(own):
            node = self.node(name, own[name], groups, defaults)
            if node is not None:
                result.append(node)
        return result

    def entries(self, table: str) -> dict[str, dict[Path_, Cell]]:
        """Return each node's own attributes: all the entries whose noderange names it, put together."""
        document = self.documents[table]
        result: dict[str, dict[Path_, Cell]] = {}
        value = document.value or {}
        if not isinstance(value, dict):
            self.mistakes.add(document.mark(()), f"{table}.yaml maps noderanges to attributes")
            return result
        for key, content in value.items():
            try:
                names = noderange.names(key)
            except ValueError as error:
                self.mistakes.add(document.mark((key,)), str(error))
                continue
            if content is not None and not isinstance(content, dict):
                self.mistakes.add(document.mark((key,)), f"{key}: attributes are written as 'name: value'")
                continue
            cells = {path: Cell(value=leaf, mark=document.mark((key, *path))) for path, leaf in leaves(content or {})}
            for name in names:
                self.host_name_of_node(name, document.mark((key,)))
                self.put(result.setdefault(name, {}), cells, name)
                self.marks.setdefault((table, name, ""), document.mark((key,)))
        return result

    def host_name_of_node(self, name: str, mark: Mark) -> None:
        """Complain about a node whose name DNS forbids."""
        try:
            schema.host_name(name)
        except ValueError as error:
            self.mistakes.add(mark, str(error))

    def put(self, into: dict[Path_, Cell], cells: Mapping[Path_, Cell], name: str) -> None:
        """Add attributes; the same attribute from two entries is a mistake, for neither is the obvious winner."""
        for path, cell in cells.items():
            if path in into:
                other = into[path].mark
                text = f"{name}: {'.'.join(map(str, path))} is given twice (also at {other.file}:{other.line})"
                self.mistakes.add(cell.mark, text)
            else:
                into[path] = cell

    def machine_written(self, own: dict[str, dict[Path_, Cell]]) -> None:
        """Lay discovered MACs and nodeset's boot states over the nodes."""
        for table in ("discovered", "bootstate"):
            for name, cells in self.entries(table).items():
                if name not in own:
                    mark = self.marks[(table, name, "")]
                    self.mistakes.add(mark, f"{name} is no node in nodes.yaml{near(name, own)}: remove the entry")
                    continue
                if table == "bootstate":
                    own[name].update(cells)
                else:
                    self.put(own[name], cells, name)

    def attribute_table(self, table: str) -> dict[str, dict[Path_, Cell]]:
        """Return the attributes of each group."""
        document = self.documents[table]
        value = document.value or {}
        if not isinstance(value, dict):
            self.mistakes.add(document.mark(()), f"{table}.yaml maps names to attributes")
            return {}
        return {
            name: {path: Cell(value=leaf, mark=document.mark((name, *path))) for path, leaf in leaves(content or {})}
            for name, content in value.items()
        }

    def node(
        self,
        name: str,
        own: dict[Path_, Cell],
        groups: dict[str, dict[Path_, Cell]],
        defaults: dict[Path_, Cell],
    ) -> Node | None:
        """Resolve one node: site defaults < groups (the first that has the attribute wins) < its own entries."""
        membership = own.get(("groups",))
        listed = schema.one_or_many(membership.value) if membership else []
        cells = dict(defaults)
        for group in reversed(listed if isinstance(listed, list) else []):
            cells.update(groups.get(group, {}))
        cells.update(own)
        for path, cell in cells.items():
            self.marks[("nodes", name, ".".join(str(part) for part in path))] = cell.mark
        row = self.evaluated(name, cells)
        if row is None:
            return None
        return self.finished(name, row)

    def evaluated(self, name: str, cells: dict[Path_, Cell]) -> schema.NodeIn | None:
        """Evaluate the expressions of a node and give every value its type."""
        plain = {str(path[0]): cell.value for path, cell in cells.items() if len(path) == 1 and "{{" not in str(cell.value)}
        values = {**plain, "name": name, "n": tuple(int(number) for number in NUMBERS.findall(name))}
        tree: dict[str, Any] = {}
        sound = True
        for path, cell in cells.items():
            value = cell.value
            if isinstance(value, str) and "{" in value and ("{{" in value or "{%" in value):
                try:
                    value = template.expression(value, values)
                except ValueError as error:
                    self.mistakes.add(cell.mark, f"{name}: {'.'.join(map(str, path))}: {cell.value!r}: {error}")
                    sound = False
                    continue
            branch = tree
            for part in path[:-1]:
                branch = branch.setdefault(str(part), {})
            branch[str(path[-1])] = value
        if not sound:
            return None
        try:
            return schema.NodeIn.model_validate(tree)
        except ValidationError as error:
            home = self.marks[("nodes", name, "")]
            for problem in error.errors():
                place = ".".join(str(part) for part in problem["loc"])
                mark = next(
                    (
                        self.marks[("nodes", name, key)]
                        for key in (place, place.rpartition(".")[0], place.split(".")[0])
                        if ("nodes", name, key) in self.marks and key
                    ),
                    home,
                )
                self.mistakes.add(mark, f"{name}: {sentence(problem, schema.NodeIn)}")
            return None

    def finished(self, name: str, row: schema.NodeIn) -> Node:
        """Return the model's node."""
        netboot = row.netboot
        if netboot is Netboot.PXE and row.firmware == "uefi":
            netboot = Netboot.GRUB  # PXELINUX is a BIOS program
        return Node(
            name=name,
            groups=tuple(dict.fromkeys([*row.groups, "all"])),
            aliases=tuple(row.aliases),
            ip=row.ip,
            mac=row.mac,
            model=row.model,
            firmware=row.firmware,
            netboot=netboot,
            osimage=row.osimage,
            state=BootState(row.state),
            console=Console(port=row.console.port, speed=row.console.speed) if row.console else None,
            kernel_args=tuple(row.kernel_args),
            bmc=bmc(name, row.bmc) if row.bmc else None,
            port=SwitchPort(switch=row.port.switch, port=row.port.port) if row.port else None,
            memory=row.memory,
            nic=row.nic,
        )


def bmc(name: str, row: schema.BmcIn) -> Bmc:
    """Return a node's BMC; its host name is ``<node>-ipmi``, as in the seed's tables."""
    return Bmc(name=f"{name}-ipmi", address=row.address, user=row.user, password=row.password)


def leaves(content: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Yield each attribute with its path; those of `COMPOUND` are entered, all else is one value."""
    for key, value in content.items():
        if isinstance(value, dict) and key in COMPOUND:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def near(word: str, known: Any) -> str:
    """Return `` (did you mean x?)`` where a known word is near."""
    close = difflib.get_close_matches(word, [str(item) for item in known], n=2)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def sentence(problem: Any, kind: type[schema.Table]) -> str:
    """Return pydantic's complaint as a sentence of ours."""
    where = ".".join(str(part) for part in problem["loc"])
    last = str(problem["loc"][-1]) if problem["loc"] else ""
    given = problem.get("input")
    if problem["type"] == "extra_forbidden":
        return f"unknown attribute {last!r}{near(last, columns(kind, problem['loc'][:-1]))}"
    if problem["type"] == "missing":
        return f"{where} is missing"
    if problem["type"] == "value_error":
        return f"{where}: {problem['ctx']['error']}"
    if problem["type"] == "is_instance_of" and not isinstance(given, SecretRef):
        return f"{where}: a secret is never written here: use '!secret env:NAME' or '!secret file:PATH'"
    if problem["type"] == "enum":
        return f"{where}: {given!r} is none of {problem['ctx']['expected']}{near(str(given), re.findall(r'[a-z]+', problem['ctx']['expected']))}"
    shown = f", not {given!r}" if isinstance(given, str | None) else ""
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}{shown}"


def columns(kind: type[schema.Table], path: Any) -> list[str]:
    """Return the attribute names that are known at a place of a table."""
    fields: Any = kind.model_fields
    for part in path:
        annotation = str(fields[part].annotation) if part in fields else ""
        inner = next((table for table in schema.Table.__subclasses__() if table.__name__ in annotation), None)
        if inner is None:
            break
        fields = inner.model_fields
    return list(fields)
