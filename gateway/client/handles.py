"""What handles of jobs and sweeps share, whichever way their requests go: the last that is known, and how it shows."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.client.text import ago, line, number_of, size
from gateway.model.job import Job, Progress
from gateway.model.states import ENDED, State
from gateway.model.sweep import Sweep

JOB_CARD = "application/vnd.science-gateway.job+json"
"""Media type of a job in a notebook: its id, and how it was when the cell ran."""


class JobFacts:
    """A job as it was when last asked about. Every field of the job is an attribute; `info` holds them all.

    Two fields are called as a method: what is known of outputs is in `outputs` too, the wish to hold it in `info.hold`.
    """

    # Read from `info`; named here for type checkers and editors.
    id: str
    version: int
    name: str
    state: State
    last_state: State | None
    reason: str | None
    message: str | None
    owner: str
    case: str | None
    case_version: str | None
    values: dict[str, Any]
    sweep: str | None
    rerun_of: str | None
    tags: dict[str, str]
    notes: str | None
    target: str
    stores: list[str]
    scheduler_id: str | None
    attempt: int
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    observed_at: datetime | None
    exit_code: int | None
    progress: Progress | None
    spec: dict[str, Any] | None

    info: Job

    def __getattr__(self, name: str) -> Any:
        """Return a field of the job."""
        if name.startswith("_") or name == "info" or name not in Job.model_fields:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.info, name)

    def __dir__(self) -> list[str]:
        """Name the job's fields too."""
        return sorted({*super().__dir__(), *Job.model_fields})

    @property
    def ended(self) -> bool:
        """Whether the job has ended."""
        return self.info.state in ENDED

    @property
    def succeeded(self) -> bool:
        """Whether the job has ended well."""
        return self.info.state is State.SUCCEEDED

    def __repr__(self) -> str:
        """Return the job in a line."""
        return f"<job {self.info.id[:8]} {line(self.info.name)!r} {told_state(self.info)}>"

    def _repr_html_(self) -> str:
        """Return the job as a small table, for notebooks."""
        return as_table([(name, value) for name, value in job_facts(self.info) if value])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Return what JupyterLab's panel draws as a live card; elsewhere the table is shown."""
        info = self.info
        shown = {"id": info.id, "name": info.name, "state": str(info.state), "target": info.target}
        return {JOB_CARD: shown}


def told_state(job: Job) -> str:
    """Return a job's state as people read it."""
    if job.state is State.UNKNOWN and job.last_state:
        return f"unknown, was {job.last_state} {ago(job.observed_at)}"
    return str(job.state) + (f" ({line(job.reason)})" if job.reason else "")


def told_progress(progress: Progress | None) -> str:
    """Return progress as people read it: ``40 % (20 of 50 s)``."""
    if progress is None:
        return ""
    unit = f" {line(progress.unit)}" if progress.unit else ""
    counted = f"{progress.value:g} of {progress.max:g}{unit}"
    share = fraction(progress)
    return counted if share is None else f"{share:.0%} ({counted})"


def fraction(progress: Progress) -> float | None:
    """Return how far a payload is, from 0 to 1; None where its numbers do not say."""
    width = progress.max - progress.min
    return min(1.0, max(0.0, (progress.value - progress.min) / width)) if width > 0 else None


def job_facts(job: Job) -> list[tuple[str, str]]:
    """Return what people want to know first of a job."""
    kept = job.outputs
    return [
        ("job", job.id),
        ("name", line(job.name)),
        ("state", told_state(job)),
        ("message", line(job.message or "")),
        ("progress", told_progress(job.progress)),
        ("case", line(job.case or "")),
        ("target", line(job.target)),
        ("outputs", f"{kept.state}: {number_of(kept.count, 'file')}, {size(kept.bytes)}"),
        ("created", ago(job.created_at)),
    ]


def as_table(rows: Sequence[tuple[str, str]]) -> str:
    """Return rows as an HTML table; every text is escaped."""
    made = "".join(
        f'<tr><th style="text-align:left">{html.escape(name)}</th>'
        f'<td style="text-align:left">{html.escape(value)}</td></tr>'
        for name, value in rows
    )
    return f"<table>{made}</table>"


class SweepFacts:
    """A sweep as it was when last asked about; `info` holds all that is known."""

    id: str
    version: int
    name: str
    case: str | None
    target: str | None
    count: int
    limit: int | None
    state: str
    counts: dict[str, int]
    partly_failed: bool
    parameters: list[str]
    rerun_of: str | None

    info: Sweep

    def __getattr__(self, name: str) -> Any:
        """Return a field of the sweep."""
        if name.startswith("_") or name == "info" or name not in Sweep.model_fields:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.info, name)

    def __repr__(self) -> str:
        """Return the sweep in a line."""
        return f"<sweep {self.info.id[:8]} {line(self.info.name)!r} {told_counts(self.info)}>"

    def _repr_html_(self) -> str:
        """Return the sweep as a small table, for notebooks."""
        known = self.info
        return as_table([("sweep", known.id), ("name", line(known.name)), ("jobs", told_counts(known))])


def told_counts(sweep: Sweep) -> str:
    """Return how many jobs of a sweep are in which state."""
    parts = [f"{count} {line(state)}" for state, count in sweep.counts.items() if count]
    return ", ".join(parts) or f"{number_of(sweep.count, 'job')}, {line(sweep.state)}"


def query_of(filters: Mapping[str, Any]) -> dict[str, str]:
    """Return filters as a query: lists joined by commas, moments in RFC 3339, what is None left out."""
    made: dict[str, str] = {}
    for name, value in filters.items():
        if value is None:
            continue
        if isinstance(value, datetime):
            made[name] = value.astimezone().isoformat()
        elif isinstance(value, list | tuple | set | frozenset):
            made[name] = ",".join(str(part) for part in value)
        else:
            made[name] = str(value)
    return made


def specification(body: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification from a mapping and single fields; handles of jobs become their ids.

    Fields that are None are left out; one store may be given as its name.
    """
    made = {**(body or {}), **{name: value for name, value in fields.items() if value is not None}}
    if isinstance(made.get("stores"), str):
        made["stores"] = [made["stores"]]
    for name in ("after_success", "after_end"):
        if name in made:
            given = made[name]
            many = given if isinstance(given, list | tuple) else [given]
            made[name] = [one.info.id if isinstance(one, JobFacts) else one for one in many]
    return made
