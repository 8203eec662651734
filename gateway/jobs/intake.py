"""New jobs: from a specification, from another job, tried out only. Each is stored in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gateway.db import images
from gateway.db import jobs as table
from gateway.db.database import Database
from gateway.errors import FieldError, InvalidRequest
from gateway.jobs.acceptance import Acceptance, Accepted
from gateway.jobs.bell import Bell
from gateway.jobs.idempotency import Key, read_key, request_digest
from gateway.jobs.merge_patch import difference, merge
from gateway.jobs.rows import new_row, owned, read_job, write_dependencies
from gateway.jobs.views import Row
from gateway.model.job import Change, Job
from gateway.model.specification import JobSpecification
from gateway.model.states import State


class Intake:
    """Stores new jobs.

    Parameters
    ----------
    bell
        Rung after each new job that may run.
    """

    def __init__(self, database: Database, acceptance: Acceptance, bell: Bell) -> None:
        self.database = database
        self.acceptance = acceptance
        self.bell = bell

    async def submit(self, body: Any, owner: str, key: str | None = None, *, draft: bool = False) -> Job:
        """Store a job, or find the one that the same key gave before.

        Parameters
        ----------
        draft
            Store it without letting it run.

        Raises
        ------
        InvalidRequest
            The specification cannot be carried out, or the key belongs to another body.
        """
        named = read_key(owner, key, request_digest(body, draft))
        return await self._once(named, owner, lambda: self._store(body, owner, named, draft=draft))

    async def rerun(
        self, job_id: str, owner: str, patch: Any = None, key: str | None = None, *, draft: bool = False
    ) -> Job:
        """Ask again for what a job was asked for, with changes; the answer names what differs.

        Parameters
        ----------
        patch
            A JSON merge patch over the request of the job; None for none.

        Raises
        ------
        NotFound
        InvalidRequest
            What results cannot be carried out.
        """
        patch = {} if patch is None else patch
        named = read_key(owner, key, request_digest(patch, draft, "rerun", job_id))
        if not isinstance(patch, dict):
            raise InvalidRequest([FieldError("#", "must be a JSON object: what to change in the specification")])
        before = await self.database.read(lambda c: owned(c, job_id, owner))
        body = merge(request_of(before), patch)
        job = await self._once(named, owner, lambda: self._store(body, owner, named, draft=draft, rerun_of=job_id))
        return job.model_copy(update={"changes": changes_between(before["spec"], job.spec)})

    async def clone(self, job_id: str, owner: str, key: str | None = None) -> Job:
        """Store a draft that asks for what a job was asked for; raises `NotFound`, `InvalidRequest`."""
        named = read_key(owner, key, request_digest(None, True, "clone", job_id))
        before = await self.database.read(lambda c: owned(c, job_id, owner))
        body = request_of(before)
        return await self._once(named, owner, lambda: self._store(body, owner, named, draft=True))

    async def _once(self, key: Key | None, owner: str, store: Callable[[], Any]) -> Job:
        """Store a job unless the key has one already."""
        job_id = await self.database.read(key.job_id) if key is not None else None
        if job_id is None:
            try:
                job_id = await store()
            except IntegrityError:
                job_id = await self.database.read(key.job_id) if key is not None else None
                if job_id is None:
                    raise
        return await self.database.read(lambda c: read_job(c, owned(c, job_id, owner)))

    async def _store(self, body: Any, owner: str, key: Key | None, *, draft: bool, **more: Any) -> str:
        """Check a specification, store its job and return the id: that of another where the key has one by now."""
        acceptance = self.acceptance.for_person(owner)
        accepted = await asyncio.to_thread(acceptance.accept, body)
        row = new_row(accepted, owner, State.DRAFT if draft else State.ACCEPTED, acceptance.settings, **more)

        def store(connection: Connection) -> str | None:
            existing = key.job_id(connection) if key is not None else None
            if existing is None:
                insert_new(connection, row, accepted, key)
            return existing

        existing = await self.database.write(store)
        if existing is None and not draft:
            self.bell.ring(row["lane"])
        return existing or str(row["id"])


def insert_new(connection: Connection, row: dict[str, Any], accepted: Accepted, key: Key | None = None) -> None:
    """Store a new job, its key and what it waits for, in the caller's transaction; raises `InvalidRequest`."""
    text, digest = (key.text, key.digest) if key is not None else (None, None)
    table.insert_job(connection, row, accepted.stores, key=text, body=digest)
    specification = accepted.specification
    images.note_use(connection, specification.image_digests)
    if specification.after_success or specification.after_end:
        write_dependencies(connection, row["id"], row["owner"], specification)


def request_of(row: Row) -> Any:
    """Return what a job was asked for; of one that is older than that column, what is carried out."""
    return row["spec"] if row["request"] is None else row["request"]


def changes_between(before: Any, after: Any) -> list[Change]:
    """Return what differs between two complete specifications, whatever version of the gateway wrote them."""
    return difference(_completed(before), _completed(after))


def _completed(specification: Any) -> Any:
    try:
        return JobSpecification.model_validate(specification).model_dump(mode="json")
    except ValueError:
        return specification
