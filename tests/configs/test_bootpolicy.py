"""Which client is given which boot program."""

from ipaddress import IPv4Address

import pytest

from tasks.configs.bootpolicy import Choice, for_ipxe_node, for_network

SERVER = IPv4Address("10.1.0.1")
BOOT = "http://10.1.0.1/tftpboot/ipxe/boot.ipxe"
OWN = "http://10.1.0.1/tftpboot/ipxe/00-19-b9-c4-17-08.ipxe"


def given(choices: tuple[Choice, ...], arch: int, *, ipxe: bool) -> str | None:
    """Return what a client is given: the first choice that matches it."""
    matching = (choice.file for choice in choices if choice.arch in {None, arch} and (ipxe or not choice.ipxe))
    return next(matching, None)


@pytest.mark.parametrize(
    ("arch", "rom", "running"),
    [
        (0x0000, "pxelinux.0", "pxelinux.0"),  # QEMU's ROM is iPXE: PXELINUX all the same
        (0x0007, "grub/grubx64.efi", BOOT),
        (0x0009, "grub/grubx64.efi", BOOT),
        (0x0006, None, None),  # 32-bit UEFI
        (0x000B, None, None),  # arm64
        (0x0010, None, None),  # HTTP boot
    ],
)
def test_a_client_is_given_the_program_of_its_architecture(arch: int, rom: str | None, running: str | None) -> None:
    """BIOS: PXELINUX; 64-bit UEFI: GRUB; a running iPXE on UEFI: the script; nothing where nothing fits."""
    assert given(for_network(SERVER), arch, ipxe=False) == rom
    assert given(for_network(SERVER), arch, ipxe=True) == running


@pytest.mark.parametrize(
    ("arch", "rom"),
    [(0x0000, "ipxe/undionly.kpxe"), (0x0007, "ipxe/snponly.efi"), (0x0009, "ipxe/snponly.efi"), (0x000B, None)],
)
def test_an_ipxe_node_gets_ipxe_once_and_then_its_script(arch: int, rom: str | None) -> None:
    """A node with `netboot: ipxe` loads iPXE by its firmware; iPXE itself gets the node's script, never iPXE again."""
    choices = for_ipxe_node(SERVER, "ipxe/00-19-b9-c4-17-08.ipxe")
    assert given(choices, arch, ipxe=False) == rom
    assert given(choices, arch, ipxe=True) == OWN
