"""The functions behind the routes about how long outputs are kept."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from gateway.api.messages import Query, Reply, Request, json_reply
from gateway.api.route import ADMIN, READ, WRITE, Route
from gateway.app import Gateway
from gateway.errors import FieldError, InvalidRequest
from gateway.jobs.pointers import find_bad_text, invalid_request, pointer
from gateway.jobs.retention import BELL
from gateway.jobs.views import API
from gateway.model.base import Model, Name
from gateway.model.retention import (
    Begun,
    HoldRequest,
    JobRetention,
    OwnRule,
    RestoreRequest,
    RetentionPlan,
    RunRequest,
    WorkPage,
)

M = TypeVar("M", bound=Model)


class PlanQuery(Query):
    """`GET /retention/plan`."""

    rule: Name | None = Field(default=None, description="Only this one; all by default.")
    job: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="Only what is about this job."
    )
    limit: int = Field(default=100, ge=1, le=1000)
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=8192)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


class WorksQuery(Query):
    """`GET /retention/works`."""

    open: bool = Field(default=False, description="Only what is not done yet.")
    limit: int = Field(default=100, ge=1, le=1000)


def _read(model: type[M], body: Any) -> M:
    """Type a body; raises `InvalidRequest` that names each field."""
    if not isinstance(body, dict):
        raise InvalidRequest([FieldError("#", "must be a JSON object")])
    if (place := find_bad_text(body)) is not None:
        raise InvalidRequest([FieldError(pointer(place), "must be valid Unicode")])
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error, body, fields=model.model_fields) from None


async def plan_retention(gateway: Gateway, request: Request) -> RetentionPlan:
    """Say what the rules would do now, and what keeps the rest back. Nothing is changed."""
    query: PlanQuery = request.query
    wanted = RunRequest(rules=(query.rule,) if query.rule else (), jobs=(query.job,) if query.job else ())
    return await gateway.retention.plan(wanted, query.limit, query.cursor)


async def run_retention(gateway: Gateway, request: Request) -> Reply:
    """Begin what the rules ask for now. It is carried out beside: see the works."""
    begun = await gateway.retention.begin(_read(RunRequest, request.body), request.person.name)
    gateway.bell.ring(BELL)
    return json_reply(begun, 202)


async def list_retention_works(gateway: Gateway, request: Request) -> WorkPage:
    """List what retention was told to do, newest first."""
    query: WorksQuery = request.query
    return WorkPage(items=await gateway.retention.works(query.limit, open_only=query.open))


async def get_job_retention(gateway: Gateway, request: Request) -> JobRetention:
    """Show what holds for a job's outputs: holds, the owner's rule, what was done, and the folder on the target."""
    return await gateway.retention.show(request.path["id"], request.owner)


async def set_job_retention(gateway: Gateway, request: Request) -> JobRetention:
    """Set how long a job's outputs are kept, where the administrator lets owners do so."""
    rule = _read(OwnRule, request.body)
    return await gateway.retention.set_own(request.path["id"], request.owner, rule, by=request.person.name)


async def remove_job_retention(gateway: Gateway, request: Request) -> JobRetention:
    """Take the owner's own rule away."""
    return await gateway.retention.set_own(request.path["id"], request.owner, None, by=request.person.name)


async def hold_outputs(gateway: Gateway, request: Request) -> JobRetention:
    """Keep a job's outputs: while the hold stands, none is deleted or archived."""
    body = _read(HoldRequest, request.body if request.body is not None else {})
    return await gateway.retention.hold(request.path["id"], request.owner, by=request.person.name, why=body.why)


async def release_outputs(gateway: Gateway, request: Request) -> JobRetention:
    """Take one's hold away."""
    return await gateway.retention.release(request.path["id"], request.owner, by=request.person.name)


async def restore_outputs(gateway: Gateway, request: Request) -> Reply:
    """Bring archived outputs back, which takes the store hours: the job's retention tells how far it is."""
    wanted = _read(RestoreRequest, request.body if request.body is not None else {})
    await gateway.restores.begin(request.path["id"], request.owner, wanted, by=request.person.name)
    gateway.bell.ring(BELL)
    return json_reply(await gateway.retention.show(request.path["id"], request.owner), 202)


async def give_up_folder(gateway: Gateway, request: Request) -> Reply:
    """Remove the folder of a job that has ended from its target, with all that is there only."""
    found = await gateway.retention.clean(request.path["id"], request.owner, by=request.person.name)
    return json_reply(found, 202)


_JOB = f"{API}/jobs/{{id}}"
_OF_JOB = f"{_JOB}/retention"

ROUTES = (
    Route(
        "GET",
        f"{API}/retention/plan",
        plan_retention,
        ADMIN,
        "What retention would do",
        query=PlanQuery,
        response_model=RetentionPlan,
    ),
    Route(
        "POST",
        f"{API}/retention/run",
        run_retention,
        ADMIN,
        "Begin what retention asks for",
        request_model=RunRequest,
        response_model=Begun,
        status=202,
    ),
    Route(
        "GET",
        f"{API}/retention/works",
        list_retention_works,
        ADMIN,
        "What retention does and did",
        query=WorksQuery,
        response_model=WorkPage,
    ),
    Route("GET", _OF_JOB, get_job_retention, READ, "How long outputs are kept", response_model=JobRetention),
    Route(
        "PUT",
        _OF_JOB,
        set_job_retention,
        WRITE,
        "Set how long outputs are kept",
        request_model=OwnRule,
        response_model=JobRetention,
    ),
    Route("DELETE", _OF_JOB, remove_job_retention, WRITE, "Take the own rule away", response_model=JobRetention),
    Route(
        "POST",
        f"{_OF_JOB}/hold",
        hold_outputs,
        WRITE,
        "Keep outputs",
        request_model=HoldRequest,
        response_model=JobRetention,
        body_needed=False,
    ),
    Route("POST", f"{_OF_JOB}/release", release_outputs, WRITE, "Take a hold away", response_model=JobRetention),
    Route(
        "POST",
        f"{_OF_JOB}/restore",
        restore_outputs,
        WRITE,
        "Bring archived outputs back",
        request_model=RestoreRequest,
        response_model=JobRetention,
        status=202,
        body_needed=False,
    ),
    Route(
        "DELETE",
        f"{_JOB}/folder",
        give_up_folder,
        WRITE,
        "Remove a job's folder from its target",
        response_model=JobRetention,
        status=202,
    ),
)
