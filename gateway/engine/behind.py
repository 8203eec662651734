"""How far stores are behind what a job wrote: what is kept of it, and when people are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.compute.records import RecordUpdate
from gateway.db import behind, events, jobs
from gateway.db.behind import Backlog
from gateway.model.records import Unsent

Row = RowMapping
LEVELS = (120.0, 600.0, 3600.0, 6 * 3600.0, 86400.0)
"""Seconds that the oldest file has waited when people are told: a few events, however long it lasts."""
CAUGHT_UP = 30.0
"""Below so many seconds a store that was behind is not any more."""
INTERVALS = 3
"""A store whose oldest file has waited for fewer intervals of its passes is not behind."""
NEAR = timedelta(seconds=1)


@dataclass(frozen=True)
class Said:
    """What was said of the stores of a job: by the node (``push``) or by a pass of the gateway's own (``relay``)."""

    row: Row
    stores: tuple[Unsent, ...]
    by: str


def told_level(lag: float | None, told: int, interval: float | None) -> int:
    """Return how much of a lag people are to know, 0 where a store is not behind. Pure.

    Parameters
    ----------
    told
        What they know.
    interval
        Seconds between two passes; None: there is only the one at the end, and nothing is late before it.
    """
    if lag is None or lag < CAUGHT_UP:
        return 0
    reached = sum(lag >= seconds for seconds in LEVELS)
    if reached > told and (interval is None or lag < INTERVALS * interval):
        return told
    return max(reached, told)


def said_by_node(row: Row, record: RecordUpdate) -> Said | None:
    """Return what the run that holds the claim says of its stores."""
    if record.sync is None or record.claim is None or record.sync.token != record.claim.token:
        return None
    return Said(row, record.sync.stores, "push") if row["a_token"] in (None, record.sync.token) else None


def note(connection: Connection, found: Sequence[Said], at: datetime) -> None:
    """Write what was said of several jobs, with an event for a store that falls far behind, or has caught up."""
    if not found:
        return
    places = jobs.stores_of(connection, [said.row["id"] for said in found])
    rows: list[Backlog] = []
    for said in found:
        mine = {place["store"]: place for place in places.get(said.row["id"], []) if place["transfer"] == said.by}
        for unsent in said.stores:
            if unsent.store in mine:
                rows += _note_one(connection, said.row, mine[unsent.store], unsent, at)
    behind.note(connection, rows)


def _note_one(connection: Connection, row: Row, place: Row, unsent: Unsent, at: datetime) -> list[Backlog]:
    lag = None if unsent.lag is None else min(unsent.lag, _age(row, at))  # a file may be older than the run
    oldest = None if lag is None else at - timedelta(seconds=lag)
    told = place["behind"]
    level = told_level(lag, told, 0.0)
    if level > told:
        level = told_level(lag, told, _interval(connection, row))
    now = Backlog(row["id"], place["store"], unsent.bytes, unsent.files, oldest, at, level)
    if level != told:
        data: dict[str, Any] = {
            "store": place["store"],
            "behind": level > 0,
            "lag": None if lag is None else round(lag),
        }
        data |= {"bytes": unsent.bytes, "files": unsent.files}
        events.append(connection, row["id"], row["owner"], "backlog", data, at=at)
        jobs.set_columns(connection, row["id"])
    return [] if _is_known(place, now) else [now]


def _is_known(place: Row, now: Backlog) -> bool:
    if place["backlog_at"] is None:
        return False
    if (place["backlog"], place["backlog_files"], place["behind"]) != (now.bytes, now.files, now.behind):
        return False
    before = place["oldest_unsent"]
    return before == now.oldest or (before is not None and now.oldest is not None and abs(before - now.oldest) < NEAR)


def _age(row: Row, at: datetime) -> float:
    """Return how long the attempt has run: nothing of it can have waited for longer."""
    begun = row["a_payload_started_at"] or row["a_claimed_at"] or at
    return max(0.0, (at - begun).total_seconds())


def _interval(connection: Connection, row: Row) -> float | None:
    (whole,) = jobs.whole(connection, [row["id"]])
    interval = (whole["spec"].get("sync") or {}).get("interval")
    return float(interval) if isinstance(interval, int | float) else None
