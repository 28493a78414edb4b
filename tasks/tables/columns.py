"""The tables as xCAT has them (columns after its Schema.pm), and what Bootmill puts into each column.  Pure.

One table is ours: ``bootmill`` holds what xCAT has no column for, so that export-xcat loses nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

EMPTY = "(empty: Bootmill has no such value)"
LAST = ("comments", "disable")  # every table of xCAT ends with these
OURS = "bootmill"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: its columns in xCAT's order, and one line about it and about each column that Bootmill fills."""

    name: str
    about: str
    columns: tuple[str, ...]
    filled: tuple[tuple[str, str], ...]

    @property
    def by_node(self) -> bool:
        """Return whether a row belongs to a node or a group: there, values may be rules."""
        return self.columns[0] == "node"

    def described(self) -> Iterator[tuple[str, str]]:
        """Yield each column with one line about it."""
        known = {**dict(self.filled), "comments": "a person's notes", "disable": "1 or yes: the row does not count"}
        for column in self.columns:
            yield column, known.get(column, EMPTY)


def table(name: str, about: str, columns: str, /, **filled: str) -> Table:
    """Return a table from its columns between blanks; keywords describe those that Bootmill fills."""
    return Table(name=name, about=about, columns=(*columns.split(), *LAST), filled=tuple(filled.items()))


NODE = "the node (in xCAT also a group)"
TABLES = (
    table(
        OURS,
        "What xCAT has no column for: values of Bootmill that export-xcat must not lose.",
        "table name attribute value",
        table="the file of the inventory: nodes, groups, networks, switches, osimages, media",
        name="the row in it",
        attribute="the attribute, with dots inside compounds; of a list, one row an item",
        value="its value",
    ),
    table(
        "bootparams",
        "How nodes boot: words for the kernel.",
        "node kernel initrd kcmdline addkcmdline dhcpstatements adddhcpstatements",
        node=NODE,
        addkcmdline="kernel_args of the node",
    ),
    table(
        "chain",
        "What nodes do at their next boot.",
        "node currstate currchain chain ondiscover",
        node=NODE,
        currstate="boot state: netboot or install with an image, boot (from disk), shell, discover, offline",
    ),
    table(
        "hosts",
        "Addresses and names of nodes and switches.",
        "node ip hostnames otherinterfaces",
        node="the node or the switch (in xCAT also a group)",
        ip="its address on the management network",
        hostnames="aliases, between commas",
        otherinterfaces="-ipmi:ADDRESS, the address of its BMC; NODE!ADDRESS, its own of IPv6",
    ),
    table(
        "ipmi",
        "Management controllers (BMCs).",
        "node bmc bmcport taggedvlan bmcid username password",
        node=NODE,
        bmc="the BMC's host name; its address is in hosts.otherinterfaces",
        username="IPMI user",
        password="where the password is (!secret ...), never the password",
    ),
    table(
        "linuximage",
        "What an osimage is made of.",
        "imagename template boottarget addkcmdline pkglist pkgdir otherpkglist otherpkgdir exlist postinstall"
        " rootimgdir kerneldir nodebootif otherifce netdrivers kernelver krpmver permission dump crashkernelsize"
        " partitionfile"
        " driverupdatesrc",
        imagename="the osimage",
        addkcmdline="kernel_args of the osimage",
        pkglist="a file of package names, one a line",
        exlist="a file of paths that are left out of the root image",
        netdrivers="NIC drivers in the initrd, between commas",
        kernelver="kernel version, where one is chosen",
    ),
    table(
        "mac",
        "MAC addresses.",
        "node interface mac",
        node=NODE,
        interface="name of the NIC that boots",
        mac="address of the NIC that boots; MAC!NAME of its other interfaces and of its BMC, between bars",
    ),
    table(
        "networks",
        "Subnets; an IPv6 subnet is a row of its own, named NETWORK-ipv6.",
        "netname net mask mgtifname gateway dhcpserver tftpserver nameservers ntpservers logservers dynamicrange"
        " staticrange staticrangeincrement nodehostname ddnsdomain vlanid domain mtu",
        netname="the network's name",
        net="its address",
        mask="its netmask; of IPv6 the length of its prefix",
        mgtifname="the head node's NIC on it; !remote!NIC for a network behind a relay agent",
        gateway="default route of the nodes",
        tftpserver="where boot files come from (next-server)",
        nameservers="what its nodes ask, where it is not what all nodes ask",
        ntpservers="its time servers, where they are not the site's",
        logservers="the site's log servers",
        dynamicrange="addresses for unknown machines",
        vlanid="VLAN number",
        domain="DNS domain of the names in it, where it is not the site's",
        mtu="octets",
    ),
    table(
        "nics",
        "Further interfaces of nodes: eth1!VALUE|VALUE,ib0!VALUE.",
        "node nicips nichostnamesuffixes nichostnameprefixes nictypes niccustomscripts nicnetworks nicaliases"
        " nicextraparams nicdevices nicsadapter",
        node=NODE,
        nicips="addresses, IPv4 and IPv6",
        nichostnamesuffixes="what its name has behind the node's, once an address",
        nichostnameprefixes="what its name has before the node's",
        nictypes="Ethernet, Infiniband or vlan",
        nicnetworks="the networks that its addresses are in",
        nicaliases="more names, between blanks",
        nicextraparams="MTU=OCTETS",
    ),
    table(
        "nodegroup",
        "Groups; whom they have is in nodelist.groups.",
        "groupname grouptype members membergroups wherevals",
        groupname="the group",
        grouptype="static; dynamic for a group that nodes join by what they are",
        members="static: see nodelist.groups; dynamic",
        membergroups="the groups that are in it",
        wherevals="what a dynamic group asks: mgt==ipmi::netboot==pxe",
    ),
    table(
        "nodehm",
        "How nodes are switched, and their serial console.",
        "node power mgt cons termserver termport conserver serialport serialspeed serialflow getmac cmdmapping"
        " consoleondemand consoleenabled",
        node=NODE,
        power="who switches the node: ipmi (its BMC), kvm or xen (its hypervisor)",
        mgt="the same",
        cons="the same, where it has a serial console",
        serialport="serial console: 0 is ttyS0",
        serialspeed="its speed in bit/s",
        serialflow="hard, where it has hardware flow control",
    ),
    table(
        "nodelist",
        "The nodes and their groups.",
        "node groups status statustime appstatus appstatustime primarysn hidden updatestatus updatestatustime zonename",
        node="the node",
        groups="its groups, between commas; the first that has an attribute wins",
    ),
    table(
        "nodepos",
        "Where nodes stand: variables of theirs.",
        "node rack u chassis slot room height",
        node=NODE,
        **{name: f"its variable {name}" for name in ("rack", "u", "chassis", "slot", "room", "height")},
    ),
    table(
        "noderes",
        "What nodes boot with.",
        "node servicenode netboot tftpserver tftpdir nfsserver monserver nfsdir installnic primarynic discoverynics"
        " cmdinterface xcatmaster current_osimage next_osimage nimserver routenames nameservers proxydhcp syslog",
        node=NODE,
        servicenode="the node that serves it instead of the head node",
        netboot="pxe, grub2 or xnba (iPXE)",
        installnic="name of the NIC that boots",
        primarynic="the same",
        xcatmaster="the service node",
    ),
    table(
        "nodetype",
        "What nodes run.",
        "node os arch profile provmethod supportedarchs nodetype",
        node=NODE,
        os="operating system of its osimage",
        arch="architecture of its osimage",
        profile="profile of its osimage",
        provmethod="name of its osimage",
    ),
    table(
        "osimage",
        "Recipes for what nodes run.",
        "imagename groups profile imagetype description provmethod rootfstype nfsrootopts osdistroname osupdatename"
        " cfmdir osname osvers osarch synclists postscripts postbootscripts serverrole isdeletable kitcomponents"
        " environvar",
        imagename="<os>-<arch>-<netboot|install>-<profile>",
        profile="its profile",
        imagetype="linux",
        provmethod="netboot (root in memory) or install",
        osdistroname="the medium that it is built from",
        osname="Linux",
        osvers="operating system",
        osarch="architecture",
    ),
    table(
        "passwd",
        "Passwords by their use.",
        "key username password cryptmethod authdomain",
        key="the use: ipmi, switch, system",
        username="the user",
        password="where the password is (!secret ...), never the password",
    ),
    table(
        "site",
        "Values that hold for the whole cluster.",
        "key value",
        key="the name of the setting",
        value="its value",
    ),
    table(
        "switch",
        "Where nodes are plugged in.",
        "node switch port vlan interface",
        node=NODE,
        switch="the switch",
        port="the port, by number or by name",
    ),
    table(
        "switches",
        "Managed switches.",
        "switch snmpversion username password privacy auth linkports sshusername sshpassword protocol switchtype",
        switch="the switch",
        snmpversion="1, 2c or 3",
        username="user of version 3",
        password="where the community is, or version 3's password (!secret ...), never the word itself",
        privacy="encryption of version 3: des, aes, aes256",
        auth="authentication of version 3: md5, sha, sha256, sha512",
        switchtype="hardware model",
    ),
    table(
        "vm",
        "Virtual machines; here also what the laboratory gives to a machine.",
        "node mgr host migrationdest storage storagemodel storagecache storageformat cfgstore memory cpus nics nicmodel"
        " bootorder clockoffset virtflags master vncport textconsole powerstate beacon datacenter cluster guestostype"
        " othersettings physlots vidmodel vidproto vidpassword",
        node=NODE,
        host="the node that runs it",
        storage="its disk: a size, a path or a volume of its host",
        memory="MiB, where it is not 1024",
        cpus="number of processors",
        nics="the bridge of its host",
        nicmodel="NIC model, where it is not e1000",
    ),
    table(
        "vpd",
        "Hardware models and serial numbers.",
        "node serial mtm side asset uuid",
        node=NODE,
        mtm="model of the machine",
        **{name: f"its variable {name}" for name in ("serial", "asset", "uuid")},
    ),
)
BY_NAME = {table.name: table for table in TABLES}

# xCAT's names of attributes (lsdef's), as nodels and dynamic groups take them → columns.
SHORT_NAMES = {
    "groups": "nodelist.groups",
    "tags": "nodelist.groups",
    "status": "nodelist.status",
    "ip": "hosts.ip",
    "hostnames": "hosts.hostnames",
    "installnic": "noderes.installnic",
    "primarynic": "noderes.primarynic",
    "servicenode": "noderes.servicenode",
    "xcatmaster": "noderes.xcatmaster",
    "netboot": "noderes.netboot",
    "mtm": "vpd.mtm",
    "serial": "vpd.serial",
    "rack": "nodepos.rack",
    "bmc": "ipmi.bmc",
    "vmhost": "vm.host",
    "currstate": "chain.currstate",
    **{name: f"nodehm.{name}" for name in ("mgt", "power", "cons", "serialport", "serialspeed", "serialflow")},
    **{name: f"nodetype.{name}" for name in ("os", "arch", "profile", "provmethod", "nodetype")},
}
