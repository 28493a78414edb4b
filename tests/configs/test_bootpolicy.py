"""Which client is given which boot program."""

from itertools import product

import pytest

from tasks import paths
from tasks.configs import bootpolicy
from tasks.configs.bootpolicy import KNOWN, POLICY, SCRIPT, By, Offer, offers, offers6
from tasks.stage.programs import PROGRAMS

OURS = frozenset(paths.BOOT_PROGRAMS)
ARCHS = range(0x30)


def given(found: tuple[Offer, ...], arch: int, *, running: bool = False) -> str | None:
    """Return the file that a client is offered; no two offers may meet it."""
    files = [offer.file for offer in found if offer.meets(arch, running=running)]
    assert len(files) <= 1, (arch, running, files)
    return files[0] if files else None


@pytest.mark.parametrize(
    ("arch", "ours", "every", "node"),
    [
        (0x00, "pxelinux.0", "pxelinux.0", "ipxe/undionly.kpxe"),
        (0x01, None, None, None),  # NEC PC-98
        (0x06, "grub/grubia32.efi", "grub/grubia32.efi", "ipxe/snponly-ia32.efi"),
        (0x07, "grub/grubx64.efi", "grub/grubx64.efi", "ipxe/snponly.efi"),
        (0x09, "grub/grubx64.efi", "grub/grubx64.efi", "ipxe/snponly.efi"),
        (0x0A, None, "grub/grubarm.efi", "ipxe/snponly-arm32.efi"),
        (0x0B, None, "grub/grubaa64.efi", "ipxe/snponly-arm64.efi"),
        (0x0C, None, "grub/grubppc.elf", "grub/grubppc.elf"),
        (0x0E, "pxelinux.cfg/", "pxelinux.cfg/", "pxelinux.cfg/"),
        (0x0F, None, "ipxe/snponly-ia32.efi", "ipxe/snponly-ia32.efi"),
        (0x10, "ipxe/snponly.efi", "ipxe/snponly.efi", "ipxe/snponly.efi"),
        (0x11, "ipxe/snponly.efi", "ipxe/snponly.efi", "ipxe/snponly.efi"),
        (0x12, None, "ipxe/snponly-arm32.efi", "ipxe/snponly-arm32.efi"),
        (0x13, None, "ipxe/snponly-arm64.efi", "ipxe/snponly-arm64.efi"),
        (0x14, None, None, None),  # a BIOS that boots from HTTP
        (0x1B, None, "grub/grubriscv64.efi", "ipxe/snponly-riscv64.efi"),
        (0x1C, None, "ipxe/snponly-riscv64.efi", "ipxe/snponly-riscv64.efi"),
        (0x27, None, "grub/grubloongarch64.efi", "ipxe/snponly-loongarch64.efi"),
        (0x28, None, "ipxe/snponly-loongarch64.efi", "ipxe/snponly-loongarch64.efi"),
        (0xFFFF, None, None, None),
    ],
)
def test_firmware_is_given_its_program(arch: int, ours: str | None, every: str | None, node: str | None) -> None:
    """By our programs alone, by every program, and to a node with `netboot: ipxe`; nothing where nothing is there."""
    assert given(offers(OURS, ipxe_node=False), arch) == ours
    assert given(offers(KNOWN, ipxe_node=False), arch) == every
    assert given(offers(KNOWN, ipxe_node=True), arch) == node


def test_an_ipxe_node_without_ipxe_for_it_boots_all_the_same() -> None:
    """There is no iPXE for 32-bit UEFI among our programs: GRUB."""
    assert given(offers(OURS, ipxe_node=True), 0x06) == "grub/grubia32.efi"


@pytest.mark.parametrize("arch", ARCHS)
def test_a_running_ipxe_takes_the_script(arch: int) -> None:
    """Whatever it runs on; but on a BIOS it is taken for any other ROM (QEMU's is iPXE), unless the node wants it."""
    wanted = "pxelinux.0" if arch == 0 else SCRIPT
    assert given(offers(OURS, ipxe_node=False), arch, running=True) == wanted
    assert given(offers(OURS, ipxe_node=True), arch, running=True) == SCRIPT
    assert given(offers6(OURS, ipxe_node=False), arch, running=True) == SCRIPT  # PXELINUX speaks no IPv6


@pytest.mark.parametrize(("ipxe_node", "programs"), list(product([False, True], [OURS, KNOWN, frozenset[str]()])))
def test_only_what_is_there_is_offered(ipxe_node: bool, programs: frozenset[str]) -> None:
    """A file that is not there is offered to nobody; of all clients each is met once at most."""
    for version in (offers, offers6):
        found = version(programs, ipxe_node=ipxe_node)
        assert {offer.file for offer in found} <= programs | bootpolicy.OURS
        for arch, running in product(ARCHS, [False, True]):
            given(found, arch, running=running)


def test_ipv6_is_for_those_who_speak_it() -> None:
    """Neither a BIOS nor Open Firmware nor petitboot is offered anything; UEFI is, by URL."""
    found = offers6(KNOWN, ipxe_node=False)
    assert [given(found, arch) for arch in (0x00, 0x0C, 0x0E)] == [None, None, None]
    urls = {arch: offer.url6("fd00::1") for offer in found for arch in offer.archs}
    assert urls[bootpolicy.Arch.ARM64] == "tftp://[fd00::1]/grub/grubaa64.efi"
    assert urls[bootpolicy.Arch.ARM64_HTTP] == "http://[fd00::1]/tftpboot/ipxe/snponly-arm64.efi"


def test_an_architecture_stands_in_one_row() -> None:
    """The table has no two rows for one client."""
    archs = [arch for row in POLICY for arch in row.archs]
    assert sorted(archs) == sorted(bootpolicy.ClientArch)


def test_http_clients_are_told_so() -> None:
    """The registry's numbers for UEFI HTTP boot, and no others, are answered as HTTPClient."""
    http = {arch for offer in offers(KNOWN, ipxe_node=False) if offer.by is By.HTTP_CLIENT for arch in offer.archs}
    assert http == {0x0F, 0x10, 0x11, 0x12, 0x13, 0x1C, 0x28}


def test_what_may_be_offered_is_published() -> None:
    """The list that this step believes is what the stage step publishes; PXELINUX's library boots nobody."""
    assert set(paths.BOOT_PROGRAMS) == set(PROGRAMS) - {"ldlinux.c32"}
    assert set(paths.BOOT_PROGRAMS) <= KNOWN
