"""What the engine needs to know of the jobs that others wait for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from gateway.db.tables import attempts, dependencies, jobs
from gateway.model.states import State

_WAITING = (State.ACCEPTED, State.STAGING, State.QUEUED, State.HELD)
_SUCCESSOR = jobs.alias("successor")


def of_lane(connection: Connection, lane: str) -> list[RowMapping]:
    """Return what the jobs of one loop of the engine that have not begun wait for, a row for each that is waited for.

    Columns: ``job_id``, ``kind``, ``on_job``; of the latter ``name``, ``state`` (None where it is gone), ``lane``,
    ``attempt``, ``attempts`` (how many it may have), ``scheduler_id``, ``final``.
    """
    states = [str(state) for state in _WAITING]
    return _rows(connection, [_SUCCESSOR.c.lane == lane, _SUCCESSOR.c.state.in_(states)])


def of_jobs(connection: Connection, job_ids: Sequence[str]) -> list[RowMapping]:
    """Return what some jobs wait for, as `of_lane` does."""
    return _rows(connection, [dependencies.c.job_id.in_(list(job_ids))])


def _rows(connection: Connection, conditions: Iterable[ColumnElement[bool]]) -> list[RowMapping]:
    query = (
        select(
            dependencies.c.job_id,
            dependencies.c.kind,
            dependencies.c.on_job,
            jobs.c.name,
            jobs.c.state,
            jobs.c.lane,
            jobs.c.attempt,
            jobs.c.spec["retry"]["attempts"].as_integer().label("attempts"),
            attempts.c.scheduler_id,
            attempts.c.final,
        )
        .join(_SUCCESSOR, _SUCCESSOR.c.id == dependencies.c.job_id)
        .outerjoin(jobs, jobs.c.id == dependencies.c.on_job)
        .outerjoin(attempts, and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt))
        .where(*conditions)
        .order_by(dependencies.c.job_id, dependencies.c.on_job)
    )
    return list(connection.execute(query).mappings())
