"""The proof of what is built: which nodes would boot it, what is reported, what is refused."""

import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import cpio, initrd, paths, stage
from tasks.errors import BootmillError
from tasks.initrd.proof import machines, prove
from tasks.initrd.proof.machines import Alike, Shape
from tasks.inventory.model import BootState, Cluster, Console, Node, OsImage, Whole
from tests import samples
from tests.initrd import kernels
from tests.initrd.proofs import CONFIG, DRIVERS, Breakage, add, archive, broken, drop, root_tree

IMAGE = samples.IMAGE
NAMES = ("n01", "n02", "n10")


def write(image: OsImage, *breakages: Breakage) -> None:
    """Write an osimage as it would have been built, with breakages in its first stage."""
    tree = paths.rootimg_tree(image)
    (tree / "boot").mkdir(parents=True, exist_ok=True)
    (tree / f"boot/config-{kernels.VERSION}").write_text(CONFIG)
    paths.kernel(image).write_bytes(kernels.bzimage())
    paths.initrd(image).write_bytes(gzip.compress(archive(broken(*breakages).values())))
    packed = gzip.compress(archive(root_tree().values()))
    paths.root_image(image).write_bytes(packed)
    paths.root_image_digest(image).write_text(f"{hashlib.sha256(packed).hexdigest()}\n")
    paths.rootimg_manifest(image).write_text('{"source_date": 1}\n')


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OsImage:
    """Stand in a checkout where the sample osimage is built; return it."""
    monkeypatch.chdir(tmp_path)
    write(IMAGE)
    return IMAGE


def nodes(*drivers: str | None, names: Sequence[str] = NAMES, **attributes: object) -> tuple[Alike, ...]:
    """Return shapes with these drivers, a node of each."""
    made = [
        samples.node(name, ip=f"10.1.0.{number}", mac=f"02:00:00:00:00:{number:02x}", driver=driver, **attributes)
        for number, (name, driver) in enumerate(zip(names, drivers, strict=False), 1)
    ]
    return tuple((machines.shape(node), (node.name,)) for node in made)


def test_nodes_that_boot(built: OsImage) -> None:
    """The report says so, for people and for programs, and the sample set is silent."""
    prove.prove_image(built, nodes("virtio_net", "bnx2"))
    assert paths.proof(built).read_text().splitlines()[0] == f"{built.name}: boots as far as can be known"
    found = json.loads(paths.proof_document(built).read_text())
    assert (found["boots"], found["refused"]) == (True, False)
    assert found["images"][0]["verdicts"] == [
        {"nodes": ["n01", "n02"], "boots": True, "refused": False, "message": "boots", "findings": []}
    ]


def test_nodes_that_do_not(built: OsImage) -> None:
    """Who would not boot, why, and what to do: in the error, and in both reports, which are written all the same."""
    with pytest.raises(BootmillError) as error:
        prove.prove_image(built, nodes("virtio_net", "e1000", "e1000"))
    assert "n[02,10] would not boot" in str(error.value)
    assert "e1000, the driver of the NIC that boots, is not in the initrd" in str(error.value)
    assert "add e1000 to `drivers` of debian12-x86_64-netboot-compute in inventory/osimages.yaml" in str(error.value)
    text = paths.proof(built).read_text()
    assert "  n01: boots\n" in text
    assert "  n[02,10]: init stops: no network interface\n    error E12: " in text
    verdicts = json.loads(paths.proof_document(built).read_text())["images"][0]["verdicts"]
    assert [(each["nodes"], each["boots"]) for each in verdicts] == [(["n01"], True), (["n02", "n10"], False)]
    assert verdicts[1]["findings"][0]["predicted"] == "init stops: no network interface"


def test_all_errors_at_once(built: OsImage) -> None:
    """One run tells of every mistake."""
    write(built, drop("newroot", "proc", f"{DRIVERS}/net/tg3.ko"))
    with pytest.raises(BootmillError) as error:
        prove.prove_image(built, nodes("virtio_net"))
    assert all(words in str(error.value) for words in ("/newroot", "/proc", "tg3.ko"))


def test_a_waived_rule(built: OsImage) -> None:
    """An osimage may waive a rule by name; the report says that it was."""
    prove.prove_image(replace(built, waive=("E12",)), nodes("e1000"))
    assert "waived E12" in paths.proof(built).read_text()
    with pytest.raises(BootmillError, match=r"waive: \[E12\]"):
        prove.prove_image(replace(built, waive=("E13",)), nodes("e1000"))


def test_an_image_that_nobody_boots(built: OsImage) -> None:
    """It is judged by itself."""
    prove.prove_image(built, ())
    assert "note: no node boots it" in paths.proof(built).read_text()
    write(built, drop("init"))
    with pytest.raises(BootmillError, match="would not boot"):
        prove.prove_image(built, ())


def test_a_node_whose_card_is_not_known(built: OsImage) -> None:
    """It is a note, no error."""
    prove.prove_image(built, nodes(None, "virtio_net"))
    assert "note: nobody says by which NIC n01 boot" in paths.proof(built).read_text()


def test_what_is_not_built_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence, no traceback."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BootmillError, match="is not there"):
        prove.proved(IMAGE, ())


def test_a_kernel_argument_of_one_node(built: OsImage) -> None:
    """What a node adds to the command line counts for it alone."""
    wrong = nodes("virtio_net", names=("n10",), kernel_args=["rdinit=/nothing"])
    with pytest.raises(BootmillError, match=r"n10: .*Unable to mount root fs"):
        prove.prove_image(built, (*nodes("virtio_net"), *wrong))


# -- who is alike ----------------------------------------------------------------------------------------------------


def sample_node(name: str, **changes: object) -> Node:
    """Return a node that boots the sample osimage."""
    node = samples.node(name, ip="10.1.0.1", mac="02:00:00:00:00:01", osimage=IMAGE.name, state="netboot")
    return replace(node, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({}, True),
        ({"mac": "02:00:00:00:00:99"}, True),
        ({"groups": ("other",)}, True),
        ({"memory": 64}, False),
        ({"driver": "tg3"}, False),
        ({"console": Console(port=1, speed=9600)}, False),
        ({"kernel_args": ("quiet",)}, False),
        ({"state": BootState.SHELL}, False),
    ],
)
def test_nodes_that_are_alike(changes: dict[str, object], alike: bool) -> None:
    """What does not count for a boot does not part nodes, and proves nothing again."""
    found = machines.shapes_in([sample_node("n01", memory=512), sample_node("n02", **{"memory": 512, **changes})])
    assert len(found) == (1 if alike else 2)


@pytest.mark.parametrize("changes", [{"mac": None}, {"osimage": None}, {"state": BootState.LOCAL}])
def test_nodes_that_boot_nothing(changes: dict[str, object]) -> None:
    """Who fetches no image is not judged."""
    assert machines.shapes_in([sample_node("n01", **changes)]) == ()


def test_a_virtual_machine_has_the_card_of_its_hypervisor(cluster: Cluster) -> None:
    """Its driver need not be said."""
    node = replace(cluster.node("kvm1"), driver=None, nic="e1000")
    assert machines.shape(node).driver == "e1000"
    assert machines.shape(replace(node, vm=None)).driver is None


def test_the_proof_depends_on_what_counts(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed memory proves again, a changed MAC does not; only the osimage's own nodes count."""
    monkeypatch.chdir(tmp_path)

    def digest(**changes: object) -> str:
        found = tuple(replace(node, **changes) if node.name == "n01" else node for node in cluster.nodes)  # type: ignore[arg-type]
        tasks = initrd.prove_tasks(replace(cluster, shards=(Whole(found),)))
        return str(next(iter(tasks))["uptodate"][0][1][1])

    assert digest() == digest(mac="02:00:00:00:00:99") == digest(port=None)
    assert len({digest(), digest(memory=512), digest(kernel_args=("quiet",)), digest(driver="bnx2")}) == 4


def test_the_initrd_depends_on_the_root_image_s_name(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its suffix says which unpacker has to be in the first stage."""
    (before,) = initrd.initrd_tasks(cluster)
    monkeypatch.setattr(paths, "root_image", lambda image: Path(image.name) / "rootimg.cpio.zst")
    (after,) = initrd.initrd_tasks(cluster)
    assert before["uptodate"][0][1] != after["uptodate"][0][1]


def test_stage_waits_for_the_proof(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not prove is not staged: the reports are inputs of `stage`."""
    monkeypatch.chdir(tmp_path)
    reports = {str(paths.proof(image)) for image in cluster.stateless()}
    assert reports <= set(stage.stage(cluster)["file_dep"])
    made = {target for task in initrd.prove_tasks(cluster) for target in task["targets"]}
    assert reports <= made


def test_many_nodes_are_judged_as_few(built: OsImage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand nodes of three shapes ask each rule about three machines, not about ten thousand."""
    asked: list[object] = []
    shapes = [shape for shape, _ in nodes("virtio_net", "bnx2", "e1000")]
    many = tuple((shape, tuple(f"n{index}x{number}" for number in range(3333))) for index, shape in enumerate(shapes))
    real = machines.machine

    def counted(shape: Shape, image: OsImage) -> object:
        asked.append(shape)
        return real(shape, image)

    monkeypatch.setattr(prove, "machine", counted)
    found = prove.proved(built, many)
    assert len(asked) == 3
    assert sum(len(each.nodes) for each in found.judged) == 9999


def test_only_errors_are_to_be_waived(built: OsImage) -> None:
    """The hint names rules that keep the image from being staged: no warnings, be they of an error's rule."""
    with pytest.raises(BootmillError) as error:
        prove.prove_image(built, nodes("e1000", "tg3"))  # tg3 does without its firmware: a warning by E13
    assert '"E13"' in paths.proof_document(built).read_text()
    assert "waive: [E12]" in error.value.hint


def test_errors_do_not_speak_to_the_terminal(built: OsImage) -> None:
    """What a link in the initrd says reaches the terminal spelled out."""
    write(built, drop("init"), add(cpio.symlink("init", "/\x1b[2J")))
    with pytest.raises(BootmillError, match="symbolic link to") as error:
        prove.prove_image(built, nodes("virtio_net"))
    assert "\x1b" not in error.value.message
    assert "\\x1b[2J" in error.value.message
