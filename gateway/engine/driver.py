"""The loop that drives the jobs of one target. A tick costs one remote command, whatever the number of jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import RowMapping

from gateway.compute.scheduler.base import SchedulerFacts
from gateway.compute.target import Target
from gateway.db import jobs
from gateway.db.database import Database
from gateway.engine import write
from gateway.engine.cancel import send_cancels
from gateway.engine.finalise import Finaliser
from gateway.engine.launch import Launcher
from gateway.engine.passes import RelayPasses
from gateway.engine.plan import plan_job
from gateway.engine.poll import Sight, poll_script, read_sight, record_request
from gateway.engine.timing import Timing
from gateway.engine.verdict import Known, Seen, decide
from gateway.errors import GatewayError, HostKeyChanged, LoginRefused, TargetError, TargetUnreachable
from gateway.jobs.bell import Bell
from gateway.jobs.board import Board, TargetStatus
from gateway.model.states import State
from gateway.storage.stores.base import Store

log = logging.getLogger(__name__)

SUBMITTED = frozenset({State.QUEUED, State.HELD, State.RUNNING, State.UNKNOWN})

Row = RowMapping


@dataclass
class Surroundings:
    """What the drivers of all targets share."""

    database: Database
    stores: Mapping[str, Store]
    bell: Bell
    board: Board
    finaliser: Finaliser
    timing: Timing = field(default_factory=Timing)


def known_of(row: Row) -> Known:
    """Return what the database says of a live job."""
    return Known(
        job_id=row["id"],
        attempt=row["attempt"],
        state=State(row["state"]),
        last_state=State(row["last_state"]) if row["last_state"] else None,
        submission=row["a_submission"],
        scheduler_id=row["a_scheduler_id"],
        submitted=row["a_submitted_at"] is not None,
        claimed=row["a_claimed_at"] is not None,
        cancel_requested=row["cancel_requested_at"] is not None,
        missing_since=row["a_missing_since"],
    )


class TargetDriver:
    """Drives one target. Everything it needs after a restart stands in the database."""

    def __init__(self, target: Target, around: Surroundings) -> None:
        self.target = target
        self.around = around
        self.launcher = Launcher(target, around.database, around.stores, around.timing)
        self.passes = RelayPasses(target, around.database, around.stores)
        self._finalising: dict[str, asyncio.Task[None]] = {}
        self._last_answer = datetime.now(UTC)
        self._facts: SchedulerFacts | None = None

    async def run(self) -> None:
        """Tick until cancelled. A tick's failure is logged and the loop goes on."""
        delay = 0.0
        while True:
            try:
                busy = await self.tick()
                delay = self.target.settings.poll_interval if busy else self.around.timing.idle_interval
            except TargetUnreachable as error:
                await self._unreachable(error)
                delay = max(self.target.settings.poll_interval, 2.0)
            except GatewayError as error:
                log.warning("target %s: %s", self.target.name, error)
                delay = max(self.target.settings.poll_interval, 2.0)
            except Exception:
                log.exception("target %s: the tick failed", self.target.name)
                delay = max(self.target.settings.poll_interval, 5.0)
            await self.around.bell.wait(self.target.name, delay)

    async def tick(self) -> bool:
        """Look at every live job once and act; return whether there is any."""
        rows = await self.around.database.read(lambda c: jobs.live(c, self.target.name))
        if not rows:
            return False
        facts = await self._detect()
        await self.launcher.launch(rows, facts)
        rows = await self.around.database.read(lambda c: jobs.live(c, self.target.name))
        await self._poll(rows, facts)
        rows = await self.around.database.read(lambda c: jobs.live(c, self.target.name))
        await send_cancels(self.target, self.around.database, rows, facts, self.around.timing)
        self._finalise([row for row in rows if row["state"] == State.FINALIZING])
        self.passes.follow(rows)
        return True

    async def _detect(self) -> SchedulerFacts:
        if self._facts is None:
            command = self.target.scheduler.detect()
            result = await self.target.transport.run(command.line(), timeout=self.around.timing.poll_timeout)
            self._facts = command.parse(*result.text())
            self._answered()
        return self._facts

    def _answered(self) -> None:
        self._last_answer = datetime.now(UTC)
        self.around.board.set(self.target.name, TargetStatus("ok", None, self._last_answer))

    async def _poll(self, rows: list[Row], facts: SchedulerFacts) -> None:
        """Ask once about all; decide each by itself."""
        lost_answers = [r for r in rows if r["state"] == State.STAGING and r["a_submit_started_at"]]
        watched = [r for r in rows if State(r["state"]) in SUBMITTED and r["a_control_folder"]]
        asked_rows = [*watched, *lost_answers]
        if not asked_rows:
            return
        ids = [r["a_scheduler_id"] for r in watched if r["a_scheduler_id"] and r["state"] != State.LOST]
        lost = {r["a_submission"]: r["a_control_folder"] for r in lost_answers}
        scheduler = self.target.scheduler
        script = poll_script(scheduler, facts, ids, lost, [record_request(r) for r in asked_rows])
        result = await self.target.transport.run(script.text, timeout=self.around.timing.poll_timeout)
        sight = read_sight(scheduler, facts, ids, list(lost), script.parse(result))
        self._answered()
        if sight.problem:
            log.warning("target %s: the scheduler's answer: %s", self.target.name, sight.problem)
        at = datetime.now(UTC)
        await self.launcher.adopt(lost_answers, sight, facts)
        await self.around.database.write(lambda c: self._decide_all(c, watched, sight, at))

    def _decide_all(self, connection: Any, rows: list[Row], sight: Sight, at: datetime) -> None:
        """Write what a tick saw, in one transaction."""
        seen_ids = []
        for row in rows:
            record = sight.records.get(row["a_control_folder"])
            seen = Seen(at, record, sight.jobs.get(row["a_scheduler_id"] or ""), sight.whole)
            decision = decide(known_of(row), seen, self.around.timing)
            if record is not None:
                self._take_records(connection, row, record)
            write.apply(connection, row, decision)
            if sight.whole or seen.scheduler is not None:
                seen_ids.append(row["id"])
        jobs.observe(connection, seen_ids, at)

    def _take_records(self, connection: Any, row: Row, record: Any) -> None:
        """Write progress and outputs that the node reported since the last tick."""
        if not record.status_lines and not record.sync_lines:
            return
        offsets = {**(row["a_offsets"] or {}), **record.offsets}
        write.note_progress(connection, row, record)
        if record.sync_lines:
            plan = plan_job(row, row["stores"])
            offsets["transfer"] = write.note_copied(connection, row, plan, record)
        jobs.set_attempt(connection, row["id"], row["attempt"], offsets=offsets)

    async def _unreachable(self, error: TargetUnreachable) -> None:
        """Say so on the board; after a while show the jobs as unknown, each with the state it was last in."""
        final = isinstance(error, LoginRefused | HostKeyChanged)
        self.around.board.set(
            self.target.name,
            TargetStatus("needs_login" if final else "unreachable", error.message, self._last_answer),
        )
        waited = (datetime.now(UTC) - self._last_answer).total_seconds()
        if not final and waited < self.around.timing.unreachable_grace:
            return
        rows = await self.around.database.read(lambda c: jobs.live(c, self.target.name))
        blind = [r for r in rows if State(r["state"]) in {State.QUEUED, State.HELD, State.RUNNING}]

        def mark(connection: Any) -> None:
            for row in blind:
                jobs.change_state(connection, row["id"], State.UNKNOWN, evidence={"unreachable": error.message})

        if blind:
            await self.around.database.write(mark)

    def _finalise(self, rows: list[Row]) -> None:
        """Settle ended attempts beside the ticks, one task a job."""
        for row in rows:
            if row["id"] not in self._finalising:
                task = asyncio.create_task(self._settle(row))
                self._finalising[row["id"]] = task
                task.add_done_callback(partial(self._settled, row["id"]))

    def _settled(self, job_id: str, _task: asyncio.Task[None]) -> None:
        self._finalising.pop(job_id, None)

    async def _settle(self, row: Row) -> None:
        try:
            await self.passes.stop(row["id"])
            await self.around.finaliser.settle(row, self.target)
        except TargetUnreachable as error:
            log.warning("job %s: outputs wait for target %s: %s", row["id"], self.target.name, error)
            await asyncio.sleep(2)
        except TargetError as error:
            log.warning("job %s: %s", row["id"], error)
            await asyncio.sleep(2)
        except Exception:
            log.exception("job %s: finalising failed", row["id"])
            await asyncio.sleep(5)
        self.around.bell.ring(self.target.name)

    async def stop(self) -> None:
        """End what runs beside the ticks. The jobs go on; the next start picks them up."""
        tasks = list(self._finalising.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.passes.close()
