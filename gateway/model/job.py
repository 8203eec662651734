"""Jobs, events, outputs, targets and problems as they stand on the wire."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from gateway.model.base import Time
from gateway.model.states import OutputsState, State

PROBLEM_PREFIX = "urn:science-gateway:problem:"
"""Before the word of an error that makes the type of its problem."""


class Answer(BaseModel):
    """Base of what the API answers: frozen; unknown fields are ignored, so that older clients go on working."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


def sometimes(*names: str) -> ConfigDict:
    """Return the configuration of a model of which not every answer has these fields: its schema says so."""

    def relax(schema: dict[str, Any]) -> None:
        schema["required"] = [name for name in schema.get("required", ()) if name not in names]

    return ConfigDict(json_schema_extra=relax)


class Progress(Answer):
    """How far the payload is, as it says itself."""

    value: float
    min: float = 0.0
    max: float = 1.0
    unit: str | None = None


class StoreOutputs(Answer):
    """What stands in one store, and how far it is behind what a job that has not ended wrote.

    Attributes
    ----------
    backlog, backlog_files
        Bytes and files that are wanted and not there; null where nothing is known, and once the job has ended.
    oldest, lag
        Since when, and for how many seconds, the oldest of them has waited.
    behind
        Whether that is longer than its passes explain.
    problem
        Why not everything is there.
    rescue_at
        When the gateway tries again to bring what is missing; null: it does not.
    verdict, verified_at
        What the last verification of what stands there came to (``verified``, ``failed``, ``incomplete``), and when;
        of all stores together only where each of them was looked at.
    """

    state: OutputsState = OutputsState.NONE
    count: int = 0
    bytes: int = 0
    backlog: int | None = None
    backlog_files: int | None = None
    oldest: Time | None = None
    lag: float | None = None
    behind: bool = False
    problem: str | None = None
    rescue_at: Time | None = None
    verdict: str | None = None
    verified_at: Time | None = None


class OutputsSummary(StoreOutputs):
    """What stands in all stores of a job; `state`, backlog and lag are those of the worst."""

    stores: dict[str, StoreOutputs] = Field(default_factory=dict)


class Links(Answer):
    """Where to go from a job."""

    self: str
    events: str
    outputs: str
    logs: str
    script: str


class Change(Answer):
    """What differs in one place; None where there is nothing (long texts are cut, and end with ``…``)."""

    pointer: str
    before: JsonValue = None
    after: JsonValue = None


class FieldProblem(Answer):
    """What is wrong, or may go wrong, and where: `pointer` is a JSON pointer into the specification."""

    pointer: str
    detail: str


class Preview(Answer):
    """What a dry run found out.

    Attributes
    ----------
    script
        The batch script as far as it is known before staging: without the job's own folders and credentials.
    request
        What would be kept to ask again with changes.
    problems
        What does not make the request invalid and may still stop the job.
    estimated_start
        When the scheduler believes that it could start; None where it does not say.
    """

    script: str | None = None
    request: dict[str, Any] = Field(default_factory=dict)
    problems: list[FieldProblem] = Field(default_factory=list)
    estimated_start: Time | None = None


class Job(Answer):
    """A job as the API shows it (contract: the job). Lists leave out `spec`.

    `changes` (what differs from the job before) stands only in the answer of a rerun, `preview` only in that of a dry
    run.
    """

    model_config = sometimes("spec", "changes", "preview")

    id: str
    version: int
    name: str
    state: State
    last_state: State | None = None
    reason: str | None = None
    message: str | None = None
    owner: str
    project: str | None = None
    case: str | None = None
    case_version: str | None = None
    values: dict[str, JsonValue] = Field(default_factory=dict)
    sweep: str | None = None
    sweep_index: int | None = None
    rerun_of: str | None = None
    after_success: list[str] = Field(default_factory=list)
    after_end: list[str] = Field(default_factory=list)
    hold: bool = False
    tags: dict[str, str] = Field(default_factory=dict)
    notes: str | None = None
    target: str
    stores: list[str] = Field(default_factory=list)
    scheduler_id: str | None = None
    attempt: int = 1
    created_at: Time
    queued_at: Time | None = None
    started_at: Time | None = None
    ended_at: Time | None = None
    observed_at: Time | None = None
    cancel_requested_at: Time | None = None
    exit_code: int | None = None
    progress: Progress | None = None
    outputs: OutputsSummary = OutputsSummary()
    spec: dict[str, Any] | None = None
    links: Links
    changes: list[Change] | None = None
    preview: Preview | None = None


class JobPage(Answer):
    """A page of jobs."""

    items: list[Job]
    next_cursor: str | None = None


class BulkItem(Answer):
    """What became of one job: `done`, or the problem."""

    id: str
    done: bool
    problem: Problem | None = None


class BulkPage(Answer):
    """What became of each job that was asked for."""

    items: list[BulkItem]
    next_cursor: str | None = None


class Event(Answer):
    """Something that happened to a job. `sequence` grows over all jobs without exception.

    `evidence` is what a change of the state rests on: the job's own record, the scheduler's word; null where there is
    none, as for what people asked.
    """

    sequence: int
    job_id: str | None = None
    at: Time
    kind: str
    data: dict[str, Any] = Field(default_factory=dict)
    evidence: dict[str, Any] | None = None


class EventPage(Answer):
    """A page of events, oldest first."""

    items: list[Event]
    next_cursor: str | None = None


class OutputFile(Answer):
    """One file in a store.

    Attributes
    ----------
    tier
        Where retention moved it to, by the store's own name; null: where all outputs are.
    archived
        Whether it must be brought back before it can be read (`POST /jobs/{id}/retention/restore`).
    restoring
        Whether the store is bringing it back: that takes hours.
    """

    path: str
    name: str
    job_id: str
    store: str
    attempt: int
    size: int
    modified_at: Time | None = None
    content_type: str | None = None
    digest: str | None = None
    state: str
    stored_at: Time | None = None
    tier: str | None = None
    archived: bool = False
    restoring: bool = False
    url: str


class OutputFolder(Answer):
    """A folder of outputs with what is below it."""

    prefix: str
    count: int
    bytes: int


class OutputPage(Answer):
    """What stands below a prefix."""

    prefix: str
    folders: list[OutputFolder] = Field(default_factory=list)
    files: list[OutputFile] = Field(default_factory=list)
    next_cursor: str | None = None


class Probe(Answer):
    """One line of a check: what was looked at, whether it is good, and the fix where it is not.

    `status` is ``ok``, ``warning``, ``failed`` or ``skipped``.
    """

    name: str
    status: str
    detail: str
    fix: str | None = None


class TargetBudget(Answer):
    """What a site allows all gateway processes together with one account; null: no limit.

    Attributes
    ----------
    used
        Commands of the last minute, of all processes.
    open, connections
        Of the process that answers: commands now, and connections of the last minute.
    processes
        How many share it now, in equal parts.
    """

    commands_per_minute: int | None = None
    channels: int | None = None
    connections_per_minute: int | None = None
    used: int = 0
    open: int = 0
    connections: int = 0
    processes: int = 1


class TargetInfo(Answer):
    """A target and what is known of it."""

    name: str
    transport: str
    scheduler: str
    runtime: str
    state: str
    message: str | None = None
    observed_at: Time | None = None
    live_jobs: int = 0
    driver: str | None = None
    """The gateway process that acts on its jobs now (``host:pid:…``)."""
    lease_expires_at: Time | None = None
    """Until when, where several processes share a database; it is renewed all the time."""
    budget: TargetBudget = Field(default_factory=TargetBudget)


class StoreInfo(Answer):
    """A store, as the configuration names it (never its secrets)."""

    name: str
    kind: str
    layout: str
    transfer: str


class Problem(Answer):
    """RFC 9457 problem."""

    model_config = sometimes("errors", "hint")

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None
    hint: str | None = None
