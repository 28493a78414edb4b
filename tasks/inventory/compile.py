"""Documents → Cluster.  Every mistake is collected; nothing is returned while there is one.

What can be checked is checked, whatever else is wrong: a table that cannot be read only silences the checks that need
it, and a row that is wrong still counts as a name that others may refer to.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from tasks.inventory import check, noderange, resolve, schema
from tasks.inventory.load import Document, Mark, Path_, read
from tasks.inventory.mistakes import Mistakes, sentence, unknown_attribute
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
    Site,
    Switch,
    SwitchPort,
)
from tasks.inventory.resolve import Cells

TABLES = ("site", "networks", "switches", "groups", "nodes", "osimages", "media", "discovered", "bootstate")
REQUIRED = ("site", "networks", "nodes")
NODE_TABLES = ("site", "groups", "nodes", "discovered", "bootstate")  # a node's attributes come from these
OSIMAGE_NAME = re.compile(r"([a-z]+[0-9.]*)-([a-z0-9_]+)-(netboot|install)-([a-z][a-z0-9_]*)")
MEDIA_NAME = re.compile(r"([a-z]+[0-9.]*)-([a-z0-9_]+)")
MOST_NODES = 200_000
MOST_HINTS = 20  # looking for near names among ten thousand takes a tenth of a second
Row = TypeVar("Row", bound=schema.Table)


def load_cluster(folder: Path) -> Cluster:
    """Read inventory/ and return the cluster; `InventoryError` holds every mistake with its place."""
    mistakes = Mistakes()
    documents = {name: read(folder / f"{name}.yaml") for name in TABLES}
    for name in REQUIRED:
        if not (folder / f"{name}.yaml").exists():
            documents[name].broken = True
            mistakes.add(documents[name].mark(()), "is missing: copy the sample from Bootmill's inventory/")
    for document in documents.values():
        for mark, text in document.mistakes:
            mistakes.add(mark, text)
    compiler = Compiler(documents, mistakes)
    tables = compiler.tables()
    for mark, subject, text in check.tables(tables, compiler.marks):
        mistakes.add(mark, text, subject=subject)
    mistakes.finish()
    return compiler.cluster(tables)


class Compiler:
    """One pass from documents to the model."""

    def __init__(self, documents: dict[str, Document], mistakes: Mistakes) -> None:
        """Keep the documents by table name."""
        self.documents = documents
        self.mistakes = mistakes
        self.marks: check.Marks = {}
        self.site_row: schema.SiteIn | None = None
        for name, document in documents.items():
            if document.value is not None and not isinstance(document.value, dict):
                mistakes.add(document.mark(()), f"{name}.yaml maps names to values: write 'name: value'")
                document.value, document.broken = None, True

    def tables(self) -> check.Tables:
        """Return the valid rows of every table, and the names of all rows, valid or not."""
        if not self.documents["site"].broken:
            self.site_row = self.row("site", schema.SiteIn, self.documents["site"].value or {}, ())
        whole = not any(self.documents[table].broken for table in NODE_TABLES)
        nodes = self.nodes() if whole else []
        networks = [self.network(name, row, nodes) for name, row in self.rows("networks", schema.NetworkIn)]
        switches = [self.switch(name, row) for name, row in self.rows("switches", schema.SwitchIn)]
        images = [image for name, row in self.rows("osimages", schema.OsImageIn) if (image := self.osimage(name, row))]
        media = [medium for name, row in self.rows("media", schema.MediaIn) if (medium := self.medium(name, row))]
        return check.Tables(
            networks=tuple(networks),
            switches=tuple(switches),
            nodes=tuple(nodes),
            osimages=tuple(images),
            media=tuple(media),
            written={table: self.written(table) for table in ("networks", "switches", "osimages", "media")},
        )

    def written(self, table: str) -> frozenset[str] | None:
        """Return the names of all rows of a table; None where it cannot be read."""
        document = self.documents[table]
        return None if document.broken else frozenset(document.value or {})

    def cluster(self, tables: check.Tables) -> Cluster:
        """Return the cluster; to be called when there is no mistake left."""
        assert self.site_row is not None
        master = next(node for node in tables.nodes if node.name == self.site_row.master)
        return Cluster(
            site=site(self.site_row, master),
            networks=tables.networks,
            switches=tables.switches,
            nodes=tables.nodes,
            osimages=tables.osimages,
            media=tables.media,
        )

    # -- tables ------------------------------------------------------------------------------------------------------

    def rows(self, table: str, kind: type[Row]) -> Iterator[tuple[str, Row]]:
        """Yield the valid rows of a table that is keyed by name."""
        document = self.documents[table]
        for name, content in (document.value or {}).items():
            self.marks[(table, name, "")] = document.mark((name,))
            row = self.row(table, kind, content if content is not None else {}, (name,))
            if row is not None:
                self.marks |= {(table, name, key): document.mark((name, key)) for key in content or {}}
                yield name, row

    def row(self, table: str, kind: type[Row], content: Any, path: Path_) -> Row | None:
        """Validate one row; complaints go to where the value was written."""
        document = self.documents[table]
        try:
            return kind.model_validate(content)
        except ValidationError as error:
            for problem in error.errors():
                mark = document.mark((*path, *problem["loc"]))
                self.mistakes.add(mark, sentence(problem, kind), subject=str(path[0]) if path else "")
            return None

    def name(self, table: str, name: str, mark: Mark | None = None) -> bool:
        """Return whether a row's name can be a host name; complain where it cannot."""
        try:
            schema.host_name(name)
        except ValueError as error:
            self.mistakes.add(mark or self.documents[table].mark((name,)), str(error))
            return False
        return True

    def network(self, name: str, row: schema.NetworkIn, nodes: list[Node]) -> Network:
        """Return a network; boot files come from the head node unless it says otherwise."""
        self.name("networks", name)
        head = next((node.ip for node in nodes if self.site_row and node.name == self.site_row.master), None)
        return Network(
            name=name,
            subnet=row.subnet,
            gateway=row.gateway,
            dynamic_range=row.dynamic_range,
            next_server=row.next_server or head or row.subnet.network_address,
        )

    def switch(self, name: str, row: schema.SwitchIn) -> Switch:
        """Return a switch; its name is a host name."""
        self.name("switches", name)
        return Switch(name=name, ip=row.ip, ports=row.ports, community=row.community)

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

    def nodes(self) -> list[Node]:
        """Return the nodes in natural order: site defaults, then groups, then entries by noderange."""
        own = self.entries("nodes")
        self.machine_written(own)
        defaults, groups = self.defaults(), self.groups()
        master = (self.documents["site"].value or {}).get("master")
        if isinstance(master, str) and master not in own:
            text = f"master {master!r} is no node in nodes.yaml{noderange.near(master, own)}"
            self.mistakes.add(self.documents["site"].mark(("master",)), text)
        result = []
        for name in noderange.natural(own):
            cells = resolve.layered(own[name], groups, defaults)
            self.marks |= {("nodes", name, ".".join(map(str, path))): cell.mark for path, cell in cells.items()}
            row = resolve.typed(name, cells, self.marks[("nodes", name, "")], self.mistakes)
            if row is not None:
                result.append(finished(name, row))
        return result

    def cells(self, table: str, content: Any, path: Path_) -> Cells:
        """Return the attributes at a place of a document, each with its own place."""
        document = self.documents[table]
        if content is None:
            return {}
        if not isinstance(content, dict):
            subject = str(path[-1])
            self.mistakes.add(document.mark(path), "attributes are written as 'name: value'", subject=subject)
            return {}
        return {
            leaf: resolve.cell(leaf, value, document.mark((*path, *leaf))) for leaf, value in resolve.leaves(content)
        }

    def entries(self, table: str) -> dict[str, Cells]:
        """Return each node's own attributes: all the entries whose noderange names it, put together."""
        document = self.documents[table]
        result: dict[str, Cells] = {}
        for key, content in (document.value or {}).items():
            mark = document.mark((key,))
            try:
                names = noderange.names(key)
            except ValueError as error:
                self.mistakes.add(mark, str(error))
                continue
            if len(result) + len(names) > MOST_NODES:
                self.mistakes.add(mark, f"{key}: more than {MOST_NODES:,} nodes are refused")
                continue
            cells = self.cells(table, content, (key,))
            for name in names:
                if self.name(table, name, mark):
                    self.put(result.setdefault(name, {}), cells, name)
                    self.marks.setdefault((table, name, ""), mark)
        return result

    def put(self, into: Cells, cells: Cells, name: str) -> None:
        """Add attributes; the same attribute from two entries is a mistake, for neither is the obvious winner."""
        for path, cell in cells.items():
            other = resolve.clash(path, into)
            if other is None:
                continue
            first = into[other].mark
            where = f"line {first.line}" if first.file == cell.mark.file else f"{first.file}:{first.line}"
            self.mistakes.add(cell.mark, f"{'.'.join(map(str, path))} is given twice (also {where})", subject=name)
        into.update(cells)

    def machine_written(self, own: dict[str, Cells]) -> None:
        """Lay discovered MACs and nodeset's boot states over the nodes."""
        hints = 0
        for table in ("discovered", "bootstate"):
            for name, cells in self.entries(table).items():
                if name not in own:
                    hints += 1
                    hint = noderange.near(name, own) if hints <= MOST_HINTS else ""
                    mark = self.marks[(table, name, "")]
                    self.mistakes.add(mark, f"{name} is no node in nodes.yaml{hint}: remove the entry")
                elif table == "bootstate":
                    resolve.overlay(own[name], self.known(cells, schema.BootStateIn, name))
                else:
                    self.put(own[name], cells, name)

    def defaults(self) -> Cells:
        """Return the site's defaults."""
        content = (self.documents["site"].value or {}).get("defaults")
        plain = content if isinstance(content, dict) else {}  # the site's schema complains
        return self.known(self.cells("site", plain, ("defaults",)), schema.NodeIn, "defaults")

    def groups(self) -> dict[str, Cells]:
        """Return the attributes of each group."""
        result = {}
        for name, content in (self.documents["groups"].value or {}).items():
            self.name("groups", name)
            cells = self.known(self.cells("groups", content, (name,)), schema.NodeIn, name)
            nested = cells.pop(("groups",), None)
            if nested is not None:
                self.mistakes.add(nested.mark, "a group is in no groups: name them at the nodes", subject=name)
            result[name] = cells
        return result

    def known(self, cells: Mapping[Path_, resolve.Cell], kind: type[schema.Table], subject: str) -> Cells:
        """Return the attributes that a table has; the others are told here, once, and not again at each node."""
        result = {}
        for path, cell in cells.items():
            if path[0] in kind.model_fields:
                result[path] = cell
            else:
                self.mistakes.add(cell.mark, unknown_attribute(path[:1], kind), subject=subject)
        return result


def site(row: schema.SiteIn, master: Node) -> Site:
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


def finished(name: str, row: schema.NodeIn) -> Node:
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
