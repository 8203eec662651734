"""Versions of cases that were served or used, and the sets of values that people keep."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.db.tables import case_versions, value_sets


def keep_version(connection: Connection, digest: str, name: str, content: bytes) -> None:
    """Keep a version; what is there already stays."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"digest": digest, "name": name, "published_at": datetime.now(UTC), "content": content}
    connection.execute(make(case_versions).values(row).on_conflict_do_nothing(index_elements=["digest"]))


def has_version(connection: Connection, digest: str) -> bool:
    """Say whether a version is kept."""
    query = select(case_versions.c.digest).where(case_versions.c.digest == digest)
    return connection.execute(query).first() is not None


def version_content(connection: Connection, name: str, digest: str) -> bytes | None:
    """Return the files of a version as they are kept; None where there is none of that case."""
    query = select(case_versions.c.content).where(case_versions.c.digest == digest, case_versions.c.name == name)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else bytes(found)


def list_sets(connection: Connection, owner: str, case: str) -> list[RowMapping]:
    """Return the sets of a person for a case, by name."""
    query = select(value_sets).where(value_sets.c.owner == owner, value_sets.c.case == case)
    return list(connection.execute(query.order_by(value_sets.c.name)).mappings())


def count_sets(connection: Connection, owner: str, case: str) -> int:
    """Return how many sets a person keeps for a case."""
    query = select(func.count()).where(value_sets.c.owner == owner, value_sets.c.case == case)
    return int(connection.execute(query).scalar_one())


def get_set(connection: Connection, owner: str, case: str, name: str) -> RowMapping | None:
    """Return one set."""
    query = select(value_sets).where(*_key(owner, case, name))
    return connection.execute(query).mappings().one_or_none()


def put_set(connection: Connection, owner: str, case: str, name: str, values: Mapping[str, Any]) -> RowMapping:
    """Write a set, new or in place of the old; return it with its new version."""
    before = get_set(connection, owner, case, name)
    changed = {"values": dict(values), "updated_at": datetime.now(UTC)}
    if before is None:
        row = {"owner": owner, "case": case, "name": name, "version": 1, **changed}
        connection.execute(insert(value_sets).values(row))
    else:
        statement = update(value_sets).where(*_key(owner, case, name))
        connection.execute(statement.values(version=value_sets.c.version + 1, **changed))
    after = get_set(connection, owner, case, name)
    assert after is not None
    return after


def delete_set(connection: Connection, owner: str, case: str, name: str) -> None:
    """Forget a set."""
    connection.execute(delete(value_sets).where(*_key(owner, case, name)))


def _key(owner: str, case: str, name: str) -> tuple[Any, ...]:
    return (value_sets.c.owner == owner, value_sets.c.case == case, value_sets.c.name == name)
