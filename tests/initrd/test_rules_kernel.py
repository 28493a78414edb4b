"""Rules E11, E12, E13, W11: the modules in an initrd, and the firmware that they ask for."""

import lzma
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import cpio
from tasks.initrd.proof import proof
from tasks.initrd.proof.finding import Grade
from tasks.initrd.proof.subject import Machine
from tests.initrd import kernels
from tests.initrd.proofs import (
    BASE,
    CONFIG,
    DRIVERS,
    Breakage,
    add,
    broken,
    change,
    drop,
    first_stage,
    found_by,
    judge,
    subject,
)

NO_NIC = "init stops: no network interface"
FIRMWARE = "usr/lib/firmware/bnx2/mips-06.fw"
XZ = lzma.compress(b"x", check=lzma.CHECK_CRC32)
FOREIGN = drop("etc/bootmill", "etc/bootmill/drivers")


@pytest.mark.parametrize(
    ("driver", "breakages", "words"),
    [
        pytest.param("e1000", [], "e1000, the driver of the NIC that boots, is not in the initrd", id="no driver"),
        pytest.param("virtio_net", [drop(f"{DRIVERS}/net/virtio_net.ko")], "virtio_net, the driver", id="removed"),
        pytest.param("virtio-net", [drop(f"{DRIVERS}/virtio/virtio.ko")], "virtio, which virtio_net needs", id="needs"),
        pytest.param("virtio_net", [drop(f"{DRIVERS}/virtio/virtio_pci.ko")], "virtio_pci, which", id="its bus"),
        pytest.param("virtio_net", [change(f"{DRIVERS}/net/virtio_net.ko", body=b"x")], "is damaged", id="damaged"),
        pytest.param(
            "tg3",
            [change("etc/bootmill/drivers", body=b""), change(f"{BASE}/modules.alias", body=b"")],
            "nothing leads to tg3",
            id="nobody loads it",
        ),
    ],
)
def test_a_node_without_its_driver(driver: str, breakages: list[Breakage], words: str) -> None:
    """E12: the node ends without a network interface, and the finding names the module."""
    found = judge(broken(*breakages), driver=driver)
    assert any(words in each.text for each in found_by(found, "E12")), found
    assert found.message == NO_NIC


@pytest.mark.parametrize(
    ("driver", "breakages"),
    [
        ("virtio_net", []),
        ("virtio-net", []),
        (None, [drop(f"{DRIVERS}/net/virtio_net.ko"), change("etc/bootmill/drivers", body=b"")]),
        ("e1000", [add(cpio.regular(f"{BASE}/modules.builtin", b"kernel/drivers/net/e1000.ko\n"))]),
        ("tg3", [change("etc/bootmill/drivers", body=b"")]),
    ],
)
def test_a_node_with_its_driver(driver: str | None, breakages: list[Breakage]) -> None:
    """E12: in the initrd, or built in; loaded by the list, or by modprobe for the hardware."""
    found = judge(broken(*breakages), driver=driver)
    assert found.boots
    assert not found_by(found, "E12")


def test_only_the_nodes_with_that_card_are_stuck() -> None:
    """E12: a driver that init cannot load is an error of the image; a node with another card boots."""
    found = judge(broken(drop(f"{DRIVERS}/net/tg3.ko")), driver="virtio_net")
    assert (found.boots, found.refused) == (True, True)


def test_a_soft_dependency() -> None:
    """E12: what the tree has and the driver asks for softly belongs into the initrd."""
    driver = kernels.module("alias=pci:v0000*", "softdep=pre: libcrc32c")
    tree = broken(change(f"{DRIVERS}/net/tg3.ko", body=driver))
    assert found_by(judge(tree, driver="tg3"), "E12") == []  # nobody knows of such a module


def test_a_soft_dependency_that_the_tree_has(tmp_path: Path) -> None:
    """E12: the tree that the initrd was made from knows it."""
    source = kernels.write_kernel(tmp_path, {"lib/libcrc32c.ko": []})
    kernels.write_tables(source, dep="kernel/lib/libcrc32c.ko:\n")
    driver = kernels.module("alias=pci:v0000*", "softdep=pre: libcrc32c", "firmware=tigon/tg3.bin")
    whole = subject(broken(change(f"{DRIVERS}/net/tg3.ko", body=driver)))
    whole = replace(whole, source=source)
    found = proof.Proof(whole).verdict(Machine(driver="tg3", menus=True))
    assert any("libcrc32c, which tg3 asks for" in each.text for each in found_by(found, "E12"))


def test_a_foreign_initrd_may_have_it_built_in() -> None:
    """E12: where nobody tells what is built in, a missing module is a doubt."""
    found = judge(broken(FOREIGN), driver="e1000", append="")
    assert {each.grade for each in found_by(found, "E12")} == {Grade.WARNING}


@pytest.mark.parametrize(
    ("driver", "breakages", "grade", "message"),
    [
        pytest.param("bnx2", [], None, "boots", id="there, by a pattern"),
        pytest.param("bnx2", [drop(FIRMWARE)], Grade.ERROR, NO_NIC, id="not there"),
        pytest.param("tg3", [], Grade.WARNING, "boots", id="a card that does without"),
        pytest.param("virtio_net", [drop(FIRMWARE)], None, "boots", id="another's firmware"),
        pytest.param("bnx2", [drop(FIRMWARE), add(cpio.regular(f"{FIRMWARE}.xz", XZ))], None, "boots", id="xz"),
        pytest.param(
            "bnx2", [drop(FIRMWARE), add(cpio.regular(f"{FIRMWARE}.zst", b"x"))], Grade.ERROR, NO_NIC, id="zst"
        ),
    ],
)
def test_firmware(driver: str, breakages: list[Breakage], grade: Grade | None, message: str) -> None:
    """E13: a driver whose firmware is missing finds no card; some cards do without it."""
    found = judge(broken(*breakages), driver=driver)
    assert {each.grade for each in found_by(found, "E13")} == ({grade} if grade else set())
    assert found.message == message


def test_waiving_a_rule() -> None:
    """A site that knows its cards waives the rule by name; it is still told."""
    tree = broken(drop(FIRMWARE))
    found = proof.Proof(subject(tree), waived=("E13",)).verdict(Machine(driver="bnx2", menus=True))
    assert {each.grade for each in found_by(found, "E13")} == {Grade.WAIVED}
    assert (found.boots, found.refused) == (True, False)


@pytest.mark.parametrize(
    ("kernel", "breakages", "words"),
    [
        (kernels.bzimage("6.1.0-2-amd64"), [], "its modules are for 6.1.0-1-amd64, the kernel is 6.1.0-2-amd64"),
        (
            kernels.bzimage(),
            [change(f"{DRIVERS}/net/tg3.ko", body=kernels.module(vermagic="5.10.0-1 SMP ", versions=False))],
            "tg3 (for 5.10.0-1)",
        ),
        (
            kernels.bzimage(),
            [change(f"{DRIVERS}/net/tg3.ko", body=kernels.module(machine=183))],
            "tg3 (for aarch64)",
        ),
    ],
)
def test_modules_of_another_kernel(kernel: bytes, breakages: list[Breakage], words: str) -> None:
    """E11: a kernel looks for its modules under its own version, and refuses those of others."""
    found = judge(broken(*breakages), kernel=kernel)
    assert any(words in each.text and each.grade is Grade.ERROR for each in found_by(found, "E11"))


@pytest.mark.parametrize(
    ("config", "breakages"),
    [
        (CONFIG, []),
        (CONFIG, [change(f"{DRIVERS}/net/tg3.ko", body=kernels.module(vermagic="6.1.0-1-other SMP "))]),
        (
            CONFIG,
            [
                add(cpio.directory("usr/lib/modules/5.10")),
                add(cpio.regular("usr/lib/modules/5.10/old.ko", kernels.module(vermagic="5.10 SMP "))),
            ],
        ),
    ],
)
def test_modules_of_this_kernel(config: str, breakages: list[Breakage]) -> None:
    """E11: checksums of symbols stand for the version where the kernel checks them; others' modules harm nobody."""
    assert not found_by(judge(broken(*breakages), config=config), "E11")


def test_a_kernel_without_modules() -> None:
    """E11: what loads no modules has none to refuse."""
    config = CONFIG.replace("CONFIG_MODULES=y\n", "")
    assert not found_by(judge(first_stage(), kernel=kernels.bzimage("6.12"), config=config), "E11")


@pytest.mark.parametrize(
    ("breakages", "red"),
    [
        ([], False),
        ([drop(f"{BASE}/modules.dep")], True),
        ([change(f"{BASE}/modules.dep", body=b"kernel/drivers/net/tg3.ko:\n")], True),
    ],
)
def test_what_modprobe_knows(breakages: list[Breakage], red: bool) -> None:
    """W11: modprobe finds what modules.dep lists."""
    assert bool(found_by(judge(broken(*breakages)), "W11")) == red


def test_what_init_would_load_at_once() -> None:
    """E12: init's own list names what is there."""
    found = judge(broken(change("etc/bootmill/drivers", body=b"usr/lib/modules/x.ko\n")))
    assert any("/x.ko" in each.text for each in found_by(found, "E12"))
    found = judge(broken(drop("etc/bootmill/drivers")))
    assert any("there is no /etc/bootmill/drivers" in each.text for each in found_by(found, "E12"))
