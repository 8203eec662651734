"""The rate limit of a token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import TooManyRequests
from gateway.people.buckets import BURST_SECONDS, MAX_BUCKETS, RateLimit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0, 3), max_size=60), st.floats(0.5, 20))
def test_never_more_than_the_burst_and_the_rate_are_taken(pauses: list[float], rate: float) -> None:
    clock = Clock()
    limit, taken = RateLimit(rate, clock), 0
    for pause in pauses:
        clock.now += pause
        for _ in range(10):
            try:
                limit.take("a")
                taken += 1
            except TooManyRequests:
                break
    assert taken <= max(1.0, rate * BURST_SECONDS) + rate * clock.now + 1e-6


def test_one_may_go_on_after_the_time_that_the_refusal_names() -> None:
    clock = Clock()
    limit = RateLimit(0.1, clock)
    limit.take("a")
    with pytest.raises(TooManyRequests) as caught:
        limit.take("a")
    clock.now += caught.value.retry_after
    limit.take("a")


def test_each_token_has_a_bucket_of_its_own_and_there_are_not_too_many() -> None:
    limit = RateLimit(1, Clock())
    for number in range(2 * MAX_BUCKETS):
        limit.take(str(number))
    assert len(limit._buckets) <= MAX_BUCKETS


def test_a_rate_of_zero_is_no_limit() -> None:
    limit = RateLimit(0, Clock())
    for _ in range(10_000):
        limit.take("a")
