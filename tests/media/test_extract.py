"""The extracted tree takes its place whole, and never that of somebody else's tree."""

from pathlib import Path

import pytest

from tasks import paths
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tasks.media import extract


def test_a_foreign_tree_is_not_replaced(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head node that another tool has filled keeps its install tree until somebody moves it."""
    monkeypatch.chdir(tmp_path)
    tree = paths.media_tree(cluster.site, cluster.media[0])
    tree.mkdir(parents=True)
    (tree / "precious").touch()
    with pytest.raises(BootmillError, match=r"(?s)x86_64 is there and was not made by Bootmill.*mv "):
        extract.refuse_foreign(tree)
    (tree / extract.MARKER).touch()
    extract.refuse_foreign(tree)
