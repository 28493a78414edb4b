"""Documents → Cluster.  Every mistake is collected; nothing is returned while there is one.

What can be checked is checked, whatever else is wrong: a table that cannot be read only silences the checks that need
it, and a row that is wrong still counts as a name that others may refer to.
"""

import gc
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from tasks.inventory import check, groups, noderange, resolve, rows, schema, shards, texts, vault
from tasks.inventory.doubts import doubts
from tasks.inventory.mistakes import Mistakes, Notice, is_column, sentence, unknown_attribute
from tasks.inventory.model import Cluster, Group, Media, Network, Node, OsImage, Switch, Whole, natural_key
from tasks.inventory.noderange import natural
from tasks.inventory.places import Places
from tasks.inventory.reading import Document, Mark, Path_, read
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
    return thorough(folder)[0]


def thorough(folder: Path) -> tuple[Cluster, list[Notice]]:
    """Return the cluster and the warnings; `InventoryError` holds every mistake with its place."""
    with quiet_collector():
        mistakes = Mistakes()
        documents = {name: read(path) for name, path in sources(folder)}
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
        for mark, subject, text in (*doubts(tables, compiler.marks), *vault.doubts(tables, compiler.marks, folder)):
            mistakes.warn(mark, text, subject=subject)
        return compiler.cluster(tables), mistakes.warnings


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep the garbage collector from looking at a million new values over and over: it takes as long as they do."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def sources(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the inventory's files: a table each, and ``nodes/*.yaml``, more of nodes.yaml (one for each rack, say)."""
    for table in TABLES:
        yield table, folder / f"{table}.yaml"
    for path in sorted((folder / "nodes").glob("*.yaml"), key=lambda path: natural_key(path.name)):
        if not path.name.startswith("."):
            yield f"nodes/{path.stem}", path


class Compiler:
    """One pass from documents to the model."""

    def __init__(self, documents: dict[str, Document], mistakes: Mistakes) -> None:
        """Keep the documents by table name."""
        self.documents = documents
        self.mistakes = mistakes
        self.marks = Places(documents)
        self.site_row: schema.SiteIn | None = None
        self.group_rows: tuple[Group, ...] = ()
        for name, document in documents.items():
            if document.value is not None and not isinstance(document.value, dict):
                mistakes.add(document.mark(()), f"{name}.yaml maps names to values: write 'name: value'")
                document.value, document.broken = None, True

    def tables(self) -> check.Tables:
        """Return the valid rows of every table, and the names of all rows, valid or not."""
        if not self.documents["site"].broken:
            self.site_row = self.row("site", schema.SiteIn, self.documents["site"].value or {}, ())
        whole = not any(document.broken for table in NODE_TABLES for document in self.parts(table))
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
            written={
                "nodes": frozenset(self.marks.own) if whole and self.marks.own else None,
                **{table: self.written(table) for table in ("networks", "switches", "osimages", "media")},
            },
            site=rows.site(self.site_row, self.head_node(nodes)) if self.site_row else None,
            groups=self.group_rows,
        )

    def parts(self, table: str) -> list[Document]:
        """Return a table's files."""
        return [document for name, document in self.documents.items() if name.partition("/")[0] == table]

    def in_order(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """Return nodes in the inventory's order, as the quick way does: the bytes of no file depend on the way."""
        by_name = {node.name: node for node in nodes}
        pieces = [
            shards.Piece(
                table="nodes", digest="", entries=tuple((noderange.names(key), "") for key in document.value or {})
            )
            for document in self.parts("nodes")
        ]
        return tuple(by_name[name] for name in shards.in_order(pieces) if name in by_name)

    def written(self, table: str) -> frozenset[str] | None:
        """Return the names of all rows of a table; None where it cannot be read."""
        document = self.documents[table]
        return None if document.broken else frozenset(document.value or {})

    def cluster(self, tables: check.Tables) -> Cluster:
        """Return the cluster; to be called when there is no mistake left."""
        assert tables.site is not None
        return Cluster(
            site=tables.site,
            networks=tables.networks,
            switches=tables.switches,
            shards=(Whole(self.in_order(tables.nodes)),),
            osimages=tables.osimages,
            media=tables.media,
            groups=tables.groups,
            service_nodes=service_nodes(tables.nodes, {node.service_node or "" for node in tables.nodes}),
        )

    def head_node(self, nodes: Iterable[Node]) -> Node | None:
        """Return the head node."""
        return next((node for node in nodes if self.site_row and node.name == self.site_row.master), None)

    # -- tables ------------------------------------------------------------------------------------------------------

    def rows(self, table: str, kind: type[Row]) -> Iterator[tuple[str, Row]]:
        """Yield the valid rows of a table that is keyed by name."""
        document = self.documents[table]
        for name, content in (document.value or {}).items():
            row = self.row(table, kind, content if content is not None else {}, (name,))
            if row is not None:
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
            texts.host_name(name)
        except ValueError as error:
            self.mistakes.add(mark or self.documents[table].mark((name,)), str(error))
            return False
        return True

    def network(self, name: str, row: schema.NetworkIn, nodes: list[Node]) -> Network:
        """Return a network; boot files come from the head node unless it says otherwise."""
        self.name("networks", name)
        asked = self.site_row is not None and bool(self.site_row.nameservers)
        return rows.network(name, row, self.head_node(nodes), asked=asked)

    def switch(self, name: str, row: schema.SwitchIn) -> Switch:
        """Return a switch; its name is a host name."""
        self.name("switches", name)
        return rows.switch(name, row)

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
            compression=row.compression,
            waive=tuple(row.waive),
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
        master = (self.documents["site"].value or {}).get("master")
        if isinstance(master, str) and master not in own:
            text = f"master {master!r} is no node in nodes.yaml{noderange.near(master, own)}"
            self.mistakes.add(self.documents["site"].mark(("master",)), text)
        layers = resolve.Layers(groups=self.groups(), defaults=self.defaults())
        self.marks.own, self.marks.layers = own, layers
        made = (layers.node(name, own[name], self.marks.homes["nodes", name], self.mistakes) for name in natural(own))
        return [node for node in made if node is not None]

    def cells(self, document: Document, content: Any, path: Path_) -> Cells:
        """Return the attributes at a place of a document, each with its own place."""
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
        result: dict[str, Cells] = {}
        for document in self.parts(table):
            self.add_entries(table, document, result)
        return result

    def add_entries(self, table: str, document: Document, result: dict[str, Cells]) -> None:
        """Add the entries of one file."""
        for key, content in (document.value or {}).items():
            mark = document.mark((key,))
            try:
                names = noderange.names(key)
            except ValueError as error:
                self.mistakes.add(mark, str(error))
                continue
            if len(result) + sum(name not in result for name in names) > MOST_NODES:
                self.mistakes.add(mark, f"{key}: more than {MOST_NODES:,} nodes are refused")
                continue
            cells = self.cells(document, content, (key,))
            for name in names:
                if self.name(table, name, mark):
                    self.put(result.setdefault(name, {}), cells, name)
                    self.marks.homes.setdefault((table, name), mark)

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
                    mark = self.marks.homes[table, name]
                    self.mistakes.add(mark, f"{name} is no node in nodes.yaml{hint}: remove the entry")
                elif table == "bootstate":
                    resolve.overlay(own[name], self.known(cells, schema.BootStateIn, name))
                else:
                    self.put(own[name], cells, name)

    def defaults(self) -> Cells:
        """Return the site's defaults."""
        content = (self.documents["site"].value or {}).get("defaults")
        plain = content if isinstance(content, dict) else {}  # the site's schema complains
        return self.known(self.cells(self.documents["site"], plain, ("defaults",)), schema.NodeIn, "defaults")

    def groups(self) -> dict[str, Cells]:
        """Return the attributes of each group, with its own (``groups``, ``where``) among them."""
        document, result, found = self.documents["groups"], dict[str, Cells](), list[Group]()
        for name, content in (document.value or {}).items():
            self.name("groups", name)
            plain = content if isinstance(content, dict) else {}
            own = {key: value for key, value in plain.items() if key in groups.OWN}
            shared = {key: value for key, value in plain.items() if key not in own} if plain is content else content
            cells = self.known(self.cells(document, shared, (name,)), schema.NodeIn, name)
            row = self.row("groups", schema.GroupIn, own, (name,))
            result[name] = cells
            if row is not None:
                found.append(rows.group(name, row, groups.plain_vars(cells)))
                cells |= self.cells(document, own, (name,))
                complaints = [*groups.wrong(name, cells, found[-1])]
                for mark, subject, text in complaints:
                    self.mistakes.add(mark, text, subject=subject)
                if complaints:
                    cells.pop(("where",), None)  # nobody is asked what he has none of
        for mark, subject, text in groups.between(result):
            self.mistakes.add(mark, text, subject=subject)
        for mark, subject, text in groups.slips(result):
            self.mistakes.warn(mark, text, subject=subject)
        self.group_rows = tuple(found)
        return result

    def known(self, cells: Mapping[Path_, resolve.Cell], kind: type[schema.Table], subject: str) -> Cells:
        """Return the attributes that a table has; the others are told here, once, and not again at each node."""
        result = {}
        for path, cell in cells.items():
            wrong = next(
                (path[:length] for length in range(1, len(path) + 1) if not is_column(kind, path[:length])), None
            )
            if wrong is None:
                result[path] = cell
            else:
                self.mistakes.add(cell.mark, unknown_attribute(wrong, kind), subject=subject)
        return result


def service_nodes(nodes: Iterable[Node], named: Collection[str]) -> tuple[tuple[str, IPv4Address], ...]:
    """Return the nodes that some node names as its service node, by name, with their addresses."""
    return tuple(sorted((node.name, node.ip) for node in nodes if node.name in named))
