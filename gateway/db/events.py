"""Events: what happened, in one order over all jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

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
    sequence = connection.execute(
        update(counters)
        .where(counters.c.name == "events")
        .values(value=counters.c.value + 1)
        .returning(counters.c.value)
    ).scalar_one()
    connection.execute(
        insert(events).values(
            sequence=sequence,
            job_id=job_id,
            owner=owner,
            at=at,
            kind=kind,
            data=dict(data),
            evidence=dict(evidence) if evidence else None,
        )
    )
    return int(sequence)


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
    last = connection.execute(
        update(counters)
        .where(counters.c.name == "events")
        .values(value=counters.c.value + len(items))
        .returning(counters.c.value)
    ).scalar_one()
    first = int(last) - len(items) + 1
    rows = [
        {
            "sequence": first + number,
            "job_id": job_id,
            "owner": owner,
            "at": at,
            "kind": kind,
            "data": dict(data),
            "evidence": dict(seen) if seen else None,
        }
        for number, ((job_id, owner, data), seen) in enumerate(zip(items, evidence or [None] * len(items), strict=True))
    ]
    connection.execute(insert(events), rows)


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
