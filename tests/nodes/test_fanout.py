"""Many nodes at once: order, bounds, and what a worker may do to us."""

import os
import signal
import time
from pathlib import Path

import pytest

from tasks.errors import BootmillError
from tasks.nodes import fanout
from tasks.nodes.fanout import NodeResult, Work


def sleeper(seconds: float, text: str = "on") -> Work:
    """Return a job that takes its time."""

    def work() -> str:
        time.sleep(seconds)
        return text

    return work


def test_results_come_in_natural_order_whoever_is_first() -> None:
    """n2 is told before n10, and both before they are all there."""
    told: list[str] = []
    results = fanout.run(
        {"n10": sleeper(0), "n2": sleeper(0.05), "n1": sleeper(0.02)}, tell=lambda result: told.append(result.node)
    )
    assert [result.node for result in results] == told == ["n1", "n2", "n10"]


def test_no_more_than_the_limit_run_at_once(tmp_path: Path) -> None:
    """With a limit of three there are never four at work."""

    def work() -> str:
        mark = tmp_path / str(os.getpid())
        mark.touch()
        time.sleep(0.03)
        count = len(list(tmp_path.iterdir()))
        mark.unlink()
        return str(count)

    results = fanout.run({f"n{number}": work for number in range(12)}, limit=3)
    assert 1 < max(int(result.text) for result in results) <= 3


def test_one_that_hangs_is_ended_and_named() -> None:
    """A worker is killed at its deadline; the others are not kept waiting."""
    begun = time.monotonic()
    results = fanout.run({"n1": sleeper(60), "n2": sleeper(0)}, deadline=0.3)
    assert [result.ok for result in results] == [False, True]
    assert "did not end in time" in results[0].text
    assert time.monotonic() - begun < 3


def test_one_that_dies_is_named() -> None:
    """A worker that ends without a word is a failure of its node."""

    def work() -> str:
        os._exit(3)

    assert fanout.run({"n1": work})[0] == NodeResult(node="n1", ok=False, text="its worker died (exit code 3)")


def test_an_error_is_its_sentence_and_a_bug_is_its_place() -> None:
    """A `BootmillError` is told as it is; what a bug's message holds (a password, say) is not."""

    def mistaken() -> str:
        raise BootmillError("wrong user or password", hint="unused")

    def broken() -> str:
        raise ValueError("calvin")

    told = fanout.run({"n1": mistaken, "n2": broken})
    assert told[0].text == "wrong user or password"
    assert told[1].text.startswith("unexpected ValueError in test_fanout.py:")
    assert not any(result.ok for result in told)


def test_a_worker_cannot_speak(capfd: pytest.CaptureFixture[str]) -> None:
    """What a library prints in a worker does not reach the user."""

    def work() -> str:
        os.write(1, b"noise\n")
        os.write(2, b"noise\n")
        return "x" * 100_000

    assert len(fanout.run({"n1": work})[0].text) == fanout.LONGEST
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_ends_the_workers_and_tells_what_is_known(tmp_path: Path) -> None:
    """After Ctrl-C no worker is left, results that are there stay, the rest is told as interrupted."""

    def slow() -> str:
        (tmp_path / "pid").write_text(str(os.getpid()))
        time.sleep(60)
        return "on"

    told: list[NodeResult] = []

    def tell(result: NodeResult) -> None:
        told.append(result)
        if len(told) == 1:
            while not (tmp_path / "pid").exists():
                time.sleep(0.01)
            raise KeyboardInterrupt

    results = fanout.run({"n1": sleeper(0), "n2": slow}, tell=tell)
    assert [(result.ok, result.text) for result in results] == [(True, "on"), (False, "interrupted")]
    assert results[-1] == told[-1]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_interrupt_is_the_parents_business() -> None:
    """Ctrl-C reaches every process of the terminal; a worker goes on until its parent decides."""

    def work() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "on"

    assert fanout.run({"n1": work})[0].text == "on"
