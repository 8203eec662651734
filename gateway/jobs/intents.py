"""What a person can want of a job that is there, each in the caller's transaction. The engine acts on it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from gateway.db import cleanings, dependencies, events
from gateway.db import jobs as table
from gateway.errors import Conflict
from gateway.jobs.views import Row
from gateway.model.states import ENDED, State

CANCELLABLE = tuple(state for state in State if state not in ENDED)
FOLDER_STAYS = timedelta(days=1)
"""How long the folder of a job that was deleted stays on its target, where nothing is in it only."""
DELETABLE = tuple(state for state in State if state in ENDED | {State.DRAFT})


def cancel(connection: Connection, row: Row, by: str) -> None:
    """Ask for the end of a job. Asking again changes nothing.

    Raises
    ------
    Conflict
        It has ended already.
    """
    job_id, state = row["id"], State(row["state"])
    if state in ENDED:
        raise Conflict(f"the job has ended already: {state}")
    if row["cancel_requested_at"] is None:
        at = table.now()
        table.set_columns(connection, job_id, cancel_requested_at=at)
        events.append(connection, job_id, row["owner"], "cancel_requested", {"by": by}, at=at)
    untouched = state is State.ACCEPTED and table.get_attempt(connection, job_id, row["attempt"]) is None
    if state is State.DRAFT or untouched:
        table.change_state(connection, job_id, State.CANCELLED, reason="cancelled_by_user")


def abandon(connection: Connection, row: Row) -> None:
    """Give up a job that nobody can see.

    Raises
    ------
    Conflict
        It is not ``unknown``.
    """
    if row["state"] != State.UNKNOWN:
        raise Conflict(f"only a job that is unknown can be abandoned, and this one is {row['state']}")
    message = "given up by a person while its state could not be seen"
    table.change_state(connection, row["id"], State.LOST, reason="abandoned", message=message)


def delete(connection: Connection, row: Row) -> None:
    """Forget a job; its outputs stay in the stores.

    Raises
    ------
    Conflict
        It has not ended and is no draft, or others wait to learn what became of it.
    """
    state = State(row["state"])
    if state not in DELETABLE:
        raise Conflict(f"only a job that has ended can be deleted, and this one is {state}: cancel it first")
    if others := dependencies.waiting(connection, row["id"]):
        raise Conflict(f"{len(others)} jobs wait for this one, {others[0]} among them: cancel them first")
    cleanings.ask_if_settled(connection, row["id"], row["lane"], table.now() + FOLDER_STAYS)
    table.delete(connection, row["id"])
    events.append(connection, None, row["owner"], "deleted", {"id": row["id"]}, at=table.now())
