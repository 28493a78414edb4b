"""Kea's configurations, for DHCPv4 and DHCPv6: JSON with a comment in its first line, as Kea reads it.

A reservation belongs to its subnet.  (One global list would do for Kea 2.4; 2.2 gives an address of it away on any
wire, and takes a shared network's first subnet for its own.)  So each subnet includes a file with its reservations, a
machine a line, and the text of some nodes is a run of lines in each of these files.

The boot policy is in `kea_classes`.  A DHCPv6 client on a wire of the head node is known by the interface: such a
network needs its ``interface`` in networks.yaml.  Behind a relay agent it is known by the agent's address.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from tasks import paths
from tasks.configs import clients, leftover
from tasks.configs.check import ask, candidate
from tasks.configs.clients import IPXE, KNOWN_LEASE, LONGEST_LEASE, PLAIN, Client, Frame, Link, Served, walled
from tasks.configs.kea_classes import Classes, Classes4, Classes6, Json
from tasks.family import Around, Family, Rows

HEADER = "// Made by Bootmill from inventory/: edits are lost.\n"
INCLUDE = re.compile(r'"@include ([^"@]+)@"')  # a string in our JSON → Kea's <?include "FILE"?>
INTERFACE = re.compile(r'"interface": "[^"]*"')
# Kea would keep another program from writing its log; a check writes none, and may run as anybody.
CHECKING = {"KEA_LOCKFILE_DIR": "none"}
V4, V6 = "dhcp4", "dhcp6"
NOTHING = sha256(b"").hexdigest()  # the sum of parts that are all empty


# -- parts -----------------------------------------------------------------------------------------------------------


def text(_frame: Frame, rows: Rows) -> Mapping[str, str]:
    """Return the reservations of some nodes, a line each, by the file of their subnet."""
    found: dict[str, list[str]] = defaultdict(list)
    for client in walled(rows):  # type: ignore[arg-type]  # the rows are Clients
        if client[3]:
            found[f"{V4}-{client[4]}"].append(reservation(client))
        if client[5]:
            found[f"{V6}-{client[6]}"].append(reservation6(client))
    return {key: ",\n".join(lines) for key, lines in found.items()}


def keys(frame: Frame) -> Iterator[str]:
    """Yield the keys of all files: the two configurations, then the reservations of each subnet."""
    yield V4
    yield V6
    served = [network for network in frame.networks if network.dhcp]
    yield from (f"{V4}-{network.name}" for network in served)
    yield from (f"{V6}-{network.name}" for network in served if network.subnet6)


def reservation(client: Client | Sequence[str]) -> str:
    """Return a client's reservation.  What is in it passed the wall: nothing needs JSON's escapes."""
    _, told, mac, ip, _, _, _, kind, server = client
    said = f', "hostname": "{told}"' if told else ""
    if server:
        said += f', "next-server": "{server}"'
    classes = [f"{kind}-node"] if kind in (IPXE, PLAIN) else []
    if server:
        classes += ["service", f"server-{server}"]
    if classes:
        said += f', "client-classes": {json.dumps(classes)}'
    return f'{{"hw-address": "{mac}", "ip-address": "{ip}"{said}}}'


def reservation6(client: Client | Sequence[str]) -> str:
    """Return a client's reservation of an IPv6 address."""
    _, told, mac, _, _, ip6, _, kind, _ = client
    said = f', "hostname": "{told}"' if told else ""
    if kind in (IPXE, PLAIN):
        said += f', "client-classes": ["{kind}-node"]'
    return f'{{"hw-address": "{mac}", "ip-addresses": ["{ip6}"]{said}}}'


# -- frames ----------------------------------------------------------------------------------------------------------


def around(frame: Frame, sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return the configurations, and what stands before the nodes' reservations in each subnet's file."""
    links = clients.links(frame)
    switches = text(frame, frame.switches)
    files = {key: Around(path=path_of(frame, key), head=HEADER, between=",\n", tail="\n") for key in keys(frame)}
    for key, config in ((V4, {"Dhcp4": dhcp4(frame, links)}), (V6, {"Dhcp6": dhcp6(frame, links)})):
        written = INCLUDE.sub(r'<?include "\1"?>', json.dumps(config, indent=2))
        files[key] = Around(path=path_of(frame, key), head=f"{HEADER}{written}\n")
    for key, own in switches.items():
        comma = "" if sums.get(key, NOTHING) == NOTHING else ",\n"
        files[key] = replace(files[key], tail=f"{comma}{own}\n")
    return files


def path_of(frame: Frame, key: str) -> Path:
    """Return a file's path."""
    if key == V4:
        return paths.kea4_conf(frame.site)
    return paths.kea6_conf(frame.site) if key == V6 else paths.kea_reservations(frame.site, key)


def dhcp4(frame: Frame, links: Sequence[Link]) -> Json:
    """Return the configuration for DHCPv4."""
    classes = Classes4(frame)
    return {
        "interfaces-config": {"interfaces": ["*"]},  # where no subnet is served, Kea is silent
        "lease-database": {"type": "memfile", "lfc-interval": 3600},
        "authoritative": True,
        # A machine's boot ROM, iPXE and system call themselves differently: it is its MAC that counts.
        "match-client-id": False,
        **common(),
        "option-def": [
            {"name": "path-prefix", "code": 210, "type": "string"},  # RFC 5071 5
            {"name": "ipxe-encapsulation", "code": 175, "type": "empty", "encapsulate": "ipxe"},
            {"name": "no-pxedhcp", "code": 176, "type": "uint8", "space": "ipxe"},
        ],
        "option-data": [  # https://ipxe.org/howto/dhcpd: iPXE need not wait for a ProxyDHCP server
            {"name": "ipxe-encapsulation"},
            {"name": "no-pxedhcp", "space": "ipxe", "data": "1"},
        ],
        "client-classes": list(classes.all()),
        "shared-networks": [
            {
                "name": link.name,
                "subnet4": [subnet4(frame, classes, network) for network in link.networks if network.dhcp],
            }
            for link in links
        ],
    }


def dhcp6(frame: Frame, links: Sequence[Link]) -> Json:
    """Return the configuration for DHCPv6."""
    classes = Classes6(frame)
    return {
        "interfaces-config": {"interfaces": ["*"]},
        "lease-database": {"type": "memfile", "lfc-interval": 3600},
        "mac-sources": ["any"],  # the packet's, the relay agent's word (RFC 6939), the DUID's
        "preferred-lifetime": KNOWN_LEASE,
        **common(),
        "client-classes": list(classes.all()),
        "shared-networks": [
            {"name": link.name, "subnet6": own}
            for link in links
            if (
                own := [
                    subnet6(frame, classes, network) for network in link.networks if network.dhcp and network.subnet6
                ]
            )
        ],
    }


def common() -> Json:
    """Return what both servers are told."""
    return {
        "valid-lifetime": KNOWN_LEASE,
        "max-valid-lifetime": LONGEST_LEASE,
        "ddns-send-updates": False,
        "host-reservation-identifiers": ["hw-address"],
        "reservations-out-of-pool": True,  # the inventory's check holds the dynamic ranges free
    }


def subnet4(frame: Frame, classes: Classes, network: Served) -> Json:
    """Return a subnet.  Its id is its address: leases refer to it, and it must not change when others come and go."""
    told: dict[str, Sequence[object]] = {
        "domain-name": network.search[:1],
        "domain-search": network.search,
        "domain-name-servers": network.nameservers,
        "routers": [network.gateway] if network.gateway else [],
        "interface-mtu": [network.mtu] if network.mtu else [],
        "ntp-servers": network.ntp_servers,
        "log-servers": network.log_servers,
    }
    return {
        "id": int(network.subnet.network_address),
        "subnet": str(network.subnet),
        "user-context": {"name": network.name},
        **({"relay": {"ip-addresses": [str(network.relay)]}} if network.relay else {}),
        "next-server": str(network.next_server),
        "pools": [{"pool": f"{network.range[0]} - {network.range[1]}"}] if network.range else [],
        "option-data": [option(name, values) for name, values in told.items() if values],
        "require-client-classes": list(classes.asked(str(network.next_server))),
        "reservations": [included(frame, f"{V4}-{network.name}")],
    }


def subnet6(frame: Frame, classes: Classes, network: Served) -> Json:
    """Return a subnet of IPv6; its id is that of the same network's IPv4 subnet."""
    told: dict[str, Sequence[object]] = {
        "domain-search": network.search,
        "dns-servers": network.nameservers6,
        "sntp-servers": network.ntp_servers6,
    }
    return {
        "id": int(network.subnet.network_address),
        "subnet": str(network.subnet6),
        "user-context": {"name": network.name},
        **({"interface": network.interface} if network.interface and not network.relay else {}),
        "pools": [{"pool": f"{network.range6[0]} - {network.range6[1]}"}] if network.range6 else [],
        "option-data": [option(name, values) for name, values in told.items() if values],
        "require-client-classes": list(classes.asked(str(network.next_server6))) if network.next_server6 else [],
        "reservations": [included(frame, f"{V6}-{network.name}")],
    }


def included(frame: Frame, key: str) -> str:
    """Return what stands in our JSON for the lines of a file, by the path that Kea finds it at."""
    return f"@include {Path('/') / path_of(frame, key).relative_to(frame.site.destdir)}@"


def option(name: str, values: Sequence[object]) -> Json:
    """Return an option."""
    return {"name": name, "data": ", ".join(map(str, values))}


# -- the family ------------------------------------------------------------------------------------------------------


def outputs(frame: Frame) -> Sequence[Path]:
    """Return all files."""
    return [path_of(frame, key) for key in keys(frame)]


def leftovers(frame: Frame) -> Sequence[Path]:
    """Return the reservations of networks that are gone."""
    return leftover.ours(paths.kea_reservations(frame.site, V4).parent, "dhcp*.json", outputs(frame))


def check(frame: Frame, texts: Mapping[str, str]) -> None:
    """Ask Kea.

    It looks for the interfaces, which only the head node has: the check names one that every machine has.  The texts
    need not have every part: where a subnet's nodes are left out, so is the comma behind them.
    """
    with candidate("kea") as folder:
        places = {key: folder / path_of(frame, key).name for key in keys(frame)}
        for key, place in places.items():
            written = INTERFACE.sub('"interface": "lo"', texts.get(key, "").replace(f"{HEADER},\n", HEADER))
            place.write_text(re.sub(r'(<\?include ")[^"]*/', lambda found: f"{found[1]}{folder}/", written))
        for key, program in ((V4, "kea-dhcp4"), (V6, "kea-dhcp6")):
            if key in texts:
                ask([program, "-t", places[key]], about=path_of(frame, key), env=CHECKING)


FAMILY: Family[Frame] = Family(
    name="kea",
    frame=clients.frame,
    rows=clients.rows,
    text=text,
    around=around,
    outputs=outputs,
    check=check,
    leftovers=leftovers,
)
