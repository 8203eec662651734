"""Events as sentences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cli.story import describe, waiting
from gateway.cli.text import moment
from gateway.model.job import Event, StoreOutputs

# A busy machine is no reason to fail.
STEADY = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def event(kind: str, **data: Any) -> Event:
    return Event.model_validate({"sequence": 1, "at": "2026-01-01T00:00:00Z", "kind": kind, "data": data})


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("state", {"from": "accepted", "to": "staging"}, "staging"),
        ("state", {"to": "queued", "scheduler_id": "7.pbs"}, "queued [7.pbs]"),
        ("state", {"to": "failed", "reason": "walltime", "message": "it ran out"}, "failed (walltime): it ran out"),
        ("pull", {"bytes": 5_000_000, "total": 10_000_000}, "pulling the image: 5.0 MB of 10.0 MB, 50 %"),
        ("pull", {"bytes": 5_000_000, "total": 0}, "pulling the image: 5.0 MB"),
        ("pull", {"bytes": 5_000_000, "total": 5_000_000, "cached": True}, "image ready, 5.0 MB (from the cache)"),
        ("outputs", {"store": "s", "count": 1, "bytes": 1, "new": ["a"]}, "1 output in s: a"),
        ("outputs", {"store": "s", "count": 9, "new": list("abcdefghi")}, "9 outputs in s: a, b, c, d …"),
        ("outputs", {"store": "s", "count": 32, "state": "complete"}, "32 outputs in s, complete"),
        (
            "backlog",
            {"store": "s", "behind": True, "lag": 130, "bytes": 5, "files": 2},
            "5 B in 2 files not yet in s, the oldest for 2 min 10 s",
        ),
        (
            "backlog",
            {"store": "s", "behind": True, "lag": 130, "bytes": None},
            "s is behind, the oldest for 2 min 10 s",
        ),
        ("backlog", {"store": "s", "behind": False, "lag": None}, "s has everything again"),
        ("phase", {"phase": "claimed", "host": "n1", "runtime": "podman"}, "the script has begun on n1, with podman"),
        ("phase", {"phase": "payload_ended", "exit_code": 0}, "the payload has ended with status 0"),
        ("phase", {"phase": "something new"}, "something new"),
        ("phase", {"phase": "pulled"}, None),
        ("cancel_requested", {}, "cancel requested"),
        ("note", {"message": "a\x1b[31m\nb"}, "a b"),
        ("unheard of", {"a": 1}, None),
    ],
)
def test_an_event_is_told_in_a_line(kind: str, data: dict[str, Any], told: str | None) -> None:
    assert describe(event(kind, **data)) == told


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("a\x1b[\n{}", max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
KEYS = [
    "to",
    "reason",
    "message",
    "bytes",
    "total",
    "cached",
    "store",
    "count",
    "new",
    "state",
    "phase",
    "host",
    "behind",
    "lag",
    "files",
]


@STEADY
@given(
    st.sampled_from(["state", "pull", "outputs", "phase", "note", "backlog"]),
    st.dictionaries(st.sampled_from(KEYS), VALUES),
)
def test_strange_data_neither_fail_nor_break_the_line(kind: str, data: dict[str, Any]) -> None:
    told = describe(event(kind, **data))
    assert told is None or (told and "\n" not in told and "\x1b" not in told)


NEXT = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({}, ""),
        ({"backlog": 0, "backlog_files": 0, "lag": 0}, ""),
        (
            {"backlog": 12_000_000, "backlog_files": 3, "lag": 40},
            "12.0 MB in 3 files not copied yet, the oldest for 40 s",
        ),
        ({"backlog": 5, "lag": 600, "behind": True}, "behind: 5 B not copied yet, the oldest for 10 min"),
        ({"lag": 90}, "something is not copied yet, the oldest for 1 min 30 s"),
        ({"problem": "refused."}, "refused"),
        ({"problem": "refused.", "rescue_at": NEXT}, f"refused; tried again at {moment(NEXT)}"),
    ],
)
def test_what_a_store_lacks_is_told_with_what_is_done_about_it(kept: dict[str, Any], told: str) -> None:
    assert waiting(StoreOutputs.model_validate(kept)) == told
