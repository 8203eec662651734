"""What people can want of a job on its way: hold, release, and a pass of its outputs now. Writes intents only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from gateway.compute.target import Target
from gateway.db import behind, events
from gateway.db import jobs as table
from gateway.db.database import Database
from gateway.errors import Conflict
from gateway.jobs.bell import Bell
from gateway.jobs.rows import owned, read_job
from gateway.jobs.views import Row
from gateway.model.job import Job
from gateway.model.states import ENDED, State

_OURS = frozenset({State.DRAFT, State.ACCEPTED, State.STAGING})
"""States in which nothing was given to a scheduler, so that the gateway itself holds the job."""
_QUEUED = frozenset({State.QUEUED, State.HELD})


class Verbs:
    """Holds, releases and syncs jobs of people, by their owner.

    Parameters
    ----------
    targets
        By lane.
    bell
        Rung after each intent, for the engine.
    """

    def __init__(self, database: Database, targets: Mapping[str, Target], bell: Bell) -> None:
        self.database = database
        self.targets = targets
        self.bell = bell

    async def hold(self, job_id: str, owner: str, version: int | None = None) -> Job:
        """Ask that a job not start. Asking again changes nothing.

        Raises
        ------
        Conflict
            It has begun, or its target has no queue to hold it in.
        """

        def intent(connection: Connection, row: Row) -> None:
            state = _seen(row)
            if state not in _OURS | _QUEUED or row["started_at"] is not None:
                raise Conflict(f"only a job that has not begun can be held, and this one is {row['state']}")
            target = self.targets.get(row["lane"])
            if state in _QUEUED and target is not None and not target.scheduler.has_queue:
                raise Conflict("the job has been handed over, and its target has no queue to hold it in")
            if not row["hold"]:
                _ask(connection, row, "hold_requested", hold=True)

        return await self._carry_out(intent, job_id, owner, version)

    async def release(self, job_id: str, owner: str, version: int | None = None) -> Job:
        """Let a held job start; raises `Conflict` where it is not held, or held by others than its owner."""

        def intent(connection: Connection, row: Row) -> None:
            if not row["hold"]:
                raise Conflict("the job is not held by its owner")
            changes = {"message": None} if _seen(row) in _OURS else {}
            _ask(connection, row, "release_requested", hold=False, **changes)

        return await self._carry_out(intent, job_id, owner, version)

    async def sync(self, job_id: str, owner: str, version: int | None = None) -> Job:
        """Ask for a pass of all outputs now, or, once the job has ended, for another try at what is missing.

        Raises
        ------
        Conflict
            It has not begun, nothing of it is missing, or what is missing is nowhere any more.
        """

        def intent(connection: Connection, row: Row) -> None:
            if State(row["state"]) in ENDED:
                _bring_again(connection, row)
            elif row["state"] in (State.RUNNING, State.FINALIZING):
                _ask(connection, row, "sync_requested", sync_requested_at=table.now())
            else:
                raise Conflict(f"only a job that runs or ran has outputs to copy, and this one is {row['state']}")

        return await self._carry_out(intent, job_id, owner, version, ended=True)

    async def _carry_out(
        self,
        intent: Callable[[Connection, Row], None],
        job_id: str,
        owner: str,
        version: int | None,
        *,
        ended: bool = False,
    ) -> Job:
        def write(connection: Connection) -> tuple[str, Job]:
            row = owned(connection, job_id, owner, version)
            table.state_of(connection, job_id)  # locked from here: the engine writes too
            row = owned(connection, job_id, owner, version)
            if State(row["state"]) in ENDED and not ended:
                raise Conflict(f"the job has ended already: {row['state']}")
            intent(connection, row)
            return row["lane"], read_job(connection, owned(connection, job_id, owner))

        lane, job = await self.database.write(write)
        self.bell.ring(lane)
        return job


def _seen(row: Row) -> State:
    """Return the state, or the one before it became unknown."""
    state = State(row["state"])
    return State(row["last_state"]) if state is State.UNKNOWN and row["last_state"] else state


def _bring_again(connection: Connection, row: Row) -> None:
    """Have what an ended job left brought at once to those of its stores that do not have everything."""
    attempt = table.get_attempt(connection, row["id"], row["attempt"])
    if attempt is None or (attempt["claimed_at"] is None and attempt["running_at"] is None):
        raise Conflict("nothing of the job ever ran, so that there is nothing to copy")
    places = table.stores_of(connection, [row["id"]]).get(row["id"], [])
    missing = [place["store"] for place in places if place["state"] in behind.UNSETTLED]
    if not missing:
        raise Conflict("everything that the job left is in its stores")
    reasons = {store: behind.gone(connection, row["id"], store) for store in missing}
    wanted = [store for store, reason in reasons.items() if reason is None]
    if not wanted:
        raise Conflict(f"there is nothing to copy from any more: {reasons[missing[0]]}")
    at = table.now()
    behind.schedule(connection, row["id"], at, wanted)
    _ask(connection, row, "sync_requested")


def _ask(connection: Connection, row: Row, kind: str, **columns: object) -> None:
    table.set_columns(connection, row["id"], **columns)
    events.append(connection, row["id"], row["owner"], kind, {"by": row["owner"]}, at=table.now())
