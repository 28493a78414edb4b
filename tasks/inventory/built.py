"""The cluster as it was built last: what `doit plan` compares with; and where in the inventory a value is written.

Kept beside what is compiled for the next run, in a store of its own: that one forgets what the inventory does not say
any more as soon as it is read.
"""

import hashlib
from dataclasses import fields
from functools import cache
from pathlib import Path

from tasks import files, paths
from tasks.inventory.model import Cluster
from tasks.inventory.places import Places
from tasks.inventory.reading import Mark
from tasks.inventory.store import Store, StoredShard

FOLDER = paths.COMPILED / "built"
NAME = "cluster"


def store_of_this_code() -> Store:
    """Return the store: what another version of the model wrote is not believed."""
    code = b"".join(Path(__file__).with_name(name).read_bytes() for name in ("model.py", "kinds.py"))
    return Store(FOLDER / hashlib.sha256(code).hexdigest()[:16])


def place_of_cluster() -> Path:
    """Return the file that says what was built."""
    return store_of_this_code().folder / NAME


def keep(cluster: Cluster) -> None:
    """Keep a cluster: everything was made of it."""
    store = store_of_this_code()
    for other in FOLDER.iterdir() if FOLDER.is_dir() else ():
        if other != store.folder:
            files.remove_tree(other)
    for shard in cluster.shards:
        if isinstance(shard, StoredShard) and not store.has("shards", shard.digest):
            try:
                files.place(shard.store.folder / "shards" / shard.digest, store.folder / "shards" / shard.digest)
            except FileNotFoundError:  # another run, of another inventory, swept it away
                store.keep("shards", shard.digest, tuple(shard.nodes()))
        elif not store.has("shards", shard.digest):
            store.keep("shards", shard.digest, tuple(shard.nodes()))
    digests = [shard.digest for shard in cluster.shards]
    rest = {field.name: getattr(cluster, field.name) for field in fields(Cluster) if field.name != "shards"}
    store.keep(".", NAME, (digests, rest))
    store.sweep("shards", set(digests))


def last() -> Cluster | None:
    """Return the cluster that was kept, None where there is none, or none of this version."""
    store = store_of_this_code()
    try:
        digests, rest = store.read(".", NAME)
        if not all(store.has("shards", digest) for digest in digests):
            return None
        return Cluster(shards=tuple(StoredShard(store, digest) for digest in digests), **rest)
    except (TypeError, ValueError):  # nothing was kept, or a model that had other fields
        return None


def place(table: str, row: str, attribute: str) -> Mark:
    """Return where an attribute (``bmc.address``) of paths.INVENTORY is written; the files are read when first asked.

    The quick way of reading knows no places: this one takes a second for ten thousand nodes.
    """
    return places(paths.INVENTORY).place(table, row, *(attribute.split(".") if attribute else ()))


@cache
def places(folder: Path) -> Places:
    """Return the places of an inventory that was found to be right."""
    from tasks.inventory.compile import Compiler, quiet_collector, sources
    from tasks.inventory.mistakes import Mistakes
    from tasks.inventory.reading import read

    with quiet_collector():
        compiler = Compiler({name: read(path) for name, path in sources(folder)}, Mistakes())
        compiler.tables()
    return compiler.marks
