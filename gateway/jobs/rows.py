"""A job's row: whose it is, and how it is made from an accepted specification."""

from __future__ import annotations

import re
import uuid
from typing import Any

from sqlalchemy import Connection

from gateway.db import dependencies
from gateway.db import jobs as table
from gateway.errors import FieldError, InvalidRequest, NotFound, PreconditionFailed
from gateway.jobs.acceptance import Accepted
from gateway.jobs.pointers import pointer
from gateway.jobs.views import Row, job_of
from gateway.model.job import Job
from gateway.model.specification import JobSpecification
from gateway.model.states import State
from gateway.people.access import lane_of
from gateway.settings import Settings

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def owned(connection: Connection, job_id: str, owner: str | None, version: int | None = None) -> Row:
    """Return the row of a job of `owner` (None: of anybody).

    Raises
    ------
    NotFound
        There is none of that id, or it is somebody else's.
    PreconditionFailed
        Its version is not `version`.
    """
    row = table.get(connection, job_id) if _ID.match(job_id) else None
    if row is None or owner not in (None, row["owner"]):
        raise NotFound(f"there is no job {job_id[:64]!a}")
    if version is not None and row["version"] != version:
        raise PreconditionFailed(f"the job has version {row['version']} now, not {version}")
    return row


def read_job(connection: Connection, row: Row) -> Job:
    """Return the job of a row, with what stands in other tables."""
    job_id = row["id"]
    stores = table.stores_of(connection, [job_id]).get(job_id, [])
    return job_of(row, stores, dependencies.read(connection, [job_id]).get(job_id, {}))


def specified(accepted: Accepted, owner: str, settings: Settings) -> dict[str, Any]:
    """Return the columns that follow from a specification."""
    specification = accepted.specification
    return {
        "name": specification.name,
        "tags": dict(specification.tags),
        "notes": specification.notes,
        "target": accepted.target,
        "lane": lane_of(settings, accepted.target, owner),
        "stores": [item.store for item in accepted.stores],
        "case": accepted.case,
        "case_version": accepted.case_version,
        "values": accepted.values or None,
        "spec": specification.model_dump(mode="json"),
        "request": accepted.request,
    }


def new_row(accepted: Accepted, owner: str, state: State, settings: Settings, **more: Any) -> dict[str, Any]:
    """Return the row of a new job; `more` are further columns (``sweep``, ``rerun_of`` …)."""
    columns = specified(accepted, owner, settings)
    return {"id": str(uuid.uuid4()), "state": str(state), "owner": owner, **columns, **more}


def check_dependencies(
    connection: Connection, job_id: str, owner: str, specification: JobSpecification
) -> dict[str, tuple[str, ...]]:
    """Return what a job waits for, by kind.

    Raises
    ------
    InvalidRequest
        Something that it waits for is not a job of its owner's, is the job itself, or waits for it.
    """
    wanted = {
        dependencies.AFTER_SUCCESS: specification.after_success,
        dependencies.AFTER_END: specification.after_end,
    }
    ids = [on_job for on_jobs in wanted.values() for on_job in on_jobs]
    if not ids:
        return wanted
    known = dependencies.existing(connection, owner, ids) - {job_id}
    errors = [
        FieldError(pointer([kind, number]), "is not a job of yours that can be waited for: give the id of one, or none")
        for kind, on_jobs in wanted.items()
        for number, on_job in enumerate(on_jobs)
        if on_job not in known
    ]
    for kind, on_jobs in wanted.items():
        if not errors and dependencies.leads_to(connection, on_jobs, job_id):
            errors.append(FieldError(pointer([kind]), "names a job that waits for this one: neither could ever start"))
    if errors:
        raise InvalidRequest(errors)
    return wanted


def write_dependencies(connection: Connection, job_id: str, owner: str, specification: JobSpecification) -> None:
    """Store what a job waits for, in the caller's transaction; raises as `check_dependencies`."""
    dependencies.write(connection, job_id, check_dependencies(connection, job_id, owner, specification))
