"""A job as an RO-Crate: its metadata, and a zip file with its outputs and records."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from gateway.compute.target import Target
from gateway.crates.graph import CrateFile, RunFacts, crate_json
from gateway.crates.reading import MAX_RUN, parse_run
from gateway.crates.record import RecordFile, Told, run_files
from gateway.db import jobs as table
from gateway.db.database import Database
from gateway.errors import Conflict, CrateError, StoreError
from gateway.jobs.archives import Archive, ArchivedFile, Wanted
from gateway.jobs.outputs import chosen_store, stores_of_job
from gateway.jobs.rows import owned
from gateway.jobs.run_facts import Ended, KeptCase, facts_of, kept_case, machine_of
from gateway.jobs.views import Row
from gateway.model.crate import METADATA_FILE, RECORD_FOLDER, RUN_FILE, RunRecord
from gateway.model.specification import JobSpecification
from gateway.model.states import ENDED, State
from gateway.storage.archive_names import folder_name, root_name
from gateway.storage.stores.base import Place, Store, StoredObject

MAX_RECORDS = 2000
"""Files of a record that are put into a crate."""
_LEFT_OUT = frozenset({f"{RECORD_FOLDER}/{METADATA_FILE}"})


class CrateService:
    """Crates of jobs that have ended, by the jobs' owner."""

    def __init__(self, database: Database, stores: Mapping[str, Store], targets: Mapping[str, Target]) -> None:
        self.database = database
        self.stores = stores
        self.targets = targets

    async def metadata(self, job_id: str, owner: str, store: str | None = None) -> bytes:
        """Return the crate's metadata file.

        Raises
        ------
        NotFound
        Conflict
            The job has not ended.
        """
        _, facts, made = await self._facts(job_id, owner, store)
        return await asyncio.to_thread(crate_json, replace(facts, records=[*facts.records, *_told(made)]))

    async def archive(self, job_id: str, owner: str, store: str | None = None) -> Archive:
        """Return the crate as a zip file: metadata and records first, then the outputs; raises as `metadata`."""
        (row, chosen), facts, made = await self._facts(job_id, owner, store)
        whole = replace(facts, records=[*facts.records, *_told(made)])
        taken = {METADATA_FILE, *(file.path for file in made)}
        text = await asyncio.to_thread(crate_json, whole, lambda path: root_name(path, taken))
        return Archive(
            name=f"{folder_name(row['name'], job_id)}.crate.zip",
            media_type="application/zip",
            folder="",
            wanted=Wanted(store=chosen["store"]),
            database=self.database,
            job_id=job_id,
            store=self.stores[chosen["store"]],
            place=_place(row, chosen),
            made=((METADATA_FILE, text), *((file.path, file.content) for file in made)),
            records=tuple(ArchivedFile(file.path, file.size, file.modified_at, final=True) for file in facts.records),
        )

    async def _facts(
        self, job_id: str, owner: str, store: str | None
    ) -> tuple[tuple[Row, Row], RunFacts, list[RecordFile]]:
        """Return the job with its store, what is known of the run, and those of its records that no store has."""

        def read(connection: Connection) -> tuple[Row, Row, Row | None, KeptCase | None]:
            row = owned(connection, job_id, owner)
            chosen = chosen_store(stores_of_job(connection, job_id), store)
            attempt = table.get_attempt(connection, job_id, row["attempt"])
            return row, chosen, attempt, kept_case(connection, row["case"], row["case_version"])

        row, chosen, attempt, case = await self.database.read(read)
        if State(row["state"]) not in ENDED:
            raise Conflict(f"the job has not ended, so it has no crate yet: it is {row['state']}")
        if chosen["store"] not in self.stores:
            raise StoreError(f"store {chosen['store']} is not configured any more")
        final = (attempt["final"] or {}).get("record") if attempt is not None else None
        ended = Ended(State(row["state"]), row["message"], final or {})
        records = await self._records(row, chosen)
        run, made = await self._run(row, chosen, ended, records)
        machine = machine_of(row["target"], self.targets.get(row["lane"]), ended.host)
        facts = await self.database.read(lambda c: facts_of(c, row, chosen["store"], run, ended, case, machine))
        return (row, chosen), replace(facts, records=[_stored(item) for item in records]), made

    async def _records(self, row: Row, chosen: Row) -> list[StoredObject]:
        """Return the files below ``.gateway/`` in the store, by name."""
        found = []
        async for item in self.stores[chosen["store"]].list(_place(row, chosen), f"{RECORD_FOLDER}/"):
            if item.path.startswith(f"{RECORD_FOLDER}/") and item.path not in _LEFT_OUT:
                found.append(item)
            if len(found) >= MAX_RECORDS:
                break
        return sorted(found, key=lambda item: item.path)

    async def _run(
        self, row: Row, chosen: Row, ended: Ended, records: list[StoredObject]
    ) -> tuple[RunRecord, list[RecordFile]]:
        """Return what was run: as it was written at the job's end, else as the database knows it."""
        size = next((item.size for item in records if item.path == RUN_FILE), None)
        if size is not None and size <= MAX_RUN:
            store = self.stores[chosen["store"]]
            data = b"".join([piece async for piece in store.read(_place(row, chosen), RUN_FILE)])
            with contextlib.suppress(CrateError):
                known = parse_run(data)
                if known.job == row["id"]:
                    return known, []
        there = {item.path for item in records}
        told = Told(row, JobSpecification.model_validate(row["spec"]), {}, ended.image_digest)
        run, files = await asyncio.to_thread(run_files, told)
        records[:] = [item for item in records if item.path != RUN_FILE]
        return run, [file for file in files if file.path == RUN_FILE or file.path not in there]


def _place(row: Row, chosen: Row) -> Place:
    return Place(row["id"], row["owner"], row["case"], chosen["path"])


def _stored(item: StoredObject) -> CrateFile:
    return CrateFile(item.path, item.size, item.content_type, None, item.modified_at)


def _told(files: list[RecordFile]) -> list[CrateFile]:
    return [CrateFile(file.path, len(file.content), file.content_type, file.digest) for file in files]
