"""Simulated BMCs in a process of their own, for tests that speak IPMI to them.

A process, not a thread: what is tested forks, and a fork beside a running thread may inherit a lock that nobody frees.
"""

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from multiprocessing.connection import Connection

from tasks.lab.bmc import BmcServer, Faults, PowerVerb, serve
from tasks.run import die_with_parent

USER, PASSWORD = "root", "calvin+hobbes=16"  # 16 bytes: the longest that IPMI 1.5 takes


@dataclass(kw_only=True)
class Chassis:
    """A machine that is nothing but a power light."""

    on: bool = False
    deaf: bool = False  # the button does nothing

    def is_on(self) -> bool:
        """Return whether the light is on."""
        return self.on

    async def power(self, verb: PowerVerb) -> None:
        """Switch the light."""
        if not self.deaf and verb not in {PowerVerb.RESET, PowerVerb.CYCLE}:
            self.on = verb is PowerVerb.ON


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a BMC has been through."""

    log: tuple[PowerVerb, ...]
    boot_device: str
    flags: bytes
    on: bool


class Rack:
    """The running BMCs, seen from the test."""

    def __init__(self, pipe: Connection) -> None:
        """Take the pipe to their process."""
        self.pipe = pipe

    def seen(self, name: str) -> Seen:
        """Return the state of a BMC."""
        self.pipe.send(name)
        answer = self.pipe.recv()
        assert isinstance(answer, Seen)
        return answer


def server(
    address: str, *, name: str = "n01-ipmi", on: bool = True, deaf: bool = False, faults: Faults | None = None
) -> BmcServer:
    """Return a BMC with a power light behind it."""
    return BmcServer(
        name=name,
        address=IPv4Address(address),
        user=USER,
        password=PASSWORD,
        more_users={"operator": "second-pass"},
        driver=Chassis(on=on, deaf=deaf),
        faults=faults or Faults(),
    )


@contextmanager
def rack(servers: Sequence[BmcServer], *, port: int) -> Iterator[Rack]:
    """Run BMCs for the length of a block."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=run, args=(servers, port, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert ours.recv() == "ready"
        yield Rack(ours)
    finally:
        process.kill()
        process.join()
        ours.close()


def run(servers: Sequence[BmcServer], port: int, pipe: Connection) -> None:
    """Serve until the end of the test; answer what the test asks."""
    die_with_parent()

    async def main() -> None:
        ended = asyncio.Event()
        for each in servers:
            await serve(each, port=port)
        by_name = {each.name: each for each in servers}

        def asked() -> None:
            try:
                each = by_name[pipe.recv()]
            except EOFError:
                ended.set()
                return
            pipe.send(
                Seen(
                    log=tuple(each.log),
                    boot_device=each.boot_device(),
                    flags=each.boot_flags(),
                    on=each.driver.is_on(),
                )
            )

        asyncio.get_running_loop().add_reader(pipe.fileno(), asked)
        pipe.send("ready")
        await ended.wait()

    asyncio.run(main())
