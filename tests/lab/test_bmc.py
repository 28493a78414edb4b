"""The simulated BMC by itself: what the machine behind it sees, and what it does with rubbish."""

import asyncio
import contextlib
import random
from ipaddress import IPv4Address

import pytest

from tasks.lab import rmcpplus
from tasks.lab.bmc import BmcServer, BootDevice, Endpoint, Faults, PowerVerb, serve
from tasks.lab.ipmi import MalformedError, answer, checksum, parse


class Light:
    """A machine that is always on."""

    def is_on(self) -> bool:
        """Return that it is on."""
        return True

    async def power(self, verb: PowerVerb) -> None:
        """Do nothing."""


def server(faults: Faults | None = None, *, address: str = "127.0.63.1") -> BmcServer:
    """Return a BMC."""
    return BmcServer(
        name="n01-ipmi",
        address=IPv4Address(address),
        user="root",
        password="calvin",
        driver=Light(),
        faults=faults or Faults(),
    )


def request(netfn: int, command: int, data: bytes) -> bytes:
    """Return a request as it goes over the wire, without framing."""
    head, body = bytes([0x20, netfn << 2]), bytes([0x81, 4, command]) + data
    return head + bytes([checksum(head)]) + body + bytes([checksum(body)])


def told(bmc: BmcServer, netfn: int, command: int, *data: int) -> bytes:
    """Return completion code and data of a command within a session."""
    message = parse(request(netfn, command, bytes(data)))

    async def ask() -> bytes:
        return await Endpoint(bmc).carry_out(message, 1)

    return asyncio.run(ask())[6:-1]


@pytest.mark.parametrize(
    ("flags", "first", "second"),
    [
        ((0x80, 0x04), BootDevice.NET, BootDevice.NONE),
        ((0xC0, 0x08), BootDevice.HD, BootDevice.HD),
        ((0x00, 0x04), BootDevice.NONE, BootDevice.NONE),
        ((0x80, 0x3C), BootDevice.NONE, BootDevice.NONE),
    ],
)
def test_a_choice_for_one_boot_is_used_up(flags: tuple[int, int], first: BootDevice, second: BootDevice) -> None:
    """The machine finds a once-only device at its first start alone, a persistent one at each."""
    bmc = server()
    assert told(bmc, 0, 8, 5, *flags, 0, 0, 0) == b"\0"
    assert [bmc.take_boot_device(), bmc.take_boot_device()] == [first, second]


@pytest.mark.parametrize(("keep", "shown"), [(0x08, "net (once)"), (0x00, "")])
def test_flags_that_nobody_acts_upon_expire(keep: int, shown: str) -> None:
    """Unless parameter 3 says otherwise, boot flags lose their valid bit (after 60 s; here: at once)."""
    bmc = server(Faults(flag_seconds=-1.0))
    told(bmc, 0, 8, 3, keep)
    told(bmc, 0, 8, 5, 0x80, 0x04, 0, 0, 0)
    assert bmc.boot_device() == shown
    assert told(bmc, 0, 9, 5, 0, 0)[3] & 0x80 == (0x80 if keep else 0)


def test_firmware_that_ignores_the_choice() -> None:
    """With the PE 860's fault the flags read back well, and the machine never sees them."""
    bmc = server(Faults(ignores_boot_device=True))
    told(bmc, 0, 8, 5, 0x80, 0x04, 0, 0, 0)
    assert (bmc.boot_device(), bmc.take_boot_device()) == ("net (once)", BootDevice.NONE)


@pytest.mark.parametrize(
    ("netfn", "command", "data", "code"),
    [
        (0, 2, (0,), 0x00),
        (0, 2, (4,), 0xCC),
        (0, 2, (), 0xC7),
        (0, 8, (0x21, 1), 0x80),
        (0, 9, (0x21, 0, 0), 0x80),
        (0xC, 2, (1, 99, 0, 0), 0x80),
        (0x3A, 1, (), 0xC1),
    ],
)
def test_completion_codes(netfn: int, command: int, data: tuple[int, ...], code: int) -> None:
    """What is unknown, short or out of range is answered with its own code."""
    assert told(server(), netfn, command, *data)[0] == code


def test_nothing_is_done_without_a_session() -> None:
    """A chassis control outside a session is refused and not carried out."""
    bmc = server()
    body = request(0, 2, b"\0")
    packet = bytes([6, 0, 0xFF, 7, 0]) + bytes(8) + bytes([len(body)]) + body

    async def ask() -> bytes | None:
        return await Endpoint(bmc).reply(packet)

    reply = asyncio.run(ask())
    assert reply is not None
    assert reply[20] == 0xD4
    assert bmc.log == []


def test_rubbish_is_met_with_silence() -> None:
    """Random bytes, and real packets cut or with a bit turned, neither crash the BMC nor switch the machine."""
    dice = random.Random(7)
    bmc = server()
    bodies = [request(0, 2, b"\0"), request(6, 0x39, b"\2root"), request(6, 0x3A, b"\2")]
    seeds = [
        bytes([6, 0, 0xFF, 7, kind]) + dice.randbytes(8) + bytes([len(body)]) + body
        for kind in (0, 2, 4)
        for body in bodies
    ]
    seeds += [bytes([6, 0, 0xFF, 7, 6, kind]) + bytes(10) + dice.randbytes(40) for kind in (0x10, 0x12, 0x14, 0, 0xC0)]

    async def ask() -> None:
        endpoint = Endpoint(bmc)
        for _ in range(3000):
            packet = bytearray(dice.choice(seeds))
            packet[dice.randrange(5, len(packet))] ^= 1 << dice.randrange(8)
            with contextlib.suppress(MalformedError):
                await endpoint.reply(bytes(packet[: dice.randrange(len(packet)) + 1]))

    asyncio.run(ask())
    assert bmc.log == []


def test_messages_are_checked() -> None:
    """A wrong checksum is no request; an answer has right ones."""
    whole = request(0, 1, b"")
    for index in range(len(whole)):
        with pytest.raises(MalformedError):
            parse(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
    sent = answer(parse(whole), 0, b"abc")
    assert (sum(sent[:3]) & 0xFF, sum(sent[3:]) & 0xFF) == (0, 0)


def test_it_serves_on_its_own_address_alone() -> None:
    """Two BMCs share a port on two addresses; an address that is not ours is an error."""

    async def run() -> None:
        transports = [await serve(server(address=f"127.0.63.{n}"), port=6232) for n in (1, 2)]
        for transport in transports:
            transport.close()
        with pytest.raises(OSError, match="assign"):
            await serve(server(address="192.0.2.1"), port=6232)

    asyncio.run(run())


def test_a_server_does_not_show_its_password() -> None:
    """The representation of a BMC holds no password."""
    assert "calvin" not in repr(server())


def handshake(sessions: rmcpplus.Sessions, password: bytes) -> bytes:
    """Log in over RMCP+ with cipher suite 17 and return RAKP message 4's status and what follows it."""
    client, mine, role = b"abcd", bytes(16), b"\x14\x04root"
    suite = rmcpplus.SUITES[17]
    algorithms = b"".join(bytes([kind, 0, 0, 8, number, 0, 0, 0]) for kind, number in ((0, 3), (1, 4), (2, 1)))
    opened = sessions.login(wrap(0x10, bytes(4) + client + algorithms))
    assert opened is not None
    own = opened[24:28]
    said = sessions.login(wrap(0x12, bytes(4) + own + mine + bytes([role[0], 0, 0]) + role[1:]))
    assert said is not None
    proof = suite.mac(password, said[24:40] + client + role)
    ended = sessions.login(wrap(0x14, bytes(4) + own + proof))
    assert ended is not None
    return ended[17:]


def wrap(kind: int, payload: bytes) -> bytes:
    """Return a login message as a datagram."""
    return rmcpplus.frame(kind, bytes(4), 0, payload)


def test_a_wrong_password_ends_the_login() -> None:
    """RAKP message 3 under another password makes no session."""
    sessions = rmcpplus.Sessions({b"root": b"calvin"}, (17,), guid=bytes(16), slots=1)
    assert handshake(sessions, b"hobbes")[0] == rmcpplus.Status.INVALID_CHECK_VALUE
    assert not sessions.table
    assert handshake(sessions, b"calvin")[0] == rmcpplus.Status.OK


def test_a_packet_that_was_touched_is_dropped() -> None:
    """Within a session a whole packet is understood; with any bit turned it is not."""
    sessions = rmcpplus.Sessions({b"root": b"calvin"}, (17,), guid=bytes(16), slots=1)
    handshake(sessions, b"calvin")
    session = next(iter(sessions.table.values()))
    session.client_id = session.own_id  # so that its own answers come back as requests
    whole = sessions.send(request(0, 2, b"\0"), session)
    assert sessions.receive(whole)[0].key == (0, 2)
    for index in range(5, len(whole)):
        with pytest.raises(MalformedError):
            sessions.receive(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
