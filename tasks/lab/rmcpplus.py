"""RMCP+ sessions: RAKP login, integrity and encryption for cipher suites 3 and 17 (IPMI 2.0, 13.13-13.32)."""

import hashlib
import hmac
import os
import secrets
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tasks.lab.ipmi import MalformedError, Request, parse
from tasks.lab.ipmi15 import IDLE_SECONDS, RMCP_HEADER

FORMAT_RMCPPLUS = 6
AUTHENTICATED, ENCRYPTED = 0x40, 0x80
LOGINS = 32


class Payload(IntEnum):
    """Payload types (table 13-16)."""

    IPMI = 0x00
    OPEN_REQUEST = 0x10
    OPEN_RESPONSE = 0x11
    RAKP1 = 0x12
    RAKP2 = 0x13
    RAKP3 = 0x14
    RAKP4 = 0x15


class Status(IntEnum):
    """RMCP+ status codes (table 13-15)."""

    OK = 0x00
    NO_RESOURCES = 0x01
    INVALID_SESSION = 0x02
    UNAUTHORIZED_NAME = 0x0D
    INVALID_CHECK_VALUE = 0x0F
    NO_CIPHER_SUITE = 0x11


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A cipher suite (table 22-20): algorithm numbers, hash, length of the integrity check value; AES-CBC-128."""

    number: int
    authentication: int
    integrity: int
    hash: str
    length: int

    def record(self) -> bytes:
        """Return the suite as Get Channel Cipher Suites lists it (table 22-18)."""
        return bytes([0xC0, self.number, self.authentication, 0x40 | self.integrity, 0x81])

    def mac(self, key: bytes, data: bytes) -> bytes:
        """Return the whole HMAC."""
        return hmac.digest(key, data, self.hash)

    def check_value(self, key: bytes, data: bytes) -> bytes:
        """Return the truncated HMAC that ends packets and RAKP message 4."""
        return self.mac(key, data)[: self.length]


SUITES = {
    3: Suite(number=3, authentication=1, integrity=1, hash="sha1", length=12),
    17: Suite(number=17, authentication=3, integrity=4, hash="sha256", length=16),
}


@dataclass(kw_only=True)
class Session:
    """A login under way, or a session once `k1` is known."""

    id: int
    client_id: bytes
    suite: Suite
    used: float
    client_random: bytes = b""
    own_random: bytes = b""
    role_and_name: bytes = b""
    password: bytes = b""
    k1: bytes = b""
    aes: bytes = b""
    out_sequence: int = 0

    @property
    def own_id(self) -> bytes:
        """Return the BMC's session id as it goes over the wire."""
        return struct.pack("<I", self.id)


def frame(kind: int, session_id: bytes, sequence: int, payload: bytes) -> bytes:
    """Return a datagram without a trailer."""
    head = RMCP_HEADER + bytes([FORMAT_RMCPPLUS, kind]) + session_id
    return head + struct.pack("<IH", sequence, len(payload)) + payload


def aes_cbc(key: bytes, iv: bytes) -> Cipher[modes.CBC]:
    """Return the cipher of a packet (13.29)."""
    return Cipher(algorithms.AES(key), modes.CBC(iv))


class Sessions:
    """The RMCP+ sessions of one BMC."""

    def __init__(self, users: Mapping[bytes, bytes], suites: tuple[int, ...], *, guid: bytes, slots: int) -> None:
        """Take the users with their passwords, the cipher suites on offer, and how many sessions there may be."""
        self.users = users
        self.suites = tuple(SUITES[number] for number in suites)
        self.guid = guid
        self.slots = slots
        self.table: dict[int, Session] = {}

    def login(self, datagram: bytes) -> bytes | None:
        """Answer a message of the login; None where the datagram is none.  `MalformedError` means: say nothing."""
        kind, payload = datagram[5] & 0x3F, datagram[16:]
        try:
            if kind == Payload.OPEN_REQUEST:
                return self.open(payload)
            if kind == Payload.RAKP1:
                return self.rakp2(payload)
            if kind == Payload.RAKP3:
                return self.rakp4(payload)
        except (IndexError, struct.error) as error:
            raise MalformedError from error
        return None

    def open(self, asked: bytes) -> bytes:
        """Answer an open session request (13.17, 13.18)."""
        tag, client_id = asked[0], asked[4:8]
        wanted = asked[12], asked[20]
        suite = next((each for each in self.suites if (each.authentication, each.integrity) == wanted), None)
        self.sweep()
        if suite is None or sum(bool(each.k1) for each in self.table.values()) >= self.slots:
            status = Status.NO_CIPHER_SUITE if suite is None else Status.NO_RESOURCES
            return frame(Payload.OPEN_RESPONSE, bytes(4), 0, bytes([tag, status, 0, 0]) + client_id)
        session = Session(id=1 + secrets.randbelow(2**32 - 1), client_id=client_id, suite=suite, used=time.monotonic())
        self.table[session.id] = session
        chosen = b"".join(
            bytes([kind, 0, 0, 8, number, 0, 0, 0])
            for kind, number in enumerate((suite.authentication, suite.integrity, 1))
        )
        body = bytes([tag, Status.OK, 4, 0]) + client_id + session.own_id + chosen
        return frame(Payload.OPEN_RESPONSE, bytes(4), 0, body)

    def rakp2(self, said: bytes) -> bytes:
        """Answer RAKP message 1 (13.20, 13.21); an unknown user is told so, as the specification wants it."""
        session = self.waiting(said)
        name = said[28 : 28 + said[27]]
        password = self.users.get(name)
        if password is None:
            del self.table[session.id]
            body = bytes([said[0], Status.UNAUTHORIZED_NAME, 0, 0]) + session.client_id
            return frame(Payload.RAKP2, bytes(4), 0, body)
        session.password = password
        session.client_random, session.own_random = said[8:24], os.urandom(16)
        session.role_and_name = bytes([said[24], len(name)]) + name
        proof = session.suite.mac(
            password,
            session.client_id
            + session.own_id
            + session.client_random
            + session.own_random
            + self.guid
            + session.role_and_name,
        )
        body = bytes([said[0], Status.OK, 0, 0]) + session.client_id + session.own_random + self.guid + proof
        return frame(Payload.RAKP2, bytes(4), 0, body)

    def rakp4(self, said: bytes) -> bytes:
        """Answer RAKP message 3 (13.22, 13.23): here a wrong password shows, and the keys are made (13.31, 13.32)."""
        session = self.waiting(said)
        mine = session.own_random + session.client_id + session.role_and_name
        if said[1] or not session.own_random:
            raise MalformedError
        if not hmac.compare_digest(session.suite.mac(session.password, mine), said[8:]):
            del self.table[session.id]
            body = bytes([said[0], Status.INVALID_CHECK_VALUE, 0, 0]) + session.client_id
            return frame(Payload.RAKP4, bytes(4), 0, body)
        suite = session.suite
        sik = suite.mac(session.password, session.client_random + session.own_random + session.role_and_name)
        session.k1 = suite.mac(sik, b"\x01" * 20)
        session.aes = suite.mac(sik, b"\x02" * 20)[:16]
        proof = suite.check_value(sik, session.client_random + session.own_id + self.guid)
        return frame(Payload.RAKP4, bytes(4), 0, bytes([said[0], Status.OK, 0, 0]) + session.client_id + proof)

    def waiting(self, said: bytes) -> Session:
        """Return the login that a RAKP message belongs to."""
        session = self.table.get(struct.unpack_from("<I", said, 4)[0])
        if session is None:
            raise MalformedError
        session.used = time.monotonic()
        return session

    def receive(self, datagram: bytes) -> tuple[Request, Session | None]:
        """Return the request in an IPMI payload and its session; `MalformedError` where a proof is wrong or missing."""
        try:
            kind = datagram[5]
            session_id, _, length = struct.unpack_from("<IIH", datagram, 6)
            payload = datagram[16 : 16 + length]
            if session_id == 0:
                return parse(payload), None
            self.sweep()
            session = self.table[session_id]
            suite = session.suite
            if not session.k1 or not kind & AUTHENTICATED or not kind & ENCRYPTED:
                raise MalformedError
            right = suite.check_value(session.k1, datagram[4 : -suite.length])
            if not hmac.compare_digest(right, datagram[-suite.length :]):
                raise MalformedError
            opener = aes_cbc(session.aes, payload[:16]).decryptor()
            plain = opener.update(payload[16:]) + opener.finalize()
            session.used = time.monotonic()
            return parse(plain[: -plain[-1] - 1]), session
        except (IndexError, KeyError, ValueError, struct.error) as error:
            raise MalformedError from error

    def send(self, payload: bytes, session: Session | None) -> bytes:
        """Return the datagram that carries an answer: encrypted, padded, signed (13.28, 13.29)."""
        if session is None:
            return frame(Payload.IPMI, bytes(4), 0, payload)
        session.out_sequence += 1
        pad = -(len(payload) + 1) % 16
        iv = os.urandom(16)
        sealer = aes_cbc(session.aes, iv).encryptor()
        sealed = iv + sealer.update(payload + bytes(range(1, pad + 1)) + bytes([pad])) + sealer.finalize()
        packet = frame(AUTHENTICATED | ENCRYPTED, session.client_id, session.out_sequence, sealed)
        fill = -(len(packet) - 4 + 2) % 4
        packet += b"\xff" * fill + bytes([fill, 7])
        return packet + session.suite.check_value(session.k1, packet[4:])

    def close(self, session_id: int) -> bool:
        """Forget a session; returns whether there was one."""
        return self.table.pop(session_id, None) is not None

    def sweep(self) -> None:
        """Forget sessions that have been idle for too long, and, where logins flood, the oldest of those."""
        oldest = time.monotonic() - IDLE_SECONDS
        self.table = {key: session for key, session in self.table.items() if session.used >= oldest}
        begun = [session.id for session in self.table.values() if not session.k1]
        for stale in begun[: max(0, len(begun) - LOGINS + 1)]:
            del self.table[stale]


def guid(name: str) -> bytes:
    """Return a BMC's GUID: the same for the same name."""
    return hashlib.sha256(name.encode()).digest()[:16]
