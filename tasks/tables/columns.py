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
        table="the file of the inventory: nodes, switches, osimages, media",
        name="the row in it",
        attribute="the attribute; of a list, one row an item",
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
        otherinterfaces="-ipmi:ADDRESS, the address of its BMC",
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
        mac="address of the NIC that boots",
    ),
    table(
        "networks",
        "Subnets.",
        "netname net mask mgtifname gateway dhcpserver tftpserver nameservers ntpservers logservers dynamicrange"
        " staticrange staticrangeincrement nodehostname ddnsdomain vlanid domain mtu",
        netname="the network's name",
        net="its address",
        mask="its netmask",
        gateway="default route of the nodes",
        tftpserver="where boot files come from (next-server)",
        dynamicrange="addresses for unknown machines",
    ),
    table(
        "nodegroup",
        "Groups; whom they have is in nodelist.groups.",
        "groupname grouptype members membergroups wherevals",
        groupname="the group",
        grouptype="static",
        members="static: see nodelist.groups",
    ),
    table(
        "nodehm",
        "How nodes are switched, and their serial console.",
        "node power mgt cons termserver termport conserver serialport serialspeed serialflow getmac cmdmapping"
        " consoleondemand consoleenabled",
        node=NODE,
        power="ipmi, where the node has a BMC",
        mgt="ipmi, where the node has a BMC",
        serialport="serial console: 0 is ttyS0",
        serialspeed="its speed in bit/s",
    ),
    table(
        "nodelist",
        "The nodes and their groups.",
        "node groups status statustime appstatus appstatustime primarysn hidden updatestatus updatestatustime zonename",
        node="the node",
        groups="its groups, between commas; the first that has an attribute wins",
    ),
    table(
        "noderes",
        "What nodes boot with.",
        "node servicenode netboot tftpserver tftpdir nfsserver monserver nfsdir installnic primarynic discoverynics"
        " cmdinterface xcatmaster current_osimage next_osimage nimserver routenames nameservers proxydhcp syslog",
        node=NODE,
        netboot="pxe, grub2 or xnba (iPXE)",
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
        "Passwords by their use.  Bootmill refers to secrets where they are used.",
        "key username password cryptmethod authdomain",
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
        password="where the SNMP community is (!secret ...), never the community",
    ),
    table(
        "vm",
        "Virtual machines; here also what the laboratory gives to a machine.",
        "node mgr host migrationdest storage storagemodel storagecache storageformat cfgstore memory cpus nics nicmodel"
        " bootorder clockoffset virtflags master vncport textconsole powerstate beacon datacenter cluster guestostype"
        " othersettings physlots vidmodel vidproto vidpassword",
        node=NODE,
        memory="MiB, where it is not 1024",
        nicmodel="NIC model, where it is not e1000",
    ),
    table("vpd", "Hardware models.", "node serial mtm side asset uuid", node=NODE, mtm="model of the machine"),
)
BY_NAME = {table.name: table for table in TABLES}

# xCAT's short names for columns, as nodels takes them.
SHORT_NAMES = {
    "groups": "nodelist.groups",
    "tags": "nodelist.groups",
    "mgt": "nodehm.mgt",
    "power": "nodehm.power",
    "ip": "hosts.ip",
    "os": "nodetype.os",
    "arch": "nodetype.arch",
    "profile": "nodetype.profile",
    "netboot": "noderes.netboot",
}
