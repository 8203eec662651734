"""The functions behind the routes about a job on its way: hold, release, sync, and its data series."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from pydantic import Field

from gateway.api.events import wants_json
from gateway.api.messages import JSON, Query, Reply, Request, json_reply
from gateway.api.route import READ, WRITE, Route
from gateway.app import Gateway
from gateway.jobs.views import API
from gateway.model.job import Job
from gateway.model.series import SeriesPage, SeriesRows

_HEARTBEAT = b": heartbeat\n\n"
HEARTBEAT_EVERY = 15
"""Looks without news between two signs of life."""


class DataQuery(Query):
    """`GET /jobs/{id}/data/{series}`."""

    after: int = Field(default=0, ge=0, le=2**53, description="`next` of the answer before; 0 for the first rows.")
    limit: int = Field(default=10_000, ge=1, le=100_000)
    follow: bool = Field(default=False, description="Go on as server-sent events until the job has ended.")


def _reply(job: Job) -> Reply:
    return json_reply(job, 202, {"ETag": f'"{job.version}"', "Cache-Control": "no-cache"})


async def hold_job(gateway: Gateway, request: Request) -> Reply:
    """Keep a job from starting until it is released."""
    return _reply(await gateway.verbs.hold(request.path["id"], request.owner, request.version))


async def release_job(gateway: Gateway, request: Request) -> Reply:
    """Let a held job start."""
    return _reply(await gateway.verbs.release(request.path["id"], request.owner, request.version))


async def sync_job(gateway: Gateway, request: Request) -> Reply:
    """Copy a running job's outputs to its stores now."""
    return _reply(await gateway.verbs.sync(request.path["id"], request.owner, request.version))


async def list_data(gateway: Gateway, request: Request) -> SeriesPage:
    """List the data series of a job."""
    return await gateway.series.list(request.path["id"], request.owner)


async def read_data(gateway: Gateway, request: Request) -> Reply:
    """Give rows of a data series; with `follow`, as server-sent events, also those that come."""
    query: DataQuery = request.query
    asked = (request.path["id"], request.owner, request.path["series"], query.after, query.limit)
    accept = request.headers.get("accept", "")
    if not (query.follow or "text/event-stream" in accept) or wants_json(accept):
        return json_reply(await gateway.series.read(*asked), headers={"Cache-Control": "no-cache"})
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    await gateway.series.check(*asked[:3])
    if request.method == "HEAD":
        return Reply(200, headers)
    return Reply(200, headers, _stream(gateway, *asked))


async def _stream(gateway: Gateway, job_id: str, owner: str, name: str, after: int, limit: int) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    silent = 0
    async with aclosing(gateway.series.follow(job_id, owner, name, after, limit)) as found:
        async for rows in found:
            silent = 0 if rows is not None else silent + 1
            if rows is not None:
                yield f"id: {rows.next}\nevent: rows\ndata: {rows.model_dump_json()}\n\n".encode()
            elif silent % HEARTBEAT_EVERY == 0:
                yield _HEARTBEAT


_JOB = f"{API}/jobs/{{id}}"

ROUTES = (
    Route("POST", f"{_JOB}/hold", hold_job, WRITE, "Keep a job from starting", response_model=Job, status=202),
    Route("POST", f"{_JOB}/release", release_job, WRITE, "Let a held job start", response_model=Job, status=202),
    Route(
        "POST", f"{_JOB}/sync", sync_job, WRITE, "Copy outputs now, or what is missing", response_model=Job, status=202
    ),
    Route("GET", f"{_JOB}/data", list_data, READ, "List a job's data series", response_model=SeriesPage),
    Route(
        "GET",
        f"{_JOB}/data/{{series}}",
        read_data,
        READ,
        "Read or follow a data series",
        query=DataQuery,
        response_model=SeriesRows,
        media_types=(JSON, "text/event-stream"),
    ),
)
