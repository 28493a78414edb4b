"""What was built last comes back as it was; places are found when they are asked for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.inventory import built, compiled
from tasks.inventory.model import Whole


@pytest.fixture(autouse=True)
def checkout(write_inventory: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a checkout with the sample inventory."""
    write_inventory()
    monkeypatch.chdir(tmp_path)
    built.places.cache_clear()
    return tmp_path


def test_the_last_cluster_survives_a_new_inventory(write_inventory: Callable[..., Path]) -> None:
    """Its shards are there although the inventory says something else now, and the compiler's store forgot them."""
    assert built.last() is None
    old = compiled.load(Path("inventory"))
    built.keep(old)
    nodes = Path("inventory/nodes.yaml").read_text()
    write_inventory(nodes=nodes.replace("00:18:8b:f8:e3:58", "00:18:8b:f8:e3:99"))
    new = compiled.load(Path("inventory"))
    found = built.last()
    assert found is not None
    assert (found.site, found.networks, found.groups) == (old.site, old.networks, old.groups)
    assert found.node("n01").mac == "00:18:8b:f8:e3:58"
    assert new.node("n01").mac == "00:18:8b:f8:e3:99"
    built.keep(new)
    again = built.last()
    assert again is not None
    assert again.node("n01").mac == "00:18:8b:f8:e3:99"
    assert len(list((built.store_of_this_code().folder / "shards").iterdir())) == len(new.shards)


def test_shards_in_memory_are_kept_too() -> None:
    """The thorough way has nothing stored."""
    cluster = compiled.load(Path("inventory"))
    whole = replace(cluster, shards=(Whole(cluster.nodes),))
    built.keep(whole)
    found = built.last()
    assert found is not None
    assert found.nodes == cluster.nodes


@pytest.mark.parametrize("text", [b"", b"x", b"\x80\x05N."])
def test_a_damaged_store_is_nothing(text: bytes) -> None:
    """Then a plan has no causes; nothing is raised."""
    built.keep(compiled.load(Path("inventory")))
    (built.store_of_this_code().folder / "cluster").write_bytes(text)
    assert built.last() is None


def test_another_version_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it wrote is not read, and goes when the next one is kept."""
    cluster = compiled.load(Path("inventory"))
    stale = built.FOLDER / "0123456789abcdef"
    stale.mkdir(parents=True)
    assert built.last() is None
    built.keep(cluster)
    assert not stale.exists()


def test_a_shard_that_is_gone() -> None:
    """Half of a cluster is none."""
    built.keep(compiled.load(Path("inventory")))
    next((built.store_of_this_code().folder / "shards").iterdir()).unlink()
    assert built.last() is None


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (("nodes", "n01", "mac"), "inventory/nodes.yaml:8:12"),
        (("nodes", "n01", "osimage"), "inventory/groups.yaml:3:12"),
        (("nodes", "n01", "bmc.address"), "inventory/groups.yaml:6:18"),
        (("nodes", "n01", "console.speed"), "inventory/site.yaml:8:"),
        (("nodes", "n01", "memory"), "inventory/nodes.yaml:5:"),
        (("networks", "mgmt", "gateway"), "inventory/networks.yaml:3:"),
        (("site", "", "domain"), "inventory/site.yaml:2:"),
    ],
)
def test_places(row: tuple[str, str, str], text: str) -> None:
    """Of the node's own, of its group, of the site's defaults, of what has no line of its own."""
    table, name, attribute = row
    written = Path(text.partition(":")[0]).read_text().splitlines()
    mark = built.place(table, name, attribute)
    assert mark.file == text.partition(":")[0]
    assert attribute.rpartition(".")[2] in written[mark.line - 1] or attribute in {"memory"}
