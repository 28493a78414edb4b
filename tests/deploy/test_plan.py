"""``doit plan``: what it tells is what the next run writes, it knows the cause, and it writes nothing."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tasks import paths
from tasks.deploy.planned import Plan, Sight, planned
from tasks.deploy.render import whole
from tasks.deploy.show import MOST_FILES, Paint, plan, text
from tasks.errors import BootmillError
from tasks.family import Aggregate, Around, Family, MenuChange, Rows
from tasks.inventory.model import Cluster, Node, Whole


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the families of this test depend on."""

    domain: str


class Row(NamedTuple):
    """A node in the test's files."""

    name: str
    ip: str
    mac: str | None


def frame(cluster: Cluster) -> Frame:
    """Return the frame."""
    return Frame(domain=cluster.site.domain)


def rows(frame: Frame, nodes: Sequence[Node]) -> Rows:
    """Return the rows; a node that is half edited makes none."""
    if any(node.mac == "bad" for node in nodes):
        message = "bad"
        raise BootmillError(message)
    return tuple(Row(node.name, str(node.ip), node.mac) for node in nodes)


def names(frame: Frame, rows: Rows) -> Mapping[str, str]:
    """Return two files that tell different things."""
    found = [Row(*row) for row in rows]  # type: ignore[arg-type]  # what rows() returned
    return {
        "hosts": "".join(f"{row.ip} {row.name}.{frame.domain}\n" for row in found),
        "ethers": "".join(f"{row.mac} {row.name}\n" for row in found if row.mac),
    }


def around(frame: Frame, sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return what is around them: the sum of the parts, as a zone's serial is."""
    return {
        "hosts": Around(path=Path("build/etc/hosts"), head=f"# serial {sums.get('hosts', '')[:8]}\n", tail="# end\n"),
        "ethers": Around(path=Path("build/etc/dhcp/dhcpd.conf"), head=f"# {frame.domain}\n"),
    }


FAMILY: Family[Frame] = Family(
    name="names",
    frame=frame,
    rows=rows,
    text=names,
    around=around,
    outputs=lambda frame: [Path("build/etc/hosts"), Path("build/etc/dhcp/dhcpd.conf")],
    check=lambda frame, texts: None,
    leftovers=lambda frame: [path for path in Path("build").glob("db.*") if path.name != f"db.{frame.domain}"],
)
GROUPS = Path("build/etc/bootmill/groups")
AGGREGATE: Aggregate[Frame] = Aggregate(
    name="groups",
    frame=frame,
    rows=lambda frame, nodes: tuple((node.name,) for node in nodes if "guest" in node.groups),
    text=lambda frame, rows: {GROUPS: "".join(f"{name}\n" for some in rows for (name,) in some)},
    outputs=lambda frame: [GROUPS],
    check=lambda frame, texts: None,
)


def menus(nodes: Sequence[Node]) -> dict[Path, tuple[str, str]]:
    """Return a menu for each node that has a MAC: path → node, text."""
    return {
        paths.MENUS / paths.menu_names(node)["pxelinux"]: (node.name, f"boot {node.osimage} {node.state}\n")
        for node in nodes
        if node.mac
    }


def menu_changes(cluster: Cluster) -> list[MenuChange]:
    """Return the menus that a run would write or remove."""
    texts = menus(cluster.nodes)
    now = {path: path.read_text() for path in paths.MENUS.rglob("*") if path.is_file()}
    found = [MenuChange(path, node, now.get(path), text) for path, (node, text) in texts.items()]
    gone = [MenuChange(path, "", text, None) for path, text in now.items() if path not in texts]
    return [menu for menu in [*found, *gone] if menu.old != menu.new]


def places(table: str, row: str, attribute: str) -> object | None:
    """Return a place for each attribute that is written at all."""
    lines = {"mac": 1, "ip": 2, "": 9, "bmc": 4}
    return f"inventory/{table}.yaml:{lines[attribute]}:1" if attribute in lines else None


def apply(cluster: Cluster) -> None:
    """Do what a run does."""
    texts = {
        **whole(FAMILY, cluster),
        **whole(AGGREGATE, cluster),
        **{path: text for path, (_, text) in menus(cluster.nodes).items()},
    }
    for folder in ("build/etc", "build/menus"):
        for path in Path(folder).rglob("*"):
            if path.is_file() and path not in texts:
                path.unlink()
    for path, content in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def sight(old: Cluster | None, new: Cluster) -> Sight:
    """Return what a plan is made from."""
    return Sight(old=old, new=new, families=[FAMILY, AGGREGATE], places=places, menus=partial(menu_changes, new))


def edit(cluster: Cluster, name: str, **values: Any) -> Cluster:
    """Return the cluster with a changed node, in two shards."""
    everyone = [node for shard in cluster.shards for node in shard.nodes()]  # files have the inventory's order
    nodes = [replace(node, **values) if node.name == name else node for node in everyone]
    return replace(cluster, shards=(Whole(tuple(nodes[:3])), Whole(tuple(nodes[3:]))))


@pytest.fixture
def built(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Stand in a checkout in which the sample cluster was built; return it."""
    monkeypatch.chdir(tmp_path)
    apply(cluster)
    return cluster


def state() -> dict[str, tuple[bytes, int]]:
    """Return every file of the checkout with its date."""
    return {str(path): (path.read_bytes(), path.lstat().st_mtime_ns) for path in Path().rglob("*") if path.is_file()}


EDITS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "a MAC": ("n01", {"mac": "00:00:00:00:00:01"}, {"etc/dhcp/dhcpd.conf", "menus"}),
    "an address": ("n01", {"ip": IPv4Address("10.1.0.99")}, {"etc/hosts"}),
    "a BMC": ("n01", {"bmc": None}, set()),
    "an osimage": ("n01", {"osimage": "other"}, {"menus"}),
    "a group": ("kvm1", {"groups": ("all",)}, {"etc/bootmill/groups"}),
    "no MAC": ("n01", {"mac": None}, {"etc/dhcp/dhcpd.conf", "menus"}),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_is_told_is_what_the_run_writes(built: Cluster, name: str) -> None:
    """The files, whether they come, change or go, and each line that differs."""
    node, values, kinds = EDITS[name]
    new = edit(built, node, **values)
    before = state()
    found = planned(sight(built, new))
    assert state() == before
    apply(new)
    after = state()
    changed = {path for path in before.keys() | after.keys() if before.get(path, b"")[:1] != after.get(path, b"")[:1]}
    assert {str(file.path) for file in found.files} == changed
    assert {"menus" if "menus" in path else path.removeprefix("build/") for path in changed} == kinds
    for file in found.files:
        acts = {(True, True): "change", (False, True): "create", (True, False): "remove"}
        assert file.act == acts[str(file.path) in before, str(file.path) in after]
    assert [one.name for one in found.nodes] == [node]
    assert not planned(sight(new, new))


def test_causes_are_those_of_the_file(built: Cluster) -> None:
    """Two edits, and each file names the one that it tells of, with the line where it stands."""
    new = edit(edit(built, "n01", mac="00:00:00:00:00:01"), "n05", ip=IPv4Address("10.1.0.99"), memory=77)
    found = {file.path.name: file for file in planned(sight(built, new)).files}
    assert [str(one) for one in found["dhcpd.conf"].causes] == [
        "inventory/nodes.yaml:1:1: n01: mac 00:18:8b:f8:e3:58 → 00:00:00:00:00:01"
    ]
    assert [str(one) for one in found["hosts"].causes] == [
        "inventory/nodes.yaml:2:1: n05: ip 10.1.0.15 → 10.1.0.99",
    ]
    assert found["dhcpd.conf"].service == "dhcpd"
    assert found["hosts"].service == ""


def test_the_place_of_what_has_no_line_of_its_own(built: Cluster) -> None:
    """The nearest around it: the BMC of an address, the row of what nobody wrote; none of a row that left."""
    bmc = built.node("n01").bmc
    assert bmc is not None
    new = edit(built, "n01", bmc=replace(bmc, address=IPv4Address("10.1.0.98")), memory=77)
    (node,) = planned(sight(built, new)).nodes
    assert {one.change.attribute: one.place for one in node.causes} == {
        "bmc.address": "inventory/nodes.yaml:4:1",
        "memory": "inventory/nodes.yaml:9:1",
    }
    fewer = replace(built, shards=(Whole(tuple(node for node in built.nodes if node.name != "n02")),))
    (gone,) = planned(sight(built, fewer)).nodes
    assert [str(one) for one in gone.causes] == ["n02: gone in nodes"]


def test_causes_outside_of_the_nodes(built: Cluster) -> None:
    """The domain is in both files; a contact in none."""
    new = replace(built, site=replace(built.site, domain="example", dns_contact="x.example"))
    found = planned(sight(built, new))
    for file in found.files:
        assert [one.change.attribute for one in file.causes] == ["domain"]
        assert file.causes[0].place == "inventory/site.yaml:9:1"
    assert len(found.files) == 2
    assert {one.change.attribute for one in found.others} == {"domain", "dns_contact"}


def test_half_an_edit_that_makes_no_sense(built: Cluster) -> None:
    """A change that cannot be made alone counts as a cause; nothing is raised."""
    old = edit(built, "n01", mac="bad")
    new = edit(built, "n01", ip=IPv4Address("10.1.0.99"))
    found = {file.path.name: file for file in planned(sight(old, new)).files}
    assert {one.change.attribute for one in found["hosts"].causes} == {"ip", "mac"}


def test_files_that_belong_to_nothing_any_more(built: Cluster) -> None:
    """What the family says is left over would be removed."""
    Path("build/db.renci.ben").write_text("x\n")
    new = replace(built, site=replace(built.site, domain="example"))
    assert [(str(file.path), file.act) for file in planned(sight(built, new)).files][-1] == (
        "build/db.renci.ben",
        "remove",
    )


def test_a_first_run_and_an_altered_file(built: Cluster) -> None:
    """Without an earlier build all is told but causes; a file that was altered by hand is told, too."""
    Path("build/etc/hosts").write_text("by hand\n")
    for old in (None, built):
        found = planned(sight(old, built))
        assert [(file.path.name, file.causes) for file in found.files] == [("hosts", ())]
    assert "nothing is known" in planned(sight(None, built)).notes[0]
    assert planned(replace(sight(built, built), settled=lambda name: name == "names")).files == ()


def test_menus_that_cannot_be_made_yet(built: Cluster) -> None:
    """Before the image is built its digest is not known: a remark, no failure."""

    def unknown() -> list[MenuChange]:
        message = "holds no sha256"
        raise BootmillError(message)

    new = edit(built, "n01", osimage="other")
    found = planned(replace(sight(built, new), menus=unknown))
    assert found.notes == ("boot menus cannot be told yet: holds no sha256",)
    assert [one.name for one in found.nodes] == ["n01"]


# -- what is printed ---------------------------------------------------------------------------------------------------


def shown(plan: Plan, *, on: bool = False, full: bool = False) -> str:
    """Return a plan for people."""
    return "\n".join(text(plan, Paint(on=on), full=full))


def test_for_people(built: Cluster) -> None:
    """The file with its service, the line of the inventory, the diff, the node, the reboot."""
    new = edit(built, "n01", mac="00:00:00:00:00:01", osimage="other")
    lines = shown(planned(sight(built, new))).splitlines()
    assert lines[0] == "change build/etc/dhcp/dhcpd.conf  +1 -1  tells dhcpd"
    assert lines[1] == "    inventory/nodes.yaml:1:1: n01: mac 00:18:8b:f8:e3:58 → 00:00:00:00:00:01"
    assert "-00:18:8b:f8:e3:58 n01" in lines
    assert "+00:00:00:00:00:01 n01" in lines
    assert "daemons whose files change: dhcpd" in lines
    assert "nodes that must boot again: n01" in lines
    assert any(line.startswith("n01: mac 00:18:8b:f8:e3:58 → 00:00:00:00:00:01 (inventory/") for line in lines)


def test_nodes_with_the_same_change_share_a_line(built: Cluster) -> None:
    """A changed group is one line, not one for each node."""
    nodes = tuple(replace(node, osimage="other") if node.osimage else node for node in built.nodes)
    found = shown(planned(sight(built, replace(built, shards=(Whole(nodes),)))))
    together = [line for line in found.splitlines() if "n[01-06]" in line.partition(":")[0] and "→ other" in line]
    assert len(together) == 1


def test_colours_and_control_characters(built: Cluster) -> None:
    """Additions are green; a file on the disk does not speak to the terminal."""
    Path("build/etc/hosts").write_text("\x1b]0;owned\x07\n")
    found = planned(sight(built, built))
    assert "\x1b" not in shown(found)
    assert "\\x1b]0;owned" in shown(found)
    assert "\x1b[32m+" in shown(found, on=True)


def test_long_plans_are_cut(built: Cluster) -> None:
    """Many files are counted, and --full shows them."""
    nodes = [replace(built.node("n01"), name=f"x{n}", mac=f"00:00:00:00:00:{n:02x}") for n in range(50)]
    found = planned(sight(built, replace(built, shards=(*built.shards, Whole(tuple(nodes))))))
    assert f"… and {52 - MOST_FILES} more files" in shown(found)
    assert "52 files would be written" in shown(found)
    assert shown(found, full=True).count("create build/menus/") == 50


@pytest.mark.parametrize(
    ("words", "code"), [([], 0), (["--check"], 2), (["--json", "--check"], 2), (["--color=always"], 0)]
)
def test_exit_codes(built: Cluster, words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Two with --check where something would change, else nought; nothing is written."""
    new = edit(built, "n01", mac="00:00:00:00:00:01")
    before = state()
    with pytest.raises(SystemExit) as caught:
        plan(sight(built, new), words)
    assert caught.value.code == code
    assert state() == before
    out = capsys.readouterr().out
    assert ("\x1b" in out) == ("--color=always" in words)
    with pytest.raises(SystemExit) as caught:
        plan(sight(built, built), words)
    assert caught.value.code == 0


def test_for_programs(built: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The machine's form has the same facts."""
    new = edit(built, "n01", mac="00:00:00:00:00:01", osimage="other")
    with contextlib.suppress(SystemExit):
        plan(sight(built, new), ["--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["files"][0]["path"] == "build/etc/dhcp/dhcpd.conf"
    assert document["files"][0]["causes"][0]["place"] == "inventory/nodes.yaml:1:1"
    assert document["nodes"][0]["name"] == "n01"
    assert document["nodes"][0]["reboot"] is True
    assert document["services"] == ["dhcpd"]
    assert document["reboots"][0]["node"] == "n01"
    assert document["reboots"][0]["why"][0]["attribute"] == "osimage"


@pytest.mark.parametrize("words", [["--colour"], ["--color=red"], ["n01"], ["--full=1"]])
def test_words_that_make_no_sense(built: Cluster, words: list[str]) -> None:
    """Each is told in a sentence."""
    with pytest.raises(BootmillError) as caught:
        plan(sight(built, built), words)
    assert "usage: doit plan" in caught.value.hint


def test_ten_thousand_nodes(built: Cluster) -> None:
    """An edit of one node is planned in a second; one of all nodes, too slow for difflib, in a few."""
    import time

    first = built.node("n01")
    nodes = [
        replace(first, name=f"x{n}", ip=IPv4Address(0x0A000000 + n), mac=f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}")
        for n in range(10_000)
    ]
    shards = [Whole(tuple(nodes[start : start + 500])) for start in range(0, 10_000, 500)]
    old = replace(built, shards=(*built.shards, *shards))
    apply(old)
    shards[7] = Whole((replace(nodes[3500], mac="02:ff:ff:ff:ff:ff"), *nodes[3501:4000]))
    new = replace(built, shards=(*built.shards, *shards))
    begun = time.perf_counter()
    found = planned(sight(old, new), most=20)
    assert time.perf_counter() - begun < 3
    assert len(found.files) == 3
    assert [one.name for one in found.nodes] == ["x3500"]


def test_what_is_not_a_file(built: Cluster) -> None:
    """A folder in the place of a file is told in a sentence, not planned as a new file."""
    Path("build/etc/hosts").unlink()
    Path("build/etc/hosts").mkdir()
    with pytest.raises(BootmillError, match="build/etc/hosts is a folder"):
        planned(sight(built, built))


def test_menus_of_nodes_that_did_not_change(built: Cluster) -> None:
    """An osimage's kernel arguments are behind the menus of its nodes, and only those; who must boot again is told."""
    image = built.osimages[0]
    new = replace(built, osimages=(replace(image, kernel_args=("quiet",)), *built.osimages[1:]))
    mine = [MenuChange(Path(f"build/menus/{name}"), name, "old\n", "new\n", boots=True) for name in ("n01", "mgt")]
    found = planned(replace(sight(built, new), menus=lambda: mine))
    files = {file.path.name: file for file in found.files}
    assert [one.change.attribute for one in files["n01"].causes] == ["kernel_args"]
    assert files["mgt"].causes == ()
    assert "n01" in [reboot.node for reboot in found.reboots]
    rebuilt = planned(replace(sight(built, built), menus=lambda: mine))
    assert [reboot.node for reboot in rebuilt.reboots] == ["n01"]  # an image was built anew; the head node boots itself
    assert rebuilt


def test_a_service_nodes_address_is_behind_the_menus_of_its_nodes(built: Cluster) -> None:
    """The node itself did not change."""
    old = edit(built, "n05", service_node="n01")
    new = edit(old, "n01", ip=IPv4Address("10.1.0.99"))
    menu = MenuChange(Path("build/menus/x"), "n05", "old\n", "new\n", boots=True)
    found = planned(replace(sight(old, new), menus=lambda: [menu]))
    (file,) = [file for file in found.files if file.path.name == "x"]
    assert [str(one.change) for one in file.causes] == ["n01: ip 10.1.0.11 → 10.1.0.99"]
    assert {reboot.node for reboot in found.reboots} == {"n01", "n05"}
