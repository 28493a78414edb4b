"""Rules E16 and W10: the command line."""

from dataclasses import replace

import pytest

from tasks.initrd.proof import proof
from tasks.initrd.proof.subject import Machine
from tasks.inventory.model import Console, Firmware, Netboot
from tests.initrd.proofs import CONFIG, WORDS, broken, drop, findings, found_by, judge, subject

SERIAL = Console(port=1, speed=115200)
NODE = Machine(
    words=("console=tty0", "console=ttyS1,115200n8"),
    menus=True,
    console=SERIAL,
    firmware=Firmware.UEFI,
    netboot=Netboot.IPXE,
    bmc=True,
)


def rules(machine: Machine, config: str | None = CONFIG) -> list[str]:
    """Return the rules that a node breaks."""
    return [finding.rule for finding in findings(subject(broken(), config=config), machine)]


@pytest.mark.parametrize(
    ("words", "broken_rules"),
    [
        ((), []),
        (("initrd=other.img",), ["E16"]),
        (("initrd=initrd.img",), []),
        (("vlan=5000",), ["E16"]),
        (("vlan=12",), []),
        (("onfail=explode",), ["E16"]),
        (("onfail=reboot", "rootsize=80%", "rootinodes=0", "status=http://10.1.0.1/s"), []),
        (("rootsize=much",), ["E16"]),
        (("status=ftp://x",), ["E16"]),
        (("init=relative",), ["E16"]),
        (("init=/../x",), ["E16"]),
        (("console=tty0",), ["W10"]),
        (("console=ttyS0,9600",), ["W10"]),
    ],
)
def test_words_of_a_node(words: tuple[str, ...], broken_rules: list[str]) -> None:
    """What a loader, the kernel or our init would take for something else."""
    assert rules(replace(NODE, words=(*NODE.words, *words))) == broken_rules


def test_another_initrd_than_is_served() -> None:
    """E16: iPXE leaves it to the kernel to find the initrd, which boots without one then."""
    found = proof.Proof(subject(broken())).verdict(replace(NODE, words=("initrd=x", *NODE.words)))
    assert "Unable to mount root fs" in found.message
    bios = replace(NODE, words=("initrd=x", *NODE.words), firmware=Firmware.BIOS)
    assert proof.Proof(subject(broken())).verdict(bios).boots


def test_init_for_rdinit() -> None:
    """E16: init= with a program of the initrd, which has no /init."""
    found = judge(broken(drop("init")), append=f"{WORDS} init=/bin/busybox")
    assert any("write rdinit=/bin/busybox" in each.remedy for each in found_by(found, "E16"))
    assert not found_by(judge(broken(drop("init")), append=f"{WORDS} rdinit=/bin/busybox"), "E16")


@pytest.mark.parametrize(
    ("append", "message"),
    [
        (WORDS, "boots"),
        ("", "init stops: the kernel command line has no imgurl="),
        ("imgurl=http://x/y", "init stops: the kernel command line has no imgsha256="),
        ("imgurl=http://x/y imgsha256=abc", "init stops: the kernel command line has no imgsha256="),
        ("rdinit=/bin/busybox", "boots"),
    ],
)
def test_what_our_init_cannot_do_without(append: str, message: str) -> None:
    """E16: where no menu writes them, the words have to be given."""
    assert judge(broken(), append=append).message == message


@pytest.mark.parametrize(
    ("machine", "config", "red"),
    [
        (NODE, CONFIG, False),
        (NODE, CONFIG.replace("CONFIG_SERIAL_8250_CONSOLE=y\n", ""), True),
        (NODE, None, False),
        (replace(NODE, console=None, words=()), CONFIG, True),
        (replace(NODE, console=None, words=(), bmc=False), CONFIG, False),
    ],
)
def test_the_serial_line(machine: Machine, config: str | None, red: bool) -> None:
    """W10: what a BMC shows is the serial line that the inventory names, if the kernel drives it from the start."""
    assert ("W10" in rules(machine, config)) == red


def test_quotes_keep_words_together() -> None:
    """A blank between double quotes does not part words; one without end takes all that follows."""
    assert proof.words_of('a="b c" d') == ('a="b c"', "d")
    assert proof.words_of('a="b c') == ('a="b c',)
