"""A simulated BMC: IPMI 1.5 and RMCP+ over UDP, with the faults that real ones have.

datagram ─▶ ipmi15 or rmcpplus (session, authentication, encryption) ─▶ request ─▶ chassis commands ─▶ PowerDriver
"""

import asyncio
import contextlib
import random
import struct
import time
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address
from typing import Protocol, cast

from tasks.lab import ipmi15, rmcpplus
from tasks.lab.ipmi import Code, MalformedError, Request, answer
from tasks.lab.ipmi15 import AuthType

IPMI_PORT = 623
ASF, IPMI = 6, 7  # classes of RMCP messages (13.1.3)
FLAGS, SET_IN_PROGRESS, KEEP_FLAGS = 5, 0, 3  # boot option parameters (table 28-14)
NO_TIMEOUT = 0x08  # in KEEP_FLAGS: boot flags stay although no chassis control follows within 60 s
Address = tuple[str, int]


class PowerVerb(StrEnum):
    """What a chassis control command asks for (28.3)."""

    ON = "on"
    OFF = "off"
    CYCLE = "cycle"
    RESET = "reset"
    SOFTOFF = "softoff"


CONTROL = {
    0: PowerVerb.OFF,
    1: PowerVerb.ON,
    2: PowerVerb.CYCLE,
    3: PowerVerb.RESET,
    5: PowerVerb.SOFTOFF,
}


class BootDevice(IntEnum):
    """Boot device selectors (table 28-14, parameter 5, data 2 bits 5:2)."""

    NONE = 0
    NET = 1
    HD = 2
    CD = 5
    SETUP = 6


class PowerDriver(Protocol):
    """The machine behind a BMC's power switch."""

    def is_on(self) -> bool:
        """Return whether the machine has power, now."""
        ...

    async def power(self, verb: PowerVerb) -> None:
        """Do what the switch was told.  The BMC's answer waits for it: return soon, let the machine follow."""
        ...


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How a BMC deviates from the specification, or how its network does."""

    ipmi20: bool = True  # speaks RMCP+ beside 1.5
    ipmi15: bool = True
    suites: tuple[int, ...] = (3, 17)
    auth_types: tuple[AuthType, ...] = (AuthType.MD5, AuthType.PASSWORD)
    authtype_none_replies: bool = False  # Dell PE 860: once a session is up, its answers carry no authentication code
    ignores_boot_device: bool = False  # Dell PE 860: keeps the boot flags, but the firmware never looks at them
    forgets_boot_device: bool = False  # accepts boot flags and does not keep them
    flag_seconds: float = 60.0  # how long boot flags wait for a chassis control, unless told to stay
    slots: int = 8  # sessions at a time
    loss: float = 0.0  # share of datagrams that vanish, in each direction
    delay: float = 0.0  # seconds before an answer leaves


@dataclass(kw_only=True)
class BmcServer:
    """One BMC: who it is, whom it lets in, what it switches, what it has been told to boot.

    `boot_device()` is for people; `take_boot_device()` is what a machine asks when it starts: a choice for one boot is
    used up by it.  `log` holds every power verb that was carried out.
    """

    name: str
    address: IPv4Address
    user: str
    password: str = field(repr=False)
    driver: PowerDriver
    faults: Faults = field(default_factory=Faults)
    more_users: dict[str, str] = field(default_factory=dict, repr=False)
    log: list[PowerVerb] = field(default_factory=list)
    flags: bytes = bytes(5)
    keep_flags: int = 0
    set_in_progress: int = 0
    flags_expire: float = float("inf")

    def users(self) -> dict[bytes, bytes]:
        """Return names and passwords as they go over the wire."""
        known = {**self.more_users, self.user: self.password}
        return {name.encode(): password.encode() for name, password in known.items()}

    def boot_flags(self) -> bytes:
        """Return the five bytes of boot flags; those that nobody acted upon lose their valid bit after 60 s."""
        if time.monotonic() > self.flags_expire:
            self.flags = bytes([self.flags[0] & 0x7F]) + self.flags[1:]
        return self.flags

    def boot_device(self) -> str:
        """Return the boot device that is set, for people: ``net (once)``; empty where none is."""
        flags = self.boot_flags()
        device = selected(flags)
        if device is BootDevice.NONE:
            return ""
        return device.name.lower() if flags[0] & 0x40 else f"{device.name.lower()} (once)"

    def take_boot_device(self) -> BootDevice:
        """Return the device to boot from, as the firmware asks at a start; forgets it if it was for one boot only."""
        flags = self.boot_flags()
        device = selected(flags)
        if self.faults.ignores_boot_device:
            return BootDevice.NONE
        if not flags[0] & 0x40:
            self.flags = bytes(5)
        return device


def selected(flags: bytes) -> BootDevice:
    """Return the device in boot flags; NONE where they are not valid or name one that we do not know."""
    number = flags[1] >> 2 & 0xF
    return BootDevice(number) if flags[0] & 0x80 and number in set(BootDevice) else BootDevice.NONE


async def serve(server: BmcServer, *, port: int = IPMI_PORT) -> asyncio.DatagramTransport:
    """Answer on the BMC's address until the transport is closed; `OSError` where the address cannot be bound."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Endpoint(server), local_addr=(str(server.address), port))
    return transport


class Endpoint(asyncio.DatagramProtocol):
    """A BMC's port: one request after the other, as the one small processor of a real BMC does it."""

    def __init__(self, server: BmcServer) -> None:
        """Make an endpoint without sessions."""
        self.server = server
        faults = server.faults
        self.guid = rmcpplus.guid(server.name)
        self.old = ipmi15.Sessions(server.users(), faults.auth_types, slots=faults.slots)
        self.new = rmcpplus.Sessions(server.users(), faults.suites, guid=self.guid, slots=faults.slots)
        self.queue: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue(maxsize=256)
        self.last: dict[int, tuple[Request, bytes]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to work."""
        self.transport = cast(asyncio.DatagramTransport, transport)  # Python 3.11 has a class of its own for it
        self.worker = asyncio.get_running_loop().create_task(self.work())

    def connection_lost(self, error: Exception | None) -> None:
        """Stop working."""
        self.worker.cancel()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Queue a datagram, unless the network loses it or the BMC is swamped."""
        if random.random() >= self.server.faults.loss:
            with contextlib.suppress(asyncio.QueueFull):
                self.queue.put_nowait((data, addr))

    async def work(self) -> None:
        """Answer what comes, for ever."""
        while True:
            data, address = await self.queue.get()
            with contextlib.suppress(MalformedError):
                reply = await self.reply(data)
                if reply is not None and random.random() >= self.server.faults.loss:
                    loop = asyncio.get_running_loop()
                    loop.call_later(self.server.faults.delay, self.transport.sendto, reply, address)

    async def reply(self, data: bytes) -> bytes | None:
        """Return the answer to a datagram, None where it deserves none."""
        if len(data) < 12 or data[0] != 6 or data[2] != 0xFF:
            return None
        if data[3] == ASF:
            return pong(data)
        if data[3] != IPMI:
            return None
        return await (self.reply20(data) if data[4] == rmcpplus.FORMAT_RMCPPLUS else self.reply15(data))

    async def reply15(self, data: bytes) -> bytes:
        """Answer in the framing of IPMI 1.5."""
        request, session, auth = self.old.receive(data)
        body = self.old.login(request, session) if self.server.faults.ipmi15 else None
        if body is None:
            body = await self.once(request, session.id if session else 0)
            if session is not None and self.server.faults.authtype_none_replies:
                auth = AuthType.NONE
        return self.old.send(body, session, auth)

    async def reply20(self, data: bytes) -> bytes | None:
        """Answer in the framing of RMCP+."""
        if not self.server.faults.ipmi20:
            return None
        body = self.new.login(data)
        if body is not None:
            return body
        request, session = self.new.receive(data)
        return self.new.send(await self.once(request, session.id if session else 0), session)

    async def once(self, request: Request, session_id: int) -> bytes:
        """Carry a request out, or repeat the last answer where the requester only asks again (6.12.9)."""
        if session_id and session_id in self.last and self.last[session_id][0] == request:
            return self.last[session_id][1]
        body = await self.carry_out(request, session_id)
        self.last = {session_id: (request, body), **{key: each for key, each in self.last.items() if key != session_id}}
        for stale in list(self.last)[self.server.faults.slots :]:
            del self.last[stale]
        return body

    async def carry_out(self, request: Request, session_id: int) -> bytes:
        """Return the answer to any command that does not make a session."""
        match request.key:
            case (6, 0x38):
                return answer(request, Code.OK, self.capabilities(request))
            case (6, 0x54):
                return answer(request, Code.OK, self.cipher_suites(request))
            case (6, 0x37):
                return answer(request, Code.OK, self.guid)
            case (6, 0x01):
                version = 0x02 if self.server.faults.ipmi20 else 0x51
                return answer(request, Code.OK, bytes([0x20, 1, 2, 0x10, version, 0x80, 0xA2, 2, 0, 0, 1]) + bytes(4))
        if not session_id:
            return answer(request, Code.NO_PRIVILEGE)
        try:
            return await self.in_session(request, session_id)
        except (IndexError, struct.error):
            return answer(request, Code.TRUNCATED)

    async def in_session(self, request: Request, session_id: int) -> bytes:
        """Answer a command that needs a session."""
        match request.key:
            case (6, 0x3B):
                return answer(request, Code.OK, bytes([request.data[0] or 4]))
            case (6, 0x3C):
                closed = self.old.close(session_id) or self.new.close(session_id)
                return answer(request, Code.OK if closed else Code.INVALID_SESSION)
            case (0, 0x01):
                return answer(request, Code.OK, bytes([self.server.driver.is_on(), 0, 0]))
            case (0, 0x02):
                return await self.chassis_control(request)
            case (0, 0x08):
                return self.set_boot_option(request)
            case (0, 0x09):
                return self.get_boot_option(request)
            case (0x0C, 0x02):
                return self.lan_parameter(request)
        return answer(request, Code.UNKNOWN_COMMAND)

    def capabilities(self, request: Request) -> bytes:
        """Return the channel authentication capabilities (22.13)."""
        faults = self.server.faults
        extended = bool(request.data and request.data[0] & 0x80) and faults.ipmi20
        types = sum(1 << kind for kind in faults.auth_types) if faults.ipmi15 else 0
        versions = (0x02 if faults.ipmi20 else 0) | (0x01 if faults.ipmi15 else 0)
        return bytes([1, types | (0x80 if extended else 0), 0x04, versions if extended else 0, 0, 0, 0, 0])

    def cipher_suites(self, request: Request) -> bytes:
        """Return 16 bytes of the list of cipher suites (22.15)."""
        records = b"".join(suite.record() for suite in self.new.suites)
        start = 16 * (request.data[2] & 0x3F) if len(request.data) > 2 else 0
        return bytes([1]) + records[start : start + 16]

    async def chassis_control(self, request: Request) -> bytes:
        """Switch the machine."""
        verb = CONTROL.get(request.data[0] & 0xF)
        if verb is None:
            return answer(request, Code.INVALID_FIELD)
        self.server.flags_expire = float("inf")
        self.server.log.append(verb)
        await self.server.driver.power(verb)
        return answer(request, Code.OK)

    def set_boot_option(self, request: Request) -> bytes:
        """Keep boot flags (28.12)."""
        server = self.server
        parameter, data = request.data[0] & 0x7F, request.data[1:]
        if parameter == SET_IN_PROGRESS:
            server.set_in_progress = data[0] & 3
        elif parameter == KEEP_FLAGS:
            server.keep_flags = data[0]
        elif parameter == FLAGS and not server.faults.forgets_boot_device:
            server.flags = data[:5].ljust(5, b"\0")
            lasting = server.keep_flags & NO_TIMEOUT
            server.flags_expire = float("inf") if lasting else time.monotonic() + server.faults.flag_seconds
        elif parameter not in {4, FLAGS}:  # 4: acknowledgement by the BIOS, which ipmitool sends
            return answer(request, Code.PARAMETER_UNSUPPORTED)
        return answer(request, Code.OK)

    def get_boot_option(self, request: Request) -> bytes:
        """Return boot flags, or one of the small parameters (28.13)."""
        parameter = request.data[0] & 0x7F
        values = {
            SET_IN_PROGRESS: bytes([self.server.set_in_progress]),
            KEEP_FLAGS: bytes([self.server.keep_flags]),
            FLAGS: self.server.boot_flags(),
        }
        if parameter not in values:
            return answer(request, Code.PARAMETER_UNSUPPORTED)
        return answer(request, Code.OK, bytes([1, parameter]) + values[parameter])

    def lan_parameter(self, request: Request) -> bytes:
        """Return the BMC's own address, where it came from and nothing else (23.2)."""
        values = {3: self.server.address.packed, 4: b"\x01"}
        value = values.get(request.data[1])
        if value is None:
            return answer(request, Code.PARAMETER_UNSUPPORTED)
        return answer(request, Code.OK, b"\x11" + value)


def pong(ping: bytes) -> bytes | None:
    """Answer an RMCP presence ping (13.2.4): IPMI is supported."""
    if ping[8] != 0x80:
        return None
    head = bytes([6, 0, 0xFF, ASF]) + struct.pack(">I", 4542) + bytes([0x40, ping[9], 0, 16])
    return head + struct.pack(">II", 4542, 0) + bytes([0x81, 0]) + bytes(6)
