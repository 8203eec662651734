"""How many requests a token may make: a bucket of turns for each, filled at a steady rate. Pure but for the clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.errors import TooManyRequests

BURST_SECONDS = 5
"""A bucket holds the turns of so many seconds."""
MAX_BUCKETS = 4096


@dataclass
class _Bucket:
    turns: float
    at: float


class RateLimit:
    """Token buckets by key.

    Parameters
    ----------
    rate
        Turns a second; 0 for no limit.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.burst = max(1.0, rate * BURST_SECONDS)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key: str) -> None:
        """Take a turn; raises `TooManyRequests` where there is none."""
        if self.rate <= 0:
            return
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[key] = _Bucket(self.burst, now)
        bucket.turns = min(self.burst, bucket.turns + (now - bucket.at) * self.rate)
        bucket.at = now
        if bucket.turns < 1:
            wait = max(1, math.ceil((1 - bucket.turns) / self.rate))
            raise TooManyRequests(
                f"this token makes more than {self.rate:g} requests a second",
                retry_after=wait,
                hint=f"go on in {wait} s; events (SSE) tell of changes without asking again and again",
            )
        bucket.turns -= 1

    def _make_room(self, now: float) -> None:
        """Forget full buckets: a new one is as good."""
        if len(self._buckets) < MAX_BUCKETS:
            return
        full = [key for key, b in self._buckets.items() if b.turns + (now - b.at) * self.rate >= self.burst]
        for key in full or list(self._buckets)[: MAX_BUCKETS // 2]:
            del self._buckets[key]
