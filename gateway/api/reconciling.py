"""The function behind the route about reconciling a store with the catalogue."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from pydantic import Field, StringConstraints

from gateway.api.messages import Query, Reply, Request
from gateway.api.route import ADMIN, Route
from gateway.app import Gateway
from gateway.errors import GatewayError
from gateway.jobs.views import API
from gateway.model.verification import Repair

LINES = "application/x-ndjson"


class ReconcileQuery(Query):
    """`POST /stores/{name}/reconcile`."""

    job: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")] | None = Field(
        default=None, description="Only the place of this job."
    )
    dry_run: bool = Field(default=False, description="Tell what differs; nothing is written.")


async def reconcile_store(gateway: Gateway, request: Request) -> Reply:
    """Read a store, and put right what the catalogue says of it: one line of JSON for each job that differs.

    Rows are added for what is there, removed for what has gone, and corrected; totals of folders are counted anew
    where they are wrong. What live jobs write is left alone. A folder `<job-id>/…` that the catalogue does not know
    becomes a job, or a store of one, where its manifest was signed with a known key; else it is named. Lines come as
    the work goes on; whoever hangs up ends it.
    """
    query: ReconcileQuery = request.query
    store = request.path["name"]
    lines = gateway.reconciler.run(store, admin=request.person.name, job_id=query.job, dry_run=query.dry_run)
    first = await anext(lines)  # what is wrong with the store itself is told by the status
    return Reply(200, {"Content-Type": LINES, "Cache-Control": "no-store"}, _told(store, first, lines))


async def _told(store: str, first: Repair, rest: AsyncGenerator[Repair, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield _line(first)
        try:
            async for line in rest:
                yield _line(line)
        except GatewayError as error:
            yield _line(Repair(kind="failed", store=store, detail=str(error)))


def _line(line: Repair) -> bytes:
    return line.model_dump_json().encode() + b"\n"


ROUTES = (
    Route(
        "POST",
        f"{API}/stores/{{name}}/reconcile",
        reconcile_store,
        ADMIN,
        "Reconcile a store with the catalogue",
        query=ReconcileQuery,
        response_model=Repair,
        media_types=(LINES,),
    ),
)
