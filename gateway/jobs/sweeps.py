"""Sweeps: many jobs from one request, checked before anything is stored, and all stored at once."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gateway.db import images
from gateway.db import sweeps as table
from gateway.db.database import Database
from gateway.errors import Conflict, FieldError, InvalidRequest, NotFound, PreconditionFailed
from gateway.jobs import cursors, intents
from gateway.jobs.acceptance import Acceptance, Accepted
from gateway.jobs.bell import Bell
from gateway.jobs.idempotency import Key, read_key, request_digest
from gateway.jobs.pointers import MAX_ERRORS, find_bad_text, invalid_request, pointer
from gateway.jobs.rows import new_row, write_dependencies
from gateway.jobs.sweep_points import (
    NoPlace,
    Point,
    mistakes_at,
    parameters_of,
    partly_failed,
    points_of,
    specification_at,
    state_of_sweep,
    target_of,
)
from gateway.jobs.views import API, Row
from gateway.model.states import ENDED, State
from gateway.model.sweep import Sweep, SweepLinks, SweepPage, SweepRequest

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
MAX_NAME = 190
"""Characters of a sweep's name in the names of its jobs, which have a number behind it."""


@dataclass(frozen=True)
class _Checked:
    """A sweep that can be carried out: each point's values, and what was accepted."""

    request: SweepRequest
    values: Sequence[Mapping[str, Any]]
    accepted: Sequence[Accepted]


class SweepService:
    """Sweeps of people, by their owner.

    Parameters
    ----------
    bell
        Rung after each intent, for the engine.
    """

    def __init__(self, database: Database, acceptance: Acceptance, bell: Bell) -> None:
        self.database = database
        self.acceptance = acceptance
        self.bell = bell

    # --- New sweeps

    async def create(self, body: Any, owner: str, key: str | None = None) -> Sweep:
        """Store a sweep and its jobs, or find the one that the same key gave before.

        Raises
        ------
        InvalidRequest
            A point cannot be carried out: names where in the grid or table. Nothing is stored.
        """
        named = read_key(owner, key, request_digest(body, False, "sweep"))
        return await self._once(body, owner, named)

    async def rerun(self, sweep_id: str, owner: str, *, failed: bool = False, key: str | None = None) -> Sweep:
        """Ask again for a sweep; with `failed` only for its jobs that ended without success.

        Raises
        ------
        NotFound
        Conflict
            No job of it failed.
        InvalidRequest
            It cannot be carried out any more.
        """
        named = read_key(owner, key, request_digest(failed, False, "rerun sweep", sweep_id))

        def read(connection: Connection) -> tuple[Row, list[Row]]:
            row = _owned(connection, sweep_id, owner)
            return row, list(table.children(connection, sweep_id))

        row, children = await self.database.read(read)
        ids = {child["sweep_index"]: child["id"] for child in children}
        wanted: Sequence[int] = range(len(row["points"]))
        if failed:
            ended_badly = ENDED - {State.SUCCEEDED}
            wanted = [child["sweep_index"] for child in children if State(child["state"]) in ended_badly]
            if not wanted:
                raise Conflict("no job of the sweep failed, was lost or was cancelled")
        body = {
            "name": row["name"],
            "job": row["spec"],
            "table": [row["points"][index] for index in wanted],
            "limit": row["limit"],
        }
        return await self._once(body, owner, named, rerun_of=sweep_id, before=[ids.get(index) for index in wanted])

    async def _once(
        self, body: Any, owner: str, key: Key | None, *, rerun_of: str | None = None, before: Sequence[str | None] = ()
    ) -> Sweep:
        sweep_id = await self.database.read(lambda c: _known(c, key))
        if sweep_id is None:
            checked = await asyncio.to_thread(self._check, body, owner)
            sweep, children = self._rows(checked, owner, rerun_of, before)

            def store(connection: Connection) -> str:
                existing = _known(connection, key)
                if existing is None:
                    _store(connection, sweep, children, checked, key)
                return existing or str(sweep["id"])

            try:
                sweep_id = await self.database.write(store)
            except IntegrityError:  # another process was given the same key at the same time
                sweep_id = await self.database.read(lambda c: _known(c, key))
                if sweep_id is None:
                    raise
            for lane in {row["lane"] for row in children}:
                self.bell.ring(lane)
        return await self.get(sweep_id, owner)

    def _check(self, body: Any, owner: str) -> _Checked:
        """Check every point. Blocking; stops when there are more mistakes than an answer holds."""
        request = read_request(body)
        points = points_of(request)
        acceptance = self.acceptance.for_person(owner)
        errors: dict[FieldError, None] = {}
        accepted = []
        for index, point in enumerate(points):
            try:
                _check_keys(request, point)
                wanted = specification_at(request.job, point.values)
                accepted.append(acceptance.accept(_named(wanted, request, point, index)))
            except NoPlace as error:
                key, detail = error.args
                errors[FieldError(pointer(point.places[key]), detail)] = None
            except InvalidRequest as error:
                errors |= dict.fromkeys(mistakes_at(point, error.errors))
            if len(errors) >= MAX_ERRORS:
                break
        if errors:
            raise InvalidRequest(list(errors)[:MAX_ERRORS])
        return _Checked(request, [point.values for point in points], accepted)

    def _rows(
        self, checked: _Checked, owner: str, rerun_of: str | None, before: Sequence[str | None]
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the row of the sweep and those of its jobs."""
        request, first = checked.request, checked.accepted[0]
        sweep = {
            "id": str(uuid.uuid4()),
            "name": _name(request),
            "owner": owner,
            "target": first.target,
            "case": first.specification.case,
            "spec": _pinned(checked),
            "points": [dict(values) for values in checked.values],
            "count": len(checked.accepted),
            "limit": request.limit,
            "created_at": datetime.now(UTC),
            "rerun_of": rerun_of,
        }
        rows = []
        for index, accepted in enumerate(checked.accepted):
            again = before[index] if before else None
            more = {"sweep": sweep["id"], "sweep_index": index, "rerun_of": again}
            row = new_row(accepted, owner, State.ACCEPTED, self.acceptance.settings, **more)
            row["values"] = row["values"] or dict(checked.values[index])
            rows.append(row)
        return sweep, rows

    # --- Reading

    async def get(self, sweep_id: str, owner: str) -> Sweep:
        """Return a sweep; raises `NotFound`."""

        def read(connection: Connection) -> Sweep:
            row = _owned(connection, sweep_id, owner)
            return _shown(row, table.counts(connection, [sweep_id]).get(sweep_id, {}), parameters_of(row["points"]))

        return await self.database.read(read)

    async def list(self, owner: str, *, limit: int, cursor: str | None = None) -> SweepPage:
        """Return a page of sweeps, newest first."""
        after = None
        if cursor is not None:
            at, last = cursors.decode(cursor, "sweeps", int, str)
            after = (cursors.decode_moment(at), str(last))

        def read(connection: Connection) -> tuple[list[Sweep], Row | None]:
            rows = table.page(connection, owner, limit=limit + 1, after=after)
            counts = table.counts(connection, [row["id"] for row in rows[:limit]])
            shown = [_shown(row, counts.get(row["id"], {}), list(row["first_point"] or ())) for row in rows[:limit]]
            return shown, rows[limit - 1] if len(rows) > limit else None

        items, last_row = await self.database.read(read)
        following = None
        if last_row is not None:
            following = cursors.encode("sweeps", cursors.encode_moment(last_row["created_at"]), last_row["id"])
        return SweepPage(items=items, next_cursor=following)

    # --- Intents

    async def cancel(self, sweep_id: str, owner: str, version: int | None = None, *, by: str | None = None) -> Sweep:
        """Ask for the end of all jobs of a sweep, in one transaction; `by` is who asks."""

        def write(connection: Connection) -> set[str]:
            row = _owned(connection, sweep_id, owner, version)
            at = datetime.now(UTC)
            if row["cancel_requested_at"] is None:
                table.set_columns(connection, sweep_id, cancel_requested_at=at)
            return table.cancel(connection, sweep_id, by or owner, at)

        for lane in await self.database.write(write):
            self.bell.ring(lane)
        return await self.get(sweep_id, owner)

    async def delete(self, sweep_id: str, owner: str, version: int | None = None) -> None:
        """Forget a sweep and its jobs; their outputs stay. Raises `Conflict` while a job has not ended."""

        def write(connection: Connection) -> None:
            _owned(connection, sweep_id, owner, version)
            if count := table.not_ended(connection, sweep_id):
                raise Conflict(f"{count} jobs of the sweep have not ended: cancel it first")
            for child in table.children(connection, sweep_id):
                intents.delete(connection, child)
            table.remove(connection, sweep_id)

        await self.database.write(write)


def read_request(body: Any) -> SweepRequest:
    """Type the body of ``POST /sweeps``; raises `InvalidRequest`."""
    if not isinstance(body, dict):
        raise InvalidRequest([FieldError("#", "must be a JSON object: job, and grid or table")])
    if (place := find_bad_text(body)) is not None:
        raise InvalidRequest([FieldError(pointer(place), "must be valid Unicode")])
    try:
        return SweepRequest.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error, body, fields=SweepRequest.model_fields) from None


def _check_keys(request: SweepRequest, point: Point) -> None:
    """Raise `NoPlace` where a key names a parameter although there is no case."""
    if request.job.get("case") is not None or "/case" in point.values:
        return
    for key in point.values:
        if not key.startswith("/"):
            detail = "the job has no case whose parameter this could be; '/env/NAME' is a place in its specification"
            raise NoPlace(key, detail)


def _named(wanted: dict[str, Any], request: SweepRequest, point: Point, index: int) -> dict[str, Any]:
    """Give a job of the sweep a name of its own, unless a point does."""
    given = wanted.get("name", "")
    if any(target_of(key) == ("name",) for key in point.values) or not isinstance(given, str) or len(given) > 200:
        return wanted
    return {**wanted, "name": f"{_name(request)[:MAX_NAME].rstrip()} #{index}"}


def _name(request: SweepRequest) -> str:
    named = request.job.get("name")
    return request.name or (named[:200] if isinstance(named, str) and named else None) or "sweep"


def _pinned(checked: _Checked) -> dict[str, Any]:
    """Return the job of a sweep with what its case and images stood for: it gives the same when it is asked again."""
    first, job = checked.accepted[0], dict(checked.request.job)
    varied = {key.split("/")[1] for values in checked.values for key in values if key.startswith("/")}
    if job.get("case") is None:
        return {**job, **{key: first.request[key] for key in {"image", "tools"} & job.keys() - varied}}
    return {**job, "case_version": first.case_version} if "case" not in varied and first.case_version else job


def _store(
    connection: Connection,
    sweep: dict[str, Any],
    children: Sequence[dict[str, Any]],
    checked: _Checked,
    key: Key | None,
) -> None:
    stores = [accepted.stores for accepted in checked.accepted]
    table.add(connection, sweep, list(zip(children, stores, strict=True)))
    images.note_use(connection, {digest for item in checked.accepted for digest in item.specification.image_digests})
    for row, accepted in zip(children, checked.accepted, strict=True):
        specification = accepted.specification
        if specification.after_success or specification.after_end:
            write_dependencies(connection, row["id"], row["owner"], specification)
    if key is not None:
        at = sweep["created_at"]
        table.remember_key(connection, key.owner, key.text, key.digest, children[0]["id"], at)


def _known(connection: Connection, key: Key | None) -> str | None:
    """Return the sweep that the same request made before."""
    job_id = key.job_id(connection) if key is not None else None
    return table.sweep_of(connection, job_id) if job_id is not None else None


def _owned(connection: Connection, sweep_id: str, owner: str, version: int | None = None) -> Row:
    row = table.get(connection, sweep_id) if _ID.match(sweep_id) else None
    if row is None or row["owner"] != owner:
        raise NotFound(f"there is no sweep {sweep_id[:64]!a}")
    if version is not None and row["version"] != version:
        raise PreconditionFailed(f"the sweep has version {row['version']} now, not {version}")
    return row


def owned_sweep(connection: Connection, sweep_id: str, owner: str) -> Row:
    """Return a sweep's row; raises `NotFound`."""
    return _owned(connection, sweep_id, owner)


def _shown(row: Row, counts: Mapping[str, int], parameters: list[str]) -> Sweep:
    base = f"{API}/sweeps/{row['id']}"
    plain = {name: row[name] for name in Sweep.model_fields if name in row}
    return Sweep(
        **plain,
        state=state_of_sweep(counts),
        counts=dict(counts),
        partly_failed=partly_failed(counts),
        parameters=parameters,
        links=SweepLinks(self=base, jobs=f"{API}/jobs?sweep={row['id']}", table=f"{base}/table"),
    )
