"""Files that we made for what the inventory does not have any more."""

from collections.abc import Iterable
from pathlib import Path

from tasks import files


def ours(folder: Path, pattern: str, keep: Iterable[Path]) -> list[Path]:
    """Return the files below a folder that match, that we made and that are not to be kept; those of others stay."""
    kept = frozenset(keep)
    return sorted(path for path in folder.glob(pattern) if path not in kept and path.is_file() and files.is_ours(path))
