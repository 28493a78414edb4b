"""A wire with a DHCP server at one end and many clients at the other; run as a program in name spaces of its own.

    this process (root in its user name space)            a process that only holds the server's network name space
      wire  10.1.0.250/24, the relay agents' addresses ═══ veth ═══ eth0  the head node's addresses ◀─ the daemon

It reads a `Scene` from its standard input, starts the daemon, asks every question and prints the answers.  Packets are
made by hand (RFC 2131 2, RFC 8415 8), so that a client may say what no DHCP client of the system would.
"""

import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

CLONE_NEWNET = 0x40000000
COOKIE = b"\x63\x82\x53\x63"
PATIENCE = 10.0
ASKED_FOR = bytes([1, 3, 6, 12, 15, 26, 42, 60, 66, 67, 119, 210])
Answer = dict[str, Any]


class Question(TypedDict, total=False):
    """What a client says; an IPv6 client has `v6`."""

    mac: str
    arch: int
    ipxe: bool
    giaddr: str
    cid: str
    v6: bool


class Scene(TypedDict):
    """A daemon, its wire, and what it is asked."""

    argv: list[str]
    env: dict[str, str]
    log: str
    mac: str
    head: list[str]
    wire: list[str]
    routes: list[str]
    questions: list[Question]


# -- the wire --------------------------------------------------------------------------------------------------------


def ip(*words: str, pid: int | None = None) -> None:
    """Run ip(8), in the server's name space where its process is given."""
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net"] if pid else []
    subprocess.run([*inside, "ip", *words], check=True)


def lay(scene: Scene) -> int:
    """Lay the wire; return the process that holds the server's end."""
    holder = subprocess.Popen(["sleep", "infinity"]).pid
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    for process in (None, holder):
        path = "/proc/sys/net/ipv6/conf/default/accept_dad"  # else addresses are not there at once
        inside = ["nsenter", f"--net=/proc/{process}/ns/net"] if process else []
        subprocess.run([*inside, "sh", "-c", f"echo 0 > {path}"], check=True)
    ip("link", "add", "wire", "type", "veth", "peer", "name", "eth0", "netns", str(holder))
    ip("link", "set", "wire", "address", scene["mac"])
    for address in scene["head"]:
        ip("address", "add", address, "dev", "eth0", pid=holder)
    for address in scene["wire"]:
        ip("address", "add", address, "dev", "wire")
    for name, process in (("lo", holder), ("eth0", holder), ("wire", None)):
        ip("link", "set", name, "up", pid=process)
    for route in scene["routes"]:
        ip("route", "add", route, "dev", "eth0", pid=holder)
    return holder


def main() -> None:
    """Play the scene."""
    scene: Scene = json.load(sys.stdin)
    holder = lay(scene)
    with Path(scene["log"]).open("wb") as log:
        argv = ["nsenter", f"--net=/proc/{holder}/ns/net", *scene["argv"]]
        daemon = subprocess.Popen(argv, env={**os.environ, **scene["env"]}, stdout=log, stderr=log)
    try:
        json.dump(list(asked(scene["questions"], daemon)), sys.stdout)
    finally:
        daemon.kill()
        os.kill(holder, 9)


def asked(questions: list[Question], daemon: "subprocess.Popen[bytes]") -> Iterator[Answer | None]:
    """Yield an answer to each question, None where there is none.  At first the daemon is only starting."""
    end, wait = time.monotonic() + PATIENCE, 0.1
    for question in questions:
        answer = None
        while answer is None and time.monotonic() < end and daemon.poll() is None:
            answer = ask6(question, wait) if question.get("v6") else ask4(question, wait)
        yield answer
        end, wait = time.monotonic() + 1.5, 1.0


# -- DHCP ------------------------------------------------------------------------------------------------------------


def ask4(question: Question, wait: float) -> Answer | None:
    """Send a DISCOVER and, for what is offered, a REQUEST; return what the ACK says."""
    relay = question.get("giaddr")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wire")
        wire.bind((relay, 67) if relay else ("", 68))
        to = ("10.1.0.1" if relay else "255.255.255.255", 67)
        wire.sendto(packet(question, 1, {}), to)
        offer = received(wire, question, 2, wait)
        if offer is None:
            return None
        wanted = {50: socket.inet_aton(offer["address"]), 54: offer["options"][54]}
        wire.sendto(packet(question, 3, wanted), to)
        answer = received(wire, question, 5, wait)
    return answer and shown(answer)


def packet(question: Question, kind: int, more: dict[int, bytes]) -> bytes:
    """Return a BOOTP packet with DHCP options; replies to it are to be broadcast."""
    mac = bytes.fromhex(question["mac"].replace(":", ""))
    giaddr = socket.inet_aton(question.get("giaddr", "0.0.0.0"))
    hops = 1 if "giaddr" in question else 0
    head = struct.pack("!BBBB4sHH", 1, 1, 6, hops, mac[-4:], 0, 0x8000) + bytes(12) + giaddr + mac + bytes(10 + 192)
    options = {53: bytes([kind]), 55: ASKED_FOR, 57: b"\x05\xdc", **more}
    if "arch" in question:
        http = question["arch"] in {*range(0x0F, 0x14), 0x1C, 0x28}
        vendor = f"{'HTTP' if http else 'PXE'}Client:Arch:{question['arch']:05}:UNDI:003016"
        options |= {93: question["arch"].to_bytes(2, "big"), 60: vendor.encode()}
    if question.get("ipxe"):
        options[77] = b"iPXE"
    if "cid" in question:
        options[61] = b"\0" + question["cid"].encode()
    return head + COOKIE + b"".join(bytes([code, len(value)]) + value for code, value in options.items()) + b"\xff"


def received(wire: socket.socket, question: Question, kind: int, wait: float) -> Answer | None:
    """Return the next reply of a kind to this client, None where there is none in time."""
    mac = bytes.fromhex(question["mac"].replace(":", ""))
    end = time.monotonic() + wait
    while (left := end - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            data = wire.recv(4096)
        except TimeoutError:
            return None
        options = dict(options4(data[240:]))
        if data[0] == 2 and data[28:34] == mac and options.get(53) == bytes([kind]):
            address, server = (socket.inet_ntoa(data[at : at + 4]) for at in (16, 20))
            file = data[108:236].split(b"\0")[0] or options.get(67, b"").rstrip(b"\0")
            return {"address": address, "server": server, "file": file.decode(), "options": options}
    return None


def options4(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the options of a packet."""
    at = 0
    while at < len(data) and data[at] != 0xFF:
        if data[at] == 0:
            at += 1
            continue
        length = data[at + 1]
        yield data[at], data[at + 2 : at + 2 + length]
        at += 2 + length


def shown(answer: Answer) -> Answer:
    """Return an answer as JSON can hold it."""
    return {**answer, "options": {str(code): value.hex() for code, value in answer["options"].items()}}


# -- DHCPv6 ----------------------------------------------------------------------------------------------------------


def ask6(question: Question, wait: float) -> Answer | None:
    """Send a SOLICIT; return what the ADVERTISE says."""
    mac = bytes.fromhex(question["mac"].replace(":", ""))
    options = [
        (1, b"\x00\x03\x00\x01" + mac),  # DUID-LL
        (3, mac[-4:] + bytes(8)),
        (6, struct.pack("!HHHHH", 16, 23, 24, 59, 60)),
        (8, b"\0\0"),
    ]
    if "arch" in question:
        options.append((61, question["arch"].to_bytes(2, "big")))
    if question.get("ipxe"):
        options.append((15, b"\x00\x04iPXE"))
    data = b"\x01" + mac[-3:] + b"".join(struct.pack("!HH", code, len(value)) + value for code, value in options)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wire")
        wire.bind(("::", 546))
        wire.settimeout(wait)
        try:
            wire.sendto(data, ("ff02::1:2", 547, 0, socket.if_nametoindex("wire")))
            reply = wire.recv(4096)
        except OSError:
            return None
    return advertised(dict(options6(reply[4:])))


def advertised(options: dict[int, bytes]) -> Answer:
    """Return the address and the URL that an ADVERTISE holds."""
    inner = dict(options6(options.get(3, b"")[12:]))
    address = socket.inet_ntop(socket.AF_INET6, inner[5][:16]) if 5 in inner else ""
    shown = {str(code): value.hex() for code, value in options.items()}
    return {"address": address, "server": "", "file": options.get(59, b"").decode(), "options": shown}


def options6(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the options of a DHCPv6 message."""
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from("!HH", data, at)
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + length


if __name__ == "__main__":
    main()
