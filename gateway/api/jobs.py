"""The functions behind the routes about jobs."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.api.conditional import has_etag
from gateway.api.messages import JSON, Reply, Request
from gateway.api.queries import JobsFilter, JobsQuery, ManyJobs, RerunQuery, ScriptQuery, StoreQuery, SubmitQuery
from gateway.api.route import READ, TEXT, WRITE, Route
from gateway.app import Gateway
from gateway.db.job_lists import JobFilter, Sort
from gateway.errors import FieldError, Forbidden, InvalidRequest
from gateway.jobs.pages import Page
from gateway.jobs.pointers import find_bad_text, invalid_request, pointer
from gateway.jobs.views import API, AttemptPage, job_links
from gateway.model.job import BulkPage, Job, JobPage
from gateway.model.people import Scope
from gateway.model.specification import JobSpecification
from gateway.model.states import ENDED, State

MERGE_PATCH = "application/merge-patch+json"


class JobPatch(BaseModel):
    """A JSON merge patch (RFC 7396) over a job's specification: what is null goes, the rest replaces."""

    model_config = ConfigDict(extra="allow")


def job_reply(job: Job, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a job with its ETag."""
    rare = {name for name in ("changes", "preview") if getattr(job, name) is None}
    data = job.model_dump_json(exclude=rare).encode()
    common = {"Content-Type": JSON, "ETag": f'"{job.version}"', "Cache-Control": "no-cache"}
    return Reply(status, {**common, **(headers or {})}, data)


def _new(job: Job, status: int) -> Reply:
    return job_reply(job, status, {"Location": job_links(job.id).self})


async def submit_job(gateway: Gateway, request: Request) -> Reply:
    """Store a job and answer before anything is done about it."""
    query: SubmitQuery = request.query
    job = await gateway.jobs.submit(
        request.body,
        request.owner,
        request.headers.get("idempotency-key"),
        dry_run=query.dry_run,
        draft=query.draft,
    )
    return job_reply(job) if query.dry_run else _new(job, 202)


def _whose(request: Request, asked: str | None) -> str | None:
    """Return whose jobs are meant, None for everybody's.

    Raises
    ------
    Forbidden
        Somebody who is no administrator asks for those of others.
    """
    if asked is None or asked == request.owner:
        return request.owner
    if not request.person.may(Scope.ADMIN):
        raise Forbidden("only an administrator may see the jobs of others")
    return None if asked == "*" else asked


def _anybody_or_own(request: Request) -> str | None:
    """Return whose jobs may be named by their ids: None, anybody's, for an administrator."""
    return None if request.person.may(Scope.ADMIN) else request.owner


def wanted_jobs(request: Request, query: JobsFilter) -> JobFilter:
    """Return what a query narrows jobs to; raises `Forbidden` where it means those of others."""
    return JobFilter(
        states=query.state,
        target=query.target,
        owner=_whose(request, query.owner),
        text=query.q,
        tag=query.tag,
        case=query.case,
        sweep=query.sweep,
        created_after=query.created_after,
        created_before=query.created_before,
        ended_after=query.ended_after,
        ended_before=query.ended_before,
    )


async def list_jobs(gateway: Gateway, request: Request) -> Reply:
    """List jobs without their specifications, newest first unless another order is asked for."""
    query: JobsQuery = request.query
    wanted = wanted_jobs(request, query)

    async def make() -> bytes:
        page = await gateway.jobs.list(wanted, sort=Sort.parse(query.sort), limit=query.limit, cursor=query.cursor)
        return page.model_dump_json(exclude={"items": {"__all__": {"spec", "changes", "preview"}}}).encode()

    page = await gateway.pages.get((list_jobs, request.owner, query), make)
    headers = {"Content-Type": JSON, "Cache-Control": "no-cache", "ETag": page.etag}
    return Reply(304, headers) if has_etag(request.headers, page.etag) else Reply(200, headers, page.data)


async def get_job(gateway: Gateway, request: Request) -> Reply:
    """Show one job."""

    async def make() -> Page:
        job = await gateway.jobs.get(request.path["id"], request.owner)
        reply = job_reply(job)
        assert isinstance(reply.content, bytes)
        # What is seen of a job that runs, and its outputs, grow without a new version.
        return Page(reply.content, reply.headers["ETag"], exact=job.state in ENDED | {State.DRAFT, State.ACCEPTED})

    page = await gateway.pages.get((get_job, request.owner, request.path["id"]), make)
    headers = {"Content-Type": JSON, "Cache-Control": "no-cache", "ETag": page.etag}
    known = page.exact and has_etag(request.headers, page.etag)
    return Reply(304, headers) if known else Reply(200, headers, page.data)


async def patch_job(gateway: Gateway, request: Request) -> Reply:
    """Change a job by a JSON merge patch (RFC 7396): a draft in everything, else its name, tags and notes."""
    return job_reply(
        await gateway.jobs.changes.patch(
            request.path["id"], request.owner, request.body, request.version, by=request.person.name
        )
    )


async def submit_draft(gateway: Gateway, request: Request) -> Reply:
    """Let a draft run, as it can be carried out now."""
    return job_reply(await gateway.jobs.changes.submit_draft(request.path["id"], request.owner, request.version), 202)


async def rerun_job(gateway: Gateway, request: Request) -> Reply:
    """Ask again for what a job was asked for; the body, a JSON merge patch, may change it.

    `changes` of the answer, the new job, says what differs.
    """
    query: RerunQuery = request.query
    job = await gateway.jobs.intake.rerun(
        request.path["id"], request.owner, request.body, request.headers.get("idempotency-key"), draft=query.draft
    )
    return _new(job, 202)


async def clone_job(gateway: Gateway, request: Request) -> Reply:
    """Make a draft that asks for what a job was asked for."""
    key = request.headers.get("idempotency-key")
    return _new(await gateway.jobs.intake.clone(request.path["id"], request.owner, key), 201)


async def cancel_jobs(gateway: Gateway, request: Request) -> BulkPage:
    """Ask for the end of many jobs; their outputs are kept. Each is taken by itself."""
    many, by = _many(request), request.person.name
    if many.filter is None:
        return await gateway.jobs.bulk.cancel(many.ids or (), _anybody_or_own(request), by=by)
    wanted = wanted_jobs(request, many.filter)
    return await gateway.jobs.bulk.cancel_all(wanted, by=by, limit=many.limit, cursor=many.cursor)


async def delete_jobs(gateway: Gateway, request: Request) -> BulkPage:
    """Forget many jobs that have ended; their outputs stay in the stores. Each is taken by itself."""
    many = _many(request)
    if many.filter is None:
        return await gateway.jobs.bulk.delete(many.ids or (), _anybody_or_own(request))
    wanted = wanted_jobs(request, many.filter)
    return await gateway.jobs.bulk.delete_all(wanted, limit=many.limit, cursor=many.cursor)


def _many(request: Request) -> ManyJobs:
    if not isinstance(request.body, dict):
        raise InvalidRequest([FieldError("#", "must be a JSON object with ids or filter")])
    if (place := find_bad_text(request.body)) is not None:
        raise InvalidRequest([FieldError(pointer(place), "must be valid Unicode")])
    try:
        return ManyJobs.model_validate(request.body)
    except ValidationError as error:
        raise invalid_request(error, request.body, fields=ManyJobs.model_fields) from None


async def cancel_job(gateway: Gateway, request: Request) -> Reply:
    """Ask for the end of a job; its outputs are kept."""
    return job_reply(await gateway.jobs.cancel(request.path["id"], request.owner, request.version), 202)


async def abandon_job(gateway: Gateway, request: Request) -> Reply:
    """Give up a job whose state is unknown."""
    return job_reply(await gateway.jobs.abandon(request.path["id"], request.owner, request.version), 202)


async def delete_job(gateway: Gateway, request: Request) -> Reply:
    """Forget a job that has ended; its outputs stay in the stores."""
    await gateway.jobs.delete(request.path["id"], request.owner, request.version)
    return Reply(204)


async def get_script(gateway: Gateway, request: Request) -> Reply:
    """Show the batch script of the current attempt."""
    query: ScriptQuery = request.query
    text = await gateway.jobs.script(request.path["id"], request.owner, libraries=query.libraries)
    return Reply(200, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())


async def list_attempts(gateway: Gateway, request: Request) -> AttemptPage:
    """List the attempts of a job."""
    return await gateway.jobs.attempts(request.path["id"], request.owner)


async def get_manifest(gateway: Gateway, request: Request) -> Reply:
    """Show the signed manifest of a job's outputs."""
    query: StoreQuery = request.query
    data = await gateway.outputs.manifest(request.path["id"], request.owner, query.store)
    return Reply(200, {"Content-Type": "application/json"}, data)


_JOB = f"{API}/jobs/{{id}}"

ROUTES = (
    Route(
        "POST",
        f"{API}/jobs",
        submit_job,
        WRITE,
        "Submit a job",
        query=SubmitQuery,
        request_model=JobSpecification,
        response_model=Job,
        status=202,
        also=((200, "With `dry_run`: the job as it would be"),),
    ),
    Route(
        "GET",
        f"{API}/jobs",
        list_jobs,
        READ,
        "List jobs",
        query=JobsQuery,
        response_model=JobPage,
        also=((304, "Not changed"),),
        sends=(("ETag", "Of this page."),),
    ),
    Route("GET", _JOB, get_job, READ, "Show a job", response_model=Job, also=((304, "Not changed"),)),
    Route(
        "PATCH",
        _JOB,
        patch_job,
        WRITE,
        "Change a job",
        request_model=JobPatch,
        request_types=(MERGE_PATCH, JSON),
        response_model=Job,
    ),
    Route(
        "POST",
        f"{_JOB}/rerun",
        rerun_job,
        WRITE,
        "Run a job again, with changes",
        query=RerunQuery,
        request_model=JobPatch,
        request_types=(MERGE_PATCH, JSON),
        body_needed=False,
        response_model=Job,
        status=202,
    ),
    Route("POST", f"{_JOB}/clone", clone_job, WRITE, "Copy a job as a draft", response_model=Job, status=201),
    Route(
        "POST",
        f"{API}/jobs/cancel",
        cancel_jobs,
        WRITE,
        "Cancel many jobs",
        request_model=ManyJobs,
        response_model=BulkPage,
    ),
    Route(
        "POST",
        f"{API}/jobs/delete",
        delete_jobs,
        WRITE,
        "Forget many jobs",
        request_model=ManyJobs,
        response_model=BulkPage,
    ),
    Route("DELETE", _JOB, delete_job, WRITE, "Forget a job that has ended", status=204, media_types=()),
    Route("POST", f"{_JOB}/submit", submit_draft, WRITE, "Let a draft run", response_model=Job, status=202),
    Route("POST", f"{_JOB}/cancel", cancel_job, WRITE, "Cancel a job", response_model=Job, status=202),
    Route("POST", f"{_JOB}/abandon", abandon_job, WRITE, "Give up an unknown job", response_model=Job, status=202),
    Route("GET", f"{_JOB}/script", get_script, READ, "Show the batch script", query=ScriptQuery, media_types=TEXT),
    Route("GET", f"{_JOB}/attempts", list_attempts, READ, "List attempts", response_model=AttemptPage),
    Route("GET", f"{_JOB}/manifest", get_manifest, READ, "Show the signed manifest", query=StoreQuery),
)
