"""Our side of IPMI against simulated BMCs: every framing, every verb, and the ways in which a login fails."""

import json
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from tasks.lab.bmc import BmcServer, Faults
from tasks.nodes import bootdev, fanout, power
from tasks.nodes.bmc import Connection, Target, connect
from tasks.nodes.fanout import NodeResult, Work
from tasks.nodes.quirks import PLAIN, IpmiVersion, Quirks
from tasks.nodes.verbs import BootChoice, BootDevice, PowerVerb
from tests.nodes.simulated import PASSWORD, USER, rack, server

PORT = 6230  # any user may bind it
QUIRK = Quirks(ipmi=IpmiVersion.V15, authtype_none_replies=True)
# kind → what the BMC is like, what we know of it
KINDS = {
    "1.5 md5": (Faults(ipmi20=False), PLAIN),
    "1.5 asked for": (Faults(), Quirks(ipmi=IpmiVersion.V15)),
    "1.5 unsigned answers": (Faults(ipmi20=False, authtype_none_replies=True), QUIRK),
    "2.0 suite 3": (Faults(suites=(3,)), PLAIN),
    "2.0 suite 17": (Faults(suites=(17,), ipmi15=False), Quirks(ipmi=IpmiVersion.V20)),
}
kinds = pytest.mark.parametrize("kind", list(KINDS))


def target(
    address: str,
    *,
    quirks: Quirks = PLAIN,
    user: str = USER,
    password: str = PASSWORD,
    patience: float = 10.0,
) -> Target:
    """Return a BMC of the rack."""
    return Target(
        name="n01-ipmi",
        address=IPv4Address(address),
        user=user,
        password=password,
        quirks=quirks,
        port=PORT,
        patience=patience,
    )


def job(to: Target, act: Callable[[Connection], str]) -> Work:
    """Return what a worker does: log in, act."""

    def work() -> str:
        with connect(to) as bmc:
            return act(bmc)

    return work


def on_one(to: Target, act: Callable[[Connection], str]) -> NodeResult:
    """Do something with one BMC, in a process of its own."""
    return fanout.run({"n01": job(to, act)})[0]


@kinds
@pytest.mark.parametrize(
    ("verb", "before", "said", "after", "log"),
    [
        ("stat", True, "on", True, []),
        ("stat", False, "off", False, []),
        ("on", False, "on", True, ["on"]),
        ("on", True, "on", True, []),
        ("off", True, "off", False, ["off"]),
        ("reset", True, "reset", True, ["reset"]),
        ("cycle", True, "cycle", True, ["cycle"]),
        ("softoff", True, "softoff", False, ["softoff"]),
        ("boot", True, "reset", True, ["reset"]),
        ("boot", False, "on", True, ["on"]),
    ],
)
def test_power(kind: str, verb: str, before: bool, said: str, after: bool, log: list[str]) -> None:
    """Each verb does the one thing that it says, over each framing, and only where there is something to do."""
    faults, quirks = KINDS[kind]
    with rack([server("127.0.61.1", on=before, faults=faults)], port=PORT) as bmcs:
        result = on_one(target("127.0.61.1", quirks=quirks), lambda bmc: power.switch(bmc, PowerVerb(verb)))
        seen = bmcs.seen("n01-ipmi")
    assert result == NodeResult(node="n01", ok=True, text=said)
    assert (list(seen.log), seen.on) == (log, after)


@kinds
def test_boot_device_is_set_and_read_back(kind: str) -> None:
    """The network for one boot; flags stay beyond the 60 s after which a BMC would drop them (here: at once)."""
    faults, quirks = KINDS[kind]
    impatient = Faults(**{**vars(faults), "flag_seconds": 0.0})
    with rack([server("127.0.61.1", faults=impatient)], port=PORT) as bmcs:
        result = on_one(
            target("127.0.61.1", quirks=quirks), lambda bmc: bootdev.choose(bmc, BootChoice(device=BootDevice.NET))
        )
        seen = bmcs.seen("n01-ipmi")
    assert result == NodeResult(node="n01", ok=True, text="net")
    assert (seen.boot_device, seen.flags) == ("net (once)", b"\x80\x04\0\0\0")


@pytest.mark.parametrize(
    ("choice", "flags"),
    [
        (BootChoice(device=BootDevice.NET, uefi=True), "a004000000"),
        (BootChoice(device=BootDevice.HD, persistent=True), "c008000000"),
        (BootChoice(device=BootDevice.CD), "8014000000"),
        (BootChoice(device=BootDevice.SETUP, persistent=True, uefi=True), "e018000000"),
        (BootChoice(device=BootDevice.DEFAULT), "0000000000"),
    ],
)
def test_boot_flags_are_those_of_the_specification(choice: BootChoice, flags: str) -> None:
    """Table 28-14, bit by bit, and the same choice comes back."""
    with rack([server("127.0.61.1")], port=PORT) as bmcs:
        result = on_one(target("127.0.61.1"), lambda bmc: bootdev.choose(bmc, choice))
        assert bmcs.seen("n01-ipmi").flags.hex() == flags
    assert result.text == str(choice)


def test_a_boot_device_that_is_forgotten_is_a_failure() -> None:
    """What the BMC accepted and does not read back is told as what it is."""
    with rack([server("127.0.61.1", faults=Faults(forgets_boot_device=True))], port=PORT):
        result = on_one(target("127.0.61.1"), lambda bmc: bootdev.choose(bmc, BootChoice(device=BootDevice.NET)))
    assert (result.ok, "accepted 'net', but reads back 'default'" in result.text) == (False, True)


def test_a_chassis_that_does_not_follow_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A BMC that says yes and does nothing is found out."""
    monkeypatch.setattr(power, "FOLLOW_SECONDS", 0.2)
    with rack([server("127.0.61.1", on=False, deaf=True)], port=PORT):
        result = on_one(target("127.0.61.1"), lambda bmc: power.switch(bmc, PowerVerb.ON))
    assert (result.ok, "accepted 'on', but after 0.2 s the node is off" in result.text) == (False, True)


@pytest.mark.parametrize("verb", [PowerVerb.RESET, PowerVerb.CYCLE])
def test_nothing_to_reset(verb: PowerVerb) -> None:
    """A node that is off is not reset, and the user is told what starts it."""
    with rack([server("127.0.61.1", on=False)], port=PORT) as bmcs:
        result = on_one(target("127.0.61.1"), lambda bmc: power.switch(bmc, verb))
        assert bmcs.seen("n01-ipmi").log == ()
    assert (result.ok, "is off" in result.text) == (False, True)


def test_a_bad_line_does_not_hurt() -> None:
    """With one datagram in twenty lost in each direction, all nodes are asked and answer."""
    lossy = [
        server(f"127.0.61.{number}", name=f"n{number}-ipmi", faults=Faults(loss=0.05, ipmi20=number % 2 == 0))
        for number in range(1, 13)
    ]
    with rack(lossy, port=PORT):
        jobs = {
            f"n{number}": job(target(f"127.0.61.{number}", patience=20), lambda bmc: power.switch(bmc, PowerVerb.STAT))
            for number in range(1, 13)
        }
        results = fanout.run(jobs)
    assert [result.text for result in results] == ["on"] * 12


# -- logins that fail: one rack, all at once, for each takes its time ------------------------------------------------

UNSIGNED = Faults(ipmi20=False, authtype_none_replies=True)
WRONG = "wrong user or password"
FAILURES: dict[str, tuple[BmcServer, Target, str]] = {
    "2.0 password": (server("127.0.61.1"), target("127.0.61.1", password="susie"), WRONG),
    "2.0 user": (server("127.0.61.2"), target("127.0.61.2", user="nobody"), WRONG),
    "1.5 password": (
        server("127.0.61.3", faults=Faults(ipmi20=False)),
        target("127.0.61.3", password="susie", patience=8),
        WRONG,
    ),
    "1.5 user": (server("127.0.61.4", faults=Faults(ipmi20=False)), target("127.0.61.4", user="nobody"), WRONG),
    "1.5 unsigned, password": (
        server("127.0.61.5", faults=UNSIGNED),
        target("127.0.61.5", quirks=QUIRK, password="susie", patience=8),
        WRONG,
    ),
    "unsigned, model unknown": (
        server("127.0.61.6", faults=UNSIGNED),
        target("127.0.61.6", patience=3),
        "no authentication code, which is believed only of models known for it",
    ),
    "dead": (
        server("127.0.61.7", faults=Faults(loss=1.0)),
        target("127.0.61.7", patience=2),
        f"does not answer on UDP {PORT} (2 s)",
    ),
    "no 2.0": (
        server("127.0.61.8", faults=Faults(ipmi20=False)),
        target("127.0.61.8", quirks=Quirks(ipmi=IpmiVersion.V20)),
        "to be spoken to by IPMI 2.0 alone",
    ),
    "long password": (server("127.0.61.9"), target("127.0.61.9", password="x" * 21), "longer than IPMI allows"),
    "long 1.5 password": (
        server("127.0.61.10"),
        target("127.0.61.10", quirks=QUIRK, password="x" * 17),
        "longer than IPMI allows",
    ),
    "no slot": (server("127.0.61.11", faults=Faults(slots=0)), target("127.0.61.11", patience=1), "the login did not"),
}


@pytest.fixture(scope="module")
def failures() -> dict[str, NodeResult]:
    """Return what became of each login."""
    servers = [BmcServer(**{**vars(each), "name": name}) for name, (each, _, _) in FAILURES.items()]
    with rack(servers, port=PORT):
        jobs = {name: job(to, lambda bmc: str(bmc.is_on())) for name, (_, to, _) in FAILURES.items()}
        return {result.node: result for result in fanout.run(jobs)}


@pytest.mark.parametrize("case", list(FAILURES))
def test_a_failed_login_has_its_own_sentence(failures: dict[str, NodeResult], case: str) -> None:
    """A dead BMC, a wrong password and an answer that must not be believed are told apart, with the BMC's name."""
    result = failures[case]
    assert not result.ok
    assert FAILURES[case][2] in result.text
    assert result.text.startswith(f"n01-ipmi {FAILURES[case][1].address}: ")
    assert FAILURES[case][1].password not in result.text


def test_only_our_own_session_is_believed_unsigned() -> None:
    """An unsigned answer counts inside the session alone, under its id and from its address."""

    def examine(bmc: Connection) -> str:
        session = bmc.session
        here, own = session.sockaddr, int(session.sessionid)

        def packet(auth: int = 0, session_id: int = own) -> bytearray:
            return bytearray(b"\x06\0\xff\x07" + bytes([auth]) + bytes(4) + session_id.to_bytes(4, "little") + bytes(9))

        other = ("::ffff:127.0.61.2", *here[1:])
        verdicts = {
            "right": session.unsigned_answer(packet(), here),
            "signed": session.unsigned_answer(packet(auth=2), here),
            "other session": session.unsigned_answer(packet(session_id=own ^ 1), here),
            "no session": session.unsigned_answer(packet(session_id=0), here),
            "other address": session.unsigned_answer(packet(), other),
            "other port": session.unsigned_answer(packet(), (here[0], here[1] + 1, *here[2:])),
            "no address": session.unsigned_answer(packet(), None),
            "short": session.unsigned_answer(packet()[:14], here),
        }
        session.logged = 0
        verdicts["before the login"] = session.unsigned_answer(packet(), here)
        session.logged = 1
        return json.dumps(verdicts)

    with rack([server("127.0.61.1", faults=UNSIGNED)], port=PORT):
        result = on_one(target("127.0.61.1", quirks=QUIRK), examine)
    assert [name for name, believed in json.loads(result.text).items() if believed] == ["right"]


def test_a_target_does_not_show_its_password() -> None:
    """No representation of a target holds the password."""
    to = target("127.0.61.1")
    assert PASSWORD not in f"{to} {to!r}"
