"""What people can ask about jobs. Every request is one transaction that writes an intent; the engine acts on it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gateway.compute.target import Target
from gateway.db import events
from gateway.db import jobs as table
from gateway.db.database import Database
from gateway.db.jobs import JobFilter
from gateway.errors import Conflict, FieldError, InvalidRequest, NotFound, PreconditionFailed
from gateway.jobs import cursors
from gateway.jobs.acceptance import Acceptance, Accepted
from gateway.jobs.bell import Bell
from gateway.jobs.pointers import find_bad_text, pointer
from gateway.jobs.views import AttemptPage, Row, attempt_of, job_of
from gateway.model.job import Job, JobPage
from gateway.model.states import ENDED, OutputsState, State
from gateway.settings import Settings
from gateway.storage.stores.base import Store

T = TypeVar("T")

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?\Z")
DRY_RUN_ID = str(uuid.UUID(int=0))
"""The id that a job has which was only tried."""


class JobService:
    """Jobs of people, by their owner.

    Parameters
    ----------
    bell
        Rung after each intent, for the engine.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        targets: Mapping[str, Target],
        stores: Mapping[str, Store],
        bell: Bell | None = None,
    ) -> None:
        self.database = database
        self.bell = bell or Bell()
        self.acceptance = Acceptance(settings, targets, stores)

    # --- New jobs

    async def submit(
        self,
        body: Any,
        owner: str,
        idempotency_key: str | None = None,
        *,
        dry_run: bool = False,
        draft: bool = False,
    ) -> Job:
        """Store a job, or find the one that the same key gave before.

        Parameters
        ----------
        dry_run
            Check only: nothing is stored, and the job has the id `DRY_RUN_ID`.
        draft
            Store it without letting it run.

        Raises
        ------
        InvalidRequest
            The specification cannot be carried out, or the key belongs to another body.
        """
        digest = request_digest(body, draft)
        if idempotency_key is not None:
            check_key(idempotency_key)
            if found := await self._find_key(owner, idempotency_key):
                return await self._same_job(found, digest, owner)
        accepted = await asyncio.to_thread(self.acceptance.accept, body)
        values = _new_row(accepted, owner, State.DRAFT if draft or dry_run else State.ACCEPTED)
        if dry_run:
            return _dry_run_job(values, accepted)

        def store(connection: Connection) -> Row | None:
            if idempotency_key is not None:
                found = table.find_key(connection, owner, idempotency_key)
                if found is not None:
                    return found
            table.insert_job(connection, values, accepted.stores, key=idempotency_key, body=digest)
            return None

        try:
            existing = await self.database.write(store)
        except IntegrityError:
            existing = await self._find_key(owner, idempotency_key) if idempotency_key else None
            if existing is None:
                raise
        if existing is not None:
            return await self._same_job(existing, digest, owner)
        self.bell.ring(accepted.target)
        return await self.get(values["id"], owner)

    async def _find_key(self, owner: str, key: str) -> Row | None:
        return await self.database.read(lambda c: table.find_key(c, owner, key))

    async def _same_job(self, found: Row, digest: str, owner: str) -> Job:
        if found["body"] != digest:
            detail = "this Idempotency-Key was used for another request"
            raise InvalidRequest([FieldError("#", detail)], detail)
        return await self.get(found["job_id"], owner)

    # --- Reading

    async def get(self, job_id: str, owner: str) -> Job:
        """Return a job with its specification; raises `NotFound`."""

        def read(connection: Connection) -> Job:
            row = owned(connection, job_id, owner)
            return job_of(row, table.stores_of(connection, [job_id]).get(job_id, []))

        return await self.database.read(read)

    async def list(
        self, wanted: JobFilter, *, descending: bool = True, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Return a page of jobs by creation time, without their specifications."""
        kind = "jobs-" if descending else "jobs+"
        after = None
        if cursor is not None:
            at, last_id = cursors.decode(cursor, kind, int, str)
            after = (cursors.decode_moment(at), str(last_id))

        def read(connection: Connection) -> list[Job]:
            rows = table.page(connection, wanted, limit=limit + 1, descending=descending, after=after)
            stores = table.stores_of(connection, [row["id"] for row in rows])
            return [job_of(row, stores.get(row["id"], [])) for row in rows]

        items = await self.database.read(read)
        following = None
        if len(items) > limit:
            last = items[limit - 1]
            following = cursors.encode(kind, cursors.encode_moment(last.created_at), last.id)
        return JobPage(items=items[:limit], next_cursor=following)

    async def script(self, job_id: str, owner: str) -> str:
        """Return the batch script of the current attempt; raises `Conflict` before there is one."""

        def read(connection: Connection) -> Row | None:
            row = owned(connection, job_id, owner)
            return table.get_attempt(connection, job_id, row["attempt"])

        attempt = await self.database.read(read)
        if attempt is None or attempt["script"] is None:
            raise Conflict("the job has no script yet: it is written when the job is staged")
        return str(attempt["script"])

    async def attempts(self, job_id: str, owner: str) -> AttemptPage:
        """Return all attempts of a job."""

        def read(connection: Connection) -> AttemptPage:
            owned(connection, job_id, owner)
            return AttemptPage(items=[attempt_of(row) for row in table.attempts_of(connection, job_id)])

        return await self.database.read(read)

    # --- Intents

    async def submit_draft(self, job_id: str, owner: str, version: int | None = None) -> Job:
        """Let a draft run; raises `Conflict` where it is none."""
        row = await self.database.read(lambda c: owned(c, job_id, owner))
        if row["state"] == State.DRAFT:
            await asyncio.to_thread(self.acceptance.accept, row["spec"])

        def accept(connection: Connection) -> str:
            now = owned(connection, job_id, owner, version)
            if now["state"] != State.DRAFT:
                raise Conflict(f"only a draft can be submitted, and the job is {now['state']}")
            table.change_state(connection, job_id, State.ACCEPTED)
            return str(now["lane"])

        return await self._carry_out(accept, job_id, owner)

    async def cancel(self, job_id: str, owner: str, version: int | None = None) -> Job:
        """Ask for the end of a job. Asking again changes nothing; raises `Conflict` where it has ended."""

        def cancel(connection: Connection) -> str:
            row = owned(connection, job_id, owner, version)
            state = State(row["state"])
            if state in ENDED:
                raise Conflict(f"the job has ended already: {state}")
            if row["cancel_requested_at"] is None:
                at = table.now()
                table.set_columns(connection, job_id, cancel_requested_at=at)
                events.append(connection, job_id, owner, "cancel_requested", {"by": owner}, at=at)
            untouched = state is State.ACCEPTED and table.get_attempt(connection, job_id, row["attempt"]) is None
            if state is State.DRAFT or untouched:
                table.change_state(connection, job_id, State.CANCELLED, reason="cancelled_by_user")
            return str(row["lane"])

        return await self._carry_out(cancel, job_id, owner)

    async def abandon(self, job_id: str, owner: str, version: int | None = None) -> Job:
        """Give up a job that nobody can see; raises `Conflict` unless it is ``unknown``."""

        def abandon(connection: Connection) -> str:
            row = owned(connection, job_id, owner, version)
            if row["state"] != State.UNKNOWN:
                raise Conflict(f"only a job that is unknown can be abandoned, and this one is {row['state']}")
            message = "given up by a person while its state could not be seen"
            table.change_state(connection, job_id, State.LOST, reason="abandoned", message=message)
            return str(row["lane"])

        return await self._carry_out(abandon, job_id, owner)

    async def delete(self, job_id: str, owner: str, version: int | None = None) -> None:
        """Forget a job; its outputs stay in the stores. Raises `Conflict` unless it has ended or is a draft."""

        def forget(connection: Connection) -> None:
            row = owned(connection, job_id, owner, version)
            state = State(row["state"])
            if state not in ENDED | {State.DRAFT}:
                raise Conflict(f"only a job that has ended can be deleted, and this one is {state}: cancel it first")
            table.delete(connection, job_id)

        await self.database.write(forget)

    async def _carry_out(self, intent: Callable[[Connection], str], job_id: str, owner: str) -> Job:
        self.bell.ring(await self.database.write(intent))
        return await self.get(job_id, owner)


def owned(connection: Connection, job_id: str, owner: str, version: int | None = None) -> Row:
    """Return a job's row.

    Raises
    ------
    NotFound
        There is none of that id, or it is somebody else's.
    PreconditionFailed
        Its version is not `version`.
    """
    row = table.get(connection, job_id) if _ID.match(job_id) else None
    if row is None or row["owner"] != owner:
        raise NotFound(f"there is no job {job_id[:64]!a}")
    if version is not None and row["version"] != version:
        raise PreconditionFailed(f"the job has version {row['version']} now, not {version}")
    return row


def check_key(key: str) -> None:
    """Raise `InvalidRequest` unless `key` can be an idempotency key."""
    if not _KEY.match(key):
        detail = "Idempotency-Key must be 1 to 255 printable ASCII characters"
        raise InvalidRequest([FieldError("#", detail)], detail)


def request_digest(body: Any, draft: bool) -> str:
    """Return the SHA-256 of a request: the same for bodies that differ in spacing and order of keys only."""
    if (place := find_bad_text(body)) is not None:
        raise InvalidRequest([FieldError(pointer(place), "must be valid Unicode")])
    text = json.dumps([body, draft], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _new_row(accepted: Accepted, owner: str, state: State) -> dict[str, Any]:
    specification = accepted.specification
    return {
        "id": str(uuid.uuid4()),
        "name": specification.name,
        "state": str(state),
        "owner": owner,
        "tags": dict(specification.tags),
        "target": accepted.target,
        "stores": [item.store for item in accepted.stores],
        "spec": specification.model_dump(mode="json"),
    }


def _dry_run_job(values: Mapping[str, Any], accepted: Accepted) -> Job:
    row = dict.fromkeys(Job.model_fields) | {"version": 1, "attempt": 1, "created_at": table.now()}
    stores = [{"store": item.store, "state": OutputsState.NONE, "count": 0, "bytes": 0} for item in accepted.stores]
    return job_of(row | dict(values) | {"id": DRY_RUN_ID}, stores)
