"""What may be written in inventory/: one pydantic model a table.  The border where text becomes typed values."""

import re
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf

from tasks.inventory.model import BootState, Firmware, FstabEntry, Netboot, SecretRef

LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
MODULE = re.compile(r"[A-Za-z0-9_-]+")
WORD = re.compile(r"[\x21-\x7e]+")


def mac(text: str) -> str:
    """Parse a MAC address: six pairs of hexadecimal digits between ``:`` or ``-``; multicast and zero are refused."""
    if not re.fullmatch(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}", text):
        message = f"{text!r} is no MAC address (write 00:18:8b:f8:e3:58)"
        raise ValueError(message)
    plain = text.lower().replace("-", ":")
    if int(plain[:2], 16) & 1 or plain == "00:00:00:00:00:00":
        message = f"{text} is a multicast or empty address, no machine has it"
        raise ValueError(message)
    return plain


def host_name(text: str) -> str:
    """Parse one DNS label (RFC 1123 2.1): letters, digits and inner hyphens, 63 at most."""
    if not LABEL.fullmatch(text):
        message = f"{text!r} is no host name: small letters, digits and inner hyphens, 63 at most"
        raise ValueError(message)
    return text


def domain_name(text: str) -> str:
    """Parse a domain name: labels between dots, 253 characters at most."""
    if len(text) > 253 or not all(LABEL.fullmatch(label) for label in text.split(".")):
        message = f"{text!r} is no domain name"
        raise ValueError(message)
    return text


def package(text: str) -> str:
    """Parse a Debian package name (Policy 5.6.1)."""
    if not PACKAGE.fullmatch(text):
        message = f"{text!r} is no package name"
        raise ValueError(message)
    return text


def driver(text: str) -> str:
    """Parse a kernel module's name."""
    if not MODULE.fullmatch(text):
        message = f"{text!r} is no kernel module name"
        raise ValueError(message)
    return text


def kernel_word(text: str) -> str:
    """Parse one kernel argument: printable, no blank, nothing that a boot menu would take for its own syntax."""
    if not WORD.fullmatch(text) or set(text) & set("\"'\\{};$`<>|&"):
        message = f"{text!r} is no plain kernel argument (one word, no quotes or shell characters)"
        raise ValueError(message)
    return text


def unit(text: str) -> str:
    """Parse a systemd unit's name (systemd.unit(5)): it becomes a file name."""
    if not re.fullmatch(r"[A-Za-z0-9:_.@-]+\.(service|socket|timer|target|mount|path)", text) or text.startswith("."):
        message = f"{text!r} is no unit name (write apt-daily.timer)"
        raise ValueError(message)
    return text


def plain_path(text: str) -> str:
    """Parse a path pattern of an exclusion list: absolute, no parent folder; a leading + brings it back."""
    if not re.fullmatch(r"\+?/[\x21-\x7e]*", text) or ".." in text.split("/"):
        message = f"{text!r} is no absolute path pattern (write /usr/share/doc/* or +/usr/share/doc/keep)"
        raise ValueError(message)
    return text


def below_inventory(text: str) -> str:
    """Parse the path of a file below inventory/: relative, no parent folder."""
    if not WORD.fullmatch(text) or text.startswith("/") or ".." in text.split("/"):
        message = f"{text!r} is no path below inventory/ (write keys/site_ed25519)"
        raise ValueError(message)
    return text


def address_range(text: str) -> tuple[IPv4Address, IPv4Address]:
    """Parse ``10.1.0.200-10.1.0.230``; both ends belong to the range."""
    first, dash, last = str(text).partition("-")
    try:
        ends = IPv4Address(first.strip()), IPv4Address(last.strip() if dash else first)
    except ValueError:
        dash = ""
    if not dash:
        message = f"{text!r} is no address range (write 10.1.0.200-10.1.0.230)"
        raise ValueError(message)
    if ends[0] > ends[1]:
        message = f"the range {text} ends before it begins"
        raise ValueError(message)
    return ends


def fstab_line(text: Any) -> FstabEntry:
    """Parse a line of fstab(5): six fields between blanks, none inside a field."""
    fields = str(text).split()
    if len(fields) != 6:
        blank = " Options are one word: 'defaults,size=10m' without a blank." if ", " in str(text) else ""
        message = f"an fstab line has 6 fields, this one has {len(fields)}: {text!r}.{blank}"
        raise ValueError(message)
    device, mountpoint, kind, options, dump, check = fields
    if not (mountpoint.startswith("/") or mountpoint in {"none", "swap"}):
        message = f"the mount point {mountpoint!r} is not absolute"
        raise ValueError(message)
    if not (re.fullmatch(r"[0-9]{1,3}", dump) and re.fullmatch(r"[0-9]{1,3}", check)):
        message = f"the last two fields of an fstab line are numbers, not {dump!r} {check!r}"
        raise ValueError(message)
    return FstabEntry(
        device=device, mountpoint=mountpoint, type=kind, options=options, dump=int(dump), check=int(check)
    )


def one_or_many(value: Any) -> Any:
    """Accept ``a`` for ``[a]``, ``a, b`` for ``[a, b]``, and nothing for no item."""
    if value is None:
        return []
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value


Mac = Annotated[str, AfterValidator(mac)]
HostName = Annotated[str, AfterValidator(host_name)]
DomainName = Annotated[str, AfterValidator(domain_name)]
KernelArgs = list[Annotated[str, AfterValidator(kernel_word)]]
Secret = InstanceOf[SecretRef]


class Table(BaseModel):
    """Common to all tables: an unknown column is a mistake, not a comment."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class SiteIn(Table):
    """site.yaml: values that hold for the whole cluster."""

    domain: DomainName = Field(description="DNS domain of the cluster")
    master: HostName = Field(description="the head node, by its name in nodes.yaml")
    destdir: str = Field("build", min_length=1, description="put before every absolute output path; / stages in place")
    nameservers: list[IPv4Address] = Field([], description="what nodes ask; default: the head node")
    forwarders: list[IPv4Address] = Field([], description="whom the head node's named asks")
    ssh_key: Annotated[str, AfterValidator(below_inventory)] = Field(
        "keys/site_ed25519", description="private key below inventory/ whose public half nodes accept"
    )
    dns_contact: DomainName | None = Field(None, description="SOA mailbox; default: hostmaster.<domain>")
    defaults: dict[str, Any] = Field({}, description="node attributes where neither the node nor a group has one")


class NetworkIn(Table):
    """networks.yaml: subnets."""

    subnet: IPv4Network = Field(description="e.g. 10.1.0.0/24")
    gateway: IPv4Address | None = Field(None, description="default route of the nodes")
    dynamic_range: Annotated[tuple[IPv4Address, IPv4Address], BeforeValidator(address_range)] | None = Field(
        None, description="addresses for unknown machines"
    )
    next_server: IPv4Address | None = Field(None, description="where boot files come from; default: the head node")


class SwitchIn(Table):
    """switches.yaml: managed switches."""

    ip: IPv4Address = Field(description="management address")
    ports: int = Field(48, ge=1, le=4096, description="number of ports")
    community: Secret | None = Field(None, description="SNMP community, by reference")


class BmcIn(Table):
    """A node's management controller."""

    address: IPv4Address = Field(description="the BMC's own address")
    user: Annotated[str, Field(min_length=1, max_length=16)] = Field("root", description="IPMI user, 16 bytes at most")
    password: Secret | None = Field(None, description="password, by reference")


class SwitchPortIn(Table):
    """Where a node is plugged in."""

    switch: HostName = Field(description="name in switches.yaml")
    port: Annotated[str, AfterValidator(kernel_word)] = Field(max_length=64, description="port, by number or by name")


class ConsoleIn(Table):
    """The serial console."""

    port: int = Field(0, ge=0, le=7, description="0 is ttyS0")
    speed: int = Field(115200, ge=300, le=4_000_000, description="bit/s")


class NodeIn(Table):
    """nodes.yaml: machines.  groups.yaml and site.defaults take the same attributes."""

    groups: Annotated[list[HostName], BeforeValidator(one_or_many)] = Field(
        [], description="the first that has an attribute wins"
    )
    aliases: Annotated[list[HostName], BeforeValidator(one_or_many)] = Field([], description="more host names")
    ip: IPv4Address = Field(description="address on the management network")
    mac: Mac | None = Field(None, description="address of the NIC that boots")
    model: str = Field("generic", pattern=r"^[\w .+-]{1,64}$", description="hardware model; picks the quirks")
    firmware: Firmware = Field(Firmware.BIOS, description="bios or uefi")
    netboot: Netboot = Field(Netboot.PXE, description="pxe, grub or ipxe")
    osimage: str | None = Field(None, description="name in osimages.yaml")
    state: BootState = Field(BootState.LOCAL, description="boot state until nodeset says otherwise")
    console: ConsoleIn | None = Field(None, description="serial console")
    kernel_args: KernelArgs = Field([], description="words for the kernel command line")
    bmc: BmcIn | None = Field(None, description="management controller")
    port: SwitchPortIn | None = Field(None, description="switch port")
    memory: int = Field(
        1024, ge=64, le=1 << 24, description="MiB; what a virtual machine gets and the proof counts with"
    )
    nic: Annotated[str, AfterValidator(driver)] = Field("e1000", description="NIC model in the laboratory")


class MediaIn(Table):
    """media.yaml: install media."""

    iso: str | None = Field(None, min_length=1, description="path of an ISO or a DVD device")
    suite: Annotated[str, AfterValidator(domain_name)] | None = Field(
        None, description="make the medium from this machine's package sources of this suite"
    )


class OsImageIn(Table):
    """osimages.yaml: what nodes run."""

    media: str = Field(description="name in media.yaml")
    packages: list[Annotated[str, AfterValidator(package)]] = Field(description="packages beside the essential ones")
    exclude: list[Annotated[str, AfterValidator(plain_path)]] = Field(
        [], description="paths left out of the root image"
    )
    drivers: list[Annotated[str, AfterValidator(driver)]] = Field(description="NIC drivers in the initrd")
    kernel: str | None = Field(
        None, pattern=r"^[\w.+~-]{1,64}$", description="kernel version where the tree has several"
    )
    kernel_args: KernelArgs = Field([], description="words for the kernel command line")
    fstab: list[Annotated[FstabEntry, BeforeValidator(fstab_line)]] = Field([], description="lines for /etc/fstab")
    services_off: list[Annotated[str, AfterValidator(unit)]] = Field([], description="systemd units to mask")


class BootStateIn(Table):
    """bootstate.yaml: what nodeset chose; written by Bootmill."""

    state: BootState
    osimage: str | None = None
