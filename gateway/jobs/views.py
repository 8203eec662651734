"""Rows of the database as the API shows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
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
from gateway.model.retention import RESTORE, is_closed
from gateway.model.states import ENDED, OutputsState, State, worst_outputs

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
    ended = State(row["state"]) in ENDED
    per_store = {item["store"]: store_of(item, ended=ended) for item in stores}
    progress = row["progress"]
    return Job(
        **{name: row[name] for name in _PLAIN},
        values=row["values"] or {},
        after_success=waits_for.get("after_success", ()),
        after_end=waits_for.get("after_end", ()),
        progress=Progress.model_validate(progress) if progress else None,
        outputs=summary_of(per_store),
        spec=row.get("spec"),
        links=job_links(row["id"]),
    )


def store_of(item: Row, *, ended: bool) -> StoreOutputs:
    """Return what stands in one store; how far it is behind counts only until the job has ended."""
    found = StoreOutputs(
        state=OutputsState(item["state"]),
        count=item["count"],
        bytes=item["bytes"],
        problem=item["problem"],
        rescue_at=item["rescue_at"],
        verdict=item["verdict"],
        verified_at=item["verified_at"],
    )
    if ended or item["backlog_at"] is None:
        return found
    oldest = item["oldest_unsent"]
    return found.model_copy(
        update={
            "backlog": item["backlog"],
            "backlog_files": item["backlog_files"],
            "oldest": oldest,
            "lag": 0.0 if oldest is None else round(max(0.0, (datetime.now(UTC) - oldest).total_seconds()), 1),
            "behind": item["behind"] > 0,
        }
    )


def summary_of(stores: Mapping[str, StoreOutputs]) -> OutputsSummary:
    """Return what stands in all stores together: the worst of them, where they differ."""
    items = list(stores.values())
    return OutputsSummary(
        state=worst_outputs([item.state for item in items]),
        count=sum(item.count for item in items),
        bytes=sum(item.bytes for item in items),
        backlog=max((item.backlog for item in items if item.backlog is not None), default=None),
        backlog_files=max((item.backlog_files for item in items if item.backlog_files is not None), default=None),
        oldest=min((item.oldest for item in items if item.oldest is not None), default=None),
        lag=max((item.lag for item in items if item.lag is not None), default=None),
        behind=any(item.behind for item in items),
        problem=next((item.problem for item in items if item.problem is not None), None),
        rescue_at=min((item.rescue_at for item in items if item.rescue_at is not None), default=None),
        **_verified(items),
        stores=dict(stores),
    )


_VERDICTS = ("failed", "incomplete", "verified")
"""From the worst to the best."""


def _verified(items: Sequence[StoreOutputs]) -> dict[str, Any]:
    """Return the worst verdict and the oldest time; nothing where a store was never verified."""
    moments = [item.verified_at for item in items if item.verified_at is not None]
    if not items or len(moments) < len(items):
        return {}
    found = {item.verdict for item in items}
    return {"verdict": next((word for word in _VERDICTS if word in found), None), "verified_at": min(moments)}


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
    """Return an event; the token of a run, which proves whose records are its own, is nobody else's business."""
    plain = {name: row[name] for name in ("sequence", "job_id", "at", "kind", "data")}
    return Event(**plain, evidence=_without_tokens(row["evidence"]) if row["evidence"] else None)


def _without_tokens(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_tokens(item) for key, item in value.items() if key != "token"}
    return [_without_tokens(item) for item in value] if isinstance(value, list) else value


def output_of(row: Row, first_store: str) -> OutputFile:
    """Return a file; its address names the store unless it is the job's first."""
    url = f"{API}/jobs/{row['job_id']}/outputs/{quote(row['path'])}"
    if row["store"] != first_store:
        url += f"?store={quote(row['store'], safe='')}"
    worked_out = {"name", "url", "archived", "restoring"}
    return OutputFile(
        name=f"{row['job_id']}/{row['path']}",
        url=url,
        archived=is_closed(row["tier"]),
        restoring=row["going"] == RESTORE,
        **{name: row[name] for name in OutputFile.model_fields if name not in worked_out},
    )
