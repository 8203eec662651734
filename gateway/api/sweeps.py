"""The functions behind the routes about sweeps."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.api.messages import JSON, Query, Reply, Request, json_reply
from gateway.api.outputs import SAFE
from gateway.api.queries import Cursor
from gateway.api.route import READ, WRITE, Route
from gateway.app import Gateway
from gateway.jobs.views import API
from gateway.model.sweep import Sweep, SweepPage, SweepRequest, SweepTable


class SweepsQuery(Query):
    """`GET /sweeps`."""

    limit: int = Field(default=50, ge=1, le=500)
    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before.")


class RerunSweepQuery(Query):
    """`POST /sweeps/{id}/rerun`."""

    failed: bool = Field(default=False, description="Only jobs that ended without success.")


class SweepTableQuery(Query):
    """`GET /sweeps/{id}/table`."""

    format: Literal["json", "csv"] = Field(default="json", description="`csv` is the whole table.")
    limit: int = Field(default=1000, ge=1, le=10_000, description="Rows of one page (JSON only).")
    cursor: Cursor | None = Field(default=None, description="`next_cursor` of the page before (JSON only).")


def _reply(sweep: Sweep, status: int = 200) -> Reply:
    headers = {"ETag": f'"{sweep.version}"', "Cache-Control": "no-cache"}
    if status == 202:
        headers["Location"] = sweep.links.self
    return json_reply(sweep, status, headers)


async def submit_sweep(gateway: Gateway, request: Request) -> Reply:
    """Submit a job for each point of a grid or table.

    Each point is checked before anything is stored; a mistake names its place in the grid or table.
    """
    key = request.headers.get("idempotency-key")
    return _reply(await gateway.sweeps.create(request.body, request.owner, key), 202)


async def list_sweeps(gateway: Gateway, request: Request) -> SweepPage:
    """List your sweeps, newest first. Of a table's keys only those of its first row are shown here."""
    query: SweepsQuery = request.query
    return await gateway.sweeps.list(request.owner, limit=query.limit, cursor=query.cursor)


async def get_sweep(gateway: Gateway, request: Request) -> Reply:
    """Show a sweep and how many of its jobs are in which state."""
    return _reply(await gateway.sweeps.get(request.path["id"], request.owner))


async def cancel_sweep(gateway: Gateway, request: Request) -> Reply:
    """Ask for the end of all jobs of a sweep; their outputs are kept."""
    by = request.person.name
    return _reply(await gateway.sweeps.cancel(request.path["id"], request.owner, request.version, by=by), 202)


async def rerun_sweep(gateway: Gateway, request: Request) -> Reply:
    """Submit a sweep again, or only its jobs that ended without success, as a new sweep."""
    query: RerunSweepQuery = request.query
    key = request.headers.get("idempotency-key")
    return _reply(await gateway.sweeps.rerun(request.path["id"], request.owner, failed=query.failed, key=key), 202)


async def delete_sweep(gateway: Gateway, request: Request) -> Reply:
    """Forget a sweep and its jobs, which must have ended; their outputs stay in the stores."""
    await gateway.sweeps.delete(request.path["id"], request.owner, request.version)
    return Reply(204)


async def get_sweep_table(gateway: Gateway, request: Request) -> Reply:
    """Give the values of each job of a sweep, and what came of it, as JSON or CSV."""
    query: SweepTableQuery = request.query
    sweep_id = request.path["id"]
    if query.format == "json":
        page = await gateway.sweep_tables.page(sweep_id, request.owner, limit=query.limit, cursor=query.cursor)
        return json_reply(page, 200, {"Cache-Control": "no-cache"})
    lines = await gateway.sweep_tables.csv(sweep_id, request.owner)
    headers = {
        **SAFE,
        "Content-Type": "text/csv; charset=utf-8; header=present",
        "Content-Disposition": f'attachment; filename="sweep-{sweep_id}.csv"',
        "Cache-Control": "no-store",
    }
    return Reply(200, headers, b"" if request.method == "HEAD" else lines)


_SWEEP = f"{API}/sweeps/{{id}}"
_KEY = (("Idempotency-Key", "The same key and request give the same sweep."),)
_MATCH = (("If-Match", "The sweep's ETag, its version: 412 where it changed."),)
_ETAG = (("ETag", "The sweep's version."),)
_MADE = (*_ETAG, ("Location", "The sweep."))

ROUTES = (
    Route(
        "POST",
        f"{API}/sweeps",
        submit_sweep,
        WRITE,
        "Submit a sweep",
        request_model=SweepRequest,
        response_model=Sweep,
        status=202,
        headers=_KEY,
        sends=_MADE,
    ),
    Route("GET", f"{API}/sweeps", list_sweeps, READ, "List sweeps", query=SweepsQuery, response_model=SweepPage),
    Route("GET", _SWEEP, get_sweep, READ, "Show a sweep", response_model=Sweep, sends=_ETAG),
    Route(
        "DELETE",
        _SWEEP,
        delete_sweep,
        WRITE,
        "Forget a sweep that has ended",
        status=204,
        media_types=(),
        headers=_MATCH,
    ),
    Route(
        "POST",
        f"{_SWEEP}/cancel",
        cancel_sweep,
        WRITE,
        "Cancel a sweep",
        response_model=Sweep,
        status=202,
        headers=_MATCH,
        sends=_ETAG,
    ),
    Route(
        "POST",
        f"{_SWEEP}/rerun",
        rerun_sweep,
        WRITE,
        "Submit a sweep again",
        query=RerunSweepQuery,
        response_model=Sweep,
        status=202,
        headers=_KEY,
        sends=_MADE,
    ),
    Route(
        "GET",
        f"{_SWEEP}/table",
        get_sweep_table,
        READ,
        "Show values and results of a sweep",
        query=SweepTableQuery,
        response_model=SweepTable,
        media_types=(JSON, "text/csv"),
    ),
)
