"""What reconciling a store reads of the catalogue, and how it is repaired: never against a newer row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select

from gateway.db import events, jobs, outputs
from gateway.db.outputs import OutputRow
from gateway.db.tables import folders as folder_table
from gateway.db.tables import job_stores
from gateway.db.tables import jobs as job_table
from gateway.db.tables import outputs as output_table
from gateway.model.states import ENDED, OutputsState, State

PAGE = 5000
ADOPTED = "adopted"
"""``transfer`` of a store that a job got from a folder that came another way."""


@dataclass(frozen=True)
class Entry:
    """A row of the catalogue, as far as it is compared; `going`: retention is about to do something with it."""

    path: str
    size: int
    going: bool


def places(connection: Connection, store: str, after: str, job_id: str | None = None) -> list[RowMapping]:
    """Return a page of the jobs that have a store, by id."""
    mine = [job_table.c[name] for name in ("id", "owner", "case", "state", "attempt")]
    columns = [job_stores.c[name].label(f"s_{name}") for name in ("path", "state", "count", "rescue_at")]
    query = select(*mine, *columns).join(job_stores, job_stores.c.job_id == job_table.c.id)
    query = query.where(job_stores.c.store == store, job_table.c.id > after)
    if job_id is not None:
        query = query.where(job_table.c.id == job_id)
    return list(connection.execute(query.order_by(job_table.c.id).limit(PAGE)).mappings())


def entries(connection: Connection, job_id: str, store: str) -> Iterator[Entry]:
    """Yield the rows of a job's store, by path, some at a time."""
    query = select(output_table.c.path, output_table.c.size, output_table.c.going).where(
        output_table.c.job_id == job_id, output_table.c.store == store
    )
    after: str | None = None
    while True:
        page = query if after is None else query.where(output_table.c.path > after)
        rows = connection.execute(page.order_by(output_table.c.path).limit(PAGE)).all()
        for path, size, going in rows:
            yield Entry(path, size, going is not None)
        if len(rows) < PAGE:
            return
        after = rows[-1][0]


def totals(connection: Connection, job_id: str, store: str) -> dict[str, tuple[int, int]]:
    """Return count and bytes of every folder as they are kept; ``''`` is the whole store of the job."""
    columns = (folder_table.c.prefix, folder_table.c["count"], folder_table.c["bytes"])
    query = select(*columns).where(folder_table.c.job_id == job_id, folder_table.c.store == store)
    found = {prefix: (count, size) for prefix, count, size in connection.execute(query)}
    whole = select(job_stores.c["count"], job_stores.c["bytes"]).where(
        job_stores.c.job_id == job_id, job_stores.c.store == store
    )
    count, size = connection.execute(whole).one()
    return {**found, "": (count, size)}


def recount(connection: Connection, job_id: str, store: str) -> None:
    """Count everything anew, and replace the kept totals."""
    found: dict[str, list[int]] = {"": [0, 0]}
    for entry in entries(connection, job_id, store):
        outputs.count_in(found, entry.path, 1, entry.size)
    connection.execute(delete(folder_table).where(folder_table.c.job_id == job_id, folder_table.c.store == store))
    count, size = found.pop("")
    jobs.set_store(connection, job_id, store, count=count, bytes=size)
    rows = [
        {
            "job_id": job_id,
            "store": store,
            "prefix": prefix,
            "parent": outputs.parent_of(prefix),
            "count": numbers[0],
            "bytes": numbers[1],
        }
        for prefix, numbers in found.items()
    ]
    if rows:
        connection.execute(insert(folder_table), rows)


def may_repair(connection: Connection, job_id: str, attempt: int, store: str) -> RowMapping | None:
    """Return the job's row where it has ended, is as it was, and nothing is being brought to the store; else None."""
    row = jobs.get(connection, job_id)
    if row is None or State(row["state"]) not in ENDED or row["attempt"] != attempt:
        return None
    chosen = next((s for s in jobs.stores_of(connection, [job_id]).get(job_id, []) if s["store"] == store), None)
    return row if chosen is not None and chosen["rescue_at"] is None else None


def _newer(connection: Connection, job_id: str, store: str, paths: Sequence[str], began: datetime) -> set[str]:
    """Return those paths whose rows were written since, or that retention has begun with."""
    found: set[str] = set()
    for start in range(0, len(paths), outputs.CHUNK):
        columns = (output_table.c.path, output_table.c.stored_at, output_table.c.going)
        query = select(*columns).where(
            output_table.c.job_id == job_id,
            output_table.c.store == store,
            output_table.c.path.in_(paths[start : start + outputs.CHUNK]),
        )
        for path, stored_at, going in connection.execute(query):
            if going is not None or (stored_at is not None and stored_at >= began):
                found.add(path)
    return found


def write(connection: Connection, job_id: str, store: str, rows: Sequence[OutputRow], began: datetime) -> int:
    """Add or correct rows but those that are newer than the listing; return how many were written."""
    newer = _newer(connection, job_id, store, [row.path for row in rows], began)
    kept = [row for row in rows if row.path not in newer]
    return outputs.upsert(connection, job_id, store, kept)


def forget(connection: Connection, job_id: str, store: str, paths: Sequence[str], began: datetime) -> int:
    """Remove rows but those that are newer than the listing; return how many were removed."""
    newer = _newer(connection, job_id, store, paths, began)
    kept = [path for path in paths if path not in newer]
    outputs.remove(connection, job_id, store, kept)
    return len(kept)


def settle(
    connection: Connection,
    row: RowMapping,
    store: str,
    done: Mapping[str, Any],
    *,
    state: OutputsState | None,
    problem: str | None,
) -> None:
    """Say in the job what was repaired; `state` is its store's completeness now, None for what it was."""
    if state is not None:
        jobs.set_store(connection, row["id"], store, state=str(state), problem=problem)
    events.append(connection, row["id"], row["owner"], "reconciled", {"store": store, **done}, at=jobs.now())
    jobs.set_columns(connection, row["id"])


def add_store(connection: Connection, job_id: str, store: str) -> bool:
    """Give a job one more store; return whether it had not got it."""
    known = jobs.stores_of(connection, [job_id]).get(job_id, [])
    if any(item["store"] == store for item in known):
        return False
    position = 1 + max((item["position"] for item in known), default=-1)
    (row,) = jobs.store_rows(job_id, [jobs.NewStore(store, None, ADOPTED)])
    connection.execute(insert(job_stores).values({**row, "position": position, "state": str(OutputsState.PARTIAL)}))
    names = connection.execute(select(job_table.c.stores).where(job_table.c.id == job_id)).scalar_one()
    jobs.set_columns(connection, job_id, stores=[*names, store])
    return True


def state_of_store(connection: Connection, job_id: str, store: str) -> str:
    """Return how complete a store of a job is."""
    query = select(job_stores.c.state).where(job_stores.c.job_id == job_id, job_stores.c.store == store)
    return str(connection.execute(query).scalar_one())


def known_ids(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return those ids that jobs have."""
    found: set[str] = set()
    for start in range(0, len(ids), 500):
        found.update(connection.scalars(select(job_table.c.id).where(job_table.c.id.in_(ids[start : start + 500]))))
    return found


def count_of(connection: Connection, store: str) -> int:
    """Return how many rows a store has in the catalogue, by its kept totals."""
    query = select(func.coalesce(func.sum(job_stores.c["count"]), 0)).where(job_stores.c.store == store)
    return int(connection.execute(query).scalar_one())
