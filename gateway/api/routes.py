"""The one table of routes. Handlers, OpenAPI and the authorisation test are made from it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel

from gateway.api import documents, events, jobs, outputs, site
from gateway.api.messages import JSON, Query, Reply, Request
from gateway.api.queries import (
    EventsQuery,
    JobsQuery,
    LogsQuery,
    OutputQuery,
    OutputsQuery,
    StoreQuery,
    SubmitQuery,
)
from gateway.app import Gateway
from gateway.jobs.views import API, AttemptPage
from gateway.model.job import EventPage, Job, JobPage, OutputPage, TargetInfo
from gateway.model.specification import JobSpecification

Function = Callable[[Gateway, Request], Awaitable[Reply | BaseModel]]


class Permission(StrEnum):
    """What a request needs: nothing, or the right to read or to change."""

    PUBLIC = "public"
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True)
class Route:
    """One method at one address.

    Attributes
    ----------
    path
        ``{name}`` is one part of the address; ``{name:path}`` all that follows.
    status
        Of the answer when all went well.
    media_types
        Of that answer; with `response_model` the first is JSON.
    also
        Other good answers: status and meaning.
    """

    method: str
    path: str
    function: Function
    permission: Permission
    summary: str
    query: type[Query] = Query
    request_model: type[BaseModel] | None = None
    response_model: type[BaseModel] | None = None
    status: int = 200
    media_types: tuple[str, ...] = (JSON,)
    also: tuple[tuple[int, str], ...] = ()

    @property
    def name(self) -> str:
        """Name of the operation."""
        return self.function.__name__

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parts of the address."""
        return tuple(re.findall(r"\{([a-z_]+)(?::path)?\}", self.path))

    @property
    def pattern(self) -> str:
        """Regular expression of the address."""
        parts = re.split(r"(\{[a-z_]+(?::path)?\})", self.path)
        return "".join(
            re.escape(part) if not part.startswith("{") else "(.+)" if part.endswith(":path}") else "([^/]+)"
            for part in parts
        )

    @property
    def template(self) -> str:
        """The address as OpenAPI writes it."""
        return self.path.replace(":path}", "}")


PUBLIC, READ, WRITE = Permission.PUBLIC, Permission.READ, Permission.WRITE
_JOB = f"{API}/jobs/{{id}}"
_TEXT = ("text/plain",)
_STREAM = ("text/event-stream", JSON)

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        f"{API}/jobs",
        jobs.submit_job,
        WRITE,
        "Submit a job",
        query=SubmitQuery,
        request_model=JobSpecification,
        response_model=Job,
        status=202,
        also=((200, "With `dry_run`: the job as it would be"),),
    ),
    Route("GET", f"{API}/jobs", jobs.list_jobs, READ, "List jobs", query=JobsQuery, response_model=JobPage),
    Route("GET", _JOB, jobs.get_job, READ, "Show a job", response_model=Job, also=((304, "Not changed"),)),
    Route("DELETE", _JOB, jobs.delete_job, WRITE, "Forget a job that has ended", status=204, media_types=()),
    Route("POST", f"{_JOB}/submit", jobs.submit_draft, WRITE, "Let a draft run", response_model=Job, status=202),
    Route("POST", f"{_JOB}/cancel", jobs.cancel_job, WRITE, "Cancel a job", response_model=Job, status=202),
    Route("POST", f"{_JOB}/abandon", jobs.abandon_job, WRITE, "Give up an unknown job", response_model=Job, status=202),
    Route("GET", f"{_JOB}/script", jobs.get_script, READ, "Show the batch script", media_types=_TEXT),
    Route("GET", f"{_JOB}/attempts", jobs.list_attempts, READ, "List attempts", response_model=AttemptPage),
    Route("GET", f"{_JOB}/manifest", jobs.get_manifest, READ, "Show the signed manifest", query=StoreQuery),
    Route(
        "GET",
        f"{_JOB}/outputs",
        outputs.list_outputs,
        READ,
        "List a job's outputs",
        query=OutputsQuery,
        response_model=OutputPage,
    ),
    Route(
        "GET",
        f"{_JOB}/outputs/{{path:path}}",
        outputs.get_output,
        READ,
        "Read an output",
        query=OutputQuery,
        media_types=("application/octet-stream",),
        also=((206, "One range of the bytes"), (302, "With `redirect`: where the bytes are"), (304, "Not changed")),
    ),
    Route(
        "GET",
        f"{API}/outputs",
        outputs.list_all_outputs,
        READ,
        "List outputs by whole name",
        query=OutputsQuery,
        response_model=OutputPage,
    ),
    Route(
        "GET",
        f"{_JOB}/events",
        events.job_events,
        READ,
        "Watch a job",
        query=EventsQuery,
        response_model=EventPage,
        media_types=_STREAM,
    ),
    Route(
        "GET",
        f"{API}/events",
        events.all_events,
        READ,
        "Watch all jobs",
        query=EventsQuery,
        response_model=EventPage,
        media_types=_STREAM,
    ),
    Route(
        "GET",
        f"{_JOB}/logs/{{stream}}",
        outputs.get_log,
        READ,
        "Read or follow a log",
        query=LogsQuery,
        media_types=_TEXT,
    ),
    Route("GET", f"{API}/targets", site.list_targets, READ, "List targets", response_model=site.TargetPage),
    Route("GET", f"{API}/targets/{{name}}", site.get_target, READ, "Show a target", response_model=TargetInfo),
    Route(
        "POST",
        f"{API}/targets/{{name}}/check",
        site.check_target,
        WRITE,
        "Check a target",
        response_model=site.ProbePage,
    ),
    Route("GET", f"{API}/stores", site.list_stores, READ, "List stores", response_model=site.StorePage),
    Route("GET", "/healthz", site.healthz, PUBLIC, "Whether the process answers", response_model=site.Health),
    Route(
        "GET",
        "/readyz",
        site.readyz,
        PUBLIC,
        "Whether requests can be carried out",
        response_model=site.Readiness,
        also=((503, "Not now"),),
    ),
    Route("GET", "/metrics", site.metrics, PUBLIC, "Numbers for Prometheus", media_types=_TEXT),
    Route("GET", "/openapi.json", documents.openapi_json, PUBLIC, "This description"),
    Route("GET", f"{API}/openapi.json", documents.api_openapi_json, PUBLIC, "This description"),
    Route("GET", "/docs", documents.docs, PUBLIC, "This description as a page", media_types=("text/html",)),
)
