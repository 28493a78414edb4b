"""Where xCAT and Bootmill have different words for the same: boot programs, boot states, NIC models, attributes."""

from types import MappingProxyType

from tasks.inventory.model import BootState, Netboot

NETBOOT_OUT = MappingProxyType({Netboot.PXE: "pxe", Netboot.GRUB: "grub2", Netboot.IPXE: "xnba"})
NETBOOT_IN = MappingProxyType(
    {"pxe": "pxe", "xnba": "ipxe", **dict.fromkeys(("grub2", "grub2-http", "grub2-tftp"), "grub")}
)
STATES_IN = MappingProxyType({"boot": BootState.LOCAL, **{state.value: state for state in BootState}})
NICS_IN = MappingProxyType({"virtio": "virtio_net"})
NEEDS_OSIMAGE = frozenset({BootState.NETBOOT, BootState.INSTALL, BootState.SHELL})
BMC_SUFFIX = "-ipmi"
IPMI_PORT = 623
METHODS = ("netboot", "install")
MEMORY, NIC_MODEL, MODEL = 1024, "e1000", "generic"  # what a node has that says nothing

# What dynamic groups ask for: xCAT's attribute → ours.  Ours that xCAT lacks are written with the prefix.
OUR_PREFIX = "bootmill."
WHERE = MappingProxyType(
    {
        "mgt": "management",
        "power": "management",
        "netboot": "netboot",
        "mtm": "model",
        "provmethod": "osimage",
        "servicenode": "service_node",
        "installnic": "interface",
        "vmhost": "vm.host",
        "switch": "port.switch",
        "serialspeed": "console.speed",
    }
)
# Columns that are variables here: nothing is made from them, exports hand them on.
VARS = (
    *(("nodepos", name) for name in ("rack", "u", "chassis", "slot", "room", "height")),
    *(("vpd", name) for name in ("serial", "asset", "uuid")),
)
