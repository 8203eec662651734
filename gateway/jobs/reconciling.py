"""Reading a store and putting the catalogue right: what is there, what has gone, and whose folders are nobody's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from sqlalchemy import Connection

from gateway.db import jobs, reconciling
from gateway.db.database import Database
from gateway.errors import GatewayError, NotFound, StoreError
from gateway.jobs.adoption import Adoption, read_claim_at
from gateway.jobs.comparing import Comparison
from gateway.jobs.repairing import Repairs
from gateway.jobs.signing_keys import SigningKeyRing
from gateway.jobs.views import Row
from gateway.model.states import ENDED, State
from gateway.model.verification import Repair
from gateway.storage.names import clean_path
from gateway.storage.spool import Spool
from gateway.storage.stores.base import Place, Store, StoredObject

log = logging.getLogger(__name__)

TELL_EVERY = 1.0
"""Seconds between two lines of progress."""
BATCH = 1000
ROWS_AT_ONCE = 20_000
"""Rows that are compared in one view of the database."""


@dataclass(frozen=True)
class Known:
    """A job's place in the store that is read, as it was before the store was."""

    job: Row
    place: Place
    folder: str
    alone: bool = True

    @property
    def left_alone(self) -> str | None:
        """Why it is not touched, or None."""
        if State(self.job["state"]) not in ENDED:
            return f"the job is {self.job['state']}"
        if self.job["s_rescue_at"] is not None:
            return "the gateway still brings what is missing"
        if not self.alone:
            return "its folder is shared with, or within, that of another job"
        return None


@dataclass
class Sums:
    """What was done in all."""

    objects: int = 0
    jobs: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    left_alone: int = 0
    refused: int = 0

    def add(self, line: Repair) -> None:
        """Count a line of what was repaired, or would be."""
        if line.kind not in ("job", "adopted"):
            return
        self.added += line.added
        self.removed += line.removed
        self.changed += line.changed


@dataclass
class _Listing:
    """A store's listing on its way to the spool."""

    spool: Spool
    known: dict[str, Known]
    sums: Sums
    deep: bool = False
    waiting: list[tuple[str, str, StoredObject]] = field(default_factory=list)

    def add(self, found: StoredObject) -> None:
        """Put an object where it belongs."""
        try:
            clean_path(found.path)
        except StoreError:
            self.sums.refused += 1
            return
        folder, path = self._split(found.path)
        if path:
            self.sums.objects += 1
            self.waiting.append((folder, path, found))

    def _split(self, path: str) -> tuple[str, str]:
        top, _, rest = path.partition("/")
        if not self.deep or top in self.known:
            return top, rest
        at = len(path)
        while (at := path.rfind("/", 0, at)) > 0:
            if path[:at] in self.known:
                return path[:at], path[at + 1 :]
        return top, rest

    def flush(self) -> None:
        """Write what waits."""
        self.spool.add(self.waiting)
        self.waiting.clear()


class Reconciler:
    """Reconciles stores with the catalogue, for administrators."""

    def __init__(self, database: Database, stores: Mapping[str, Store], keys: SigningKeyRing, owner: str) -> None:
        self.database = database
        self.stores = stores
        self.keys = keys
        self.owner = owner

    async def run(
        self, store: str, *, admin: str, job_id: str | None = None, dry_run: bool = False
    ) -> AsyncGenerator[Repair, None]:
        """Read a store, or one job's place in it, and tell line by line what differs; repair it unless `dry_run`.

        Whoever stops to listen ends it: what was told as done stays.

        Raises
        ------
        NotFound
            There is no such store.
        StoreError
            It cannot be listed. Nothing was changed then.
        """
        if store not in self.stores:
            raise NotFound(f"there is no store {store[:64]!a}")
        backend, sums, began = self.stores[store], Sums(), jobs.now()
        keys = await self.keys.known()
        known = await self._known(backend, job_id)
        with Spool() as spool:
            listing = _Listing(spool, known, sums, deep=any("/" in folder for folder in known))
            async with aclosing(self._list(backend, listing, job_id, admin)) as lines:
                async for line in lines:
                    yield line
            repairs = Repairs(self.database, backend, spool, began, dry_run=dry_run)
            async with aclosing(self._compare(repairs, known, sums, keys, told_each=job_id is not None)) as lines:
                async for line in lines:
                    sums.add(line)
                    yield line
            adoption = Adoption(self.database, repairs, keys, admin=admin, people=self.owner)
            for folder, count in spool.folders():
                if folder not in known:
                    line = await adoption.take(folder, count)
                    sums.add(line)
                    yield line
        notes = [f"places that were left alone: {sums.left_alone}"] if sums.left_alone else []
        notes += [f"names that no output can have: {sums.refused}"] if sums.refused else []
        told = {name: getattr(sums, name) for name in ("objects", "jobs", "added", "removed", "changed")}
        yield Repair(kind="done", store=store, done=not dry_run, detail="; ".join(notes) or None, **told)

    async def _known(self, backend: Store, job_id: str | None) -> dict[str, Known]:
        """Return the places of jobs in a store by their folder in it."""
        found: dict[str, Known] = {}
        after = ""
        while True:
            rows = await self.database.read(
                lambda c, after=after: reconciling.places(c, backend.name, after, job_id)  # type: ignore[misc]
            )
            for row in rows:
                place = Place(row["id"], row["owner"], row["case"], row["s_path"])
                folder = backend.key(place)
                found[folder] = Known(row, place, folder, alone=folder not in found)
            if len(rows) < reconciling.PAGE:
                break
            after = rows[-1]["id"]
        if any("/" in folder for folder in found):
            inner = {folder for folder in found for above in _above(folder) if above in found}
            outer = {above for folder in found for above in _above(folder) if above in found}
            for folder in inner | outer:
                found[folder] = Known(found[folder].job, found[folder].place, folder, alone=False)
        return found

    async def _list(
        self, backend: Store, listing: _Listing, job_id: str | None, admin: str
    ) -> AsyncGenerator[Repair, None]:
        told = time.monotonic()
        async for found in _objects(backend, listing.known, job_id, admin):
            listing.add(found)
            if len(listing.waiting) >= BATCH:
                listing.flush()
                if time.monotonic() - told >= TELL_EVERY:
                    told = time.monotonic()
                    yield Repair(kind="progress", store=backend.name, objects=listing.sums.objects)
        listing.flush()
        await asyncio.to_thread(listing.spool.arrange)
        yield Repair(kind="progress", store=backend.name, objects=listing.sums.objects)

    async def _compare(
        self, repairs: Repairs, known: Mapping[str, Known], sums: Sums, keys: list[str], *, told_each: bool
    ) -> AsyncGenerator[Repair, None]:
        """Compare job by job, some in one view; tell and repair what differs."""
        listed, told = dict(repairs.spool.folders()), time.monotonic()
        batch: list[Known] = []
        rows = 0
        for at, item in enumerate(known.values(), 1):
            here = listed.get(item.folder, 0)
            if not here and not item.job["s_count"]:
                continue
            if item.left_alone is not None:
                sums.left_alone += 1
                if told_each:
                    yield self._skipped(repairs, item)
                continue
            batch.append(item)
            rows += here + item.job["s_count"]
            sums.jobs += 1
            if rows >= ROWS_AT_ONCE:
                async for line in self._settle(repairs, batch, keys):
                    yield line
                batch, rows = [], 0
            if time.monotonic() - told >= TELL_EVERY:
                told = time.monotonic()
                yield Repair(kind="progress", store=repairs.store.name, objects=sums.objects, jobs=at)
        async for line in self._settle(repairs, batch, keys):
            yield line

    async def _settle(self, repairs: Repairs, batch: list[Known], keys: list[str]) -> AsyncGenerator[Repair, None]:
        name, spool = repairs.store.name, repairs.spool

        def read(connection: Connection) -> list[Known]:
            return [item for item in batch if _differs(connection, spool, item, name)]

        for item in await self.database.read(read):
            try:
                wrong = await self._look_again(repairs, item)
                if wrong is None:
                    continue
                claim, _ = await read_claim_at(repairs.store, item.place, keys)
                yield await repairs.carry_out(item.job, item.folder, claim, totals=wrong)
            except GatewayError as error:
                log.warning("reconciling store %s, job %s: %s", name, item.job["id"], error)
                yield self._skipped(repairs, item, str(error))

    async def _look_again(self, repairs: Repairs, item: Known) -> bool | None:
        """List the place once more: only what still differs counts. Say whether totals are wrong; None: all is well."""
        spool, name = repairs.spool, repairs.store.name
        spool.forget(item.folder)
        async with aclosing(repairs.store.list(item.place)) as objects:  # type: ignore[type-var]
            batch: list[tuple[str, str, StoredObject]] = []
            async for found in objects:
                batch.append((item.folder, found.path, found))
                if len(batch) >= BATCH:
                    spool.add(batch)
                    batch = []
            spool.add(batch)
        return await self.database.read(
            lambda c: _verdict(spool, item, Comparison(spool, item.folder).run(c, item.job["id"], name))
        )

    @staticmethod
    def _skipped(repairs: Repairs, item: Known, why: str | None = None) -> Repair:
        detail = why or item.left_alone
        return Repair(
            kind="skipped", store=repairs.store.name, job_id=item.job["id"], folder=item.folder, detail=detail
        )


async def _objects(
    backend: Store, known: Mapping[str, Known], job_id: str | None, admin: str
) -> AsyncIterator[StoredObject]:
    """Yield the objects of a store, or those of one job's place, by names that begin with the place."""
    if job_id is None:
        async for found in backend.everything():
            yield found
        return
    place = next((item.place for item in known.values()), Place(job_id, admin))
    folder = backend.key(place)
    async for found in backend.list(place):
        yield StoredObject(f"{folder}/{found.path}", found.size, found.modified_at, found.content_type)


def _above(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _differs(connection: Connection, spool: Spool, item: Known, store: str) -> bool:
    wrong = Comparison(spool, item.folder).run(connection, item.job["id"], store)
    return _verdict(spool, item, wrong) is not None


def _verdict(spool: Spool, item: Known, wrong: bool) -> bool | None:
    return wrong if wrong or spool.differ(item.folder) else None
