"""nodeset's file: what changes, what stays, what is refused."""

from pathlib import Path

import pytest

from tasks.errors import BootmillError
from tasks.inventory.model import BootState
from tasks.nodes import bootstate
from tests.nodes.clusters import cluster

SAMPLE = """\
# Boot states.
# Second line.
n02: {state: local}
# the broken one
n10: {osimage: debian12-x86_64-netboot-compute, state: shell}  # since May

# the end
"""


def test_a_state_is_set_and_all_else_stays(tmp_path: Path) -> None:
    """Header, comments, remarks and other attributes are kept; lines are in natural order."""
    path = tmp_path / "bootstate.yaml"
    path.write_text(SAMPLE)
    assert bootstate.write(path, ["n10", "n1"], BootState.NETBOOT)
    assert path.read_text() == (
        "# Boot states.\n# Second line.\nn1: {state: netboot}\nn02: {state: local}\n# the broken one\n"
        "n10: {state: netboot, osimage: debian12-x86_64-netboot-compute}  # since May\n\n# the end\n"
    )


def test_what_is_so_already_is_not_written_again(tmp_path: Path) -> None:
    """The second nodeset changes no byte."""
    path = tmp_path / "bootstate.yaml"
    assert bootstate.write(path, ["n2", "n1"], BootState.LOCAL)
    before = path.read_text()
    assert before == f"{bootstate.HEADER}n1: {{state: local}}\nn2: {{state: local}}\n"
    assert not bootstate.write(path, ["n1"], BootState.LOCAL)
    assert path.read_text() == before


def test_a_range_is_told_apart(tmp_path: Path) -> None:
    """A noderange that a person wrote becomes its nodes, so that one of them can differ."""
    path = tmp_path / "bootstate.yaml"
    path.write_text("n[01-03]: {state: local}")
    bootstate.write(path, ["n02"], BootState.SHELL)
    assert path.read_text() == "n01: {state: local}\nn02: {state: shell}\nn03: {state: local}\n"


@pytest.mark.parametrize(
    "line", ["n01:\n  state: local\n", "n01: {state: 'local'}\n", "n01: {console: {port: 1}}\n", "n01: &x {}\n"]
)
def test_a_line_of_another_shape_is_refused_and_nothing_is_lost(tmp_path: Path, line: str) -> None:
    """What we could not write back as it was is not touched; the error names its place."""
    path = tmp_path / "bootstate.yaml"
    path.write_text(f"# ours\n{line}")
    with pytest.raises(BootmillError, match=r"bootstate\.yaml:2: nodeset cannot rewrite"):
        bootstate.write(path, ["n02"], BootState.LOCAL)
    assert path.read_text() == f"# ours\n{line}"


def test_the_inventory_reads_what_nodeset_wrote(tmp_path: Path) -> None:
    """The states come back through the inventory's own reader."""
    path = tmp_path / "bootstate.yaml"
    bootstate.write(path, ["n02", "n10"], BootState.SHELL)
    read = cluster(tmp_path, path.read_text())
    assert [(node.name, node.state.value) for node in read.nodes if node.state == "shell"] == [
        ("n02", "shell"),
        ("n10", "shell"),
    ]


def test_nodeset_writes_then_stages_then_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A line a node is told after what they boot was staged by a doit of its own."""
    ran: list[list[str]] = []
    loaded = cluster(tmp_path)
    (tmp_path / "inventory").mkdir()
    monkeypatch.chdir(tmp_path)

    def staged(argv: list[str]) -> int:
        ran.append(argv)
        return 0

    monkeypatch.setattr("tasks.run.interactive", staged)
    bootstate.nodeset(loaded, ["n[01-02]", "shell"])
    assert capfd.readouterr().out == "n01: shell\nn02: shell\n"
    assert [argv[1:] for argv in ran] == [["-m", "doit", "stage"]]
    assert "n02: {state: shell}" in Path("inventory/bootstate.yaml").read_text()
    bootstate.nodeset(loaded, ["n10", "stat"])
    assert capfd.readouterr().out == "n10: netboot\n"
    assert len(ran) == 1


def test_a_state_that_could_not_be_staged_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nodeset never claims a state that nodes do not find."""
    loaded = cluster(tmp_path)
    (tmp_path / "inventory").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tasks.run.interactive", lambda argv: 1)
    with pytest.raises(BootmillError, match="could not be staged"):
        bootstate.nodeset(loaded, ["n01", "shell"])
