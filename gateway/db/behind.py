"""How far stores are behind what jobs wrote, and which are to be tried again: columns of a job's stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, select, update

from gateway.db.jobs import whole
from gateway.db.retention_tables import cleanings, retention_works
from gateway.db.tables import job_stores, jobs
from gateway.model.states import ENDED, OutputsState, State

UNSETTLED = (str(OutputsState.NONE), str(OutputsState.PARTIAL))
"""States of a store in which something that a job left may be missing."""


@dataclass(frozen=True)
class Backlog:
    """What is wanted and not in one store, as it was seen; None where nothing is known."""

    job_id: str
    store: str
    bytes: int | None
    files: int | None
    oldest: datetime | None
    at: datetime
    behind: int


def note(connection: Connection, found: Sequence[Backlog]) -> None:
    """Write what was seen (no new version: nothing about the jobs changed)."""
    query = (
        update(job_stores)
        .where(job_stores.c.job_id == bindparam("of_job"), job_stores.c.store == bindparam("of_store"))
        .values(
            backlog=bindparam("n_bytes"),
            backlog_files=bindparam("n_files"),
            oldest_unsent=bindparam("since"),
            backlog_at=bindparam("seen"),
            behind=bindparam("level"),
        )
    )
    values = [
        {
            "of_job": item.job_id,
            "of_store": item.store,
            "n_bytes": item.bytes,
            "n_files": item.files,
            "since": item.oldest,
            "seen": item.at,
            "level": item.behind,
        }
        for item in found
    ]
    if values:
        connection.execute(query, values)


def forget(connection: Connection, job_id: str) -> None:
    """Forget how far the stores of a job are behind: its attempt is over."""
    connection.execute(
        update(job_stores)
        .where(job_stores.c.job_id == job_id, job_stores.c.backlog_at.is_not(None))
        .values(backlog=None, backlog_files=None, oldest_unsent=None, backlog_at=None, behind=0)
    )


def by_store(connection: Connection) -> dict[str, tuple[int, datetime | None]]:
    """Return bytes that are not there yet, and since when the oldest waits, of all jobs that run, by store."""
    query = (
        select(job_stores.c.store, func.sum(job_stores.c.backlog), func.min(job_stores.c.oldest_unsent))
        .join(jobs, jobs.c.id == job_stores.c.job_id)
        .where(jobs.c.state.in_([str(State.RUNNING), str(State.FINALIZING)]))
        .group_by(job_stores.c.store)
    )
    return {store: (int(total or 0), oldest) for store, total, oldest in connection.execute(query)}


def rescues(connection: Connection, lane: str, before: datetime, limit: int) -> list[RowMapping]:
    """Return job and store of what is to be tried again by then, the longest due first."""
    query = (
        select(job_stores.c.job_id, job_stores.c.store, job_stores.c.rescue_at, job_stores.c.tries)
        .join(jobs, jobs.c.id == job_stores.c.job_id)
        .where(
            job_stores.c.rescue_at.is_not(None),
            job_stores.c.rescue_at <= before,
            jobs.c.lane == lane,
            jobs.c.state.in_([str(state) for state in ENDED]),
        )
        .order_by(job_stores.c.rescue_at)
        .limit(limit)
    )
    return list(connection.execute(query).mappings())


def count_rescues(connection: Connection) -> dict[str, int]:
    """Return how many jobs' outputs wait to be tried again, by store."""
    query = (
        select(job_stores.c.store, func.count()).where(job_stores.c.rescue_at.is_not(None)).group_by(job_stores.c.store)
    )
    return {store: count for store, count in connection.execute(query)}


def to_rescue(connection: Connection, job_id: str, store: str) -> tuple[RowMapping, RowMapping] | None:
    """Return an ended job (as `jobs.whole` does) and its store where that is to be tried again; else None, locked."""
    query = select(job_stores).where(job_stores.c.job_id == job_id, job_stores.c.store == store).with_for_update()
    place = connection.execute(query).mappings().one_or_none()
    rows = whole(connection, [job_id]) if place is not None and place["rescue_at"] is not None else []
    if place is None or not rows or State(rows[0]["state"]) not in ENDED:
        return None
    return rows[0], place


def set_rescue(connection: Connection, job_id: str, store: str, **values: Any) -> bool:
    """Write columns of a store that is to be tried again; False where it is not any more (purged, deleted)."""
    done = connection.execute(
        update(job_stores)
        .where(job_stores.c.job_id == job_id, job_stores.c.store == store, job_stores.c.rescue_at.is_not(None))
        .values(**values)
    )
    return bool(done.rowcount)


def schedule(
    connection: Connection,
    job_id: str,
    at: datetime,
    stores: Sequence[str] | None = None,
    *,
    problem: str | None = None,
) -> None:
    """Have a job's stores (None: all) tried at `at` that may not have everything, beginning to count anew.

    Parameters
    ----------
    problem
        Why they may not have everything, where nothing is said of it yet.
    """
    query = update(job_stores).where(job_stores.c.job_id == job_id, job_stores.c.state.in_(UNSETTLED))
    if stores is not None:
        query = query.where(job_stores.c.store.in_(list(stores)))
    connection.execute(query.values(rescue_at=at, tries=0, problem=func.coalesce(job_stores.c.problem, problem)))


def gone(connection: Connection, job_id: str, store: str) -> str | None:
    """Say why there is nothing to bring to a store any more: retention took it away there, or the folder is cleaned."""
    works = select(retention_works.c.id).where(
        retention_works.c.job_id == job_id, retention_works.c.store == store, retention_works.c.action == "delete"
    )
    if connection.execute(works.limit(1)).first() is not None:
        return "retention deletes its files there"
    if connection.execute(select(cleanings.c.job_id).where(cleanings.c.job_id == job_id)).first() is not None:
        return "the job's folder on its target was cleaned"
    return None


def waits(connection: Connection, job_id: str) -> bool:
    """Say whether a store of a job is to be tried again."""
    query = select(job_stores.c.store).where(job_stores.c.job_id == job_id, job_stores.c.rescue_at.is_not(None))
    return connection.execute(query.limit(1)).first() is not None
