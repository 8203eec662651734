"""The functions behind the routes about jobs."""

from __future__ import annotations

from gateway.api.messages import Reply, Request, json_reply
from gateway.api.queries import JobsQuery, StoreQuery, SubmitQuery
from gateway.api.route import READ, TEXT, WRITE, Route
from gateway.app import Gateway
from gateway.db.jobs import JobFilter
from gateway.jobs.views import API, AttemptPage, job_links
from gateway.model.job import Job, JobPage
from gateway.model.specification import JobSpecification


def _reply(job: Job, status: int = 200) -> Reply:
    return json_reply(job, status, {"ETag": f'"{job.version}"', "Cache-Control": "no-cache"})


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
    if query.dry_run:
        return json_reply(job)
    reply = _reply(job, 202)
    return Reply(reply.status, {**reply.headers, "Location": job_links(job.id).self}, reply.content)


async def list_jobs(gateway: Gateway, request: Request) -> Reply:
    """List jobs by creation time; without their specifications."""
    query: JobsQuery = request.query
    wanted = JobFilter(query.state, query.target, request.owner, query.q, query.tag)
    page = await gateway.jobs.list(
        wanted, descending=query.sort.startswith("-"), limit=query.limit, cursor=query.cursor
    )
    data = page.model_dump_json(exclude={"items": {"__all__": {"spec"}}}).encode()
    return Reply(200, {"Content-Type": "application/json", "Cache-Control": "no-cache"}, data)


async def get_job(gateway: Gateway, request: Request) -> Reply:
    """Show one job."""
    job = await gateway.jobs.get(request.path["id"], request.owner)
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if f'"{job.version}"' in tags or "*" in tags:
        return Reply(304, {"ETag": f'"{job.version}"'})
    return _reply(job)


async def submit_draft(gateway: Gateway, request: Request) -> Reply:
    """Let a draft run."""
    return _reply(await gateway.jobs.submit_draft(request.path["id"], request.owner, request.version), 202)


async def cancel_job(gateway: Gateway, request: Request) -> Reply:
    """Ask for the end of a job; its outputs are kept."""
    return _reply(await gateway.jobs.cancel(request.path["id"], request.owner, request.version), 202)


async def abandon_job(gateway: Gateway, request: Request) -> Reply:
    """Give up a job whose state is unknown."""
    return _reply(await gateway.jobs.abandon(request.path["id"], request.owner, request.version), 202)


async def delete_job(gateway: Gateway, request: Request) -> Reply:
    """Forget a job that has ended; its outputs stay in the stores."""
    await gateway.jobs.delete(request.path["id"], request.owner, request.version)
    return Reply(204)


async def get_script(gateway: Gateway, request: Request) -> Reply:
    """Show the batch script of the current attempt."""
    text = await gateway.jobs.script(request.path["id"], request.owner)
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
    Route("GET", f"{API}/jobs", list_jobs, READ, "List jobs", query=JobsQuery, response_model=JobPage),
    Route("GET", _JOB, get_job, READ, "Show a job", response_model=Job, also=((304, "Not changed"),)),
    Route("DELETE", _JOB, delete_job, WRITE, "Forget a job that has ended", status=204, media_types=()),
    Route("POST", f"{_JOB}/submit", submit_draft, WRITE, "Let a draft run", response_model=Job, status=202),
    Route("POST", f"{_JOB}/cancel", cancel_job, WRITE, "Cancel a job", response_model=Job, status=202),
    Route("POST", f"{_JOB}/abandon", abandon_job, WRITE, "Give up an unknown job", response_model=Job, status=202),
    Route("GET", f"{_JOB}/script", get_script, READ, "Show the batch script", media_types=TEXT),
    Route("GET", f"{_JOB}/attempts", list_attempts, READ, "List attempts", response_model=AttemptPage),
    Route("GET", f"{_JOB}/manifest", get_manifest, READ, "Show the signed manifest", query=StoreQuery),
)
