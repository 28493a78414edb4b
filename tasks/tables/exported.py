"""export-xcat: the inventory → a folder of CSVs that tabrestore and import-xcat read."""

from collections.abc import Sequence
from pathlib import Path

from tasks import files
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, OsImage
from tasks.tables.csvtext import dumped
from tasks.tables.rows import EXLIST, PKGLIST, every
from tasks.tables.words import Usage

USAGE = Usage(synopsis="doit export-xcat NEW_DIR", options=(), least=1, most=1)


def export_xcat(cluster: Cluster, words: Sequence[str]) -> None:
    """Carry out ``export-xcat NEW_DIR``; `BootmillError` where NEW_DIR holds something already."""
    plain, _ = USAGE.understand(words)
    target = Path(plain[0])
    if target.is_file() or (target.exists() and any(target.iterdir())):
        message = f"{target}: is there already, and an export never writes over anything"
        raise BootmillError(message, hint="name a folder that does not exist yet, or an empty one")
    write(cluster, target)
    print(f"{target}: {sum(1 for _ in every(cluster))} tables; secrets stay where they are, the tables refer to them")


def write(cluster: Cluster, target: Path) -> None:
    """Write all tables, and the lists that linuximage names; the whole folder appears at once."""
    try:
        with files.replacing_tree(target) as folder:
            for table, rows in every(cluster):
                files.write_atomic(folder / f"{table.name}.csv", dumped(table, rows))
            for image in cluster.osimages:
                lists(image, folder)
    except OSError as error:
        message = f"{target}: cannot be written: {error.strerror}"
        raise BootmillError(message) from error


def lists(image: OsImage, folder: Path) -> None:
    """Write an osimage's package list and exclusion list, in xCAT's words."""
    files.write_atomic(folder / PKGLIST.format(image.name), "".join(f"{name}\n" for name in image.packages))
    if image.exclude:
        files.write_atomic(folder / EXLIST.format(image.name), "".join(f"{relative(path)}\n" for path in image.exclude))


def relative(path: str) -> str:
    """Return an exclusion as xCAT writes it, from the root tree on: ``./usr/share/doc/*``, ``+./…``."""
    return f"+.{path[1:]}" if path.startswith("+") else f".{path}"
