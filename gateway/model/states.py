"""The states of a job and the one table of legal transitions."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """State of a job as people see it."""

    DRAFT = "draft"
    ACCEPTED = "accepted"
    STAGING = "staging"
    QUEUED = "queued"
    HELD = "held"
    RUNNING = "running"
    FINALIZING = "finalizing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    LOST = "lost"


class Reason(StrEnum):
    """Why a job ended as it did, as something a person can act on."""

    IMAGE_PULL_FAILED = "image_pull_failed"
    WALLTIME = "walltime"
    OUT_OF_MEMORY = "out_of_memory"
    EXIT_CODE = "exit_code"
    SIGNALLED = "signalled"
    SCHEDULER_REJECTED = "scheduler_rejected"
    NODE_FAILED = "node_failed"
    STAGING_FAILED = "staging_failed"
    RUNTIME_MISSING = "runtime_missing"
    TERMINATED = "terminated"
    CANCELLED_BY_USER = "cancelled_by_user"
    YIELDED = "yielded"
    DEPENDENCY_FAILED = "dependency_failed"
    ABANDONED = "abandoned"
    VANISHED = "vanished"


class OutputsState(StrEnum):
    """Completeness of a job's outputs, ordered from worst to best by `OUTPUTS_ORDER`."""

    NONE = "none"
    PARTIAL = "partial"
    COMPLETE = "complete"
    RESCUED = "rescued"


_LIVE_TARGETS = {State.QUEUED, State.HELD, State.RUNNING, State.FINALIZING, State.UNKNOWN}

TRANSITIONS: dict[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.ACCEPTED, State.CANCELLED}),
    State.ACCEPTED: frozenset({State.STAGING, State.CANCELLED, State.FAILED, State.UNKNOWN}),
    State.STAGING: frozenset(_LIVE_TARGETS | {State.CANCELLED, State.FAILED}),
    State.QUEUED: frozenset(_LIVE_TARGETS),
    State.HELD: frozenset(_LIVE_TARGETS),
    State.RUNNING: frozenset({State.QUEUED, State.HELD, State.FINALIZING, State.UNKNOWN}),
    State.FINALIZING: frozenset({State.STAGING, State.SUCCEEDED, State.FAILED, State.CANCELLED, State.UNKNOWN}),
    State.UNKNOWN: frozenset(
        {State.ACCEPTED, State.STAGING, State.QUEUED, State.HELD, State.RUNNING, State.FINALIZING, State.LOST}
    ),
    State.LOST: frozenset({State.FINALIZING}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""From each state, the states that may follow. ``lost`` is the one ended state that later positive evidence
may replace (by way of ``finalizing``)."""

ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.LOST})
LIVE = frozenset(
    {State.ACCEPTED, State.STAGING, State.QUEUED, State.HELD, State.RUNNING, State.FINALIZING, State.UNKNOWN}
)
OUTPUTS_ORDER = (OutputsState.NONE, OutputsState.PARTIAL, OutputsState.RESCUED, OutputsState.COMPLETE)


class IllegalTransition(ValueError):
    """A programming error: the change of state is not in the table."""


def check_transition(before: State, after: State) -> None:
    """Raise `IllegalTransition` unless `after` may follow `before`."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"{before} -> {after} is not a legal transition")


def worst_outputs(states: list[OutputsState]) -> OutputsState:
    """Completeness of a job: that of its worst store; ``none`` for no stores at all."""
    return min(states, key=OUTPUTS_ORDER.index, default=OutputsState.NONE)
