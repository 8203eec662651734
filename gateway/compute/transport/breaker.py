"""When to try a connection again: pauses that grow, a breaker, and failures that only a person can end. Pure."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from gateway.errors import HostKeyChanged, LoginRefused, TargetUnreachable

THRESHOLD = 3
"""Failures in a row after which calls fail at once for a while."""
LONGEST_PAUSE = 60.0
FIRST_PAUSE = 0.5


class Breaker:
    """Counts failures to connect.

    Parameters
    ----------
    clock
        Seconds that only grow.
    jitter
        A number in [0, 1).
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, jitter: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self.reset()

    def reset(self) -> None:
        """Forget everything: a person has acted."""
        self.failures = 0
        self._not_before = 0.0
        self._last: TargetUnreachable | None = None

    def wait(self) -> float:
        """Return the seconds to wait before the next attempt.

        Raises
        ------
        LoginRefused, HostKeyChanged
            The last attempt ended so: it is not repeated until `reset`.
        TargetUnreachable
            Too many attempts failed, and the pause is not over.
        """
        if isinstance(self._last, LoginRefused | HostKeyChanged):
            raise type(self._last)(self._last.message, hint=self._last.hint)
        left = max(0.0, self._not_before - self._clock())
        if left and self.failures >= THRESHOLD and self._last is not None:
            raise TargetUnreachable(f"{self._last.message} (tried again in {left:.0f} s)", hint=self._last.hint)
        return left

    def failed(self, error: TargetUnreachable) -> None:
        """Note a failed attempt."""
        self.failures += 1
        self._last = error
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self.failures - 1))
        self._not_before = self._clock() + pause * (0.5 + self._jitter() / 2)

    def succeeded(self) -> None:
        """Note a connection."""
        self.reset()
