"""A family's files in one go: what the engine does in parts."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from tasks import files
from tasks.family import Family
from tasks.inventory.model import Cluster, Whole

F = TypeVar("F")


SAMPLE = Path(__file__).parents[2] / "inventory"


def plain(cluster: Cluster) -> Cluster:
    """Return a cluster with its first network alone and one interface a node, however the sample grows."""
    nodes = tuple(replace(node, nics=()) for node in cluster.nodes)
    return replace(cluster, networks=cluster.networks[:1], shards=(Whole(nodes),))


def render(family: Family[F], cluster: Cluster, *, chunks: int = 1, check: bool = False) -> dict[Path, str]:
    """Return each file's text; the nodes are rendered in this many parts.  Serials are kept, as after a build."""
    frame = family.frame(cluster)
    size = -(-len(cluster.nodes) // chunks) or 1
    shards = [cluster.nodes[start : start + size] for start in range(0, len(cluster.nodes), size)]
    texts = [family.text(frame, family.rows(frame, shard)) for shard in shards]
    names = list(family.around(frame, {}))
    assert {name for text in texts for name in text} <= set(names)
    parts = {name: [text[name] for text in texts if text.get(name)] for name in names}
    sums = {name: sha256("".join(part).encode()).hexdigest() for name, part in parts.items()}
    numbers = family.number(frame, sums) if family.number else sums
    around = family.around(frame, numbers)
    whole = {name: one.head + one.between.join(parts[name]) + one.tail for name, one in around.items()}
    assert {one.path for one in around.values()} <= set(family.outputs(frame))
    if check:
        family.check(frame, whole)
    if family.keep:
        for path, text in family.keep(frame, numbers).items():
            files.write_atomic(path, text)
    return {one.path: whole[name] for name, one in around.items()}


def write(family: Family[F], cluster: Cluster) -> None:
    """Publish a family's files; nothing is written where the checker refuses one."""
    for path, text in render(family, cluster, check=True).items():
        files.write_ours(path, text)
    frame = family.frame(cluster)
    for path in family.leftovers(frame) if family.leftovers else ():
        path.unlink()
