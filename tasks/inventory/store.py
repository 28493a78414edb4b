"""Where compiled things are kept between runs: under build/.compiled, by the digest of what they were compiled from.

Everything here may be deleted at any time; nothing here is believed that does not read back whole.
"""

import hashlib
import io
import pickle
from functools import cached_property
from pathlib import Path
from typing import Any

from tasks import files
from tasks.errors import BootmillError
from tasks.inventory.model import Node

# What may be made of a stored file: our own values, and addresses.  Nothing that could act.
MODULES = frozenset(
    {
        "tasks.inventory.kinds",
        "tasks.inventory.model",
        "tasks.inventory.chunks",
        "tasks.inventory.compiled",
        "ipaddress",
    }
)
SIZE = hashlib.sha256().digest_size  # a file begins with the digest of the rest


class Unpickler(pickle.Unpickler):
    """Makes values of `MODULES` only."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class that a stored file names."""
        if module not in MODULES or "." in name:
            message = f"{module}.{name} is not among what is stored"
            raise pickle.UnpicklingError(message)
        return super().find_class(module, name)


class Store:
    """A folder of compiled things."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made before something is kept."""
        self.folder = folder

    def read(self, kind: str, name: str) -> Any:
        """Return what was kept, None where there is nothing, or nothing whole."""
        try:
            data = (self.folder / kind / name).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data[SIZE:]).digest() != data[:SIZE]:
            return None
        try:
            return Unpickler(io.BytesIO(data[SIZE:])).load()
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError):
            return None

    def keep(self, kind: str, name: str, value: object) -> None:
        """Keep a value; one of this name that is there already is the same."""
        data = pickle.dumps(value, protocol=5)
        files.write_quickly(self.folder / kind / name, hashlib.sha256(data).digest() + data)

    def has(self, kind: str, name: str) -> bool:
        """Return whether something is kept under this name."""
        return (self.folder / kind / name).exists()

    def names(self, kind: str) -> frozenset[str]:
        """Return the names of all that is kept of a kind."""
        return files.names_in(self.folder / kind)

    def sweep(self, kind: str, keep: set[str]) -> None:
        """Remove what nothing refers to any more."""
        folder = self.folder / kind
        if folder.is_dir():
            for path in folder.iterdir():
                if path.name not in keep and path.is_file():
                    path.unlink(missing_ok=True)


class StoredShard:
    """A shard whose nodes are read when somebody asks for them."""

    def __init__(self, store: Store, digest: str) -> None:
        """Note where it is."""
        self.store = store
        self.digest = digest

    @cached_property
    def content(self) -> tuple[Node, ...]:
        """Return the nodes."""
        nodes = self.store.read("shards", self.digest)
        if nodes is None:
            self.store.sweep("shards", set())
            message = f"{self.store.folder} was damaged, or changed by another run"
            raise BootmillError(message, hint="run the command again: all of it is made again")
        return tuple(nodes)

    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes."""
        return self.content

    def __repr__(self) -> str:
        """Return what distinguishes it."""
        return f"StoredShard({self.digest!r})"
