"""Jobs and attempts: queries and the one way to change a state."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    String,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from gateway.db import events
from gateway.db.setting import set_row
from gateway.db.tables import attempts, idempotency, job_stores, jobs
from gateway.model.states import ENDED, LIVE, State, check_transition


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class NewStore:
    """One store of a new job."""

    store: str
    path: str | None
    transfer: str


def insert_job(
    connection: Connection,
    values: Mapping[str, Any],
    stores: Sequence[NewStore],
    *,
    key: str | None = None,
    body: str | None = None,
) -> None:
    """Store a job in state ``accepted`` or ``draft``, its stores, its idempotency key and its first event."""
    at = now()
    row = {"version": 1, "attempt": 1, "created_at": at, "lane": values["target"], **values}
    connection.execute(insert(jobs).values(row))
    _insert_stores(connection, values["id"], stores)
    if key is not None:
        connection.execute(
            insert(idempotency).values(owner=values["owner"], key=key, body=body, job_id=values["id"], at=at)
        )
    events.append(connection, values["id"], values["owner"], "state", {"from": None, "to": str(values["state"])}, at=at)


def _insert_stores(connection: Connection, job_id: str, stores: Sequence[NewStore]) -> None:
    rows = store_rows(job_id, stores)
    if rows:
        connection.execute(insert(job_stores), rows)


def store_rows(job_id: str, stores: Sequence[NewStore]) -> list[dict[str, Any]]:
    """Return the rows of a new job's stores."""
    return [
        {
            "job_id": job_id,
            "store": item.store,
            "position": position,
            "path": item.path,
            "transfer": item.transfer,
            "state": "none",
            "count": 0,
            "bytes": 0,
            "problem": None,
            "tries": 0,
        }
        for position, item in enumerate(stores)
    ]


def replace_stores(connection: Connection, job_id: str, stores: Sequence[NewStore]) -> None:
    """Give a draft other stores."""
    connection.execute(job_stores.delete().where(job_stores.c.job_id == job_id))
    _insert_stores(connection, job_id, stores)


def find_key(connection: Connection, owner: str, key: str) -> RowMapping | None:
    """Return the job id and body digest stored under an idempotency key."""
    return (
        connection.execute(
            select(idempotency.c.job_id, idempotency.c.body).where(
                idempotency.c.owner == owner, idempotency.c.key == key
            )
        )
        .mappings()
        .one_or_none()
    )


def get(connection: Connection, job_id: str) -> RowMapping | None:
    """Return a job's row, `spec` included."""
    return connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one_or_none()


_STORES = (
    select(job_stores)
    .where(job_stores.c.job_id.in_(bindparam("ids", expanding=True)))
    .order_by(job_stores.c.job_id, job_stores.c.position)
)


def stores_of(connection: Connection, job_ids: Iterable[str]) -> dict[str, list[RowMapping]]:
    """Return the stores of several jobs in few queries, in the order that the specification names them."""
    found: dict[str, list[RowMapping]] = {}
    asked = list(job_ids)
    for start in range(0, len(asked), 500):
        for row in connection.execute(_STORES, {"ids": asked[start : start + 500]}).mappings():
            found.setdefault(row["job_id"], []).append(row)
    return found


_CURRENT = and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt)


def _with_attempt(columns: Iterable[Any], without: frozenset[str]) -> Select[Any]:
    """Select jobs with their current attempt (its columns prefixed ``a_``)."""
    own = [column for column in columns if column.name not in without]
    of_attempt = [column.label(f"a_{column.name}") for column in attempts.c if column.name not in without]
    return select(*own, *of_attempt).outerjoin(attempts, _CURRENT)


_NOT_DRIVEN = frozenset(
    {"spec", "request", "script", "values", "tags", "notes", "project", "case_version", "rerun_of", "exit_code"}
    | {"observed_at", "ended_at", "scheduler_record", "job_id", "number"}
)
"""What a loop of the engine does not look at: ten thousand rows are read in each of its ticks."""


def live(connection: Connection, lane: str, lost_since: datetime | None = None) -> list[RowMapping]:
    """Return the live jobs of one loop of the engine with their current attempt (attempts' columns prefixed ``a_``).

    Specifications, scripts and what only people look at are left out: see `whole`.

    Parameters
    ----------
    lost_since
        Jobs that were found lost after this moment are returned too: they may have left records all the same.
    """
    query = _with_attempt(jobs.c, _NOT_DRIVEN).where(_is_live(lane, lost_since)).order_by(jobs.c.created_at, jobs.c.id)
    return list(connection.execute(query).mappings())


def _is_live(lane: str, lost_since: datetime | None) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = jobs.c.state.in_([str(state) for state in LIVE])
    if lost_since is not None:
        condition = or_(condition, and_(jobs.c.state == str(State.LOST), jobs.c.ended_at > lost_since))
    return and_(jobs.c.lane == lane, condition)


def versions_of_live(
    connection: Connection, lane: str, lost_since: datetime | None = None
) -> list[tuple[str, int, int | None]]:
    """Return id, version and the current attempt's version of what `live` returns, in its order."""
    query = (
        select(jobs.c.id, jobs.c.version, attempts.c.version)
        .outerjoin(attempts, _CURRENT)
        .where(_is_live(lane, lost_since))
        .order_by(jobs.c.created_at, jobs.c.id)
    )
    return [(job_id, version, of_attempt) for job_id, version, of_attempt in connection.execute(query)]


_DRIVEN = _with_attempt(jobs.c, _NOT_DRIVEN).where(jobs.c.id.in_(bindparam("ids", expanding=True)))


def driven(connection: Connection, job_ids: Sequence[str]) -> list[RowMapping]:
    """Return jobs as `live` does, whatever their state; those that are gone are left out."""
    found: list[RowMapping] = []
    for start in range(0, len(job_ids), 500):
        found += connection.execute(_DRIVEN, {"ids": list(job_ids[start : start + 500])}).mappings()
    return found


def asking(connection: Connection, lane: str) -> list[RowMapping]:
    """Return those rows of `live` whose attempt is over, or of whom somebody wants something."""
    wanted = or_(
        jobs.c.state == str(State.FINALIZING),
        jobs.c.cancel_requested_at.is_not(None),
        jobs.c.sync_requested_at.is_not(None),
        jobs.c.hold,
        attempts.c.hold_sent_at.is_not(None),
    )
    query = (
        _with_attempt(jobs.c, _NOT_DRIVEN)
        .where(jobs.c.lane == lane, jobs.c.state.in_([str(state) for state in LIVE]), wanted)
        .order_by(jobs.c.created_at, jobs.c.id)
    )
    return list(connection.execute(query).mappings())


_WHOLE = (
    _with_attempt(jobs.c, frozenset({"request", "script"}))
    .where(jobs.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(jobs.c.created_at, jobs.c.id)
)


def whole(connection: Connection, job_ids: Sequence[str]) -> list[RowMapping]:
    """Return jobs as `live` does, with their specifications; those that are gone are left out."""
    return list(connection.execute(_WHOLE, {"ids": list(job_ids)}).mappings())


def live_elsewhere(connection: Connection, lanes: Iterable[str]) -> list[RowMapping]:
    """Return id, state and target of the live jobs that no loop of the engine drives."""
    query = select(jobs.c.id, jobs.c.state, jobs.c.target).where(
        jobs.c.lane.not_in(list(lanes)), jobs.c.state.in_([str(state) for state in LIVE])
    )
    return list(connection.execute(query).mappings())


def may_be_sent(connection: Connection, job_ids: Sequence[str]) -> set[str]:
    """Return those of `job_ids` still in ``staging`` that nobody holds or asked to end, locked."""
    query = (
        select(jobs.c.id)
        .where(jobs.c.id.in_(list(job_ids)), jobs.c.state == str(State.STAGING), jobs.c.cancel_requested_at.is_(None))
        .where(jobs.c.hold.is_(False))
        .with_for_update()
    )
    return set(connection.scalars(query))


def count_live(connection: Connection) -> dict[str, int]:
    """Return how many live jobs each target has."""
    query = (
        select(jobs.c.target, func.count())
        .where(jobs.c.state.in_([str(state) for state in LIVE]))
        .group_by(jobs.c.target)
    )
    return {target: count for target, count in connection.execute(query)}


def count_by_state(connection: Connection) -> dict[str, int]:
    """Return how many jobs are in each state."""
    query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
    return {state: count for state, count in connection.execute(query)}


_LOCKED = select(jobs.c.state, jobs.c.owner).where(jobs.c.id == bindparam("of_id")).with_for_update()


def change_state(
    connection: Connection,
    job_id: str,
    after: State,
    *,
    evidence: Mapping[str, Any] | None = None,
    **values: Any,
) -> bool:
    """Move a job to `after` with an event, in the caller's transaction.

    Other columns in `values` are written with it. Staying in a state writes the columns alone. Entering ``unknown``
    keeps the state before in `last_state`.

    Returns
    -------
    bool
        Whether the state changed.

    Raises
    ------
    IllegalTransition
        The table of transitions does not allow it.
    """
    row = connection.execute(_LOCKED, {"of_id": job_id}).one()
    before = State(row.state)
    at = now()
    if before is after:
        if values:
            set_columns(connection, job_id, **values)
        return False
    check_transition(before, after)
    if after is State.UNKNOWN:
        values["last_state"] = str(before)
    elif before is State.UNKNOWN:
        values["last_state"] = None
    if after in ENDED:
        values.setdefault("ended_at", at)
    if before is State.LOST:
        values.setdefault("ended_at", None)
    set_columns(connection, job_id, state=str(after), **values)
    data = {"from": str(before), "to": str(after)}
    data |= {k: values[k] for k in ("reason", "message", "exit_code", "scheduler_id") if values.get(k) is not None}
    events.append(connection, job_id, row.owner, "state", data, at=at, evidence=evidence)
    return True


def state_of(connection: Connection, job_id: str) -> State | None:
    """Return a job's state as this transaction sees it, locked; None where the job is gone."""
    found = connection.execute(_LOCKED, {"of_id": job_id}).one_or_none()
    return None if found is None else State(found.state)


def explain(connection: Connection, job_id: str, state: State, message: str) -> None:
    """Say why a job stays in `state`; nothing where it is in another one, or the words are the same."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state == str(state), jobs.c.message.is_distinct_from(message))
        .values(message=message, version=jobs.c.version + 1)
    )


def set_columns(connection: Connection, job_id: str, **values: Any) -> None:
    """Write columns of a job; not the state."""
    set_row(connection, jobs, {"id": job_id}, values)


def observe(connection: Connection, job_ids: Sequence[str], at: datetime) -> None:
    """Note that the target answered about these jobs (no new version: nothing about the job changed)."""
    chosen: ColumnElement[bool]
    if connection.dialect.name == "sqlite":  # one parameter, however many there are
        ids = func.json_each(json.dumps(list(job_ids))).table_valued("value")
        chosen = jobs.c.id.in_(select(ids.c.value))
    else:
        chosen = jobs.c.id == func.any(bindparam("ids", list(job_ids), type_=ARRAY(String)))
    connection.execute(update(jobs).where(chosen).values(observed_at=at))


def insert_attempt(connection: Connection, job_id: str, number: int, submission: str) -> None:
    """Store an attempt with its submission's name, before anything is sent."""
    connection.execute(
        insert(attempts).values(job_id=job_id, number=number, submission=submission, created_at=now(), offsets={})
    )


def set_attempt(connection: Connection, job_id: str, number: int, **values: Any) -> None:
    """Write columns of an attempt."""
    set_row(connection, attempts, {"job_id": job_id, "number": number}, values)


def get_attempt(connection: Connection, job_id: str, number: int) -> RowMapping | None:
    """Return one attempt."""
    query = select(attempts).where(attempts.c.job_id == job_id, attempts.c.number == number)
    return connection.execute(query).mappings().one_or_none()


def may_have_run(row: RowMapping) -> bool:
    """Say whether an attempt (a row as `live` gives it) can have left anything: its run said so, or its scheduler."""
    return row["a_claimed_at"] is not None or row["a_running_at"] is not None


def attempts_of(connection: Connection, job_id: str) -> list[RowMapping]:
    """Return all attempts of a job, oldest first."""
    query = select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number)
    return list(connection.execute(query).mappings())


def set_store(connection: Connection, job_id: str, store: str, **values: Any) -> None:
    """Write columns of one store of a job."""
    set_row(connection, job_stores, {"job_id": job_id, "store": store}, values)


def delete(connection: Connection, job_id: str) -> None:
    """Forget a job with everything recorded of it."""
    connection.execute(jobs.delete().where(jobs.c.id == job_id))
