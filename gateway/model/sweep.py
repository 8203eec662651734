"""Sweeps: many jobs from one specification and a grid or table of parameters, as they stand on the wire."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from gateway.model.base import Line, Model, Time
from gateway.model.job import Answer

MAX_POINTS = 10_000
"""Jobs of one sweep."""
MAX_PARAMETERS = 100

ParameterKey = Annotated[Line, StringConstraints(min_length=1, max_length=512)]
"""The name of a parameter of the case, or a JSON pointer into the specification such as ``/env/RE``."""


class SweepState(StrEnum):
    """What has become of a sweep, by the states of its jobs."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTLY_FAILED = "partly_failed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EMPTY = "empty"


class SweepRequest(Model):
    """The body of ``POST /api/v1/sweeps``.

    `job` is a specification. A `grid` gives values for each key, and every combination is a job; a `table` gives the
    keys and values of each job. At most `limit` jobs are queued or running at once.
    """

    name: Annotated[Line, StringConstraints(min_length=1, max_length=200)] | None = None
    job: dict[str, JsonValue]
    grid: dict[ParameterKey, Annotated[list[JsonValue], Field(min_length=1, max_length=MAX_POINTS)]] | None = Field(
        default=None, min_length=1, max_length=MAX_PARAMETERS
    )
    table: (
        Annotated[
            list[Annotated[dict[ParameterKey, JsonValue], Field(max_length=MAX_PARAMETERS)]],
            Field(min_length=1, max_length=MAX_POINTS),
        ]
        | None
    ) = None
    limit: int | None = Field(default=None, ge=1, le=MAX_POINTS)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.grid is None) == (self.table is None):
            raise ValueError("needs either grid or table")
        return self


class SweepLinks(Answer):
    """Where to go from a sweep."""

    self: str
    jobs: str
    table: str


class Sweep(Answer):
    """A sweep.

    Attributes
    ----------
    count
        Jobs that it was made of; `counts` has those that are there by state.
    partly_failed
        Whether some jobs failed or were lost while others did not.
    parameters
        Keys of the grid or table.
    """

    id: str
    version: int
    name: str
    owner: str
    target: str
    case: str | None = None
    count: int
    limit: int | None = None
    state: SweepState
    counts: dict[str, int] = Field(default_factory=dict)
    partly_failed: bool = False
    parameters: list[str] = Field(default_factory=list)
    created_at: Time
    cancel_requested_at: Time | None = None
    rerun_of: str | None = None
    links: SweepLinks


class SweepPage(Answer):
    """A page of sweeps, newest first."""

    items: list[Sweep]
    next_cursor: str | None = None


class SweepRow(Answer):
    """One job of a sweep: its values, and what came of it."""

    index: int
    job_id: str
    values: dict[str, Any] = Field(default_factory=dict)
    state: str
    reason: str | None = None
    exit_code: int | None = None
    progress: float | None = None
    created_at: Time
    queued_at: Time | None = None
    started_at: Time | None = None
    ended_at: Time | None = None
    seconds: float | None = None


class SweepTable(Answer):
    """All jobs of a sweep, by their index."""

    parameters: list[str]
    items: list[SweepRow]
    next_cursor: str | None = None
