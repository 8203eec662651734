"""Carries out requests to cancel: gracefully by the word `stop`, then by the scheduler."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping

from gateway.compute.remote import RemoteScript
from gateway.compute.scheduler.base import SchedulerFacts
from gateway.compute.target import Target
from gateway.compute.transport.base import CommandResult
from gateway.db import jobs
from gateway.db.database import Database
from gateway.engine import steps
from gateway.engine.arrays import cancel_ids
from gateway.engine.steps import Step
from gateway.engine.timing import Timing
from gateway.errors import SchedulerError
from gateway.model.states import State

log = logging.getLogger(__name__)

Row = RowMapping
FORCE_AFTER = 3
"""Grace times after which a job is ended by force, where no scheduler sees to that."""


def due(row: Row, now: datetime, timing: Timing) -> bool:
    """Say whether a cancel request has something to be done about it now."""
    if row["cancel_requested_at"] is None or row["a_submitted_at"] is None:
        return False
    if State(row["state"]) not in {State.QUEUED, State.HELD, State.RUNNING, State.UNKNOWN}:
        return False
    sent = row["a_cancel_sent_at"]
    return sent is None or (now - sent).total_seconds() >= timing.cancel_grace


def stop_words(rows: Sequence[Row]) -> str:
    """Return bash text that writes the word ``stop`` for the runs of all rows; status 1 where one could not be told.

    Where there is no control folder, nothing can run, and there is nobody to tell.
    """
    words = [
        f"[ ! -d {folder} ] || printf 'stop\\n' >>{folder}/control || gw_untold=1"
        for folder in (shlex.quote(row["a_control_folder"]) for row in rows)
    ]
    return "\n".join(["gw_untold=0", *words, '(exit "$gw_untold")'])


def _log_refusals(target: Target, ids: Sequence[str], facts: SchedulerFacts, answer: CommandResult) -> None:
    """Say what the scheduler would not do; it is asked again after the grace time."""
    try:
        said = target.scheduler.cancel(ids, facts).parse(*answer.text())
    except SchedulerError as error:
        log.warning("target %s: %s", target.name, error)
        return
    for scheduler_id, words in said.items():
        if words is not None:
            log.warning("target %s: %s was not cancelled: %s", target.name, scheduler_id, words)


async def send_cancels(
    target: Target, database: Database, rows: Sequence[Row], facts: SchedulerFacts, timing: Timing
) -> None:
    """Send every due cancel of a target in one remote command.

    A run that holds its claim is asked by the word ``stop`` in its ``control`` file, so that it can keep its outputs;
    the scheduler is told at once where there is no claim yet, else after the grace time.
    """
    now = datetime.now(UTC)
    chosen = [row for row in rows if due(row, now, timing)]
    if not chosen:
        return
    sent_there = [
        row
        for row in chosen
        if row["a_scheduler_id"]
        and row["a_missing_since"] is None  # else it shows no such job, or another one with that id
        and (row["a_claimed_at"] is None or row["a_cancel_sent_at"] is not None)
    ]
    by_scheduler = cancel_ids(target.scheduler, sent_there, rows)
    stuck = [
        row["a_scheduler_id"]
        for row in sent_there
        if (now - row["cancel_requested_at"]).total_seconds() >= FORCE_AFTER * timing.cancel_grace
    ]
    force = target.scheduler.kill(stuck, facts) if stuck else None
    script = RemoteScript()
    script.add("stop", stop_words(chosen))
    if force is not None:  # what does not hear TERM, on a machine whose scheduler is the gateway itself
        script.add("force", force.line())
    if by_scheduler:
        script.add("cancel", target.scheduler.cancel(by_scheduler, facts).line())
    steps.reached(Step.CANCEL_DUE)
    sections = script.parse(await target.transport.run(script.text, timeout=timing.poll_timeout))
    steps.reached(Step.CANCEL_SENT)
    if by_scheduler:
        _log_refusals(target, by_scheduler, facts, sections["cancel"])

    def sent(connection: Any) -> None:
        for row in chosen:
            jobs.set_attempt(connection, row["id"], row["attempt"], cancel_sent_at=now)

    await database.write(sent)
