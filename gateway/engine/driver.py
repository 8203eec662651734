"""The loop that drives the jobs of one target. A tick costs one remote command, whatever the number of jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import RowMapping

from gateway.compute.scheduler.base import SchedulerFacts
from gateway.compute.target import Target
from gateway.db import jobs
from gateway.db.database import Database, DatabaseUnavailable
from gateway.db.live_rows import LiveRows
from gateway.engine import steps
from gateway.engine.cancel import send_cancels
from gateway.engine.cleaning import Cleaner
from gateway.engine.finalise import Finaliser
from gateway.engine.images import ImageDelivery
from gateway.engine.inputs import InputFiles
from gateway.engine.launch import Launcher
from gateway.engine.observe import Observer, rests
from gateway.engine.passes import RelayPasses
from gateway.engine.poll import AT_ONCE, SECONDS_A_JOB, poll_script, read_sight, record_request
from gateway.engine.renew import Renewer, due
from gateway.engine.rescue import Rescues
from gateway.engine.steps import Step
from gateway.engine.timing import Timing
from gateway.engine.words import Words
from gateway.errors import GatewayError, HostKeyChanged, LeaseLost, LoginRefused, TargetUnreachable
from gateway.jobs.bell import Bell
from gateway.jobs.board import Board, TargetStatus
from gateway.metrics import Metrics
from gateway.model.states import State
from gateway.settings import Settings
from gateway.storage.stores.base import Store

log = logging.getLogger(__name__)

WATCHED = frozenset({State.QUEUED, State.HELD, State.RUNNING, State.UNKNOWN, State.LOST})

SAME_MACHINE = 10.0
"""Seconds that a record may be on its way where no other machine writes it."""

Row = RowMapping


@dataclass
class Surroundings:
    """What the drivers of all targets share."""

    database: Database
    stores: Mapping[str, Store]
    bell: Bell
    board: Board
    finaliser: Finaliser
    inputs: InputFiles
    images: ImageDelivery
    timing: Timing = field(default_factory=Timing)
    metrics: Metrics = field(default_factory=Metrics)
    settings: Settings = field(default_factory=Settings)


def patience(target: Target, timing: Timing) -> Timing:
    """Return how long is waited at a target. Where there is no queue, jobs run on the machine that is asked."""
    if target.scheduler.has_queue:
        return timing
    return replace(timing, record_grace=min(timing.record_grace, SAME_MACHINE))


class TargetDriver:
    """Drives one target. Everything it needs after a restart stands in the database."""

    def __init__(self, target: Target, around: Surroundings) -> None:
        self.target = target
        self.around = around
        self.launcher = Launcher(
            target, around.database, around.stores, around.timing, around.inputs, around.images, around.settings
        )
        self.passes = RelayPasses(target, around.database, around.stores)
        days = around.settings.gateway.rescue_days
        self.rescues = Rescues(target, around.database, around.finaliser, around.timing, days)
        self.words = Words(target, around.database, around.timing, self.passes.now)
        self.renewer = Renewer(target, around.database, around.stores, around.timing)
        self.cleaner = Cleaner(target, around.database, around.stores, around.timing)
        self.observer = Observer(around.database, patience(target, around.timing))
        self._rows = LiveRows(target.name)
        self._launching: asyncio.Task[None] | None = None
        self._finalising: dict[str, asyncio.Task[None]] = {}
        self._unsettled: dict[str, int] = {}
        self._synced: dict[str, str] = {}
        """The ``sync.json`` that was read last, by control folder: in memory, as reading one again costs little."""
        self._facts: SchedulerFacts | None = None
        self._greeted = False
        """Whether the scheduler told of itself and was not asked about jobs since: that is no sight of them."""
        self._looked_at: datetime | None = None
        self._answered_at: datetime | None = None
        self._seeing_since: datetime | None = None
        """From when on the target has answered without a break; None while it does not."""
        self._blind_since: datetime | None = None

    async def run(self) -> None:
        """Tick until cancelled. A tick's failure is told, and the loop goes on."""
        while True:
            try:
                with self.around.metrics.tick(self.target.public_name):
                    busy = await self.tick()
                pause = self.target.settings.poll_interval if busy else self.around.timing.idle_interval
            except LeaseLost:
                return
            except Exception as error:
                await self._failed(error)
                pause = max(self.target.settings.poll_interval, self.around.timing.failure_pause)
            await self.around.bell.wait(self.target.name, pause)

    async def tick(self) -> bool:
        """Look at every live job once and act; return whether there is any."""
        await self.rescues.look()
        self.cleaner.look()
        rows = await self._live()
        self.passes.follow(rows)
        await self.launcher.give_up_cancelled(rows)
        blocked = await self.launcher.waiting.look(rows)
        if self._launching is None and not any(r["state"] in (State.ACCEPTED, State.STAGING) for r in rows):
            self.around.inputs.keep(self.target.name, ())
            self.around.images.keep(self.target.name, ())
        busy = any(r["state"] != State.LOST for r in rows)
        if not rows or (not busy and self._looked_lately()):
            return False
        self._looked_at = datetime.now(UTC)
        facts = await self._detect()
        self._launch(rows, facts, blocked)
        await self._poll(rows, facts)
        rows = await self.around.database.read(lambda c: jobs.asking(c, self.target.name))
        if any(row["cancel_requested_at"] for row in rows):  # an array is cancelled as a whole where all of it is
            rows = await self._live()
        self._finalise([row for row in rows if row["state"] == State.FINALIZING])
        await send_cancels(self.target, self.around.database, rows, facts, self.around.timing)
        await self.words.send(rows, facts)
        return busy

    async def _live(self) -> list[Row]:
        since = datetime.now(UTC) - timedelta(seconds=self.around.timing.lost_watch)
        return await self.around.database.read(lambda c: self._rows.read(c, since))

    # --- What the target says

    def _looked_lately(self) -> bool:
        if self._looked_at is None:
            return False
        return (datetime.now(UTC) - self._looked_at).total_seconds() < self.around.timing.lost_interval

    async def _detect(self) -> SchedulerFacts:
        if self._facts is None:
            command = self.target.scheduler.detect()
            result = await self.target.transport.run(command.line(), timeout=self.around.timing.poll_timeout)
            self._facts = command.parse(*result.text())
            self._greeted = True
        return self._facts

    def _answered(self) -> None:
        self._answered_at = datetime.now(UTC)
        self._seeing_since = self._seeing_since or self._answered_at
        self._blind_since = None
        self.around.board.set(self.target.name, TargetStatus("ok", None, self._answered_at))

    async def _poll(self, rows: list[Row], facts: SchedulerFacts) -> None:
        """Ask once about all; decide each by itself."""
        watched = [r for r in rows if State(r["state"]) in WATCHED and (r["a_control_folder"] or rests(r))]
        lost_answers = [
            r
            for r in rows
            if r["state"] == State.STAGING
            and r["a_submit_started_at"]
            and r["a_submission"] not in self.launcher.in_flight
        ]
        asked = [*watched, *lost_answers]
        if len(self._synced) > 2 * len(asked):
            folders = {row["a_control_folder"] for row in asked}
            self._synced = {folder: read for folder, read in self._synced.items() if folder in folders}
        self.observer.keep(asked)
        greeted, self._greeted = self._greeted, False
        if greeted and not asked:
            self._answered()
        for start in range(0, len(asked), AT_ONCE):
            await self._poll_some(asked[start : start + AT_ONCE], facts)

    async def _poll_some(self, rows: list[Row], facts: SchedulerFacts) -> None:
        lost_answers = [r for r in rows if r["state"] == State.STAGING]
        watched = [r for r in rows if r["state"] != State.STAGING]
        ids = [r["a_scheduler_id"] for r in watched if r["a_scheduler_id"] and r["state"] != State.LOST]
        lost = self.launcher.arrays.looked_for(lost_answers)
        requests = [record_request(r, self._synced.get(r["a_control_folder"])) for r in rows if r["a_control_folder"]]
        scheduler = self.target.scheduler
        script = poll_script(scheduler, facts, ids, lost, requests)
        timeout = self.around.timing.poll_timeout + SECONDS_A_JOB * len(rows)
        result = await self.target.transport.run(script.text, timeout=timeout)
        steps.reached(Step.POLLED)
        at = datetime.now(UTC)
        sight = read_sight(scheduler, facts, ids, list(lost), script.parse(result), requests)
        self._answered()
        if sight.problem:
            log.warning("target %s: the scheduler's answer: %s", self.target.name, sight.problem)
        if not sight.asked:
            self.around.board.set(self.target.name, TargetStatus("failed", sight.problem, self._answered_at))
        await self.observer.take(watched, sight, at, self._seeing_since or at)
        self._synced |= {folder: record.synced for folder, record in sight.records.items() if record.synced}
        steps.reached(Step.OBSERVED)
        await self.launcher.adopt(lost_answers, sight, facts)

    # --- What it does not say

    async def _failed(self, error: Exception) -> None:
        """Tell of a tick that ended early. Never raises: the loop has to go on."""
        if isinstance(error, LeaseLost):
            return  # somebody else drives them
        self.around.metrics.errors.labels("engine", getattr(error, "problem", "internal")).inc()
        if isinstance(error, GatewayError):
            log.warning("target %s: %s", self.target.name, error)
        else:
            log.error("target %s: the tick failed", self.target.name, exc_info=error)
        if isinstance(error, DatabaseUnavailable):
            return  # which says nothing about the target
        try:
            await self._blind(error)
        except Exception:
            log.exception("target %s: its jobs could not be marked as unknown", self.target.name)

    async def _blind(self, error: Exception) -> None:
        """Say so on the board; after a while show the jobs as unknown, each with the state it was last in."""
        self._facts = self._seeing_since = None
        self._blind_since = self._blind_since or datetime.now(UTC)
        message = error.message if isinstance(error, GatewayError) else f"unexpected error: {type(error).__name__}"
        word = "failed"
        if isinstance(error, LoginRefused | HostKeyChanged):
            word = "needs_login"
        elif isinstance(error, TargetUnreachable):
            word = "unreachable"
        self.around.board.set(self.target.name, TargetStatus(word, message, self._answered_at))
        if word != "needs_login" and not self._blind_for_long():
            return
        rows = await self._live()
        blind = [r for r in rows if State(r["state"]) in {State.QUEUED, State.HELD, State.RUNNING}]
        if blind:
            await self.around.database.write(lambda c: _mark_unknown(c, blind, message))

    def _blind_for_long(self) -> bool:
        if self._blind_since is None:
            return False
        return (datetime.now(UTC) - self._blind_since).total_seconds() >= self.around.timing.unreachable_grace

    # --- Work beside the ticks

    def _launch(self, rows: list[Row], facts: SchedulerFacts, blocked: set[str]) -> None:
        """Stage, submit, renew beside the ticks: large inputs or a slow store must not make the other jobs wait."""
        now = datetime.now(UTC)
        ready = [r for r in rows if r["id"] not in blocked]
        wanted = any(r["state"] in (State.ACCEPTED, State.STAGING) for r in ready) or any(due(r, now) for r in rows)
        if wanted and self._launching is None:
            work = self._launch_some(rows, ready, facts)
            self._launching = asyncio.create_task(work, name=f"launch {self.target.name}")

    async def _launch_some(self, rows: list[Row], ready: list[Row], facts: SchedulerFacts) -> None:
        sent = False
        try:
            sent = await self.launcher.launch(ready, facts)
            await self.renewer.renew(rows)
        except TargetUnreachable as error:
            await self._failed(error)
            await asyncio.sleep(self.around.timing.failure_pause)
        except Exception as error:
            log.error("target %s: jobs could not be launched", self.target.name, exc_info=error)
            await asyncio.sleep(self.around.timing.failure_pause)
        finally:
            self._launching = None
        if sent:
            self.around.bell.ring(self.target.name)

    def _finalise(self, rows: list[Row]) -> None:
        """Settle ended attempts beside the ticks, one task a job."""
        for row in rows:
            if row["id"] not in self._finalising:
                task = asyncio.create_task(self._settle(row))
                self._finalising[row["id"]] = task
                task.add_done_callback(partial(self._settled, row["id"]))

    def _settled(self, job_id: str, _task: asyncio.Task[None]) -> None:
        self._finalising.pop(job_id, None)
        self.around.bell.ring(self.target.name)

    async def _settle(self, row: Row) -> None:
        try:
            await self.passes.stop(row["id"])
            await self.around.finaliser.settle(row["id"], row["attempt"], self.target)
            self._unsettled.pop(row["id"], None)
        except TargetUnreachable as error:
            message = error.message
            log.warning("job %s: outputs wait for target %s: %s", row["id"], self.target.name, message)
            await self._failed(error)
            if self._blind_for_long() or isinstance(error, LoginRefused | HostKeyChanged):
                await self.around.database.write(lambda c: _mark_unknown(c, [row], message))
            await asyncio.sleep(self.around.timing.failure_pause)
        except DatabaseUnavailable as error:
            log.warning("job %s: %s", row["id"], error)
            await asyncio.sleep(self.around.timing.failure_pause)
        except Exception:
            log.exception("job %s: finalising failed", row["id"])
            await self._settle_failed(row)

    async def _settle_failed(self, row: Row) -> None:
        """Try again some times; then let the job end as its evidence says, with what was proved of its outputs."""
        tries = self._unsettled[row["id"]] = self._unsettled.get(row["id"], 0) + 1
        await asyncio.sleep(self.around.timing.failure_pause)
        if tries >= self.around.timing.settle_tries:
            self._unsettled.pop(row["id"], None)
            await self.around.finaliser.give_up(row["id"], row["attempt"])

    async def stop(self) -> None:
        """End what runs beside the ticks. The jobs go on; the next start picks them up."""
        tasks = [*self._finalising.values(), *([self._launching] if self._launching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.cleaner.stop()
        await self.passes.close()
        await self.rescues.close()


def _mark_unknown(connection: Any, rows: Sequence[Row], message: str) -> None:
    """Show jobs as unknown, but those that are in another state by now."""
    for row in rows:
        if jobs.state_of(connection, row["id"]) is State(row["state"]):
            jobs.change_state(connection, row["id"], State.UNKNOWN, evidence={"unreachable": message})
