"""Writes the record of a run beside its outputs: what was asked for, what ran, what came of it, and its crate."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway.compute.target import Target
from gateway.crates.graph import CrateFile, RunFacts, crate_json
from gateway.crates.record import JSON, RecordFile, Told, hiding_of, plain_records, run_files
from gateway.db import jobs
from gateway.db.database import Database
from gateway.engine.kept_inputs import KeptInputs
from gateway.engine.plan import JobPlan, StorePlan
from gateway.engine.verdict import Ending
from gateway.errors import GatewayError
from gateway.jobs.run_facts import Ended, KeptCase, facts_of, kept_case, machine_of
from gateway.jobs.views import Row
from gateway.model.crate import METADATA_FILE, RECORD_FOLDER, RunRecord
from gateway.storage.stores.base import Store

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Files that are written to a store at the same time."""
MAX_CASE = 4 * 1024 * 1024
"""Bytes of a case's packed folder that is kept beside each run; a larger one stands in the database only."""
CASE_FILE = f"{RECORD_FOLDER}/case.tar.gz"
CRATE_FILE = f"{RECORD_FOLDER}/{METADATA_FILE}"


class Recorder:
    """Writes records, each to all stores of its job.

    Parameters
    ----------
    data
        The gateway's data folder.
    """

    def __init__(self, database: Database, stores: Mapping[str, Store], data: Path) -> None:
        self.database = database
        self.stores = stores
        self.inputs = KeptInputs(data)

    async def write(
        self, plan: JobPlan, target: Target, ending: Ending, record: Mapping[str, Any] | None, kept: Mapping[str, bytes]
    ) -> None:
        """Write the record of an attempt that is over; a store that fails goes without.

        Parameters
        ----------
        kept
            The node's records, by name.
        """
        try:
            await self._write(plan, target, Ended(ending.state, ending.message, record or {}), kept)
        except GatewayError:
            raise
        except Exception:  # a job ends, whatever stands in its record
            log.exception("job %s: its record could not be written", plan.job_id)

    async def _write(self, plan: JobPlan, target: Target, ended: Ended, kept: Mapping[str, bytes]) -> None:
        read = await self.database.read(lambda c: self._rows(c, plan))
        if read is None:
            return
        row, attempt, case = read
        fetched = await asyncio.to_thread(self.inputs.read, plan.job_id)
        told = Told(row, plan.specification, fetched, ended.image_digest)
        run, files = await asyncio.to_thread(_files, told, attempt, case, kept)
        machine = machine_of(row["target"], target, ended.host)
        for item in plan.stores:
            facts = await self.database.read(
                lambda c, name=item.name: facts_of(c, row, name, run, ended, case, machine)  # type: ignore[misc]
            )
            await self._write_to(item, plan.job_id, files, facts)

    async def forget(self, job_id: str) -> None:
        """Let go of what waited for a job's end."""
        await asyncio.to_thread(self.inputs.forget, job_id)

    @staticmethod
    def _rows(connection: Connection, plan: JobPlan) -> tuple[Row, Row, KeptCase | None] | None:
        row = jobs.get(connection, plan.job_id)
        if row is None:
            return None
        attempt = jobs.get_attempt(connection, plan.job_id, plan.attempt)
        return row, attempt or {}, kept_case(connection, row["case"], row["case_version"])

    async def _write_to(self, item: StorePlan, job_id: str, files: Sequence[RecordFile], facts: RunFacts) -> None:
        store = self.stores.get(item.name)
        if store is None:
            return
        records = [CrateFile(file.path, len(file.content), file.content_type, file.digest) for file in files]
        whole = list(files)
        try:
            crate = await asyncio.to_thread(crate_json, replace(facts, records=records))
            whole.append(RecordFile(CRATE_FILE, crate, JSON))
        except Exception:  # a job ends, whatever a library makes of its names
            log.exception("job %s: its crate could not be made", job_id)
        try:
            await store.prepare(item.place)
            for start in range(0, len(whole), AT_ONCE):
                some = whole[start : start + AT_ONCE]
                done = await asyncio.gather(
                    *(store.write(item.place, file.path, file.content, file.content_type) for file in some),
                    return_exceptions=True,
                )
                for problem in done:
                    if problem is not None:
                        raise problem
        except (GatewayError, OSError) as error:
            log.warning("job %s, store %s: records could not be kept: %s", job_id, item.name, error)


def _files(
    told: Told, attempt: Row, case: KeptCase | None, kept: Mapping[str, bytes]
) -> tuple[RunRecord, list[RecordFile]]:
    """Return all files of a record but the crate's metadata, none with a secret in it."""
    run, files = run_files(told)
    records = list(kept.items())
    if attempt.get("script"):
        records.append(("job.sh", str(attempt["script"]).encode()))
    files += plain_records(hiding_of(told, attempt.get("token")), records)
    if case is not None and len(case.content) <= MAX_CASE:
        files.append(RecordFile(CASE_FILE, case.content, "application/gzip"))
    return run, files
