"""Leases: which process drives which lane of the engine, by the database's clock.

A lease's token grows with every change of its holder. Each write of a holder checks it in its own transaction, so a
process that slept past its lease changes nothing when it wakes up. Locks of rows, none of all writers: a check takes
the weakest lock, which lets the holder renew and keeps others from taking the lane before the write is committed.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, func, insert, literal_column, select, update
from sqlalchemy.exc import IntegrityError

from gateway.db.columns import Moment
from gateway.db.tables import gateways, leases
from gateway.errors import LeaseLost

_IDENTITY = "!"
"""The row that names the database: no lane has this name."""
_FORGOTTEN_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Lease:
    """The right to drive one lane.

    Attributes
    ----------
    token
        Grows with every change of the holder; the fence on targets holds it too.
    """

    lane: str
    holder: str
    token: int


def keep(
    connection: Connection,
    holder: str,
    statuses: Mapping[str, Mapping[str, Any] | None],
    seconds: float,
) -> dict[str, Lease]:
    """Take or keep the leases of all lanes that can be had, for so many seconds; return those that are held.

    Parameters
    ----------
    statuses
        By lane: what its holder last saw of the target, for others to read.
    """
    clock = _now(connection)
    until = clock + timedelta(seconds=seconds)
    query = select(leases.c.lane, leases.c.holder, leases.c.token, leases.c.expires_at)
    rows = {row.lane: row for row in connection.execute(query.where(leases.c.lane.in_(sorted(statuses))))}
    held = {}
    for lane, status in sorted(statuses.items()):
        row = rows.get(lane)
        if row is None:
            lease = _first(connection, lane, holder, until)
        elif row.holder == holder:
            lease = _renew(connection, Lease(lane, holder, row.token), until, status)
        else:
            lease = _take(connection, lane, holder, until, clock) if row.expires_at <= clock else None
        if lease is not None:
            held[lane] = lease
    return held


def _first(connection: Connection, lane: str, holder: str, until: datetime) -> Lease | None:
    try:
        with connection.begin_nested():
            connection.execute(insert(leases).values(lane=lane, holder=holder, token=1, expires_at=until))
    except IntegrityError:  # another process came first
        return None
    return Lease(lane, holder, 1)


def _renew(connection: Connection, lease: Lease, until: datetime, status: Mapping[str, Any] | None) -> Lease | None:
    mine = (leases.c.lane == lease.lane) & (leases.c.holder == lease.holder) & (leases.c.token == lease.token)
    values = {"expires_at": until, "status": dict(status) if status else None}
    return lease if connection.execute(update(leases).where(mine).values(**values)).rowcount else None


def _take(connection: Connection, lane: str, holder: str, until: datetime, clock: datetime) -> Lease | None:
    """Take a lane whose lease is over; one whose holder is committing a write just now waits for the next try."""
    query = select(leases.c.token).where(leases.c.lane == lane, leases.c.expires_at <= clock)
    token = connection.execute(query.with_for_update(skip_locked=True)).scalar_one_or_none()
    if token is None:
        return None
    values = {"holder": holder, "token": token + 1, "expires_at": until, "status": None}
    connection.execute(update(leases).where(leases.c.lane == lane).values(**values))
    return Lease(lane, holder, token + 1)


def outbid(connection: Connection, lease: Lease, token: int) -> bool:
    """Raise the token of a lease that is still held above one that a target knows; return whether it was.

    A target knows a later one than the database where the database was restored from an older copy.
    """
    mine = (leases.c.lane == lease.lane) & (leases.c.holder == lease.holder) & (leases.c.token == lease.token)
    return bool(connection.execute(update(leases).where(mine).values(token=max(token, lease.token) + 1)).rowcount)


def release(connection: Connection, holder: str, lanes: Collection[str]) -> None:
    """Let other processes take lanes at once."""
    mine = (leases.c.holder == holder) & leases.c.lane.in_(lanes)
    connection.execute(update(leases).where(mine).values(expires_at=_now(connection)))


def check(connection: Connection, lease: Lease) -> None:
    """Raise `LeaseLost` unless the lease is still this holder's; nobody takes it until the transaction ends."""
    query = select(leases.c.holder, leases.c.token).where(leases.c.lane == lease.lane)
    row = connection.execute(query.with_for_update(read=True, key_share=True)).one_or_none()
    if row is None or (row.holder, row.token) != (lease.holder, lease.token):
        raise LeaseLost(f"another gateway process drives {lease.lane} now")


def current(connection: Connection) -> dict[str, RowMapping]:
    """Return the lease of each lane that somebody drives now."""
    query = select(leases).where(leases.c.expires_at > _now(connection), leases.c.lane != _IDENTITY)
    return {row["lane"]: row for row in connection.execute(query).mappings()}


def identity(connection: Connection) -> str:
    """Return what names this database on targets: 16 hexadecimal digits."""
    query = select(leases.c.holder).where(leases.c.lane == _IDENTITY)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        values = {"lane": _IDENTITY, "holder": secrets.token_hex(8), "token": 0, "expires_at": _now(connection)}
        try:
            with connection.begin_nested():
                connection.execute(insert(leases).values(**values))
        except IntegrityError:  # another process came first
            pass
        found = connection.execute(query).scalar_one()
    return str(found)


# --- Processes


def present(connection: Connection, name: str, used: Mapping[str, int], seconds: float) -> list[Mapping[str, int]]:
    """Say for so many seconds that a process is there; return what each process that is there uses."""
    clock = _now(connection)
    values = {"expires_at": clock + timedelta(seconds=seconds), "used": dict(used)}
    if not connection.execute(update(gateways).where(gateways.c.name == name).values(**values)).rowcount:
        connection.execute(insert(gateways).values(name=name, **values))
        connection.execute(delete(gateways).where(gateways.c.expires_at < clock - _FORGOTTEN_AFTER))
    return list(connection.execute(select(gateways.c.used).where(gateways.c.expires_at > clock)).scalars())


def absent(connection: Connection, name: str) -> None:
    """Forget a process that ends."""
    connection.execute(delete(gateways).where(gateways.c.name == name))


def _now(connection: Connection) -> datetime:
    """Return the time by the database's clock: those of several gateways may differ."""
    micros: ColumnElement[datetime]
    if connection.dialect.name == "sqlite":
        micros = literal_column("CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)", Moment)
    else:
        micros = literal_column("CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)", Moment)
    found: datetime = connection.execute(select(func.coalesce(micros, micros, type_=Moment))).scalar_one()
    return found
