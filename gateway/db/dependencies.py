"""Which jobs wait for which others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select

from gateway.db.tables import dependencies, jobs
from gateway.model.states import State

AFTER_SUCCESS, AFTER_END = "after_success", "after_end"
KINDS = (AFTER_SUCCESS, AFTER_END)


def write(connection: Connection, job_id: str, wanted: Mapping[str, Sequence[str]]) -> None:
    """Replace what a job waits for: job ids by kind. Of a job that is named under both kinds the success counts."""
    connection.execute(delete(dependencies).where(dependencies.c.job_id == job_id))
    kinds = {on_job: kind for kind in reversed(KINDS) for on_job in wanted.get(kind, ())}
    if kinds:
        rows = [{"job_id": job_id, "on_job": on_job, "kind": kind} for on_job, kind in kinds.items()]
        connection.execute(insert(dependencies), rows)


def read(connection: Connection, job_ids: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Return what each of several jobs waits for: job id -> kind -> ids. Jobs that wait for nothing are left out."""
    query = (
        select(dependencies)
        .where(dependencies.c.job_id.in_(list(job_ids)))
        .order_by(dependencies.c.job_id, dependencies.c.on_job)
    )
    found: dict[str, dict[str, list[str]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.job_id, {}).setdefault(row.kind, []).append(row.on_job)
    return found


def existing(connection: Connection, owner: str, job_ids: Sequence[str]) -> set[str]:
    """Return those of `job_ids` that are jobs of `owner`."""
    if not job_ids:
        return set()
    return set(connection.scalars(select(jobs.c.id).where(jobs.c.id.in_(list(job_ids)), jobs.c.owner == owner)))


def leads_to(connection: Connection, start: Iterable[str], job_id: str) -> bool:
    """Say whether one of the jobs `start`, or one that they wait for, waits for `job_id`."""
    seen: set[str] = set()
    level = set(start)
    while level:
        query = select(dependencies.c.on_job).where(dependencies.c.job_id.in_(list(level)))
        seen |= level
        level = set(connection.scalars(query)) - seen
        if job_id in level:
            return True
    return False


def waiting(connection: Connection, on_job: str) -> list[str]:
    """Return the jobs that cannot start before it is known what became of `on_job`."""
    query = (
        select(dependencies.c.job_id)
        .join(jobs, jobs.c.id == dependencies.c.job_id)
        .where(dependencies.c.on_job == on_job, jobs.c.state == str(State.ACCEPTED))
        .order_by(dependencies.c.job_id)
    )
    return list(connection.scalars(query))
