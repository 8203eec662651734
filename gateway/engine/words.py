"""Carries out what people want of jobs on their way: hold, release, and a pass of outputs now."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.compute.remote import RemoteScript
from gateway.compute.scheduler.base import SchedulerFacts
from gateway.compute.target import Target
from gateway.db import events, jobs
from gateway.db.database import Database
from gateway.engine.timing import Timing
from gateway.errors import SchedulerError
from gateway.model.states import State

log = logging.getLogger(__name__)

Row = RowMapping
Answers = Mapping[str, str | None]

_QUEUED = frozenset({State.QUEUED, State.HELD})
HOLD, RELEASE, SYNC = "hold", "release", "sync"


def to_hold(row: Row) -> bool:
    """Say whether the scheduler has to be told to hold a job."""
    return bool(
        row["hold"]
        and row["a_hold_sent_at"] is None
        and row["state"] in _QUEUED
        and row["a_scheduler_id"]
        and row["a_claimed_at"] is None
        and row["cancel_requested_at"] is None
    )


def to_release(row: Row) -> bool:
    """Say whether the scheduler has to be told to release a job that it held for us."""
    return bool(
        not row["hold"] and row["a_hold_sent_at"] is not None and row["state"] in _QUEUED and row["a_scheduler_id"]
    )


def begun(row: Row) -> bool:
    """Say whether a job is still marked to be held although it has begun: the word came too late."""
    return bool(row["hold"] and row["state"] in (State.RUNNING, State.FINALIZING))


def to_sync(row: Row) -> bool:
    """Say whether a pass of outputs was asked for and not begun."""
    return row["sync_requested_at"] is not None


class Words:
    """Tells the scheduler and the scripts of one target what people asked for, in one remote command a tick."""

    def __init__(self, target: Target, database: Database, timing: Timing, relay_now: Callable[[Row], None]) -> None:
        self.target = target
        self.database = database
        self.timing = timing
        self.relay_now = relay_now

    async def send(self, rows: Sequence[Row], facts: SchedulerFacts) -> None:
        """Send what is due."""
        queue = self.target.scheduler.has_queue
        held = [row for row in rows if queue and to_hold(row)]
        released = [row for row in rows if queue and to_release(row)]
        synced = [row for row in rows if to_sync(row)]
        late = [row for row in rows if begun(row)]
        written = [row for row in synced if row["state"] == State.RUNNING and row["a_control_folder"]]
        script = RemoteScript()
        if held:
            script.add(HOLD, self.target.scheduler.hold(_ids(held), facts).line())
        if released:
            script.add(RELEASE, self.target.scheduler.release(_ids(released), facts).line())
        if written:
            script.add(SYNC, _sync_words(written))
        sections = {}
        if held or released or written:
            sections = script.parse(await self.target.transport.run(script.text, timeout=self.timing.poll_timeout))
        for row in written:
            self.relay_now(row)
        answers = {
            name: self._answers(name, _ids(found), facts, sections[name].text())
            for name, found in ((HOLD, held), (RELEASE, released))
            if found
        }

        def write(connection: Connection) -> None:
            for row in held:
                _held(connection, row, answers[HOLD].get(row["a_scheduler_id"]))
            for row in released:
                _released(connection, row, answers[RELEASE].get(row["a_scheduler_id"]))
            for row in synced:
                _synced(connection, row)
            for row in late:
                _too_late(connection, row)

        if held or released or synced or late:
            await self.database.write(write)

    def _answers(self, name: str, ids: Sequence[str], facts: SchedulerFacts, text: tuple[str, str, int]) -> Answers:
        """Return the scheduler's words by id; None where it did what it was told."""
        ask = self.target.scheduler.hold if name == HOLD else self.target.scheduler.release
        try:
            return ask(ids, facts).parse(*text)
        except SchedulerError as error:
            log.warning("target %s: %s: %s", self.target.name, name, error)
            return dict.fromkeys(ids, error.message)


def _ids(rows: Sequence[Row]) -> list[str]:
    return [row["a_scheduler_id"] for row in rows]


def _sync_words(rows: Sequence[Row]) -> str:
    """Return bash text that writes the word ``sync`` for all rows; a folder that is gone needs none."""
    return "\n".join(
        f"if [ -f {control} ]; then printf 'sync\\n' >>{control}; fi"
        for control in (shlex.quote(f"{row['a_control_folder']}/control") for row in rows)
    )


def _note(connection: Connection, row: Row, kind: str, data: Mapping[str, Any]) -> None:
    events.append(connection, row["id"], row["owner"], kind, data, at=jobs.now())


def _held(connection: Connection, row: Row, problem: str | None) -> None:
    """A job that the scheduler would not hold is not shown as held."""
    if problem is None:
        jobs.set_attempt(connection, row["id"], row["attempt"], hold_sent_at=jobs.now())
    else:
        jobs.set_columns(connection, row["id"], hold=False)
        _note(connection, row, "hold_refused", {"message": problem})


def _released(connection: Connection, row: Row, problem: str | None) -> None:
    jobs.set_attempt(connection, row["id"], row["attempt"], hold_sent_at=None)
    if problem is not None:
        _note(connection, row, "release_refused", {"message": problem})


def _too_late(connection: Connection, row: Row) -> None:
    jobs.set_columns(connection, row["id"], hold=False)
    _note(connection, row, "hold_refused", {"message": "the job had begun already"})


def _synced(connection: Connection, row: Row) -> None:
    """Forget the request, unless it was made again meanwhile."""
    now = jobs.get(connection, row["id"])
    if now is not None and now["sync_requested_at"] == row["sync_requested_at"]:
        jobs.set_columns(connection, row["id"], sync_requested_at=None)
