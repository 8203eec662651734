"""Retention: what is old enough, what keeps it back, and what was begun: queries."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Text, and_, cast, delete, func, insert, or_, select, update

from gateway.db import outputs as catalogue
from gateway.db.retention_tables import retention_holds, retention_rules, retention_works
from gateway.db.tables import counters, dependencies, job_stores, jobs, outputs
from gateway.model.states import ENDED

_ENDED = [str(state) for state in ENDED]
_DAILY = "retention"
_NAMED = re.compile(r'"job":\s*"([0-9a-f-]{36})"')
"""An input of a specification that is an output of another job."""


@dataclass(frozen=True)
class Past:
    """A place in the list of ended jobs, oldest end first."""

    ended_at: datetime
    id: str


def ended_jobs(
    connection: Connection, before: datetime, *, after: Past | None, limit: int, only: Sequence[str] = ()
) -> list[RowMapping]:
    """Return jobs that ended before a moment and have outputs in a store."""
    has_outputs = select(job_stores.c.job_id).where(job_stores.c.job_id == jobs.c.id, job_stores.c["count"] > 0)
    columns = [jobs.c[name] for name in ("id", "name", "owner", "state", "target", "case", "ended_at")]
    query = select(*columns).where(jobs.c.state.in_(_ENDED), jobs.c.ended_at <= before, has_outputs.exists())
    if after is not None:
        later = and_(jobs.c.ended_at == after.ended_at, jobs.c.id > after.id)
        query = query.where(or_(jobs.c.ended_at > after.ended_at, later))
    if only:
        query = query.where(jobs.c.id.in_(list(only)))
    return list(connection.execute(query.order_by(jobs.c.ended_at, jobs.c.id).limit(limit)).mappings())


# --- what keeps outputs


def holds(connection: Connection, job_ids: Iterable[str]) -> dict[str, list[RowMapping]]:
    """Return the holds of several jobs."""
    query = select(retention_holds).where(retention_holds.c.job_id.in_(list(job_ids))).order_by(retention_holds.c.kind)
    return _by_job(connection.execute(query).mappings())


def put_hold(connection: Connection, job_id: str, kind: str, by: str, at: datetime, why: str | None) -> None:
    """Put up a hold in the place of the one of its kind."""
    lift_hold(connection, job_id, kind)
    connection.execute(insert(retention_holds).values(job_id=job_id, kind=kind, by=by, at=at, why=why))


def lift_hold(connection: Connection, job_id: str, kind: str) -> bool:
    """Take a hold away; return whether it stood."""
    mine = and_(retention_holds.c.job_id == job_id, retention_holds.c.kind == kind)
    return bool(connection.execute(delete(retention_holds).where(mine)).rowcount)


def readers(connection: Connection, job_ids: Sequence[str]) -> dict[str, str]:
    """Return of jobs that others still need one of those: which waits for it, or names its outputs as inputs.

    Only jobs that have not ended count; one that runs may be tried again, and then reads its inputs again.
    """
    live, wanted = jobs.c.state.not_in(_ENDED), set(job_ids)
    waits = select(dependencies.c.on_job, dependencies.c.job_id).join(jobs, jobs.c.id == dependencies.c.job_id)
    query = waits.where(dependencies.c.on_job.in_(wanted), live)
    found = {on_job: job_id for on_job, job_id in connection.execute(query)}
    text = cast(jobs.c.spec, Text)
    for job_id, spec in connection.execute(select(jobs.c.id, text).where(live, text.contains('"job":'))):
        found |= {named: job_id for named in _NAMED.findall(spec) if named in wanted and named != job_id}
    return found


# --- what owners ask for


def own_rules(connection: Connection, job_ids: Iterable[str]) -> dict[str, Any]:
    """Return the rules of single jobs."""
    query = select(retention_rules).where(retention_rules.c.job_id.in_(list(job_ids)))
    return {row.job_id: row.rule for row in connection.execute(query)}


def least_own_days(connection: Connection) -> float | None:
    """Return the fewest days that an owner's rule waits; None where there is no such rule."""
    days = [float(rule["after_days"]) for rule in connection.scalars(select(retention_rules.c.rule))]
    return min(days, default=None)


def set_own_rule(connection: Connection, job_id: str, rule: Mapping[str, Any] | None) -> None:
    """Put an owner's rule in the place of the one before; None: there is none any more."""
    connection.execute(delete(retention_rules).where(retention_rules.c.job_id == job_id))
    if rule is not None:
        connection.execute(insert(retention_rules).values(job_id=job_id, rule=dict(rule)))


# --- works


def works_of(connection: Connection, job_ids: Iterable[str]) -> dict[str, list[RowMapping]]:
    """Return what was begun and done for several jobs, oldest first."""
    query = (
        select(retention_works)
        .where(retention_works.c.job_id.in_(list(job_ids)))
        .order_by(retention_works.c.created_at, retention_works.c.id)
    )
    return _by_job(connection.execute(query).mappings())


def latest_works(connection: Connection, limit: int, *, open_only: bool = False) -> list[RowMapping]:
    """Return works, newest first."""
    query = select(retention_works)
    if open_only:
        query = query.where(retention_works.c.done_at.is_(None))
    order = (retention_works.c.created_at.desc(), retention_works.c.id)
    return list(connection.execute(query.order_by(*order).limit(limit)).mappings())


def taken_away(connection: Connection, job_id: str, store: str) -> list[RowMapping]:
    """Return what deleted outputs of a job in a store, the latest first."""
    query = select(retention_works).where(
        retention_works.c.job_id == job_id,
        retention_works.c.store == store,
        retention_works.c.action == "delete",
        retention_works.c["count"] > 0,
    )
    return list(connection.execute(query.order_by(retention_works.c.created_at.desc())).mappings())


def begin(connection: Connection, values: Mapping[str, Any]) -> None:
    """Write down that something is to be done."""
    start = {"id": str(uuid.uuid4()), "position": "", "count": 0, "bytes": 0, "tries": 0}
    connection.execute(insert(retention_works).values({**start, **values}))


def take(
    connection: Connection, holder: str, now: datetime, until: datetime, *, alone: bool = False
) -> RowMapping | None:
    """Return the oldest work that nobody does, and do it from now on; None where there is none.

    Parameters
    ----------
    alone
        No other process does works: another holder is one that has died.
    """
    free = or_(retention_works.c.held_until.is_(None), retention_works.c.held_until <= now)
    if alone:
        dead = and_(retention_works.c.holder.is_not(None), retention_works.c.holder != holder)
        free = or_(free, dead)
    query = (
        select(retention_works)
        .where(retention_works.c.done_at.is_(None), free)
        .order_by(retention_works.c.created_at, retention_works.c.id)
        .limit(1)
        .with_for_update()
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is not None:
        set_work(connection, row["id"], holder=holder, held_until=until)
    return row


def get_work(connection: Connection, work_id: str) -> RowMapping | None:
    """Return one work as it is now, locked."""
    query = select(retention_works).where(retention_works.c.id == work_id).with_for_update()
    return connection.execute(query).mappings().one_or_none()


def set_work(connection: Connection, work_id: str, **values: Any) -> None:
    """Write columns of a work."""
    connection.execute(update(retention_works).where(retention_works.c.id == work_id).values(**values))


# --- outputs on their way


def set_going(connection: Connection, job_id: str, store: str, paths: Sequence[str], going: str | None) -> None:
    """Note what is about to be done with outputs; None: nothing."""
    _set_outputs(connection, job_id, store, paths, going=going)


def set_archived(connection: Connection, job_id: str, store: str, paths: Sequence[str], tier: str) -> None:
    """Note that outputs are in another tier."""
    _set_outputs(connection, job_id, store, paths, going=None, tier=tier)


def outputs_named(connection: Connection, job_id: str, store: str, paths: Sequence[str]) -> list[RowMapping]:
    """Return the rows of outputs, in the order of their paths; those that are gone are left out."""
    found: list[RowMapping] = []
    for start in range(0, len(paths), catalogue.CHUNK):
        named = outputs.c.path.in_(list(paths[start : start + catalogue.CHUNK]))
        query = select(outputs).where(outputs.c.job_id == job_id, outputs.c.store == store, named)
        found += connection.execute(query).mappings()
    return sorted(found, key=lambda row: row["path"])


def count_on_their_way(connection: Connection, job_id: str) -> dict[str, int]:
    """Return how many outputs of a job are about to be deleted, archived or brought back, by that word."""
    query = select(outputs.c.going, func.count()).where(outputs.c.job_id == job_id, outputs.c.going.is_not(None))
    return {going: count for going, count in connection.execute(query.group_by(outputs.c.going))}


def count_in_tiers(connection: Connection, job_id: str) -> dict[str, int]:
    """Return how many outputs of a job are in each tier but the usual one."""
    query = select(outputs.c.tier, func.count()).where(outputs.c.job_id == job_id, outputs.c.tier.is_not(None))
    return {tier: count for tier, count in connection.execute(query.group_by(outputs.c.tier))}


def set_restored(connection: Connection, job_id: str, store: str, paths: Sequence[str]) -> None:
    """Note that outputs are back where all outputs are."""
    _set_outputs(connection, job_id, store, paths, going=None, tier=None)


def _set_outputs(connection: Connection, job_id: str, store: str, paths: Sequence[str], **values: Any) -> None:
    for start in range(0, len(paths), catalogue.CHUNK):
        chunk = list(paths[start : start + catalogue.CHUNK])
        named = and_(outputs.c.job_id == job_id, outputs.c.store == store, outputs.c.path.in_(chunk))
        connection.execute(update(outputs).where(named).values(**values))


# --- once a day


def daily(connection: Connection, now: datetime, seconds: float) -> bool:
    """Say whether it is time for the daily run, and note that it is made."""
    at = round(now.timestamp() * 1_000_000)
    last = connection.scalar(select(counters.c.value).where(counters.c.name == _DAILY).with_for_update())
    if last is None:
        connection.execute(insert(counters).values(name=_DAILY, value=at))
        return True
    if at - last < seconds * 1_000_000:
        return False
    connection.execute(update(counters).where(counters.c.name == _DAILY).values(value=at))
    return True


def _by_job(rows: Iterable[RowMapping]) -> dict[str, list[RowMapping]]:
    found: dict[str, list[RowMapping]] = {}
    for row in rows:
        found.setdefault(row["job_id"], []).append(row)
    return found
