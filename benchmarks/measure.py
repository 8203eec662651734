"""Measuring by turns: the gateway, its baseline, and again, so that both meet the same machine."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

REPEATS = 5
Run = Callable[[], Awaitable[float]]
"""Does the work once and returns the seconds that it took."""


@dataclass(frozen=True)
class Comparison:
    """The gateway's times and the baseline's, round by round.

    Attributes
    ----------
    count
        How many of `unit` each run makes.
    unit
        What is counted, in the singular: ``job``, ``request`` …
    gateway, baseline
        Seconds of each run, in the order of the rounds.
    notes
        What else was seen.
    """

    what: str
    against: str
    count: int
    unit: str
    gateway: Sequence[float]
    baseline: Sequence[float]
    notes: Sequence[str] = ()

    @property
    def ratios(self) -> list[float]:
        """How many times the baseline's time the gateway took, in each round."""
        return [mine / bare for mine, bare in zip(self.gateway, self.baseline, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios; 1 is as fast as the baseline, less is faster."""
        return statistics.median(self.ratios)

    def shown(self, seconds: Sequence[float]) -> str:
        """Return a median time in words: a rate where many were made, else a time."""
        middle = statistics.median(seconds)
        if self.count > 1:
            return f"{self.count / middle:,.0f} {self.unit}s/s"
        return f"{middle * 1000:,.0f} ms" if middle >= 0.01 else f"{middle * 1000:,.2f} ms"


async def rounds(*runs: Run, repeats: int = REPEATS) -> list[list[float]]:
    """Make all `runs` by turns, `repeats` times after once that does not count; every second round goes backwards.

    Returns
    -------
    list
        The seconds of each run's rounds, in the order of `runs`.
    """
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(repeats + 1):
        for index in range(len(runs))[:: 1 if number % 2 else -1]:
            gc.collect()
            seconds[index].append(await runs[index]())
    return [times[1:] for times in seconds]


async def timed(work: Awaitable[object]) -> float:
    """Return the seconds that `work` takes."""
    begin = time.perf_counter()
    await work
    return time.perf_counter() - begin
