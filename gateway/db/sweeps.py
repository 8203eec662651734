"""Sweeps and the jobs that they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, func, insert, or_, select, update

from gateway.db import events
from gateway.db.jobs import NewStore, store_rows
from gateway.db.tables import attempts, idempotency, job_stores, jobs, sweeps
from gateway.model.states import ENDED, LIVE, Reason, State

CHUNK = 500
LIST_COLUMNS = [column for column in sweeps.c if column.name not in {"spec", "points"}]
TABLE_COLUMNS = [
    jobs.c[name]
    for name in (
        "id",
        "sweep_index",
        "state",
        "reason",
        "exit_code",
        "progress",
        "created_at",
        "queued_at",
        "started_at",
        "ended_at",
    )
]
ACTIVE = tuple(str(state) for state in LIVE if state is not State.ACCEPTED)
"""States of jobs that count for the limit of their sweep."""


def add(
    connection: Connection, sweep: Mapping[str, Any], children: Sequence[tuple[Mapping[str, Any], Sequence[NewStore]]]
) -> None:
    """Store a sweep and its jobs, in the caller's transaction. `children` are the jobs' rows and stores."""
    at: datetime = sweep["created_at"]
    connection.execute(insert(sweeps).values({"version": 1, **sweep}))
    for start in range(0, len(children), CHUNK):
        chunk = children[start : start + CHUNK]
        rows = [
            {"version": 1, "attempt": 1, "created_at": at + timedelta(microseconds=start + number), **row}
            for number, (row, _) in enumerate(chunk)
        ]
        connection.execute(insert(jobs), rows)
        stores = [item for row, named in chunk for item in store_rows(row["id"], named)]
        if stores:
            connection.execute(insert(job_stores), stores)
        told = [(row["id"], row["owner"], {"from": None, "to": row["state"]}) for row, _ in chunk]
        events.append_many(connection, "state", told, at=at)


def remember_key(connection: Connection, owner: str, key: str, body: str, job_id: str, at: datetime) -> None:
    """Store an idempotency key by the sweep's first job."""
    connection.execute(insert(idempotency).values(owner=owner, key=key, body=body, job_id=job_id, at=at))


def sweep_of(connection: Connection, job_id: str) -> str | None:
    """Return the sweep that a job belongs to."""
    return connection.execute(select(jobs.c.sweep).where(jobs.c.id == job_id)).scalar_one_or_none()


def get(connection: Connection, sweep_id: str) -> RowMapping | None:
    """Return a sweep with its specification and points."""
    return connection.execute(select(sweeps).where(sweeps.c.id == sweep_id)).mappings().one_or_none()


def page(
    connection: Connection, owner: str, *, limit: int, after: tuple[datetime, str] | None = None
) -> list[RowMapping]:
    """Return sweeps of `owner`, newest first, without specification and points; `after` ends the page before."""
    query = select(*LIST_COLUMNS, sweeps.c.points[0].label("first_point")).where(sweeps.c.owner == owner)
    if after is not None:
        at, sweep_id = after
        tie = and_(sweeps.c.created_at == at, sweeps.c.id < sweep_id)
        query = query.where(or_(sweeps.c.created_at < at, tie))
    ordered = query.order_by(sweeps.c.created_at.desc(), sweeps.c.id.desc()).limit(limit)
    return list(connection.execute(ordered).mappings())


def counts(connection: Connection, sweep_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return how many jobs of each sweep are in each state, by one query."""
    found: dict[str, dict[str, int]] = {}
    query = (
        select(jobs.c.sweep, jobs.c.state, func.count())
        .where(jobs.c.sweep.in_(list(sweep_ids)))
        .group_by(jobs.c.sweep, jobs.c.state)
    )
    for sweep_id, state, count in connection.execute(query):
        found.setdefault(sweep_id, {})[state] = count
    return found


def children(connection: Connection, sweep_id: str, *, after: int = -1, limit: int | None = None) -> list[RowMapping]:
    """Return a sweep's jobs by their index, without specifications."""
    query = (
        select(*TABLE_COLUMNS, jobs.c.owner, jobs.c.attempt, jobs.c.lane, jobs.c.cancel_requested_at)
        .where(jobs.c.sweep == sweep_id, jobs.c.sweep_index > after)
        .order_by(jobs.c.sweep_index)
        .limit(limit)
    )
    return list(connection.execute(query).mappings())


def cancel(connection: Connection, sweep_id: str, by: str, at: datetime) -> set[str]:
    """Ask for the end of all jobs of a sweep, as `gateway.jobs.intents.cancel` does for one; return their lanes.

    What nothing was done for yet ends at once.
    """
    ended = [str(state) for state in ENDED]
    begun = and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt)
    query = (
        select(jobs.c.id, jobs.c.owner, jobs.c.state, jobs.c.lane, jobs.c.cancel_requested_at)
        .add_columns(attempts.c.number.label("begun"))
        .outerjoin(attempts, begun)
        .where(jobs.c.sweep == sweep_id, jobs.c.state.not_in(ended))
        .order_by(jobs.c.sweep_index)
        .with_for_update(of=jobs)
    )
    rows = list(connection.execute(query))
    asked = [row for row in rows if row.cancel_requested_at is None]
    at_once = [row for row in rows if row.state == State.DRAFT or (row.state == State.ACCEPTED and row.begun is None)]
    for chosen, values in (
        (asked, {"cancel_requested_at": at}),
        (at_once, {"state": str(State.CANCELLED), "reason": str(Reason.CANCELLED_BY_USER), "ended_at": at}),
    ):
        for start in range(0, len(chosen), CHUNK):
            ids = [row.id for row in chosen[start : start + CHUNK]]
            connection.execute(update(jobs).where(jobs.c.id.in_(ids)).values(version=jobs.c.version + 1, **values))
    events.append_many(connection, "cancel_requested", [(row.id, row.owner, {"by": by}) for row in asked], at=at)
    end = {"to": str(State.CANCELLED), "reason": str(Reason.CANCELLED_BY_USER)}
    told = [(row.id, row.owner, {"from": row.state, **end}) for row in at_once]
    events.append_many(connection, "state", told, at=at)
    return {row.lane for row in rows}


def not_ended(connection: Connection, sweep_id: str) -> int:
    """Return how many jobs of a sweep have not ended (drafts count as ended: they can be deleted)."""
    states = [str(state) for state in (*ENDED, State.DRAFT)]
    query = select(func.count()).where(jobs.c.sweep == sweep_id, jobs.c.state.not_in(states))
    return int(connection.execute(query).scalar_one())


def set_columns(connection: Connection, sweep_id: str, **values: Any) -> None:
    """Write columns of a sweep."""
    connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(version=sweeps.c.version + 1, **values))


def remove(connection: Connection, sweep_id: str) -> None:
    """Forget a sweep; its jobs are not touched."""
    connection.execute(delete(sweeps).where(sweeps.c.id == sweep_id))


def held_back(connection: Connection, rows: Sequence[RowMapping]) -> set[str]:
    """Return the ids of those accepted jobs that have to wait for others of their sweep to end.

    Parameters
    ----------
    rows
        Accepted jobs that would be launched now. A sweep's jobs go by their index, whatever target they are for.
    """
    mine: dict[str, list[RowMapping]] = {}
    for row in rows:
        if row["sweep"] is not None:
            mine.setdefault(row["sweep"], []).append(row)
    if not mine:
        return set()
    limited = select(sweeps.c.id, sweeps.c.limit).where(sweeps.c.id.in_(list(mine)), sweeps.c.limit.is_not(None))
    limits: dict[str, int] = {sweep_id: limit for sweep_id, limit in connection.execute(limited)}
    if not limits:
        return set()
    query = (
        select(jobs.c.sweep, func.count())
        .where(jobs.c.sweep.in_(list(limits)), jobs.c.state.in_(ACTIVE))
        .group_by(jobs.c.sweep)
    )
    active: dict[str, int] = {sweep_id: count for sweep_id, count in connection.execute(query)}
    found: set[str] = set()
    for sweep_id, limit in limits.items():
        room = max(0, limit - active.get(sweep_id, 0))
        waiting = sorted(mine[sweep_id], key=lambda row: row["sweep_index"] or 0)
        found |= {row["id"] for row in waiting[room:]}
    return found
