"""People, their tokens and the audit log: queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, func, insert, select, update

from gateway.db.people_tables import audit, people, tokens
from gateway.db.tables import jobs, sweeps

TOKEN_COLUMNS = [column for column in tokens.c if column.name != "hash"]


def get_person(connection: Connection, name: str) -> RowMapping | None:
    """Return a person's row."""
    return connection.execute(select(people).where(people.c.name == name)).mappings().one_or_none()


def list_people(connection: Connection) -> list[RowMapping]:
    """Return everybody, by name."""
    return list(connection.execute(select(people).order_by(people.c.name)).mappings())


def insert_person(connection: Connection, name: str, role: str, at: datetime) -> None:
    """Store a person."""
    connection.execute(insert(people).values(name=name, role=role, created_at=at))


def set_person(connection: Connection, name: str, **values: Any) -> None:
    """Write columns of a person."""
    connection.execute(update(people).where(people.c.name == name).values(**values))


def delete_person(connection: Connection, name: str) -> None:
    """Forget a person with all tokens."""
    connection.execute(people.delete().where(people.c.name == name))


def count_enabled(connection: Connection, besides: str) -> int:
    """Return how many people may use the gateway besides one."""
    query = select(func.count()).where(people.c.name != besides, people.c.disabled_at.is_(None))
    return int(connection.scalar(query) or 0)


def count_jobs(connection: Connection, owner: str) -> int:
    """Return how many jobs a person has, ended ones too."""
    return int(connection.scalar(select(func.count()).where(jobs.c.owner == owner)) or 0)


def insert_token(connection: Connection, values: Mapping[str, Any]) -> None:
    """Store a token."""
    connection.execute(insert(tokens).values(values))


def find_token(connection: Connection, digest: str) -> RowMapping | None:
    """Return a token with its person's role and state (``role``, ``disabled_at``)."""
    query = (
        select(*TOKEN_COLUMNS, people.c.role, people.c.disabled_at)
        .join(people, people.c.name == tokens.c.person)
        .where(tokens.c.hash == digest)
    )
    return connection.execute(query).mappings().one_or_none()


def get_token(connection: Connection, token_id: str) -> RowMapping | None:
    """Return a token without its hash."""
    return connection.execute(select(*TOKEN_COLUMNS).where(tokens.c.id == token_id)).mappings().one_or_none()


def list_tokens(connection: Connection, person: str | None) -> list[RowMapping]:
    """Return the tokens of a person, or all, newest first."""
    query = select(*TOKEN_COLUMNS).order_by(tokens.c.created_at.desc(), tokens.c.id)
    if person is not None:
        query = query.where(tokens.c.person == person)
    return list(connection.execute(query).mappings())


def revoke_token(connection: Connection, token_id: str, at: datetime) -> None:
    """Note that a token opens nothing any more; the first time counts."""
    connection.execute(
        update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=at)
    )


def use_token(connection: Connection, token_id: str, at: datetime) -> None:
    """Note when a token was used."""
    connection.execute(update(tokens).where(tokens.c.id == token_id).values(used_at=at))


def owner_of_job(connection: Connection, job_id: str) -> str | None:
    """Return whose job it is."""
    return connection.scalar(select(jobs.c.owner).where(jobs.c.id == job_id))


def owner_of_sweep(connection: Connection, sweep_id: str) -> str | None:
    """Return whose sweep it is."""
    return connection.scalar(select(sweeps.c.owner).where(sweeps.c.id == sweep_id))


@dataclass(frozen=True)
class AuditFilter:
    """What the audit log is narrowed to."""

    person: str | None = None
    owner: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return SQL conditions."""
        equal = ((audit.c.person, self.person), (audit.c.owner, self.owner), (audit.c.action, self.action))
        found: list[ColumnElement[bool]] = [column == value for column, value in equal if value is not None]
        if self.since is not None:
            found.append(audit.c.at >= self.since)
        if self.until is not None:
            found.append(audit.c.at < self.until)
        return found


def insert_audit(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store rows of the audit log."""
    connection.execute(insert(audit), list(rows))


def forget_audit(connection: Connection, before: datetime, limit: int) -> int:
    """Remove the oldest rows of the audit log that are older than `before`, so many at most; return how many."""
    oldest = select(audit.c.id).where(audit.c.at < before).order_by(audit.c.at, audit.c.id).limit(limit)
    return connection.execute(delete(audit).where(audit.c.id.in_(oldest))).rowcount


def audit_page(
    connection: Connection, wanted: AuditFilter, *, limit: int, before: int | None = None
) -> Iterable[RowMapping]:
    """Return rows of the audit log, newest first, beginning below the id `before`."""
    conditions = wanted.conditions()
    if before is not None:
        conditions.append(audit.c.id < before)
    query = select(audit).where(*conditions).order_by(audit.c.id.desc()).limit(limit)
    return list(connection.execute(query).mappings())
