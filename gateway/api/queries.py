"""The query parameters of each route."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from gateway.api.messages import Query
from gateway.jobs.bulk import LIMIT as BULK_LIMIT
from gateway.model.base import Line, Name, Time
from gateway.model.specification import TagName
from gateway.model.states import State


def _split(value: Any) -> Any:
    return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value


def _tag(value: Any) -> Any:
    name, colon, content = value.partition(":") if isinstance(value, str) else (value, "", "")
    return (name, content if colon else None)


Cursor = Annotated[str, StringConstraints(min_length=1, max_length=8192, pattern=r"^[A-Za-z0-9_=-]+$")]
Text = Annotated[Line, StringConstraints(max_length=1024)]


class SubmitQuery(Query):
    """`POST /jobs`."""

    draft: bool = Field(default=False, description="Store the job without letting it run.")
    dry_run: bool = Field(default=False, description="Check only; nothing is stored.")


def _moment(value: Any) -> Any:
    if isinstance(value, str) and not _RFC3339.match(value):
        raise ValueError("must be a moment such as 2026-01-31T12:00:00Z")
    return value


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)?)?\Z", re.ASCII)
Moment = Annotated[Time, BeforeValidator(_moment, json_schema_input_type=str)]
"""RFC 3339; without a zone it is UTC, without a time the beginning of the day."""


class JobsFilter(Query):
    """What jobs a list has; also the `filter` of the requests about many jobs."""

    state: Annotated[tuple[State, ...], BeforeValidator(_split, json_schema_input_type=str)] = Field(
        default=(), description="States, separated by commas."
    )
    target: Name | None = None
    case: Name | None = None
    sweep: Annotated[str, StringConstraints(pattern=r"^([0-9a-f-]{36}|none)$")] | None = Field(
        default=None, description="The id of a sweep: its jobs. `none`: those that belong to no sweep."
    )
    owner: Annotated[Line, StringConstraints(min_length=1, max_length=128)] | None = Field(
        default=None, description="Administrators: somebody else's jobs, or `*` for everybody's."
    )
    tag: Annotated[tuple[TagName, Text | None] | None, BeforeValidator(_tag, json_schema_input_type=str)] = Field(
        default=None, description="`name:value`, or `name` for any value."
    )
    q: Text | None = Field(default=None, description="Part of the name or the notes, or the beginning of the id.")
    created_after: Moment | None = Field(default=None, description="Created at this moment (RFC 3339) or later.")
    created_before: Moment | None = Field(default=None, description="Created before this moment.")
    ended_after: Moment | None = Field(default=None, description="Ended at this moment or later.")
    ended_before: Moment | None = Field(default=None, description="Ended before this moment.")


class JobsQuery(JobsFilter):
    """`GET /jobs`."""

    sort: Literal[
        "-created_at",
        "created_at",
        "-started_at",
        "started_at",
        "-ended_at",
        "ended_at",
        "-name",
        "name",
        "-state",
        "state",
        "-target",
        "target",
        "-case",
        "case",
        "-sweep_index",
        "sweep_index",
    ] = Field(default="-created_at", description="`-`: downwards. Jobs that have no such value come last.")
    limit: int = Field(default=50, ge=1, le=500)
    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before.")


class ManyJobs(Query):
    """The body of a request about many jobs: either `ids`, or `filter` as the query of the list of jobs.

    A filter reaches the jobs for which the request is possible, oldest first, at most `limit` of them; with the
    answer's `next_cursor` as `cursor` the next request goes on.
    """

    ids: tuple[Annotated[Line, StringConstraints(min_length=1, max_length=64)], ...] | None = Field(
        default=None, min_length=1, max_length=BULK_LIMIT
    )
    filter: JobsFilter | None = None
    limit: int = Field(default=BULK_LIMIT, ge=1, le=BULK_LIMIT)
    cursor: Cursor | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("needs either ids or filter")
        if self.cursor is not None and self.filter is None:
            raise ValueError("cursor: goes with a filter")
        if self.ids is not None and len(set(self.ids)) != len(self.ids):
            raise ValueError("ids: an id stands twice")
        return self


class RerunQuery(Query):
    """`POST /jobs/{id}/rerun`."""

    draft: bool = Field(default=False, description="Store the new job without letting it run.")


ContentType = Annotated[
    str, StringConstraints(max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]*/([*]|[A-Za-z0-9][^\x00-\x1f\x7f]*)$")
]


class OutputsSearch(Query):
    """What a search of outputs asks for, and what a listing does too."""

    prefix: Text = ""
    delimiter: Literal["/", ""] = Field(default="", description="`/`: one level, with totals of the folders.")
    store: Name | None = Field(default=None, description="The job's first store by default.")
    pattern: Annotated[Line, StringConstraints(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Only paths that fit it, as in a job's `outputs`: `**/*.vtk` is at any depth."
    )
    content_type: ContentType | None = Field(default=None, description="Of this type; `image/*` for all of a kind.")
    min_size: int | None = Field(default=None, ge=0, le=2**62, description="Of so many bytes at least.")
    modified_after: Moment | None = Field(default=None, description="Changed at this moment (RFC 3339) or later.")
    limit: int = Field(default=1000, ge=1, le=5000)
    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before.")


class OutputsQuery(OutputsSearch):
    """`GET /jobs/{id}/outputs`."""


class AllOutputsQuery(OutputsSearch, JobsFilter):
    """`GET /outputs`. Without a prefix, outputs are searched in all jobs that the other parameters let through."""


class OutputQuery(Query):
    """`GET /jobs/{id}/outputs/{path}`."""

    store: Name | None = None
    redirect: bool = Field(default=False, description="Answer 302 to a short-lived address where the store has one.")


class StoreQuery(Query):
    """`GET /jobs/{id}/manifest`."""

    store: Name | None = None


class ScriptQuery(Query):
    """`GET /jobs/{id}/script`."""

    libraries: bool = Field(default=False, description="Show what the script loads from its target instead.")


class LogsQuery(Query):
    """`GET /jobs/{id}/logs/{stream}`."""

    offset: int = Field(default=0, ge=-(2**53), le=2**53, description="First byte; negative: from the end.")
    limit: int = Field(default=1024 * 1024, ge=0, le=8 * 1024 * 1024)
    follow: bool = Field(default=False, description="Go on until the job has ended.")


class EventsQuery(Query):
    """`GET /events`."""

    after: int | None = Field(default=None, ge=0, le=2**62, description="Only events with a larger sequence.")
    last_event_id: int | None = Field(default=None, ge=0, le=2**62, description="As the header `Last-Event-ID`.")
    cursor: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )
    new: bool = Field(default=False, description="Begin with what happens from now on, where nothing else says so.")
    limit: int = Field(default=500, ge=1, le=5000, description="Events of one page (JSON only).")
