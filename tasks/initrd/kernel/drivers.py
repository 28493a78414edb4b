"""Which modules drive network cards and disks, and what they need that no symbol leads to.  Pure.

**nics**: modules for wired Ethernet that a bus can find.  By path (drivers/net less what is no Ethernet, s390) *and* by
alias: a module without one is a library, which comes along as a dependency, or is loaded by nothing but a person's
order (bonding, dummy, tun).  PHY, MDIO and PCS drivers belong to it: phylib asks for them by alias when a card appears,
and where the first stage has none, the card runs with the generic PHY driver or not at all (r8169).
Left out: wireless, CAN, WAN, amateur radio, PPP, FDDI, HIPPI, switches; PCMCIA, for no server has it; USB adapters,
whose cousins inside a BMC (cdc_ether) would join the search for the booting card: who boots over one names it (r8152).
dracut (kernel-network-modules) takes drivers/net/{ethernet,phy,team} whole and of the rest of drivers/net what uses
eth_type_trans, register_virtio_device or usbnet_open; initramfs-tools takes drivers/net whole, less a list of folders.

**disks**: controllers that a bus can find, below drivers/{ata,block,message,mmc,nvme,scsi}, with the drivers that make
block devices of what is behind them (sd_mod, sr_mod, mmc_block have aliases, too), and Intel's VMD, which hides NVMe.
"""

from collections.abc import Iterable, Mapping

NICS = "nics"
DISKS = "disks"
INSIDE: Mapping[str, tuple[str, ...]] = {
    NICS: ("drivers/net/", "drivers/s390/net/"),
    DISKS: (
        *("drivers/ata/", "drivers/block/", "drivers/message/fusion/", "drivers/mmc/", "drivers/nvme/host/"),
        *("drivers/s390/block/", "drivers/s390/scsi/", "drivers/scsi/", "drivers/pci/controller/vmd."),
    ),
}
OUTSIDE: Mapping[str, tuple[str, ...]] = {
    NICS: tuple(
        f"drivers/net/{name}"
        for name in (
            *("appletalk/", "arcnet/", "can/", "dsa/", "fddi/", "fjes/", "hamradio/", "hippi/", "ieee802154/", "ipa/"),
            *("irda/", "pcmcia/", "plip/", "ppp/", "sb1000.", "slip/", "thunderbolt", "tokenring/", "usb/", "wan/"),
            *("wimax/", "wireguard/", "wireless/", "wwan/", "mhi_net.", "ethernet/mellanox/mlxsw/"),
            "ethernet/marvell/prestera/",
        )
    ),
    DISKS: ("drivers/scsi/pcmcia/", "drivers/scsi/st.", "drivers/scsi/ch.", "drivers/scsi/ses."),
}
# What stands before the colon of an alias by which a bus asks (scripts/mod/file2alias.c).
BUSES = {
    *("acpi", "acpi*", "auxiliary", "bcma", "ccw", "ccwgroup", "eisa", "fsl_mc", "mdio", "mmc", "of", "pci"),
    *("platform", "scsi", "ssb", "vio", "virtio", "vmbus", "xen"),
}
# Bus of an alias → the drivers of the bus itself, where no symbol leads to them: virtio.ko alone finds no device.  The
# first is what most machines have.
BELOW: Mapping[str, tuple[str, ...]] = {
    "virtio": ("virtio_pci", "virtio_mmio"),
    "xen": ("xen_platform_pci",),
    "usb": ("xhci_pci", "ehci_pci", "uhci_hcd"),
}
# Module → those that do its work, which it asks for by name when it has found a card.
ABOVE: Mapping[str, tuple[str, ...]] = {
    "mlx4_core": ("mlx4_en",),  # mlx4_request_modules(); since v6.7 mlx4_en has an alias on the auxiliary bus
    "hns3": ("hclge", "hclgevf"),  # hnae3 joins them at run time
}


def in_class(word: str, path: str, aliases: Iterable[str]) -> bool:
    """Return whether a module belongs to a class; `path` as in modules.dep, with or without what lies before it."""
    inner = path[max(path.find("/drivers/") + 1, 0) :]
    place = inner.startswith(INSIDE[word]) and not inner.startswith(OUTSIDE[word])
    return place and not BUSES.isdisjoint(map(bus, aliases))


def bus(alias: str) -> str:
    """Return what stands before an alias's colon, empty where it has none."""
    return alias.partition(":")[0] if ":" in alias else ""


def below(aliases: Iterable[str]) -> tuple[str, ...]:
    """Return the bus drivers without which a driver with these aliases finds nothing, where the kernel has them."""
    return tuple(name for word in sorted(set(map(bus, aliases))) for name in BELOW.get(word, ()))
