"""Passwords of xCAT's tables → references; the passwords themselves go into files of their own, and nowhere else."""

import re
from dataclasses import dataclass, field

from tasks.inventory.model import SecretKind, SecretRef
from tasks.tables.csvtext import Row
from tasks.tables.dump import Dump

REFERENCE = re.compile(r"!secret (env|file):(\S.*)")
FOLDER = "keys"


@dataclass(kw_only=True)
class Secrets:
    """The secrets that were met: files below the inventory, by name, and which cell each is from."""

    files: dict[str, str] = field(default_factory=dict, repr=False)
    owners: dict[str, tuple[str, int, str]] = field(default_factory=dict)

    def reference(self, dump: Dump, row: Row, column: str, value: str | None = None, owner: str = "") -> SecretRef:
        """Return the reference to a cell's password; export-xcat writes references, they stay what they are.

        `value` is what the cell's rule comes to for a node, `owner` that node.
        """
        written = dump.take(row, column)
        if found := REFERENCE.fullmatch(written):
            return SecretRef(kind=SecretKind(found[1]), where=found[2])
        place = (row.table, row.line, owner)
        name = next((name for name, where in self.owners.items() if where == place), "")
        if not name:
            name = self.free(f"{row.table}-{owner or row.key}")
            self.owners[name] = place
            self.files[name] = written if value is None else value
        return SecretRef(kind=SecretKind.FILE, where=name)

    def free(self, wish: str) -> str:
        """Return a file name that no other secret has."""
        plain = f"{FOLDER}/{re.sub('[^A-Za-z0-9_-]', '_', wish)[:80]}"
        names = [plain, *(f"{plain}.{number}" for number in range(2, len(self.files) + 3))]
        return next(name for name in names if name not in self.files)
