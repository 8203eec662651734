"""The query parameters of each route."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from gateway.api.messages import Query
from gateway.model.base import Line, Name
from gateway.model.specification import TagName
from gateway.model.states import State


def _split(value: Any) -> Any:
    return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value


def _tag(value: Any) -> Any:
    name, colon, content = value.partition(":") if isinstance(value, str) else (value, "", "")
    return (name, content if colon else None)


Cursor = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
Text = Annotated[Line, StringConstraints(max_length=1024)]


class SubmitQuery(Query):
    """`POST /jobs`."""

    draft: bool = Field(default=False, description="Store the job without letting it run.")
    dry_run: bool = Field(default=False, description="Check only; nothing is stored.")


class JobsQuery(Query):
    """`GET /jobs`."""

    state: Annotated[tuple[State, ...], BeforeValidator(_split, json_schema_input_type=str)] = Field(
        default=(), description="States, separated by commas."
    )
    target: Name | None = None
    tag: Annotated[tuple[TagName, Text | None] | None, BeforeValidator(_tag, json_schema_input_type=str)] = Field(
        default=None, description="`name:value`, or `name` for any value."
    )
    q: Text | None = Field(default=None, description="Part of the name, or the beginning of the id.")
    sort: Literal["-created_at", "created_at"] = "-created_at"
    limit: int = Field(default=50, ge=1, le=500)
    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before.")


class OutputsQuery(Query):
    """`GET /jobs/{id}/outputs`."""

    prefix: Text = ""
    delimiter: Literal["/", ""] = Field(default="", description="`/`: one level, with totals of the folders.")
    store: Name | None = Field(default=None, description="The job's first store by default.")
    limit: int = Field(default=1000, ge=1, le=5000)
    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before.")


class OutputQuery(Query):
    """`GET /jobs/{id}/outputs/{path}`."""

    store: Name | None = None
    redirect: bool = Field(default=False, description="Answer 302 to a short-lived address where the store has one.")


class StoreQuery(Query):
    """`GET /jobs/{id}/manifest`."""

    store: Name | None = None


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
    limit: int = Field(default=500, ge=1, le=5000, description="Events of one page (JSON only).")
