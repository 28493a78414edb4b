"""The quick way to the cluster gives what the thorough way gives, or leaves the word to it."""

import contextlib
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import BootmillError, InventoryError
from tasks.inventory import chunks, compiled, shards, store
from tasks.inventory.compile import load_cluster
from tasks.inventory.model import Cluster, Whole
from tasks.inventory.reading import UnsureError

SITE = "domain: a.example\nmaster: mgt\n"
NETWORKS = "mgmt: {subnet: 10.1.0.0/16, dynamic_range: 10.1.9.1-10.1.9.9}\n"
GROUPS = """\
compute: {ip: "10.1.1.{{ n[0] }}", state: local}
gpu: {groups: [compute], model: GPU}
big: {where: {memory: "4096"}}
"""
HEAD = "mgt: {ip: 10.1.0.1}\n"


@pytest.fixture(autouse=True)
def _small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut files as if they were long, in a checkout of our own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chunks, "WHOLE", 0)
    monkeypatch.setattr(chunks, "USUAL", 2)
    Path("inventory/nodes").mkdir(parents=True)
    write(site=SITE, networks=NETWORKS, groups=GROUPS)


def write(**texts: str) -> None:
    """Write tables; ``rack`` is a file below nodes/; an empty text removes the file."""
    for name, text in texts.items():
        path = Path("inventory/nodes/rack.yaml" if name == "rack" else f"inventory/{name}.yaml")
        if text:
            path.write_text(text)
        else:
            path.unlink(missing_ok=True)


def plain(cluster: Cluster) -> str:
    """Return a cluster as text, its nodes in the inventory's order, however they lie in shards."""
    nodes = tuple(node for shard in cluster.shards for node in shard.nodes())
    return repr(replace(cluster, shards=(Whole(nodes),)))


def outcome(load: Any) -> str:
    """Return what loading comes to: the cluster, or its mistakes."""
    try:
        return plain(load(Path("inventory")))
    except InventoryError as error:
        return "\n".join(error.mistakes)


def quick() -> Cluster:
    """Go the quick way alone."""
    return compiled.Quick(Path("inventory")).cluster()


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the nodes that are compiled from now on."""
    seen: list[str] = []
    real = shards.compiled

    def spy(plan: shards.Plan, *words: Any) -> Any:
        seen.extend(plan.members)
        return real(plan, *words)

    monkeypatch.setattr(shards, "compiled", spy)
    return seen


NODES = HEAD + "".join(
    f"n{number:02}: {{groups: compute, mac: 02:00:00:00:00:{number:02x}}}\n" for number in range(1, 41)
)


def test_only_what_changed_is_compiled(compiling: list[str]) -> None:
    """An edited node takes its own piece with it; a second load compiles nothing."""
    write(nodes=NODES)
    quick()
    assert len(compiling) == 41
    compiling.clear()
    quick()
    assert compiling == []
    write(nodes=NODES.replace("02:00:00:00:00:07", "02:00:00:00:77:07"))
    assert quick().node("n07").mac == "02:00:00:00:77:07"
    assert "n07" in compiling
    assert len(compiling) < 20


def test_a_line_above_moves_nothing(compiling: list[str]) -> None:
    """A new node at the top does not compile those below: borders are chosen by the keys themselves."""
    write(nodes=NODES)
    quick()
    compiling.clear()
    write(nodes="# a remark\nn99: {groups: compute}\n" + NODES)
    assert quick().node("n99").ip
    assert len(compiling) < 20


@pytest.mark.parametrize(
    ("table", "text", "node", "attribute", "value"),
    [
        ("rack", "n[03-05]: {model: R1}\n", "n04", "model", "R1"),
        ("discovered", "n04: {nic: tg3}\n", "n04", "nic", "tg3"),
        ("bootstate", "n[01-40]: {state: offline}\n", "n04", "state", "offline"),
        ("groups", GROUPS.replace("state: local", "state: local, memory: 4096"), "n04", "memory", 4096),
        ("site", f"{SITE}defaults: {{memory: 4096}}\n", "mgt", "groups", ("big", "all")),
    ],
)
def test_what_is_said_elsewhere_counts(table: str, text: str, node: str, attribute: str, value: object) -> None:
    """Ranges in other files, discovery, nodeset, groups and defaults reach the nodes that they name."""
    write(nodes=NODES)
    quick()
    write(**{table: text})
    assert getattr(quick().node(node), attribute) == value
    assert outcome(compiled.load) == outcome(load_cluster)


def test_the_inventorys_order_is_kept() -> None:
    """A node stands where its own entry does; where only a range names it, in the order of the range."""
    write(nodes="n[01-04]: {groups: compute}\n" + HEAD + "n03: {model: X}\nn01: {model: Y}\n")
    names = [node.name for shard in quick().shards for node in shard.nodes()]
    assert names == ["n02", "n04", "mgt", "n03", "n01"]


@pytest.mark.parametrize(
    "nodes",
    [
        NODES + "n50: {groups: compute, mac: 02:00:00:00:00:07}\n",  # a MAC twice, in two pieces
        NODES + "n07: {groups: compute}\n",  # a key twice
        NODES + "n50: {groups: compute, ip: 10.1.1.7}\n",
        NODES + "n50: {groups: compute, aliases: n08}\n",
        NODES + "n50: {groups: compute, ip: 10.1.9.5}\n",
        NODES + "n50: {groups: compute, service_node: n51}\n",
        NODES + "n50: {groups: compute, vm: {host: n50}}\n",
        NODES + "n50: {groups: compute, colour: red}\n",
        NODES + "n50: &x {groups: compute}\nn51: *x\n",
        NODES + "n50: {groups: compute,\nmodel: X}\n",  # a flow that goes on in the first column
        NODES + 'n50: {groups: compute, model: "a\nb: c"}\n',
        NODES + "---\nn50: {groups: compute}\n",
        NODES + "n[50-49]: {groups: compute}\n",
        NODES + "n50: {groups: compute, ip: '{{ nobody }}'}\n",
        NODES + "n50: {groups: compute, model: no}\nn51: {groups: compute, model: 010}\n",
        NODES.replace("\n", "\r\n"),
        "\ufeff" + NODES,
        NODES + "n50: {groups: compute}\t\n",
        NODES + "n50: {groups: compute, model: 'a\u202eb'}\n",
        NODES.replace("mgt:", "head:"),
        "",
    ],
)
def test_both_ways_come_to_the_same(nodes: str) -> None:
    """Right or wrong, usual or not: what is loaded, or every sentence with its place, is the thorough way's."""
    write(nodes=NODES)
    outcome(compiled.load)
    write(nodes=nodes)
    assert outcome(compiled.load) == outcome(load_cluster)


WITH_DOMAIN = NETWORKS + "ib: {subnet: 10.2.0.0/24, domain: ib.a.example}\n"


@pytest.mark.parametrize(
    ("record", "right"),
    [
        ("{name: '@', type: MX, value: 10 mail}", False),  # it is mail.ib.a.example
        ("{name: '@', type: MX, value: 10 mail.a.example.}", False),
        ("{name: '@', type: MX, value: 10 mail.ib.a.example.}", True),
        ("{name: '@', type: MX, value: 10 n07}", True),
        ("{name: '@', type: MX, value: 10 www}", False),  # an alias
        ("{name: '@', type: NS, value: www.a.example.}", False),
        ("{name: x, type: CNAME, value: www}", True),
        ("{name: x, type: CNAME, value: sw}", False),
        ("{name: x, type: CNAME, value: sw.ib.a.example.}", True),
    ],
)
def test_both_ways_know_what_machines_are_called(record: str, right: bool) -> None:
    """Records that come, and domains that come, are held against names of shards that were compiled long ago."""
    nodes = NODES + "mail: {ip: 10.2.0.5}\nn50: {groups: compute, aliases: www}\n"
    write(nodes=nodes, switches="sw: {ip: 10.2.0.9}\n", networks=WITH_DOMAIN)
    quick()
    write(site=f"{SITE}records: [{record}]\n")
    if right:
        assert plain(quick()) == outcome(load_cluster)
    else:
        with pytest.raises(UnsureError):
            quick()
        assert "site.yaml:3:" in outcome(load_cluster)


def test_a_domain_that_comes_is_heeded() -> None:
    """The record stays, the names of the shards change."""
    write(nodes=f"{NODES}mail: {{ip: 10.2.0.5}}\n", networks=WITH_DOMAIN.replace(", domain: ib.a.example", ""))
    write(site=f"{SITE}records: [{{name: '@', type: MX, value: 10 mail}}]\n")
    quick()
    write(networks=WITH_DOMAIN)
    with pytest.raises(UnsureError):
        quick()


def test_both_ways_know_the_head_nodes_nics() -> None:
    """Networks ask for its address there, and for it alone the head node is compiled first."""
    write(nodes=NODES, networks=WITH_DOMAIN)
    quick()
    write(nodes=NODES.replace(HEAD, "mgt: {ip: 10.1.0.1, nics: {eth1: {ip: 10.2.0.1}}}\n"))
    assert str(quick().networks[1].next_server) == "10.2.0.1"
    assert plain(quick()) == outcome(load_cluster)


def test_two_addresses_of_a_mac_are_refused() -> None:
    """A VLAN interface in its parent's network."""
    vlan = "nics: {e.5: {vlan: 5, mac: 02:00:00:00:77:01, ip: 10.1.0.51}}"
    write(nodes=NODES + f"n50: {{groups: compute, mac: 02:00:00:00:77:01, {vlan}}}\n")
    with pytest.raises(UnsureError):
        quick()


LINES = st.lists(
    st.sampled_from(
        [
            "n1: {groups: compute}",
            "n2: {groups: [gpu, compute], memory: 4096}",
            "n2: {mac: 02:00:00:00:00:02}",
            "n[3-9]: {groups: gpu}",
            "n[5-6]: {memory: 4096}",
            "n5: {mac: 02:00:00:00:00:02}",
            "n6: {ip: 10.1.1.2}",
            "n7,n8: {bmc: {address: '10.1.2.{{ n[0] }}'}}",
            "n8: {service_node: n1}",
            "# a remark",
            "n9:",
            "  model: X",
            "  port: {switch: sw, port: 1}",
        ]
    ),
    max_size=12,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, min_size=1, max_size=3), LINES)
def test_any_history_comes_to_the_same(history: list[list[str]], rack: list[str]) -> None:
    """After any sequence of edits the quick way says what a fresh look says."""
    write(rack="".join(f"{line}\n" for line in rack))
    for lines in history:
        write(nodes=HEAD + "".join(f"{line}\n" for line in lines))
        assert outcome(compiled.load) == outcome(load_cluster)


@given(st.text(st.sampled_from("ab1:{} \n#-'\"[],&*|"), max_size=200))
def test_pieces_make_the_whole(text: str) -> None:
    """Nothing is lost and nothing is added by cutting."""
    assert "".join(chunks.cut(text)) == text


# -- what is kept ------------------------------------------------------------------------------------------------------


def kept() -> list[Path]:
    """Return all files that are kept."""
    return [path for path in Path("build/.compiled").rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", [b"", b"\x80\x05", b"not a pickle", pickle.dumps({"seen": 1}), pickle.dumps([1])])
def test_damaged_files_are_made_again(damage: bytes) -> None:
    """Whatever happened to what was kept, the cluster is the one of the inventory."""
    write(nodes=NODES)
    expected = outcome(load_cluster)
    for name in ("index", "claims", "shards", "pieces"):
        outcome(compiled.load)
        for path in kept():
            if name in {path.name, path.parent.name}:
                path.write_bytes(damage)
        with contextlib.suppress(BootmillError):  # a shard is read when somebody asks for its nodes: told once
            assert outcome(compiled.load) == expected
        assert outcome(compiled.load) == expected


@pytest.mark.parametrize("kind", ["shards", "pieces", "."])
def test_removed_files_are_made_again(kind: str) -> None:
    """A kept file that is gone is no mistake of anybody: it is made again at once."""
    write(nodes=NODES)
    expected = outcome(compiled.load)
    for path in kept():
        if path.parent.name == kind or (kind == "." and path.name in {"index", "claims"}):
            path.unlink()
            assert outcome(compiled.load) == expected


def test_another_version_of_the_code_compiles_anew(compiling: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What an older version compiled is neither believed nor kept; files made of its shards are made again."""
    write(nodes=NODES)
    before = {shard.digest for shard in quick().shards}
    compiling.clear()
    changed = Path("code.py")
    changed.write_text("# a newer version\n")
    monkeypatch.setattr(compiled, "CODE", [changed])
    after = {shard.digest for shard in quick().shards}
    assert len(compiling) == 41
    assert not before & after
    assert len([*Path("build/.compiled/inventories").glob("*/*")]) == 1


def test_an_edit_that_keeps_size_and_date_is_seen() -> None:
    """rsync and tar set dates back; the time of the change of the file itself they cannot."""
    write(nodes=NODES)
    quick()
    path = Path("inventory/nodes.yaml")
    date = path.stat().st_mtime_ns
    monkey = NODES.replace("02:00:00:00:00:07", "02:00:00:00:99:07")
    path.write_text(monkey)
    os.utime(path, ns=(date, date))
    assert quick().node("n07").mac == "02:00:00:00:99:07"


class Evil:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> Any:
        """Name the command."""
        return os.mkdir, ("harmed",)


def test_nothing_is_executed_from_what_is_kept() -> None:
    """A stored file makes values of ours and nothing else."""
    path = Path("build/.compiled/x/shards/evil")
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(Evil()))
    assert store.Store(Path("build/.compiled/x")).read("shards", "evil") is None
    assert not Path("harmed").exists()


def test_what_nothing_refers_to_is_swept() -> None:
    """Old shards and pieces do not pile up."""
    for turn in range(5):
        write(nodes=NODES.replace("02:00:00:00:00:07", f"02:00:00:00:{turn:02x}:07"))
        quick()
        if turn == 1:
            before = len(kept())
    assert len(kept()) == before


def test_the_quick_way_gives_up_on_mistakes() -> None:
    """It never tells a mistake itself."""
    write(nodes=NODES + "n50: {groups: compute, colour: red}\n")
    with pytest.raises(UnsureError):
        quick()
