"""Rows of the database as the API shows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sqlalchemy import RowMapping

from gateway.model.base import Time
from gateway.model.job import (
    Answer,
    Event,
    Job,
    Links,
    OutputFile,
    OutputsSummary,
    Progress,
    StoreOutputs,
)
from gateway.model.states import OutputsState, worst_outputs

API = "/api/v1"
Row = RowMapping | Mapping[str, Any]
"""A row as the database gives it, or one like it."""


class Attempt(Answer):
    """One try at a job; `state`, `reason` and `message` say how it ended, and are None until it has."""

    number: int
    submission: str
    scheduler_id: str | None = None
    created_at: Time
    staged_at: Time | None = None
    submitted_at: Time | None = None
    claimed_at: Time | None = None
    payload_started_at: Time | None = None
    state: str | None = None
    reason: str | None = None
    message: str | None = None
    final: dict[str, Any] | None = None


class AttemptPage(Answer):
    """All attempts of a job, oldest first."""

    items: list[Attempt]
    next_cursor: str | None = None


def job_links(job_id: str) -> Links:
    """Return the API's paths about a job."""
    base = f"{API}/jobs/{job_id}"
    return Links(
        self=base,
        events=f"{base}/events",
        outputs=f"{base}/outputs",
        logs=f"{base}/logs",
        script=f"{base}/script",
    )


def job_of(row: Row, stores: Sequence[Row], waits_for: Mapping[str, Sequence[str]] | None = None) -> Job:
    """Return a job; `spec` is None where the row has none.

    Parameters
    ----------
    waits_for
        Ids of the jobs that it waits for, by kind (``after_success``, ``after_end``).
    """
    waits_for = waits_for or {}
    per_store = {
        item["store"]: StoreOutputs(state=OutputsState(item["state"]), count=item["count"], bytes=item["bytes"])
        for item in stores
    }
    progress = row["progress"]
    return Job(
        **{name: row[name] for name in _PLAIN},
        values=row["values"] or {},
        after_success=waits_for.get("after_success", ()),
        after_end=waits_for.get("after_end", ()),
        progress=Progress.model_validate(progress) if progress else None,
        outputs=OutputsSummary(
            state=worst_outputs([item.state for item in per_store.values()]),
            count=sum(item.count for item in per_store.values()),
            bytes=sum(item.bytes for item in per_store.values()),
            stores=per_store,
        ),
        spec=row.get("spec"),
        links=job_links(row["id"]),
    )


_MADE = {"values", "after_success", "after_end", "progress", "outputs", "spec", "links", "changes", "preview"}
_PLAIN = tuple(name for name in Job.model_fields if name not in _MADE)


def attempt_of(row: Row) -> Attempt:
    """Return an attempt; `final` is the script's own record, without its token."""
    final = row["final"]
    ending = (final.get("ending") if isinstance(final, dict) else None) or {}
    if isinstance(final, dict):
        final = final.get("record", final)
    if isinstance(final, dict):
        final = {key: value for key, value in final.items() if key != "token"}
    told = {name: ending.get(name) for name in ("state", "reason", "message")}
    return Attempt(
        **{name: row[name] for name in Attempt.model_fields if name not in {*told, "final"}}, **told, final=final
    )


def event_of(row: Row) -> Event:
    """Return an event."""
    return Event(sequence=row["sequence"], job_id=row["job_id"], at=row["at"], kind=row["kind"], data=row["data"])


def output_of(row: Row, first_store: str) -> OutputFile:
    """Return a file; its address names the store unless it is the job's first."""
    url = f"{API}/jobs/{row['job_id']}/outputs/{quote(row['path'])}"
    if row["store"] != first_store:
        url += f"?store={quote(row['store'], safe='')}"
    return OutputFile(
        name=f"{row['job_id']}/{row['path']}",
        url=url,
        **{name: row[name] for name in OutputFile.model_fields if name not in {"name", "url"}},
    )
