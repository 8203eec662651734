"""The functions behind the routes of crates: a job as an RO-Crate, and running again what one holds."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field, ValidationError

from gateway.api.jobs import job_reply
from gateway.api.messages import Query, Reply, Request
from gateway.api.outputs import SAFE
from gateway.api.route import READ, WRITE, Route
from gateway.app import Gateway
from gateway.jobs.pointers import invalid_request
from gateway.jobs.views import API, job_links
from gateway.model.base import Name
from gateway.model.crate import CrateOrder, CratePlan
from gateway.model.job import Job

LD_JSON = "application/ld+json"


class CrateQuery(Query):
    """`GET /jobs/{id}/crate`."""

    format: Literal["json", "zip"] = Field(
        default="json", description="The metadata alone, or a zip file with outputs and records, too."
    )
    store: Name | None = Field(default=None, description="The job's first store by default.")


async def get_crate(gateway: Gateway, request: Request) -> Reply:
    """Give a job that has ended as an RO-Crate (Process Run Crate): what ran, with what, and what came of it."""
    query: CrateQuery = request.query
    job_id = request.path["id"]
    if query.format == "json":
        data = await gateway.crates.metadata(job_id, request.owner, query.store)
        return Reply(200, {**SAFE, "Content-Type": LD_JSON, "Cache-Control": "no-cache"}, data)
    archive = await gateway.crates.archive(job_id, request.owner, query.store)
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ()+,=@") else "_" for c in archive.name)
    headers = {
        **SAFE,
        "Content-Type": archive.media_type,
        "Cache-Control": "no-store",
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(archive.name, safe='')}",
    }
    return Reply(200, headers, b"" if request.method == "HEAD" else archive.read())


def _order(body: Any) -> CrateOrder:
    try:
        return CrateOrder.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error, body, fields=CrateOrder.model_fields) from None


async def plan_crate(gateway: Gateway, request: Request) -> CratePlan:
    """Say what would be done to run again what a crate holds; nothing is stored."""
    return await gateway.crate_runs.plan(_order(request.body), request.owner)


async def run_crate(gateway: Gateway, request: Request) -> Reply:
    """Run again what a crate holds: the same version of the case where it is known here, else what was carried out."""
    key = request.headers.get("idempotency-key")
    job = await gateway.crate_runs.run(_order(request.body), request.owner, key)
    return job_reply(job, 202, {"Location": job_links(job.id).self})


ROUTES = (
    Route(
        "GET",
        f"{API}/jobs/{{id}}/crate",
        get_crate,
        READ,
        "Read a job as an RO-Crate",
        query=CrateQuery,
        media_types=(LD_JSON, "application/zip"),
    ),
    Route(
        "POST",
        f"{API}/crates/plan",
        plan_crate,
        WRITE,
        "Say what a crate would run",
        request_model=CrateOrder,
        response_model=CratePlan,
    ),
    Route(
        "POST",
        f"{API}/crates/run",
        run_crate,
        WRITE,
        "Run again what a crate holds",
        request_model=CrateOrder,
        response_model=Job,
        status=202,
        headers=(("Idempotency-Key", "The same key and request give the same job."),),
    ),
)
