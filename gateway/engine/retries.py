"""The next attempt at a job: whether its specification wants one, when it begins, and what is stored of it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.compute.scheduler.base import SchedulerFacts
from gateway.compute.target import Target
from gateway.db import behind, events, jobs
from gateway.db.database import Database
from gateway.engine import steps
from gateway.engine.steps import Step
from gateway.engine.timing import Timing
from gateway.engine.verdict import Ending
from gateway.errors import SchedulerError
from gateway.model.specification import Retry
from gateway.model.states import State

log = logging.getLogger(__name__)

Row = RowMapping
LOOK_AGAIN = 3.0
"""Seconds until a job that waits for its next attempt is looked at again: it may have been cancelled."""


def wanted(specification: Mapping[str, Any], attempt: int, ending: Ending) -> bool:
    """Say whether the specification asks for another attempt after one that ended like this. Pure."""
    retry = Retry.model_validate(specification.get("retry") or {})
    return ending.state is State.FAILED and ending.reason in retry.reasons and attempt < retry.attempts


def pause(attempt: int, timing: Timing) -> timedelta:
    """Return how long the attempt after `attempt` has to wait. Pure."""
    delays = timing.retry_delays
    return timedelta(seconds=delays[min(attempt, len(delays)) - 1])


def begins_at(row: Row, timing: Timing) -> tuple[datetime, dict[str, Any]]:
    """Return when the next attempt begins, and the attempt's ``final`` that remembers it through a restart."""
    final = dict(row["a_final"])
    if "retry_at" not in final:
        final["retry_at"] = (datetime.now(UTC) + pause(row["attempt"], timing)).isoformat()
    return datetime.fromisoformat(final["retry_at"]), final


def sentence(row: Row, ending: Ending, at: datetime) -> str:
    """Say why a job has not ended yet. Pure."""
    why = ending.reason if ending.message is None else f"{ending.reason}: {ending.message.rstrip('.')}"
    return f"attempt {row['attempt']} failed ({why}); the next one begins at {at:%H:%M:%S} UTC"


async def next_attempt(database: Database, row: Row, ending: Ending, timing: Timing) -> bool:
    """Wait until the next attempt may begin, and store it; False where the job was cancelled meanwhile.

    The job is in ``finalizing`` until then, so that a cancelled one keeps what its last attempt left.
    """
    at, final = begins_at(row, timing)

    def note(connection: Connection) -> None:
        jobs.set_attempt(connection, row["id"], row["attempt"], final=final)
        jobs.explain(connection, row["id"], State.FINALIZING, sentence(row, ending, at))

    await database.write(note)
    while True:
        begun = await database.write(lambda c: _begin(c, row, ending, at))
        if begun is not None:
            return begun
        await asyncio.sleep(min(max((at - datetime.now(UTC)).total_seconds(), 0.05), LOOK_AGAIN))


def _begin(connection: Connection, row: Row, ending: Ending, at: datetime) -> bool | None:
    """Store the next attempt when it is time; None before. True also where somebody else settled the job."""
    now = jobs.get(connection, row["id"])
    if now is None or now["state"] != State.FINALIZING or now["attempt"] != row["attempt"]:
        return True
    if now["cancel_requested_at"] is not None:
        return False
    if datetime.now(UTC) < at:
        return None
    number = row["attempt"] + 1
    jobs.insert_attempt(connection, row["id"], number, f"gw-{secrets.token_hex(6)}")
    evidence = {"attempt": row["attempt"], **ending.as_json()}
    values = {"attempt": number, "scheduler_id": None, "progress": None, "message": None}
    begun = jobs.change_state(connection, row["id"], State.STAGING, evidence=evidence, **values)
    behind.forget(connection, row["id"])
    steps.reached(Step.NEXT_ATTEMPT)
    return begun


def begin_unsent(connection: Connection, row: Row, ending: Ending) -> bool:
    """Store the next attempt of a job of which nothing runs: its attempt never got past staging or the queue's door.

    Returns False where the specification asks for none.
    """
    if not wanted(row["spec"], row["attempt"], ending):
        return False
    number = row["attempt"] + 1
    final = {"ending": ending.as_json(), "record": None}
    jobs.set_attempt(connection, row["id"], row["attempt"], final=final)
    jobs.insert_attempt(connection, row["id"], number, f"gw-{secrets.token_hex(6)}")
    jobs.set_columns(connection, row["id"], attempt=number, message=ending.message)
    data = {"number": number, "after": ending.as_json()}
    events.append(connection, row["id"], row["owner"], "attempt", data, at=jobs.now())
    return True


async def end_what_is_left(row: Row, target: Target, timing: Timing) -> None:
    """Where a script died without a record, end what outlived it, before outputs are proved or another attempt runs."""
    if row["a_final"]["record"] is not None or row["a_scheduler_id"] is None:
        return
    command = target.scheduler.kill([row["a_scheduler_id"]], SchedulerFacts(target.scheduler.kind))
    if command is None:
        return
    result = await target.transport.run(command.line(), timeout=timing.poll_timeout)
    try:
        command.parse(*result.text())
    except SchedulerError as error:
        log.warning("job %s: what its script left could not be ended: %s", row["id"], error)
