"""The only door to pyghmi: one session with one BMC, opened, used and closed.

A process opens one session in its life, in its main thread: pyghmi deadlocks where threads share it and where a process
forks after its first session (`fanout` forks before).  Three methods of pyghmi 1.6.19 are replaced because IPMI 1.5
never works without (bytes and text are mixed since Python 3; an answer removes the note of the next request); the rest
of `Session` decides whom to believe.
"""

import contextlib
import hashlib
import signal
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from types import FrameType
from typing import Any, NoReturn

import pyghmi.exceptions
from pyghmi.ipmi.private import session as pyghmi_session
from pyghmi.ipmi.private.util import get_ipmi_error

from tasks.errors import BootmillError
from tasks.nodes.quirks import IpmiVersion, Quirks
from tasks.nodes.verbs import BootChoice, BootDevice, PowerVerb

IPMI_PORT = 623
LOGIN_SECONDS = 10.0
LONGEST_PASSWORD = {IpmiVersion.V15: 16, IpmiVersion.V20: 20, IpmiVersion.AUTO: 20}  # bytes (IPMI 2.0, 22.30)
LONGEST_USER = 16
AUTH_NONE, AUTH_MD5 = 0, 2
APPLICATION, CHASSIS = 6, 0  # network functions
CONTROL = {PowerVerb.OFF: 0, PowerVerb.ON: 1, PowerVerb.CYCLE: 2, PowerVerb.RESET: 3, PowerVerb.SOFTOFF: 5}  # 28.3
DEVICES = {
    BootDevice.DEFAULT: 0x00,
    BootDevice.NET: 0x04,
    BootDevice.HD: 0x08,
    BootDevice.CD: 0x14,
    BootDevice.SETUP: 0x18,
}  # table 28-14, parameter 5, data 2
VALID, PERSISTENT, UEFI = 0x80, 0x40, 0x20  # table 28-14, parameter 5, data 1
# What pyghmi says where a BMC turns a user away; the rest of its errors is trouble on the way.
REFUSALS = ("Incorrect password", "Unauthorized name", "Invalid integrity check value", "Invalid RAKP4 integrity code")
FINAL = ("MD5 required", "No Cipher suite", "Invalid authentication", "Invalid integrity algorithm", "privelege level")


LONGEST_WAIT = 0.02  # seconds


def short_wait(timeout: float, *others: Any, wait: Callable[..., None] = pyghmi_session._io_wait) -> None:
    """Wait for a datagram, and look again soon.

    pyghmi sends, and only then says that it waits: an answer that comes in between lies there until the time for it is
    over (0.5-1 s, on a fast network one request in ten), and the request is sent again.
    """
    wait(min(timeout, LONGEST_WAIT), *others)


pyghmi_session._io_wait = short_wait


class BmcError(BootmillError):
    """A BMC does not answer, turns us away or refuses a command; the message names it."""


class LoginTimeout(BaseException):
    """The time for a login is over.  No `Exception`: pyghmi would catch it and go on waiting."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A BMC, and all that is needed to speak to it."""

    name: str
    address: IPv4Address
    user: str
    password: str = field(repr=False)
    quirks: Quirks
    port: int = IPMI_PORT
    patience: float = LOGIN_SECONDS

    def __str__(self) -> str:
        """Return how messages name the BMC: ``n03-ipmi 10.1.0.113``."""
        return f"{self.name} {self.address}"


@dataclass(kw_only=True)
class Diary:
    """What was seen while a login was tried: tells a dead BMC from a wrong password."""

    heard: bool = False
    challenged: bool = False  # IPMI 1.5: the user is known, the password was sent
    refused: bool = False
    unsigned: bool = False  # an answer came without authentication code


class Session(pyghmi_session.Session):  # type: ignore[misc]  # pyghmi is untyped
    """pyghmi's session, with IPMI 1.5 in working order and with a model's quirks."""

    def __new__(cls, target: Target, diary: Diary) -> "Session":
        """Make a session that is shared with nobody.

        pyghmi hands a failed one out again as if it were up: it looks for it under the user's name as text and removes
        it under the name as bytes.
        """
        made = object.__new__(cls)
        made.forbidsock = []
        return made

    def __init__(self, target: Target, diary: Diary) -> None:
        """Log in; `pyghmi.exceptions.IpmiException` where that fails."""
        self.quirks = target.quirks
        self.diary = diary
        super().__init__(str(target.address), target.user, target.password, port=target.port, keepalive=False)

    def _initsession(self) -> None:
        """Ask models that only know 1.5 for nothing else: some take the question for 2.0 amiss."""
        super()._initsession()
        if self.quirks.ipmi is IpmiVersion.V15:
            self.ipmi15only = 1

    def _get_session_challenge(self) -> None:
        """Begin a 1.5 login.  Replaces pyghmi's, which adds text to bytes (session.py 1.6.19, line 1108)."""
        if self.quirks.ipmi is IpmiVersion.V20:
            self.onlogon({"error": "MD5 required, but this model is to be spoken to by IPMI 2.0 alone"})
            return
        self.ipmicallback = self._got_session_challenge
        request = bytes([AUTH_MD5]) + self.userid.ljust(16, b"\0")
        self._send_ipmi_net_payload(netfn=APPLICATION, command=0x39, data=request)

    def _got_session_challenge(self, response: dict[str, Any]) -> None:
        """Note an unknown user (22.16, completion codes 81h and 82h)."""
        self.diary.refused |= response.get("code") in {0x81, 0x82}
        super()._got_session_challenge(response)

    def _activate_session(self, data: Any) -> None:
        """Note that the password goes out: BMCs meet a wrong one with silence."""
        self.diary.challenged = True
        super()._activate_session(data)

    def _req_priv_level(self) -> None:
        """Note that the session is up: from here on silence says nothing about the password."""
        self.diary.challenged = False
        super()._req_priv_level()

    def _ipmi15authcode(self, payload: bytes, checkremotecode: bool = False) -> bytes:
        """Return the MD5 code of a packet (22.17.1).  Replaces pyghmi's, which adds text to bytes (line 1001)."""
        if self.authtype == AUTH_NONE:
            return b""
        return self._md5(bytes(payload), self.remseqnumber if checkremotecode else self.sequencenumber)

    def _md5(self, payload: bytes, sequence: int) -> bytes:
        password = self.password.ljust(16, b"\0")
        middle = struct.pack("<I", self.sessionid) + payload + struct.pack("<I", sequence)
        return hashlib.md5(password + middle + password).digest()

    def _parse_ipmi_payload(self, payload: bytearray) -> None:
        """Take an answer in.  Replaces pyghmi's, which forgets the request that the callback sends (line 1716)."""
        if len(payload) < 7:
            return
        entry = (payload[1] >> 2, payload[4] >> 2, payload[5])
        if self._lookup_request_entry(entry):
            self._remove_request_entry(entry)
            self._parse_payload(payload)

    def _handle_ipmi_packet(self, data: bytearray, sockaddr: Any = None, qent: Any = None) -> Any:
        """Take a datagram in; what a model is known to leave unsigned is signed in its place."""
        self.diary.heard = True
        if self.unsigned_answer(data, sockaddr):
            self.diary.unsigned = True
            if self.quirks.authtype_none_replies:
                data = self.signed(data)
        return super()._handle_ipmi_packet(data, sockaddr, qent)

    def unsigned_answer(self, data: bytearray, sockaddr: Any) -> bool:
        """Return whether a datagram is an answer within our 1.5 session that lacks nothing but its code."""
        return bool(
            self.ipmiversion == 1.5
            and self.authtype == AUTH_MD5
            and self.logged
            and self.sessionid
            and len(data) > 14
            and data[4] == AUTH_NONE
            and struct.unpack_from("<I", data, 9)[0] == self.sessionid
            and self.sockaddr is not None
            and sockaddr == self.sockaddr
        )

    def signed(self, data: bytearray) -> bytearray:
        """Return an unsigned datagram with the code that it should have had.

        pyghmi's own state stays as it is: with `authtype` changed even for a moment, a queued request would leave
        unsigned.
        """
        code = self._md5(bytes(data[14 : 14 + data[13]]), struct.unpack_from("<I", data, 5)[0])
        return data[:4] + bytes([AUTH_MD5]) + data[5:13] + code + data[13:]


class Connection:
    """A BMC that we are logged in to."""

    def __init__(self, target: Target, session: Session) -> None:
        """Take a session that is up."""
        self.target = target
        self.session = session

    def ask(
        self, what: str, netfn: int, command: int, data: Sequence[int] = (), *, patience: float | None = None
    ) -> bytes:
        """Send one command and return its answer's data; `BmcError` names `what` was asked.

        `patience` is the time in seconds until the command is sent again.
        """
        try:
            response = self.session.raw_command(netfn=netfn, command=command, data=list(data), timeout=patience)
        except pyghmi.exceptions.IpmiException:
            response = None
        if not response or response.get("code") in {None, 0xFFFF}:
            message = f"{self.target}: stopped answering when asked to {what}"
            raise BmcError(message)
        if response["code"]:
            reason = get_ipmi_error(response)
            message = f"{self.target}: refuses to {what}: {reason} (completion code {response['code']:#04x})"
            raise BmcError(message)
        return bytes(response["data"])

    def is_on(self) -> bool:
        """Return whether the node has power (28.2)."""
        return bool(self.ask("tell the power state", CHASSIS, 1)[:1].ljust(1, b"\0")[0] & 1)

    def control(self, verb: PowerVerb) -> None:
        """Send a chassis control (28.3).

        Resets and cycles wait longer for their answer: what is sent twice may be done twice, and BMCs are slow here.
        """
        patience = 3.0 if verb in {PowerVerb.RESET, PowerVerb.CYCLE} else None
        self.ask(f"do '{verb}'", CHASSIS, 2, [CONTROL[verb]], patience=patience)

    def set_boot_choice(self, choice: BootChoice) -> None:
        """Set the boot flags (28.12, parameter 5) and tell the BMC to keep them until they are used.

        Without parameter 3, bit 3 they are dropped after 60 s.  A BMC that does not know the parameter may not drop
        them either; the read-back tells.
        """
        with contextlib.suppress(BmcError):
            self.ask("keep its boot device", CHASSIS, 8, [3, 0x08])
        flags = VALID | (PERSISTENT if choice.persistent else 0) | (UEFI if choice.uefi else 0)
        flags = 0 if choice.device is BootDevice.DEFAULT else flags
        self.ask(f"boot from {choice}", CHASSIS, 8, [5, flags, DEVICES[choice.device], 0, 0, 0])

    def boot_choice(self) -> BootChoice:
        """Return what the BMC says that the node will boot from (28.13); flags that are not valid mean: its default."""
        data = self.ask("tell its boot device", CHASSIS, 9, [5, 0, 0])
        if len(data) < 4 or data[1] & 0x80 or not data[2] & VALID:
            return BootChoice(device=BootDevice.DEFAULT)
        device = next((device for device, number in DEVICES.items() if number == data[3] & 0x3C), None)
        if device is None:
            message = f"{self.target}: will boot from device {data[3] >> 2 & 0xF}, which has no name here"
            raise BmcError(message)
        if device is BootDevice.DEFAULT:
            return BootChoice(device=device)
        return BootChoice(device=device, persistent=bool(data[2] & PERSISTENT), uefi=bool(data[2] & UEFI))


@contextmanager
def connect(target: Target) -> Iterator[Connection]:
    """Log in, and out again; for the main thread of a process of its own.  `BmcError` says why it cannot be."""
    session = login(target)
    try:
        yield Connection(target, session)
    finally:
        with contextlib.suppress(pyghmi.exceptions.IpmiException):
            session.logout()


def login(target: Target) -> Session:
    """Try to log in until it works, the BMC turns us away, or the time is over."""
    longest = LONGEST_PASSWORD[target.quirks.ipmi]
    if len(target.password.encode()) > longest or len(target.user.encode()) > LONGEST_USER:
        message = (
            f"{target}: longer than IPMI allows: its user ({LONGEST_USER} bytes) or its password ({longest} bytes)"
        )
        raise BmcError(message)
    diary = Diary()
    try:
        with alarm(target.patience, again=lambda: diary.heard and not diary.unsigned):
            while True:
                try:
                    return Session(target, diary)
                except pyghmi.exceptions.IpmiException as error:
                    judge(target, diary, str(error))
                time.sleep(0.2)
    except LoginTimeout:
        give_up(target, diary)


def judge(target: Target, diary: Diary, text: str) -> None:
    """Raise a `BmcError` where another try would end as this one did, or would lock the user out."""
    if diary.unsigned and not target.quirks.authtype_none_replies:
        give_up(target, diary)
    if diary.refused or (diary.challenged and not diary.unsigned) or text.startswith(REFUSALS):
        message = f"{target}: wrong user or password"
        raise BmcError(message)
    if any(word in text for word in FINAL):
        message = f"{target}: login refused: {text}"
        raise BmcError(message)


def give_up(target: Target, diary: Diary) -> NoReturn:
    """Raise a `BmcError` that says how far the login came."""
    if diary.unsigned and not target.quirks.authtype_none_replies:
        reason = (
            "its answers carry no authentication code, which is believed only of models known for it: check 'model'"
        )
    elif diary.challenged:
        reason = "wrong user or password"
    elif diary.heard:
        reason = f"answers on UDP {target.port}, but the login did not end ({2 * target.patience:g} s)"
    else:
        reason = f"does not answer on UDP {target.port} ({target.patience:g} s)"
    message = f"{target}: {reason}"
    raise BmcError(message)


@contextmanager
def alarm(seconds: float, *, again: Callable[[], bool]) -> Iterator[None]:
    """Raise `LoginTimeout` in the block when it takes longer; for the main thread only (signal(7)).

    Where `again()` is true when the time is over, the block gets the same time once more: on a lossy line a BMC that
    was heard deserves it, and one that was not is told as dead without more ado.
    """
    rings = iter((again, lambda: False))

    def ring(_number: int, _frame: FrameType | None) -> None:
        if not next(rings)():
            raise LoginTimeout
        signal.setitimer(signal.ITIMER_REAL, seconds)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
