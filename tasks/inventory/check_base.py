"""What all checks share: the rows that they compare, and where these were written.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from tasks.inventory.model import Group, Media, Network, NetworkFinder, Node, OsImage, Site, Switch
from tasks.inventory.reading import Mark

Mistake = tuple[Mark, str, str]  # place, whom it concerns, sentence


class Marks(Protocol):
    """Knows where things were written; it is only asked when something is wrong with them."""

    def place(self, table: str, row: str, *path: str | int) -> Mark:
        """Return where an attribute was written, or what is nearest around it; the site's row has no name."""


class Nowhere:
    """Knows no places: for rows that are only asked whether anything is wrong."""

    def place(self, table: str, row: str, *path: str | int) -> Mark:
        """Return a table."""
        return Mark(file=f"inventory/{table}.yaml", line=1, column=1)


NOWHERE = Nowhere()


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The rows that are valid by themselves, and the names of all that were written (None: the file is unreadable)."""

    networks: tuple[Network, ...]
    switches: tuple[Switch, ...]
    nodes: tuple[Node, ...]
    osimages: tuple[OsImage, ...]
    media: tuple[Media, ...]
    written: Mapping[str, frozenset[str] | None]
    site: Site | None = None
    groups: tuple[Group, ...] = ()

    @cached_property
    def finder(self) -> NetworkFinder[Network]:
        """Return what finds an address's network."""
        return NetworkFinder(self.networks)

    @property
    def all_networks(self) -> bool:
        """Return whether every network that was written is here: only then can an address be in none."""
        written = self.written["networks"]
        return written is not None and len(written) == len(self.networks)
