"""IPMI 1.5 sessions: authentication by none, MD5 or password, framing (IPMI 2.0, 13.6 and 22.13-22.17)."""

import hashlib
import hmac
import os
import secrets
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from tasks.lab.ipmi import Code, MalformedError, Request, answer, parse

RMCP_HEADER = bytes([6, 0, 0xFF, 7])
IDLE_SECONDS = 60.0  # a session that says nothing for so long is closed (6.12.15)
CHALLENGES = 32  # logins under way: more push the oldest out
GET_CHALLENGE = (6, 0x39)
ACTIVATE = (6, 0x3A)


class AuthType(IntEnum):
    """How a packet proves where it comes from (13.6)."""

    NONE = 0
    MD5 = 2
    PASSWORD = 4


@dataclass(kw_only=True)
class Session:
    """A login under way, or a session once it is active."""

    id: int
    challenge: bytes
    password: bytes
    active: bool = False
    out_sequence: int = 0
    used: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Packet:
    """A datagram taken apart."""

    auth: AuthType
    sequence: int
    session_id: int
    code: bytes
    payload: bytes


def unpack(datagram: bytes) -> Packet:
    """Take a datagram apart; `MalformedError` where it is too short or of an unknown authentication type."""
    try:
        auth = AuthType(datagram[4])
        sequence, session_id = struct.unpack_from("<II", datagram, 5)
        start = 13 if auth is AuthType.NONE else 29
        payload = datagram[start + 1 : start + 1 + datagram[start]]
    except (IndexError, ValueError, struct.error) as error:
        raise MalformedError from error
    return Packet(auth=auth, sequence=sequence, session_id=session_id, code=datagram[13:start], payload=payload)


def pack(packet: Packet) -> bytes:
    """Put a datagram together."""
    head = RMCP_HEADER + struct.pack("<BII", packet.auth, packet.sequence, packet.session_id)
    return head + packet.code + bytes([len(packet.payload)]) + packet.payload


def auth_code(auth: AuthType, password: bytes, session_id: int, sequence: int, payload: bytes) -> bytes:
    """Return the code that proves a packet's origin (22.17.1); passwords are padded to 16 bytes."""
    padded = password.ljust(16, b"\0")
    if auth is AuthType.NONE:
        return b""
    if auth is AuthType.PASSWORD:
        return padded
    ends = struct.pack("<I", session_id), struct.pack("<I", sequence)
    return hashlib.md5(padded + ends[0] + payload + ends[1] + padded).digest()


class Sessions:
    """The 1.5 sessions of one BMC."""

    def __init__(self, users: Mapping[bytes, bytes], auth_types: tuple[AuthType, ...], *, slots: int) -> None:
        """Take the users with their passwords, what they may authenticate by, and how many sessions there may be."""
        self.users = users
        self.auth_types = auth_types
        self.slots = slots
        self.table: dict[int, Session] = {}

    def receive(self, datagram: bytes) -> tuple[Request, Session | None, AuthType]:
        """Return the request in a datagram, and the session that it belongs to; `MalformedError` means: say nothing.

        A wrong password is met with silence, as real BMCs do.
        """
        packet = unpack(datagram)
        request = parse(packet.payload)
        if packet.session_id == 0:
            return request, None, AuthType.NONE
        self.sweep()
        session = self.table.get(packet.session_id)
        if session is None or packet.auth not in self.auth_types or not (session.active or request.key == ACTIVATE):
            raise MalformedError
        right = auth_code(packet.auth, session.password, packet.session_id, packet.sequence, packet.payload)
        if not hmac.compare_digest(packet.code, right):
            raise MalformedError
        session.used = time.monotonic()
        return request, session, packet.auth

    def send(self, payload: bytes, session: Session | None, auth: AuthType) -> bytes:
        """Return the datagram that carries an answer."""
        if session is None:
            return pack(Packet(auth=AuthType.NONE, sequence=0, session_id=0, code=b"", payload=payload))
        sequence = session.out_sequence
        session.out_sequence += 1
        code = auth_code(auth, session.password, session.id, sequence, payload)
        return pack(Packet(auth=auth, sequence=sequence, session_id=session.id, code=code, payload=payload))

    def login(self, request: Request, session: Session | None) -> bytes | None:
        """Answer the two commands that make a session; None where it is another command."""
        if request.key == GET_CHALLENGE:
            return self.challenge(request)
        if request.key == ACTIVATE:
            return self.activate(request, session)
        return None

    def challenge(self, request: Request) -> bytes:
        """Answer Get Session Challenge: a temporary session id and 16 random bytes."""
        password = self.users.get(request.data[1:17].rstrip(b"\0"))
        if password is None:
            return answer(request, Code.INVALID_USER)
        waiting = [session.id for session in self.table.values() if not session.active]
        for stale in waiting[: max(0, len(waiting) - CHALLENGES + 1)]:
            del self.table[stale]
        session = Session(id=1 + secrets.randbelow(2**32 - 1), challenge=os.urandom(16), password=password)
        session.used = time.monotonic()
        self.table[session.id] = session
        return answer(request, Code.OK, struct.pack("<I", session.id) + session.challenge)

    def activate(self, request: Request, session: Session | None) -> bytes:
        """Answer Activate Session: the login becomes a session if the challenge came back under the right code."""
        if session is None or len(request.data) < 22 or request.data[2:18] != session.challenge:
            return answer(request, Code.INVALID_SESSION)
        if not session.active and sum(each.active for each in self.table.values()) >= self.slots:
            return answer(request, Code.NO_SLOT)
        session.active = True
        session.out_sequence = struct.unpack_from("<I", request.data, 18)[0]
        privilege = request.data[1] & 0xF
        return answer(request, Code.OK, struct.pack("<BIIB", request.data[0], session.id, 1, privilege))

    def close(self, session_id: int) -> bool:
        """Forget a session; returns whether there was one."""
        return self.table.pop(session_id, None) is not None

    def sweep(self) -> None:
        """Forget sessions that have been idle for too long."""
        oldest = time.monotonic() - IDLE_SECONDS
        self.table = {key: session for key, session in self.table.items() if session.used >= oldest}
