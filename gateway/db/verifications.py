"""The latest verification of each store of a job, and what it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.db import events, jobs
from gateway.db.tables import verification_findings as findings
from gateway.db.tables import verifications

RUNNING = "running"


def get(connection: Connection, job_id: str, store: str) -> RowMapping | None:
    """Return the latest verification."""
    query = select(verifications).where(verifications.c.job_id == job_id, verifications.c.store == store)
    return connection.execute(query).mappings().one_or_none()


def begin(connection: Connection, job_id: str, store: str, holder: str, sample: int | None, *, again: bool) -> None:
    """Write that a verification runs; with `again` the one that is there goes on where it stopped."""
    at = jobs.now()
    mine = (verifications.c.job_id == job_id, verifications.c.store == store)
    if again:
        connection.execute(
            update(verifications).where(*mine).values(state=RUNNING, holder=holder, updated_at=at, ended_at=None)
        )
        return
    connection.execute(delete(verifications).where(*mine))
    forget_findings(connection, job_id, store)
    row: dict[str, Any] = {
        "job_id": job_id,
        "store": store,
        "state": RUNNING,
        "holder": holder,
        "sample": sample,
        "report": {},
    }
    connection.execute(insert(verifications).values(**row, started_at=at, updated_at=at))


def note(connection: Connection, job_id: str, store: str, holder: str, **values: Any) -> bool:
    """Write how far it is; return whether it is still this process that does it."""
    done = connection.execute(
        update(verifications)
        .where(verifications.c.job_id == job_id, verifications.c.store == store)
        .where(verifications.c.holder == holder, verifications.c.state == RUNNING)
        .values(updated_at=jobs.now(), **values)
    )
    return done.rowcount > 0


def cancel(connection: Connection, job_id: str, store: str) -> bool:
    """Have it end; whoever does it sees that with its next note. Return whether one was running."""
    at = jobs.now()
    done = connection.execute(
        update(verifications)
        .where(verifications.c.job_id == job_id, verifications.c.store == store, verifications.c.state == RUNNING)
        .values(state="cancelled", updated_at=at, ended_at=at)
    )
    return done.rowcount > 0


def end(
    connection: Connection, row: Mapping[str, Any], store: str, holder: str, verdict: str, report: Mapping[str, Any]
) -> None:
    """Write the verdict, show it in the job, and tell it as an event, unless it was cancelled meanwhile."""
    at = jobs.now()
    if not note(connection, row["id"], store, holder, state="done", verdict=verdict, ended_at=at, report=dict(report)):
        return
    jobs.set_store(connection, row["id"], store, verdict=verdict, verified_at=at)
    data = {"store": store, "verdict": verdict, "counts": report.get("counts", {}), "problem": report.get("problem")}
    events.append(connection, row["id"], row["owner"], "verified", data, at=at)
    jobs.set_columns(connection, row["id"])


def forget_findings(connection: Connection, job_id: str, store: str) -> None:
    """Remove what was found."""
    connection.execute(delete(findings).where(findings.c.job_id == job_id, findings.c.store == store))


def add_findings(connection: Connection, job_id: str, store: str, found: Iterable[tuple[str, str, str]]) -> None:
    """Write paths with result and detail; what was written of a path before is replaced."""
    rows = [
        {"job_id": job_id, "store": store, "path": path, "result": result, "detail": detail}
        for path, result, detail in {item[0]: item for item in found}.values()
    ]
    if not rows:
        return
    statement = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(findings)
    changed = {name: statement.excluded[name] for name in ("result", "detail")}
    connection.execute(statement.on_conflict_do_update(index_elements=["job_id", "store", "path"], set_=changed), rows)


def page(connection: Connection, job_id: str, store: str, *, after: str, limit: int) -> list[RowMapping]:
    """Return what was found, by path."""
    query = select(findings).where(findings.c.job_id == job_id, findings.c.store == store)
    if after:
        query = query.where(findings.c.path > after)
    return list(connection.execute(query.order_by(findings.c.path).limit(limit)).mappings())


def is_stale(row: RowMapping | Mapping[str, Any], before: datetime) -> bool:
    """Say whether whoever does it has not written since a moment."""
    return bool(row["state"] == RUNNING and row["updated_at"] < before)
