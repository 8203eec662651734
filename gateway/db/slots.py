"""What the jobs of a machine without a scheduler take of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, select

from gateway.db.tables import attempts, jobs
from gateway.model.states import State

_BUSY = (State.STAGING, State.QUEUED, State.HELD, State.RUNNING, State.UNKNOWN)
CHUNK = 500


def taken(connection: Connection, target: str, *, begun: bool) -> dict[str, dict[str, Any]]:
    """Return the resources of the jobs of a target that have a slot, by id.

    Parameters
    ----------
    begun
        Count also what was not submitted yet.
    """
    query = (
        select(jobs.c.id, jobs.c.spec)
        .join(attempts, and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt))
        .where(jobs.c.target == target, jobs.c.state.in_([str(state) for state in _BUSY]))
        .where(attempts.c.final.is_(None))
    )
    if not begun:
        query = query.where(attempts.c.submit_started_at.is_not(None))
    return {job_id: _resources(spec) for job_id, spec in connection.execute(query)}


def wanted(connection: Connection, job_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the resources that jobs ask for, by id."""
    found = {}
    for start in range(0, len(job_ids), CHUNK):
        query = select(jobs.c.id, jobs.c.spec).where(jobs.c.id.in_(job_ids[start : start + CHUNK]))
        found.update({job_id: _resources(spec) for job_id, spec in connection.execute(query)})
    return found


def _resources(spec: dict[str, Any]) -> dict[str, Any]:
    return spec.get("resources") or {}
