"""Changes to jobs that are there: by JSON merge patch, and the submission of drafts."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from gateway.db import events
from gateway.db import jobs as table
from gateway.db.database import Database
from gateway.errors import Conflict, FieldError, InvalidRequest
from gateway.jobs.acceptance import Acceptance, Accepted
from gateway.jobs.bell import Bell
from gateway.jobs.intake import request_of
from gateway.jobs.merge_patch import merge
from gateway.jobs.pointers import find_bad_text, invalid_request, pointer
from gateway.jobs.rows import owned, read_job, specified, write_dependencies
from gateway.jobs.views import Row
from gateway.model.job import Job
from gateway.model.labels import JobLabels
from gateway.model.states import State

_TRIES = 3
"""How often a change is made anew because another came in between (without `If-Match`)."""


class Changes:
    """Changes jobs.

    Parameters
    ----------
    bell
        Rung after a draft was submitted.
    """

    def __init__(self, database: Database, acceptance: Acceptance, bell: Bell) -> None:
        self.database = database
        self.acceptance = acceptance
        self.bell = bell

    async def patch(self, job_id: str, owner: str, patch: Any, version: int | None = None, *, by: str) -> Job:
        """Lay a JSON merge patch over a job: over the whole request of a draft, else over name, tags and notes.

        Parameters
        ----------
        by
            Who asks for it.

        Raises
        ------
        NotFound
        PreconditionFailed
            The job's version is not `version`.
        InvalidRequest
            The patch names something that cannot be changed, or what results is not valid.
        """
        if not isinstance(patch, dict):
            raise InvalidRequest([FieldError("#", "must be a JSON object: a merge patch (RFC 7396)")])
        if (place := find_bad_text(patch)) is not None:
            raise InvalidRequest([FieldError(pointer(place), "must be valid Unicode")])
        for _ in range(_TRIES):
            row = await self.database.read(lambda c: owned(c, job_id, owner, version))
            if row["state"] == State.DRAFT:
                changed = await self._change_draft(row, patch, version, by)
            else:
                changed = await self._change_labels(row, patch, version, by)
            if changed:
                return await self._shown(job_id, owner)
        raise Conflict("the job was changed by others again and again: try once more")

    async def submit_draft(self, job_id: str, owner: str, version: int | None = None) -> Job:
        """Let a draft run, as it can be carried out now; raises `Conflict` where it is none, `InvalidRequest`."""
        for _ in range(_TRIES):
            row = await self.database.read(lambda c: owned(c, job_id, owner, version))
            if row["state"] != State.DRAFT:
                raise Conflict(f"only a draft can be submitted, and the job is {row['state']}")
            accepted = await self._accept(request_of(row), owner)

            def accept(connection: Connection, row: Row = row, accepted: Accepted = accepted) -> Row | None:
                now = owned(connection, job_id, owner, version)
                if now["version"] != row["version"]:
                    return None
                self._respecify(connection, now, accepted)
                table.change_state(connection, job_id, State.ACCEPTED)
                return owned(connection, job_id, owner)

            stored = await self.database.write(accept)
            if stored is not None:
                self.bell.ring(stored["lane"])
                return await self._shown(job_id, owner)
        raise Conflict("the draft was changed by others again and again: try once more")

    async def _change_draft(self, row: Row, patch: dict[str, Any], version: int | None, by: str) -> bool:
        """Change a draft; return False where it changed in between."""
        accepted = await self._accept(merge(request_of(row), patch), row["owner"])

        def change(connection: Connection) -> bool:
            now = owned(connection, row["id"], row["owner"], version)
            if now["version"] != row["version"]:
                return False
            if accepted.request != request_of(now):
                self._respecify(connection, now, accepted)
                _changed(connection, now, patch, by)
            return True

        return await self.database.write(change)

    async def _change_labels(self, row: Row, patch: dict[str, Any], version: int | None, by: str) -> bool:
        """Change name, tags and notes."""
        errors = [
            FieldError(pointer([name]), "cannot be changed any more: only name, tags and notes (a rerun can differ)")
            for name in patch
            if name not in JobLabels.model_fields
        ]
        if errors:
            raise InvalidRequest(errors)

        def change(connection: Connection) -> None:
            now = owned(connection, row["id"], row["owner"], version)
            labels = _labels(now, patch)
            if labels != {name: now[name] for name in labels}:
                spec, request = {**now["spec"], **labels}, merge(request_of(now), patch)
                table.set_columns(connection, now["id"], **labels, spec=spec, request=request)
                _changed(connection, now, patch, by)

        await self.database.write(change)
        return True

    async def _accept(self, request: Any, owner: str) -> Accepted:
        return await asyncio.to_thread(self.acceptance.for_person(owner).accept, request)

    def _respecify(self, connection: Connection, row: Row, accepted: Accepted) -> None:
        """Write what follows from a draft's new specification."""
        columns = specified(accepted, row["owner"], self.acceptance.settings)
        table.set_columns(connection, row["id"], **columns)
        table.replace_stores(connection, row["id"], accepted.stores)
        write_dependencies(connection, row["id"], row["owner"], accepted.specification)

    async def _shown(self, job_id: str, owner: str) -> Job:
        return await self.database.read(lambda c: read_job(c, owned(c, job_id, owner)))


def _labels(row: Row, patch: dict[str, Any]) -> dict[str, Any]:
    """Return the new name, tags and notes; raises `InvalidRequest`."""
    merged = merge({name: row[name] for name in JobLabels.model_fields}, patch)
    try:
        return JobLabels.model_validate(merged).model_dump(mode="json")
    except ValidationError as error:
        raise invalid_request(error, merged, fields=JobLabels.model_fields) from None


def _changed(connection: Connection, row: Row, patch: dict[str, Any], by: str) -> None:
    events.append(connection, row["id"], row["owner"], "changed", {"fields": sorted(patch), "by": by}, at=table.now())
