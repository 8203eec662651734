"""What people can ask about jobs. Every request is one transaction that writes an intent; the engine acts on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from gateway.compute.script import library_digest
from gateway.compute.target import Target
from gateway.db import jobs as table
from gateway.db import libraries as table_of_libraries
from gateway.db.database import Database
from gateway.db.job_lists import NEWEST_FIRST, JobFilter, Sort
from gateway.errors import Conflict, NotFound
from gateway.images.choosing import ImageChooser
from gateway.jobs import intents
from gateway.jobs.acceptance import Acceptance
from gateway.jobs.bell import Bell
from gateway.jobs.bulk import Bulk
from gateway.jobs.changes import Changes
from gateway.jobs.input_checks import InputSources
from gateway.jobs.intake import Intake
from gateway.jobs.lists import list_jobs
from gateway.jobs.rehearsal import Rehearsal
from gateway.jobs.rows import owned as owned  # noqa: PLC0414  (it is also found here)
from gateway.jobs.rows import read_job
from gateway.jobs.views import AttemptPage, Row, attempt_of
from gateway.model.job import Job, JobPage
from gateway.settings import Settings
from gateway.storage.stores.base import Store


class JobService:
    """Jobs of people, by their owner.

    Parameters
    ----------
    bell
        Rung after each intent, for the engine.
    lanes
        The targets, and people's own accounts there.

    Attributes
    ----------
    intake, changes, bulk, rehearsal
        New jobs; changes to those that are there; many at once; dry runs.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        targets: Mapping[str, Target],
        stores: Mapping[str, Store],
        bell: Bell | None = None,
        lanes: Mapping[str, Target] | None = None,
    ) -> None:
        self.database = database
        self.bell = bell or Bell()
        self.acceptance = Acceptance(settings, targets, stores)
        self.acceptance.inputs = InputSources(database)
        regions = {name: section.region for name, section in settings.targets.items()}
        self.acceptance.images = ImageChooser(database, regions)
        self.intake = Intake(database, self.acceptance, self.bell)
        self.changes = Changes(database, self.acceptance, self.bell)
        self.bulk = Bulk(database, self.bell)
        self.rehearsal = Rehearsal(database, self.acceptance, targets if lanes is None else lanes)

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
        """Store a job, or find the one that the same key gave before (see `Intake.submit`).

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
        if dry_run:
            return await self.rehearsal.try_out(body, owner)
        return await self.intake.submit(body, owner, idempotency_key, draft=draft)

    # --- Reading

    async def get(self, job_id: str, owner: str) -> Job:
        """Return a job with its specification; raises `NotFound`."""
        return await self.database.read(lambda c: read_job(c, owned(c, job_id, owner)))

    async def list(
        self, wanted: JobFilter, *, sort: Sort = NEWEST_FIRST, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Return a page of jobs without their specifications (see `list_jobs`)."""
        return await list_jobs(self.database, wanted, sort=sort, limit=limit, cursor=cursor)

    async def script(self, job_id: str, owner: str, *, libraries: bool = False) -> str:
        """Return the batch script of the current attempt; raises `Conflict` before there is one.

        With `libraries` it is what the script loads from its target.
        """

        def read(connection: Connection) -> Row | None:
            row = owned(connection, job_id, owner)
            return table.get_attempt(connection, job_id, row["attempt"])

        attempt = await self.database.read(read)
        if attempt is None or attempt["script"] is None:
            raise Conflict("the job has no script yet: it is written when the job is staged")
        text = str(attempt["script"])
        if not libraries:
            return text
        digest = library_digest(text)
        found = await self.database.read(lambda c: table_of_libraries.read(c, digest)) if digest else None
        if found is None:
            raise NotFound("the script has its libraries in itself")
        return found

    async def attempts(self, job_id: str, owner: str) -> AttemptPage:
        """Return all attempts of a job."""

        def read(connection: Connection) -> AttemptPage:
            owned(connection, job_id, owner)
            return AttemptPage(items=[attempt_of(row) for row in table.attempts_of(connection, job_id)])

        return await self.database.read(read)

    # --- Intents

    async def cancel(self, job_id: str, owner: str, version: int | None = None) -> Job:
        """Ask for the end of a job. Asking again changes nothing; raises `Conflict` where it has ended."""
        return await self._carry_out(lambda c, row: intents.cancel(c, row, owner), job_id, owner, version)

    async def abandon(self, job_id: str, owner: str, version: int | None = None) -> Job:
        """Give up a job that nobody can see; raises `Conflict` unless it is ``unknown``."""
        return await self._carry_out(intents.abandon, job_id, owner, version)

    async def delete(self, job_id: str, owner: str, version: int | None = None) -> None:
        """Forget a job; its outputs stay in the stores. Raises `Conflict` unless it has ended or is a draft."""
        await self.database.write(lambda c: intents.delete(c, owned(c, job_id, owner, version)))

    async def _carry_out(
        self, intent: Callable[[Connection, Row], None], job_id: str, owner: str, version: int | None
    ) -> Job:
        """Write an intent, tell the engine, and return the job as it is then."""

        def write(connection: Connection) -> tuple[Job, str]:
            row = owned(connection, job_id, owner, version)
            intent(connection, row)
            return read_job(connection, owned(connection, job_id, owner)), str(row["lane"])

        job, lane = await self.database.write(write)
        self.bell.ring(lane)
        return job
