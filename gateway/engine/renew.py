"""Renews the credentials that nodes push with, while their jobs wait or run."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import RowMapping

from gateway.compute.target import Target
from gateway.db import jobs
from gateway.db.database import Database
from gateway.engine import steps
from gateway.engine.plan import plan_job
from gateway.engine.prepare import QUEUE_ALLOWANCE, credentials_file, push_remotes
from gateway.engine.steps import Step
from gateway.engine.timing import Timing
from gateway.errors import GatewayError, StoreError, TargetUnreachable
from gateway.model.states import State
from gateway.storage.stores.base import Store

log = logging.getLogger(__name__)

Row = RowMapping

RENEW_AFTER = QUEUE_ALLOWANCE / 2
"""Whenever a job starts, half of the allowance is still there besides what it may need itself."""
AGAIN_AFTER = timedelta(minutes=10)
"""After a renewal that failed."""


def due(row: Row, now: datetime) -> bool:
    """Say whether the credentials of a job are to be renewed now."""
    waits_or_runs = row["state"] in (State.QUEUED, State.HELD, State.RUNNING)
    return waits_or_runs and row["a_renew_at"] is not None and row["a_renew_at"] <= now


def _script(control_folder: str) -> str:
    """Return bash text that replaces the file by what comes on standard input. A run that is over has removed it."""
    return (
        f"cd {shlex.quote(control_folder)} && [ -f credentials ] || exit 0\n"
        "umask 077\ncat >credentials.part && mv -fT credentials.part credentials\n"
    )


class Renewer:
    """Renews the credentials of one target's jobs."""

    def __init__(self, target: Target, database: Database, stores: Mapping[str, Store], timing: Timing) -> None:
        self.target = target
        self.database = database
        self.stores = stores
        self.timing = timing

    async def renew(self, rows: Sequence[Row]) -> None:
        """Renew what is due; a job for which it fails is tried again later.

        Raises
        ------
        TargetUnreachable
        """
        now = datetime.now(UTC)
        for row in [row for row in rows if due(row, now)][: self.timing.batch]:
            try:
                await self._renew(row)
                steps.reached(Step.RENEWED)
                after = RENEW_AFTER
            except TargetUnreachable:
                raise
            except Exception as error:
                known = isinstance(error, GatewayError)
                log.warning("job %s: its credentials are not renewed: %s", row["id"], error, exc_info=not known)
                after = AGAIN_AFTER
            moment = datetime.now(UTC) + after
            await self.database.write(
                lambda c, row=row, at=moment: jobs.set_attempt(c, row["id"], row["attempt"], renew_at=at)  # type: ignore[misc]
            )

    async def _renew(self, row: Row) -> None:
        rows = await self.database.read(lambda c: jobs.whole(c, [row["id"]]))
        states = await self.database.read(lambda c: jobs.stores_of(c, [row["id"]]))
        if not rows:
            return
        names = tuple(state["store"] for state in states[row["id"]] if state["transfer"] == "push")
        remotes = await push_remotes(plan_job(rows[0], row["stores"]), self.target, self.stores)
        if missing := [name for name in names if name not in remotes]:
            raise StoreError(f"store {missing[0]} gives no credentials now")
        result = await self.target.transport.run(
            _script(row["a_control_folder"]), data=credentials_file(names, remotes), timeout=self.timing.poll_timeout
        )
        if result.exit_status:
            raise StoreError(f"the file could not be replaced: {result.text()[1].strip()[:300]}")
