"""What `doit check` says of an inventory without mistakes: one look at the cluster's size."""

from tasks.inventory.model import Cluster


def report(cluster: Cluster) -> None:
    """Print the number of rows of each kind; the mistakes of a wrong inventory have ended the run before."""
    counts = {
        "nodes": len(cluster.nodes),
        "networks": len(cluster.networks),
        "switches": len(cluster.switches),
        "osimages": len(cluster.osimages),
        "media": len(cluster.media),
    }
    words = ", ".join(f"{number} {kind if number != 1 else singular(kind)}" for kind, number in counts.items())
    print(f"the inventory is right: {words}")


def singular(kind: str) -> str:
    """Return the word for one row."""
    return {"switches": "switch", "media": "medium"}.get(kind, kind.removesuffix("s"))
