"""What may be asked of a node's BMC: power verbs and boot devices, as xCAT's rpower and rsetboot name them."""

from dataclasses import dataclass
from enum import StrEnum


class PowerVerb(StrEnum):
    """What rpower does.  BOOT is ON where the node is off, else RESET."""

    ON = "on"
    OFF = "off"
    STAT = "stat"
    STATE = "state"
    BOOT = "boot"
    RESET = "reset"
    CYCLE = "cycle"
    SOFTOFF = "softoff"


class BootDevice(StrEnum):
    """What rsetboot chooses.  DEFAULT withdraws a choice."""

    NET = "net"
    HD = "hd"
    CD = "cd"
    SETUP = "setup"
    DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class BootChoice:
    """A boot device, for the next boot only or for all to come, by BIOS or by UEFI."""

    device: BootDevice
    persistent: bool = False
    uefi: bool = False

    def __str__(self) -> str:
        """Return the choice for people: ``net``, ``hd (persistent, uefi)``."""
        words = [word for word, said in (("persistent", self.persistent), ("uefi", self.uefi)) if said]
        return f"{self.device} ({', '.join(words)})" if words and self.device is not BootDevice.DEFAULT else self.device
