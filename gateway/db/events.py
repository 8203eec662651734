"""Events: what happened, in one order over all jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, RowMapping, bindparam, insert, select, update

from gateway.db.tables import counters, events


def append(
    connection: Connection,
    job_id: str | None,
    owner: str | None,
    kind: str,
    data: Mapping[str, Any],
    *,
    at: datetime,
    evidence: Mapping[str, Any] | None = None,
) -> int:
    """Write an event in the caller's transaction and return its sequence.

    The counter's row stays locked until the transaction ends, so a reader that has seen sequence *n* has seen every
    smaller one that will ever exist.
    """
    sequence = int(connection.execute(_COUNT, {"more": 1}).scalar_one())
    connection.execute(_INSERT, _values(sequence, job_id, owner, at, kind, data, evidence))
    return sequence


_COUNT = (
    update(counters)
    .where(counters.c.name == "events")
    .values(value=counters.c.value + bindparam("more", type_=BigInteger))
    .returning(counters.c.value)
)
_INSERT = insert(events)


def _values(
    sequence: int,
    job_id: str | None,
    owner: str | None,
    at: datetime,
    kind: str,
    data: Mapping[str, Any],
    evidence: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "job_id": job_id,
        "owner": owner,
        "at": at,
        "kind": kind,
        "data": dict(data),
        "evidence": dict(evidence) if evidence else None,
    }


def append_many(
    connection: Connection,
    kind: str,
    items: Sequence[tuple[str, str, Mapping[str, Any]]],
    *,
    at: datetime,
    evidence: Sequence[Mapping[str, Any] | None] | None = None,
) -> None:
    """Write events of one kind about many jobs (id, owner, data) in the caller's transaction; see `append`."""
    if not items:
        return
    first = int(connection.execute(_COUNT, {"more": len(items)}).scalar_one()) - len(items) + 1
    rows = [
        _values(first + number, job_id, owner, at, kind, data, seen)
        for number, ((job_id, owner, data), seen) in enumerate(zip(items, evidence or [None] * len(items), strict=True))
    ]
    connection.execute(_INSERT, rows)


def after(
    connection: Connection,
    sequence: int,
    *,
    job_id: str | None = None,
    owner: str | None = None,
    limit: int = 500,
) -> list[RowMapping]:
    """Return events with a larger sequence, oldest first."""
    query = select(events).where(events.c.sequence > sequence).order_by(events.c.sequence).limit(limit)
    if job_id is not None:
        query = query.where(events.c.job_id == job_id)
    if owner is not None:
        query = query.where(events.c.owner == owner)
    return list(connection.execute(query).mappings())


def last_sequence(connection: Connection) -> int:
    """Return the sequence of the newest event, 0 for none."""
    return int(connection.execute(select(counters.c.value).where(counters.c.name == "events")).scalar_one())


def of_kind(connection: Connection, job_id: str, kind: str, limit: int = 1000) -> Sequence[RowMapping]:
    """Return the first events of a kind of a job, in order."""
    query = select(events).where(events.c.job_id == job_id, events.c.kind == kind)
    return connection.execute(query.order_by(events.c.sequence).limit(limit)).mappings().all()
