"""An empty router advertisement for whoever asks: without one iPXE waits some 16 s for an IPv6 router before it boots.

The answer says "there is a router of lifetime 0, no prefix, no DHCPv6" (RFC 4861 4.2): a node configures nothing by it.
"""

import asyncio
import contextlib
import socket
import struct

ROUTER_SOLICITATION = 133
ROUTER_ADVERTISEMENT = 134
HOP_LIMIT = 255  # RFC 4861 6.1: anything less is thrown away, it may have come through a router
ALL_NODES = "ff02::1"
ALL_ROUTERS = "ff02::2"


def advertisement() -> bytes:
    """Return the ICMPv6 message: type, code, checksum (the kernel's), hop limit 64, no flags, lifetime and timers 0."""
    return struct.pack("!BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, 64, 0, 0, 0, 0)


def answers(packet: bytes) -> bool:
    """Return whether a packet is a router solicitation."""
    return packet[:1] == bytes([ROUTER_SOLICITATION])


def listen(interface: str) -> socket.socket:
    """Return a raw ICMPv6 socket on one interface that hears all-routers; `OSError` where the kernel has no IPv6."""
    index = socket.if_nametoindex(interface)
    raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMPV6)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    group = socket.inet_pton(socket.AF_INET6, ALL_ROUTERS) + struct.pack("@I", index)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
    return raw


def serve(loop: asyncio.AbstractEventLoop, interface: str) -> socket.socket:
    """Answer solicitations on an interface for as long as the returned socket is open."""
    raw = listen(interface)
    index = socket.if_nametoindex(interface)

    def hear() -> None:
        packet = raw.recv(1500)
        if answers(packet):
            with contextlib.suppress(OSError):  # asked again after 4 s at the latest (RFC 4861 6.3.7)
                raw.sendto(advertisement(), (ALL_NODES, 0, 0, index))

    loop.add_reader(raw, hear)
    return raw
