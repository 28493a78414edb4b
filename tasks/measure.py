"""How a bench tells what it measured: a line each, medians of a few rounds.  Ratios count, seconds are a machine's."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of the table: what was done, how long it took, and what else is to be said."""

    what: str
    seconds: float
    note: str = ""

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.what:<52} {self.seconds * 1000:>9.0f} ms  {self.note}"


def seconds(act: Callable[[], object]) -> float:
    """Return how long one act takes."""
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def median(what: str, act: Callable[[], object], note: str = "") -> Measure:
    """Time an act a few times and keep the median."""
    return Measure(what=what, seconds=statistics.median(seconds(act) for _ in range(ROUNDS)), note=note)


def side_by_side(acts: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median seconds of acts that are to be compared: they take turns, so that a noisy moment hits all."""
    spans: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(ROUNDS):
        for name, act in acts.items():
            spans[name].append(seconds(act))
    return {name: statistics.median(each) for name, each in spans.items()}
