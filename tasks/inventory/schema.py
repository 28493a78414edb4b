"""What may be written in inventory/: one pydantic model a table.  The border where text becomes typed values.

The same models make the JSON Schemas that editors read (`jsonschema`).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, WithJsonSchema

from tasks.inventory import texts
from tasks.inventory.model import (
    BootState,
    Compression,
    Firmware,
    FstabEntry,
    Management,
    Netboot,
    RecordType,
    SecretRef,
    SnmpVersion,
)

Mac = Annotated[str, AfterValidator(texts.mac), WithJsonSchema({"type": "string", "pattern": texts.whole(texts.MAC)})]
HostName = Annotated[
    str, AfterValidator(texts.host_name), WithJsonSchema({"type": "string", "pattern": texts.whole(texts.LABEL)})
]
NicName = Annotated[
    str,
    AfterValidator(texts.interface_name),
    WithJsonSchema({"type": "string", "pattern": texts.whole(texts.INTERFACE)}),
]
VarName = Annotated[str, AfterValidator(texts.variable)]
DomainName = Annotated[str, AfterValidator(texts.domain_name)]
HostOrAddress = Annotated[str, AfterValidator(texts.host_or_address)]
Hardware = Annotated[str, AfterValidator(texts.hardware)]
Word = Annotated[str, AfterValidator(texts.kernel_word)]
Driver = Annotated[str, AfterValidator(texts.driver)]
DriverChoice = Annotated[str, AfterValidator(texts.driver_choice)]
Rule = Annotated[str, AfterValidator(texts.rule)]
Login = Annotated[str, Field(max_length=32), AfterValidator(texts.login)]
Secret = Annotated[
    InstanceOf[SecretRef],
    WithJsonSchema({"type": "string", "description": "a reference: !secret env:NAME or !secret file:PATH"}),
]
Ipv6 = Annotated[IPv6Address, AfterValidator(texts.no_zone)]
AnyAddress = Annotated[
    IPv4Address | IPv6Address, BeforeValidator(texts.any_address), WithJsonSchema({"type": "string"})
]
Subnet = Annotated[IPv4Network, AfterValidator(texts.subnet)]
Subnet6 = Annotated[IPv6Network, AfterValidator(texts.subnet)]
Range = Annotated[
    tuple[IPv4Address, IPv4Address],
    BeforeValidator(texts.address_range),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9.]+ *- *[0-9.]+$"}),
]
Range6 = Annotated[
    tuple[IPv6Address, IPv6Address],
    BeforeValidator(texts.address_range6),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9a-fA-F:.]+ *- *[0-9a-fA-F:.]+$"}),
]
HostNames = Annotated[list[HostName], BeforeValidator(texts.one_or_many, json_schema_input_type=list[HostName] | str)]
KernelArgs = list[Word]
LONGEST = 1000  # characters of a text that only exports read
Vlan = Annotated[int, Field(ge=1, le=4094)]
Mtu = Annotated[int, Field(ge=576, le=9216)]


class Table(BaseModel):
    """Common to all tables: an unknown column is a mistake, not a comment."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class DnsRecordIn(Table):
    """A record that the site adds to its forward zone."""

    name: str = Field(description="relative to the zone; @ is the zone itself")
    type: RecordType = Field(description="A, AAAA, CNAME, MX, NS, SRV or TXT")
    value: str = Field(min_length=1, max_length=512, description="as a zone file has it: 0 0 123 mgt")


class ExportIn(Table):
    """A folder that the head node exports over NFS."""

    path: Annotated[str, AfterValidator(texts.folder)] = Field(description="absolute path of the folder")
    networks: list[HostName] = Field([], description="names in networks.yaml; default: all")
    options: list[Annotated[str, AfterValidator(texts.export_option)]] = Field(
        ["ro", "no_subtree_check"], description="options of exports(5)"
    )


class PasswordIn(Table):
    """What a use of passwords logs in with."""

    user: Login = Field("root", description="the user")
    password: Secret = Field(description="password, by reference")


BootProgram = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*[/.][a-z0-9_.-]+$", max_length=64)]


class SiteIn(Table):
    """site.yaml: values that hold for the whole cluster."""

    domain: DomainName = Field(description="DNS domain of the cluster")
    master: HostName = Field(description="the head node, by its name in nodes.yaml")
    destdir: Annotated[str, AfterValidator(texts.output_folder)] = Field(
        "build", description="put before every absolute output path; / stages in place"
    )
    nameservers: list[AnyAddress] = Field([], description="what nodes ask; default: the head node")
    forwarders: list[AnyAddress] = Field([], description="whom the head node's named asks")
    ssh_key: Annotated[str, AfterValidator(texts.below_inventory)] = Field(
        "keys/site_ed25519", description="private key below inventory/ whose public half nodes accept"
    )
    dns_contact: DomainName | None = Field(None, description="SOA mailbox; default: hostmaster.<domain>")
    search: list[DomainName] = Field([], description="DNS search list behind the cluster's own domain")
    ntp_servers: list[HostOrAddress] = Field([], description="time servers; default: none but the head node")
    log_servers: list[IPv4Address] = Field([], description="where nodes send their logs")
    secondaries: list[AnyAddress] = Field([], description="name servers that transfer our zones")
    serial_floor: int = Field(1, ge=1, le=(1 << 32) - 1, description="no zone's serial is ever below")
    records: list[DnsRecordIn] = Field([], description="more records of the forward zone")
    exports: list[ExportIn] = Field([], description="folders that the head node exports over NFS")
    short_names_first: bool = Field(False, description="in the hosts file: n01 before n01.domain")
    passwords: dict[HostName, PasswordIn] = Field({}, description="what to log in with, by use (xCAT's passwd)")
    dhcp_server: Literal["isc", "kea", "dnsmasq"] | None = Field(
        None, description="which DHCP server the head node runs; default: the one that was deployed, or runs there"
    )
    boot_programs: list[BootProgram] = Field(
        [], description="boot programs below /tftpboot that the site puts there itself, e.g. grub/grubaa64.efi"
    )
    defaults: dict[str, Any] = Field({}, description="node attributes where neither the node nor a group has one")


class NetworkIn(Table):
    """networks.yaml: subnets."""

    subnet: Subnet = Field(description="e.g. 10.1.0.0/24")
    gateway: IPv4Address | None = Field(None, description="default route of the nodes")
    dynamic_range: Range | None = Field(None, description="addresses for unknown machines")
    next_server: IPv4Address | None = Field(None, description="where boot files come from; default: the head node")
    subnet6: Subnet6 | None = Field(None, description="IPv6 subnet, e.g. fd00:1::/64")
    gateway6: Ipv6 | None = Field(None, description="IPv6 default route")
    dynamic_range6: Range6 | None = Field(None, description="IPv6 addresses for unknown machines")
    next_server6: Ipv6 | None = Field(None, description="where boot files come from over IPv6")
    vlan: Vlan | None = Field(None, description="VLAN number")
    mtu: Mtu | None = Field(None, description="octets")
    domain: DomainName | None = Field(None, description="DNS domain of the names in it; default: the site's")
    nameservers: list[AnyAddress] = Field([], description="what its nodes ask; default: the site's")
    ntp_servers: list[HostOrAddress] = Field([], description="time servers; default: the site's")
    link: HostName | None = Field(None, description="networks of one link share a wire (ISC's shared-network)")
    interface: NicName | None = Field(None, description="the head node's NIC on it")
    relay: IPv4Address | None = Field(None, description="a remote network: its DHCP relay agent's address")
    dhcp: bool = Field(True, description="whether our DHCP server serves it")
    delegation: bool = Field(False, description="its own reverse zone below /24 (RFC 2317)")


class SwitchIn(Table):
    """switches.yaml: managed switches."""

    ip: IPv4Address = Field(description="management address")
    mac: Mac | None = Field(None, description="MAC of its management port, where DHCP gives it its address")
    ports: int = Field(48, ge=1, le=4096, description="number of ports")
    model: Hardware = Field("generic", description="hardware model")
    snmp: SnmpVersion = Field(SnmpVersion.V2C, description="1, 2c or 3")
    community: Secret | None = Field(None, description="SNMP community, by reference (versions 1 and 2c)")
    user: Login | None = Field(None, description="SNMPv3 user")
    auth: Literal["md5", "sha", "sha256", "sha512"] | None = Field(None, description="SNMPv3 authentication")
    auth_password: Secret | None = Field(None, description="SNMPv3 authentication password, by reference")
    privacy: Literal["des", "aes", "aes256"] | None = Field(None, description="SNMPv3 encryption")
    privacy_password: Secret | None = Field(None, description="SNMPv3 encryption password, by reference")


class BmcIn(Table):
    """A node's management controller."""

    address: IPv4Address = Field(description="the BMC's own address")
    mac: Mac | None = Field(None, description="the BMC's MAC, where DHCP gives it its address")
    port: int = Field(623, ge=1, le=65535, description="UDP port of IPMI")
    user: Annotated[str, Field(max_length=16), AfterValidator(texts.login)] = Field(
        "root", description="IPMI user, 16 bytes at most"
    )
    password: Secret | None = Field(None, description="password, by reference")
    model: Hardware | None = Field(None, description="where it is not what the node's says")


class NicIn(Table):
    """A further network interface of a node."""

    names: HostNames = Field(default_factory=list, description="host names; default: <node>-<nic>")
    ip: IPv4Address | None = Field(None, description="address")
    ip6: Ipv6 | None = Field(None, description="IPv6 address")
    mac: Mac | None = Field(None, description="MAC, where DHCP gives it its address")
    vlan: Vlan | None = Field(None, description="VLAN number")
    mtu: Mtu | None = Field(None, description="octets")


class VmIn(Table):
    """A virtual machine."""

    host: HostName = Field(description="the node that runs it")
    cpus: int = Field(1, ge=1, le=1024, description="number of processors")
    disk: Annotated[str, AfterValidator(texts.plain_word)] | None = Field(
        None, description="size (20G), path or volume"
    )
    bridge: NicName | None = Field(None, description="bridge of the host")


class GroupIn(Table):
    """groups.yaml, beside the attributes of its nodes: what makes the group."""

    groups: HostNames = Field(default_factory=list, description="groups that it is in")
    where: dict[str, Annotated[str, Field(max_length=LONGEST)]] = Field(
        {}, description="a dynamic group: nodes with these attributes belong to it"
    )


class SwitchPortIn(Table):
    """Where a node is plugged in."""

    switch: HostName = Field(description="name in switches.yaml")
    port: Annotated[str, Field(max_length=64), AfterValidator(texts.plain_word)] = Field(
        description="port, by number or by name"
    )


class ConsoleIn(Table):
    """The serial console."""

    port: int = Field(0, ge=0, le=7, description="0 is ttyS0")
    speed: int = Field(115200, ge=300, le=4_000_000, description="bit/s")
    flow: bool = Field(False, description="hardware flow control (RTS/CTS)")


class NodeIn(Table):
    """nodes.yaml: machines.  groups.yaml and site.defaults take the same attributes."""

    groups: HostNames = Field(default_factory=list, description="the first that has an attribute wins")
    aliases: HostNames = Field(default_factory=list, description="more host names")
    ip: IPv4Address = Field(description="address on the management network")
    mac: Mac | None = Field(None, description="address of the NIC that boots")
    model: Hardware = Field("generic", description="hardware model; picks the quirks")
    firmware: Firmware = Field(Firmware.BIOS, description="bios or uefi")
    netboot: Netboot = Field(Netboot.PXE, description="pxe, grub or ipxe")
    osimage: str | None = Field(None, description="name in osimages.yaml")
    state: BootState = Field(BootState.LOCAL, description="boot state until nodeset says otherwise")
    console: ConsoleIn | None = Field(None, description="serial console")
    kernel_args: KernelArgs = Field(default_factory=list, description="words for the kernel command line")
    bmc: BmcIn | None = Field(None, description="management controller")
    port: SwitchPortIn | None = Field(None, description="switch port")
    memory: int = Field(
        1024, ge=64, le=1 << 24, description="MiB; what a virtual machine gets and the proof counts with"
    )
    nic: Driver = Field("e1000", description="NIC model in the laboratory")
    driver: Driver | None = Field(None, description="kernel driver of the NIC that boots; the boot proof asks for it")
    ip6: Ipv6 | None = Field(None, description="IPv6 address on the management network")
    interface: NicName | None = Field(None, description="name of the NIC that boots, e.g. eth0")
    nics: dict[NicName, NicIn] = Field(default_factory=dict, description="further network interfaces, by name")
    management: Management | None = Field(
        None, description="ipmi, kvm, xen or none; default: ipmi where there is a BMC"
    )
    service_node: HostName | None = Field(None, description="the node that serves it instead of the head node")
    vm: VmIn | None = Field(None, description="a virtual machine: where it runs and what it gets")
    vars: dict[VarName, Annotated[str, Field(max_length=LONGEST)]] = Field(
        {}, description="what the site wants to know; handed to exports as it is"
    )


class MediaIn(Table):
    """media.yaml: install media."""

    iso: str | None = Field(None, min_length=1, description="path of an ISO or a DVD device")
    suite: DomainName | None = Field(
        None, description="make the medium from this machine's package sources of this suite"
    )


class OsImageIn(Table):
    """osimages.yaml: what nodes run."""

    media: str = Field(description="name in media.yaml")
    packages: list[Annotated[str, AfterValidator(texts.package)]] = Field(
        description="packages beside the essential ones"
    )
    exclude: list[Annotated[str, AfterValidator(texts.plain_path)]] = Field(
        [], description="paths left out of the root image"
    )
    drivers: list[DriverChoice] = Field(
        description="drivers in the initrd: names, aliases (pci:v000014E4d*), or all: nics, disks"
    )
    kernel: Annotated[str, AfterValidator(texts.release)] | None = Field(
        None, description="kernel version where the tree has several"
    )
    kernel_args: KernelArgs = Field([], description="words for the kernel command line")
    fstab: list[Annotated[FstabEntry, BeforeValidator(texts.fstab_line), WithJsonSchema({"type": "string"})]] = Field(
        [], description="lines for /etc/fstab"
    )
    services_off: list[Annotated[str, AfterValidator(texts.unit)]] = Field([], description="systemd units to mask")
    compression: Compression | None = Field(
        None, description="how the initrd is packed; default: the quickest that its kernel can unpack"
    )
    waive: list[Rule] = Field([], description="rules of the boot proof (E13) whose errors do not keep it from staging")


class BootStateIn(Table):
    """bootstate.yaml: what nodeset chose; written by Bootmill."""

    state: BootState
    osimage: str | None = None
