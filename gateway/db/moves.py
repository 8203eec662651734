"""Many jobs changed at once, as `gateway.db.jobs.change_state` changes one: a few statements for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from gateway.db import events
from gateway.db.tables import attempts, job_stores, jobs
from gateway.model.states import State, check_transition

CHUNK = 500


@dataclass(frozen=True)
class Move:
    """One job that is moved.

    Attributes
    ----------
    job
        Further columns of the job; the same ones in every move of a call.
    told
        What the event tells beside the states.
    """

    job_id: str
    job: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] | None = None


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield `ids` in pieces that a query takes."""
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def move(connection: Connection, before: State, after: State, moves: Sequence[Move], at: datetime) -> set[str]:
    """Move those jobs that still are in `before`, each with its event; return their ids."""
    check_transition(before, after)
    owners: dict[str, str] = {}
    for ids in chunks([item.job_id for item in moves]):
        query = select(jobs.c.id, jobs.c.owner).where(jobs.c.id.in_(ids), jobs.c.state == str(before)).with_for_update()
        owners |= {job_id: owner for job_id, owner in connection.execute(query)}
    there = [item for item in moves if item.job_id in owners]
    if not there:
        return set()
    columns: dict[str, Any] = {name: bindparam(f"to_{name}") for name in there[0].job}
    query_of_all = (
        update(jobs)
        .where(jobs.c.id == bindparam("of_id"))
        .values(state=str(after), version=jobs.c.version + 1, **columns)
    )
    rows = [{"of_id": item.job_id, **{f"to_{name}": value for name, value in item.job.items()}} for item in there]
    connection.execute(query_of_all, rows)
    data = {"from": str(before), "to": str(after)}
    told = [(item.job_id, owners[item.job_id], {**data, **item.told}) for item in there]
    events.append_many(connection, "state", told, at=at, evidence=[item.evidence for item in there])
    return set(owners)


def submissions(connection: Connection, job_ids: Sequence[str]) -> set[str]:
    """Return the names of the submissions of all attempts of these jobs."""
    found: set[str] = set()
    for ids in chunks(job_ids):
        found |= set(connection.scalars(select(attempts.c.submission).where(attempts.c.job_id.in_(ids))))
    return found


def set_stores(connection: Connection, rows: Sequence[tuple[str, str, str]]) -> None:
    """Write down how outputs get to stores (job, store, transfer)."""
    query = (
        update(job_stores)
        .where(job_stores.c.job_id == bindparam("of_job"), job_stores.c.store == bindparam("of_store"))
        .values(transfer=bindparam("by"))
    )
    if rows:
        connection.execute(query, [dict(zip(("of_job", "of_store", "by"), row, strict=True)) for row in rows])


def insert_attempts(connection: Connection, rows: Sequence[tuple[str, int, str]], at: datetime) -> None:
    """Store attempts (job, number, name of the submission), as `jobs.insert_attempt` does one."""
    if rows:
        values = [
            {"job_id": job_id, "number": number, "submission": name, "created_at": at, "offsets": {}}
            for job_id, number, name in rows
        ]
        connection.execute(insert(attempts), values)


def set_attempts(connection: Connection, rows: Sequence[tuple[str, int, Mapping[str, Any]]]) -> None:
    """Write columns of attempts (job, number, columns); the same columns of each."""
    if not rows:
        return
    columns: dict[str, Any] = {name: bindparam(f"to_{name}") for name in rows[0][2]}
    query = (
        update(attempts)
        .where(attempts.c.job_id == bindparam("of_job"), attempts.c.number == bindparam("of_number"))
        .values(**columns)
    )
    values = [
        {"of_job": job_id, "of_number": number, **{f"to_{name}": value for name, value in found.items()}}
        for job_id, number, found in rows
    ]
    connection.execute(query, values)
