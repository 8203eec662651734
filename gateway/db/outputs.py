"""The catalogue of outputs: rows of files, and totals of folders kept with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import BigInteger, Connection, Insert, RowMapping, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.db.tables import folders, job_stores, outputs

CHUNK = 300


@dataclass(frozen=True)
class OutputRow:
    """One file in a store. `state` is ``partial`` or ``final``."""

    path: str
    size: int
    state: str
    attempt: int
    modified_at: datetime | None = None
    content_type: str | None = None
    digest: str | None = None
    stored_at: datetime | None = None


def parent_of(path: str) -> str:
    """Return the folder of a path with its slash; '' at the root."""
    return path[: path.rstrip("/").rfind("/") + 1]


def upsert(connection: Connection, job_id: str, store: str, rows: Iterable[OutputRow]) -> int:
    """Write rows and the totals of the folders above them; return how many rows were written."""
    by_path = {row.path: row for row in rows}
    paths = list(by_path)
    change: dict[str, list[int]] = {}
    for start in range(0, len(paths), CHUNK):
        chunk = paths[start : start + CHUNK]
        before = _sizes(connection, job_id, store, chunk)
        for path in chunk:
            old = before.get(path)
            count_in(change, path, 0 if old is not None else 1, by_path[path].size - (old or 0))
        _write(connection, [_values(job_id, store, by_path[path]) for path in chunk])
    _apply(connection, job_id, store, change)
    return len(paths)


def remove(connection: Connection, job_id: str, store: str, paths: Sequence[str]) -> None:
    """Forget rows and take them out of the totals."""
    change: dict[str, list[int]] = {}
    for start in range(0, len(paths), CHUNK):
        chunk = paths[start : start + CHUNK]
        for path, size in _sizes(connection, job_id, store, chunk).items():
            count_in(change, path, -1, -size)
        connection.execute(
            delete(outputs).where(outputs.c.job_id == job_id, outputs.c.store == store, outputs.c.path.in_(chunk))
        )
    _apply(connection, job_id, store, change)


def _sizes(connection: Connection, job_id: str, store: str, paths: Sequence[str]) -> dict[str, int]:
    found = connection.execute(_SIZES, {"of_job": job_id, "of_store": store, "paths": list(paths)})
    return {path: size for path, size in found}


def partial_paths(connection: Connection, job_id: str, store: str, paths: Sequence[str]) -> set[str]:
    """Return those of `paths` that the catalogue has as ``partial``."""
    found: set[str] = set()
    for start in range(0, len(paths), CHUNK):
        query = select(outputs.c.path).where(
            outputs.c.job_id == job_id,
            outputs.c.store == store,
            outputs.c.path.in_(paths[start : start + CHUNK]),
            outputs.c.state == "partial",
        )
        found.update(connection.scalars(query))
    return found


def count_in(change: dict[str, list[int]], path: str, count: int, size: int) -> None:
    """Add a file to the totals of all folders above it; ``''`` is the topmost."""
    prefix = parent_of(path)
    while True:
        numbers = change.setdefault(prefix, [0, 0])
        numbers[0] += count
        numbers[1] += size
        if not prefix:
            return
        prefix = parent_of(prefix)


def _values(job_id: str, store: str, row: OutputRow) -> dict[str, object]:
    return {"job_id": job_id, "store": store, "parent": parent_of(row.path), **row.__dict__}


def _write(connection: Connection, rows: list[dict[str, object]]) -> None:
    if rows:
        connection.execute(_upserting_files(connection.dialect.name, tuple(rows[0])), rows)


@lru_cache(16)
def _upserting_files(dialect: str, names: tuple[str, ...]) -> Insert:
    statement = postgresql.insert(outputs) if dialect == "postgresql" else sqlite.insert(outputs)
    keys = ("job_id", "store", "path")
    changed = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


@lru_cache(2)
def _adding_to_folders(dialect: str) -> Insert:
    statement = postgresql.insert(folders) if dialect == "postgresql" else sqlite.insert(folders)
    added = {name: folders.c[name] + statement.excluded[name] for name in ("count", "bytes")}
    return statement.on_conflict_do_update(index_elements=["job_id", "store", "prefix"], set_=added)


_OF_STORE = (job_stores.c.job_id == bindparam("of_job"), job_stores.c.store == bindparam("of_store"))
_ADDING_TO_STORE = (
    update(job_stores)
    .where(*_OF_STORE)
    .values(
        count=job_stores.c.count + bindparam("more_files", type_=BigInteger),
        bytes=job_stores.c.bytes + bindparam("more_bytes", type_=BigInteger),
    )
)
_SIZES = select(outputs.c.path, outputs.c.size).where(
    outputs.c.job_id == bindparam("of_job"),
    outputs.c.store == bindparam("of_store"),
    outputs.c.path.in_(bindparam("paths", expanding=True)),
)


def _apply(connection: Connection, job_id: str, store: str, change: dict[str, list[int]]) -> None:
    root = change.pop("", [0, 0])
    of_store = {"of_job": job_id, "of_store": store}
    connection.execute(_ADDING_TO_STORE, {**of_store, "more_files": root[0], "more_bytes": root[1]})
    moved = [
        {
            "job_id": job_id,
            "store": store,
            "prefix": prefix,
            "parent": parent_of(prefix),
            "count": count,
            "bytes": size,
        }
        for prefix, (count, size) in change.items()
        if count or size
    ]
    if not moved:
        return
    connection.execute(_adding_to_folders(connection.dialect.name), moved)
    if any(count < 0 for count, _ in change.values()):
        connection.execute(
            delete(folders).where(folders.c.job_id == job_id, folders.c.store == store, folders.c["count"] <= 0)
        )


def files(
    connection: Connection,
    job_id: str,
    store: str,
    *,
    prefix: str = "",
    one_level: bool = False,
    after: str = "",
    limit: int = 1000,
) -> list[RowMapping]:
    """Return files whose path begins with `prefix`, in byte order, `after` excluded.

    With `one_level` only those in the folder that `prefix` names or begins to name.
    """
    query = select(outputs).where(outputs.c.job_id == job_id, outputs.c.store == store)
    if one_level:
        query = query.where(outputs.c.parent == parent_of(prefix + "x"))
    if prefix:
        query = query.where(outputs.c.path >= prefix, outputs.c.path < after_prefix(prefix))
    if after:
        query = query.where(outputs.c.path > after)
    return list(connection.execute(query.order_by(outputs.c.path).limit(limit)).mappings())


def subfolders(
    connection: Connection, job_id: str, store: str, *, prefix: str = "", after: str = "", limit: int = 1000
) -> list[RowMapping]:
    """Return the folders one level below `prefix` with their totals."""
    query = select(folders).where(
        folders.c.job_id == job_id, folders.c.store == store, folders.c.parent == parent_of(prefix + "x")
    )
    if prefix:
        query = query.where(folders.c.prefix >= prefix, folders.c.prefix < after_prefix(prefix))
    if after:
        query = query.where(folders.c.prefix > after)
    return list(connection.execute(query.order_by(folders.c.prefix).limit(limit)).mappings())


def after_prefix(prefix: str) -> str:
    """Return the smallest text that sorts (byte by byte) after everything that begins with `prefix`."""
    last = ord(prefix[-1])
    following = 0xE000 if last == 0xD7FF else last + 1
    return prefix[:-1] + chr(following) if last < 0x10FFFF else prefix + "\U0010ffff"


def get(connection: Connection, job_id: str, store: str, path: str) -> RowMapping | None:
    """Return one file."""
    query = select(outputs).where(outputs.c.job_id == job_id, outputs.c.store == store, outputs.c.path == path)
    return connection.execute(query).mappings().one_or_none()
