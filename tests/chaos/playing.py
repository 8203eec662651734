"""Plays scenarios, a few at the same time: most of a scenario is waiting."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from tests.chaos.registry import Scenario
from tests.chaos.scene import Scene
from tests.chaos.yard import Yard


@dataclass(frozen=True)
class Played:
    """What became of a scenario.

    Attributes
    ----------
    seen
        What it saw; where it failed, the assertion's words.
    trace
        Where it failed; None where nothing was harmed.
    """

    scenario: Scenario
    seen: str
    seconds: float
    trace: str | None = None


def play(scenario: Scenario, yard: Yard) -> Played:
    """Play one scenario. A failure is an answer too."""
    begun = time.monotonic()
    scene = Scene(yard)
    try:
        try:
            seen, trace = scenario.play(scene), None
        finally:
            scene.close()
    except Exception as error:
        words = " ".join(str(error).split())[:300] or type(error).__name__
        seen, trace = words, traceback.format_exc()
    return Played(scenario, seen, time.monotonic() - begun, trace)


@contextmanager
def playing(scenarios: Sequence[Scenario], yard: Yard, at_once: int) -> Iterator[dict[str, Future[Played]]]:
    """Play scenarios in threads; give the answers by name, as they come. Leaving early plays no further ones."""
    pool = ThreadPoolExecutor(at_once, "scenario")
    try:
        yield {scenario.name: pool.submit(play, scenario, yard) for scenario in scenarios}
    finally:
        pool.shutdown(cancel_futures=True)
