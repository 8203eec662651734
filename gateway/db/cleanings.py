"""Folders of jobs on their targets that are to be removed: queries."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, insert, select, update

from gateway.db.retention_tables import cleanings
from gateway.db.tables import attempts, job_stores, jobs
from gateway.model.states import ENDED, State

_PROVED = frozenset({"complete", "rescued"})
_ENDED = [str(state) for state in ENDED]


def ask(connection: Connection, job_id: str, lane: str, at: datetime) -> bool:
    """Write down that a job's folder is to be removed, not before `at`; return False where it has none.

    The folders are those that its last attempt was staged into: settings may have changed since.
    """
    query = (
        select(attempts.c.job_folder, attempts.c.control_folder)
        .where(attempts.c.job_id == job_id, attempts.c.job_folder.is_not(None), attempts.c.control_folder.is_not(None))
        .order_by(attempts.c.number.desc())
        .limit(1)
    )
    found = connection.execute(query).one_or_none()
    if found is None:
        return False
    if connection.scalar(select(cleanings.c.job_id).where(cleanings.c.job_id == job_id)) is not None:
        connection.execute(update(cleanings).where(cleanings.c.job_id == job_id).values(tries=0, asked_at=at))
        return True
    folders = {"job_folder": found.job_folder, "control_folder": posixpath.dirname(found.control_folder)}
    connection.execute(insert(cleanings).values(job_id=job_id, lane=lane, asked_at=at, tries=0, **folders))
    return True


def ask_if_settled(connection: Connection, job_id: str, lane: str, at: datetime) -> bool:
    """Do so where nothing is in the folder only: the outputs are proved in all stores, or there never were any."""
    return settled(connection, job_id) and ask(connection, job_id, lane, at)


def settled(connection: Connection, job_id: str) -> bool:
    """Say whether nothing of a job is in its folder only."""
    states = set(connection.scalars(select(job_stores.c.state).where(job_stores.c.job_id == job_id)))
    if states <= _PROVED and states:
        return True
    if connection.scalar(select(jobs.c.state).where(jobs.c.id == job_id)) == str(State.LOST):
        return False
    query = select(attempts.c.claimed_at, attempts.c.running_at, attempts.c.final).where(attempts.c.job_id == job_id)
    return all(
        (row.claimed_at is None and row.running_at is None) or _never_began(row.final)
        for row in connection.execute(query)
    )


def _never_began(final: Any) -> bool:
    record = final.get("record") if isinstance(final, dict) else None
    return isinstance(record, dict) and record.get("outcome") == "not_started"


def old_enough(connection: Connection, lane: str, before: datetime, limit: int, after: str = "") -> list[RowMapping]:
    """Return ended jobs of a lane whose folder nobody was asked to remove, by id."""
    asked = select(cleanings.c.job_id).where(cleanings.c.job_id == jobs.c.id)
    query = (
        select(jobs.c.id)
        .where(jobs.c.lane == lane, jobs.c.state.in_(_ENDED), jobs.c.ended_at <= before, jobs.c.id > after)
        .where(~asked.exists())
        .order_by(jobs.c.id)
        .limit(limit)
    )
    return list(connection.execute(query).mappings())


def waiting(connection: Connection, lane: str, now: datetime, limit: int, most_tries: int) -> list[RowMapping]:
    """Return what is to be removed on a lane, oldest first."""
    query = (
        select(cleanings)
        .where(cleanings.c.lane == lane, cleanings.c.done_at.is_(None), cleanings.c.tries < most_tries)
        .where(cleanings.c.asked_at <= now)
        .order_by(cleanings.c.asked_at, cleanings.c.job_id)
        .limit(limit)
    )
    return list(connection.execute(query).mappings())


def may_go(connection: Connection, job_ids: Sequence[str]) -> set[str]:
    """Return those of the jobs that have ended, or are forgotten, and from whose folder nothing is being brought."""
    live = select(jobs.c.id).where(jobs.c.id.in_(list(job_ids)), jobs.c.state.not_in(_ENDED))
    brought = select(job_stores.c.job_id).where(job_stores.c.job_id.in_(list(job_ids)))
    still = connection.scalars(brought.where(job_stores.c.rescue_at.is_not(None)))
    return set(job_ids) - set(connection.scalars(live)) - set(still)


def note(connection: Connection, job_id: str, *, done_at: datetime | None, problem: str | None) -> None:
    """Write down what became of it."""
    values: dict[str, Any] = {"done_at": done_at, "problem": problem, "tries": cleanings.c.tries + 1}
    connection.execute(update(cleanings).where(cleanings.c.job_id == job_id).values(**values))


def word(connection: Connection, job_id: str) -> Literal["there", "going", "removed"]:
    """Say what is known of a job's folder."""
    row = connection.execute(select(cleanings.c.done_at).where(cleanings.c.job_id == job_id)).one_or_none()
    return "there" if row is None else "going" if row.done_at is None else "removed"
