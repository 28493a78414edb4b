"""Passwords of xCAT's tables → references; the passwords themselves go into files of their own, and nowhere else."""

import re
from dataclasses import dataclass, field

from tasks.inventory.model import SecretKind, SecretRef
from tasks.tables.csvtext import Row
from tasks.tables.dump import Dump

REFERENCE = re.compile(r"!secret (env|file):(\S.*)")
FOLDER = "keys"


def written(reference: SecretRef | None) -> str:
    """Return a reference as tables have it, nothing for none."""
    return f"!secret {reference}" if reference else ""


def referred(text: str) -> SecretRef | None:
    """Return the reference that a cell holds instead of a password."""
    found = REFERENCE.fullmatch(text)
    return SecretRef(kind=SecretKind(found[1]), where=found[2]) if found else None


@dataclass(kw_only=True)
class Secrets:
    """The secrets that were met, by the file below the inventory that they go into; what is the same has one file."""

    files: dict[str, str] = field(default_factory=dict, repr=False)
    names: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)  # by table and secret

    def reference(self, dump: Dump, row: Row, column: str, value: str | None = None, owner: str = "") -> SecretRef:
        """Return the reference to a cell's password; export-xcat writes references, they stay what they are.

        `value` is what the cell's rule comes to for a node, `owner` that node.
        """
        text = dump.take(row, column)
        if reference := referred(text):
            return reference
        key = (row.table, text if value is None else value)
        if key not in self.names:
            self.names[key] = self.free(f"{row.table}-{owner or row.key}")
            self.files[self.names[key]] = key[1]
        return SecretRef(kind=SecretKind.FILE, where=self.names[key])

    def free(self, wish: str) -> str:
        """Return a file name that no other secret has."""
        plain = f"{FOLDER}/{re.sub('[^A-Za-z0-9_-]', '_', wish)[:80]}"
        name, number = plain, 2
        while name in self.files:
            name, number = f"{plain}.{number}", number + 1
        return name
