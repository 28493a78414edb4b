"""What IPMI 1.5 and RMCP+ have in common: the message inside a session, and its checksums (IPMI 2.0, 13.8)."""

from dataclasses import dataclass
from enum import IntEnum

BMC_ADDRESS = 0x20
HEADER = 6  # responder, netfn/lun, checksum, requester, sequence/lun, command


class MalformedError(Exception):
    """A datagram that no BMC would answer."""


class Code(IntEnum):
    """Completion codes (IPMI 2.0, table 5-2, and those of the session commands, 22.16 and 22.17)."""

    OK = 0x00
    PARAMETER_UNSUPPORTED = 0x80  # Get and Set System Boot Options, Get LAN Configuration Parameters
    INVALID_USER = 0x81  # Get Session Challenge
    NO_SLOT = 0x81  # Activate Session
    INVALID_SESSION = 0x87  # Close Session and Activate Session
    UNKNOWN_COMMAND = 0xC1
    TRUNCATED = 0xC7
    INVALID_FIELD = 0xCC
    NO_PRIVILEGE = 0xD4


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request: who asks, what, with which data."""

    netfn: int
    command: int
    data: bytes
    requester: int
    sequence: int  # request sequence number and LUN, as on the wire

    @property
    def key(self) -> tuple[int, int]:
        """Return what names the command: network function and command number."""
        return self.netfn, self.command


def checksum(data: bytes) -> int:
    """Return the byte that makes the sum of `data` zero modulo 256."""
    return -sum(data) & 0xFF


def parse(raw: bytes) -> Request:
    """Return the request in a session's payload; `MalformedError` where a checksum or the length is wrong."""
    if len(raw) <= HEADER or raw[0] != BMC_ADDRESS or sum(raw[:3]) & 0xFF or sum(raw[3:]) & 0xFF:
        raise MalformedError
    return Request(netfn=raw[1] >> 2, command=raw[5], data=raw[HEADER:-1], requester=raw[3], sequence=raw[4])


def answer(request: Request, code: int, data: bytes = b"") -> bytes:
    """Return the response to a request, ready for a session's payload."""
    head = bytes([request.requester, (request.netfn | 1) << 2])
    body = bytes([BMC_ADDRESS, request.sequence, request.command, code]) + data
    return head + bytes([checksum(head)]) + body + bytes([checksum(body)])
