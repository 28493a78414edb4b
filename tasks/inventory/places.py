"""Where things were written: asked when something is wrong, and therefore not collected before."""

from collections.abc import Mapping

from tasks.inventory.reading import Document, Mark, Path_
from tasks.inventory.resolve import Cells, Layers, place


class Places:
    """The places of everything in the documents; a node's attributes may be written in its groups."""

    def __init__(self, documents: Mapping[str, Document]) -> None:
        """Know the documents; nodes come later."""
        self.documents = documents
        self.own: Mapping[str, Cells] = {}
        self.homes: dict[tuple[str, str], Mark] = {}  # the first entry that names a node
        self.layers = Layers(groups={}, defaults={})

    def place(self, table: str, row: str, *path: str | int) -> Mark:
        """Return where an attribute was written, or what is nearest around it; the site's row has no name."""
        if table == "nodes" and row in self.own:
            home = self.homes[table, row]
            return place(path, self.layers.cells(self.own[row]), home) if path else home
        whole: Path_ = path if table == "site" else (row, *path)
        return self.documents[table].mark(whole)
