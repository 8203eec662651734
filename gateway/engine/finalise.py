"""Settles an ended attempt: proves its outputs, rescues what is missing, keeps the records, ends the job."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.compute.remote import RemoteScript
from gateway.compute.target import Target
from gateway.compute.transport.base import CommandResult
from gateway.db import events, jobs, outputs
from gateway.db.database import Database
from gateway.engine import retries, steps
from gateway.engine.plan import JobPlan, StorePlan, plan_job
from gateway.engine.steps import Step
from gateway.engine.timing import Timing
from gateway.engine.verdict import Ending, ending_of_record
from gateway.errors import GatewayError, StoreError, TargetError, TargetUnreachable
from gateway.model.records import FinalRecord, parse_final_or_none
from gateway.model.states import OutputsState, State
from gateway.storage.content_types import guess
from gateway.storage.manifest import ManifestFile, PlannedTransfer, compare, parse_manifest
from gateway.storage.relay import build_manifest, relay_pass
from gateway.storage.signing import MANIFEST_PATH, SignedState, load_or_create_key, signed_manifest
from gateway.storage.stores.base import Store, StoredObject

log = logging.getLogger(__name__)

Row = RowMapping
KEPT = ("payload.out", "payload.err", "pull.log", "script.log", "sync.jsonl", "final.json")
MAX_KEPT = 4 * 1024 * 1024
"""Bytes kept of each record in the store, from its end."""
MAX_MANIFEST = 256 * 1024 * 1024
ANNOTATE_AT_ONCE = 8
SIGNED: dict[OutputsState, SignedState] = {
    OutputsState.NONE: "partial",
    OutputsState.PARTIAL: "partial",
    OutputsState.COMPLETE: "complete",
    OutputsState.RESCUED: "rescued",
}


@dataclass(frozen=True)
class Proof:
    """What was proved about one store: completeness, the files, and what is missing and why."""

    state: OutputsState
    files: tuple[ManifestFile, ...] = ()
    missing: tuple[str, ...] = ()
    problem: str | None = None


class Finaliser:
    """Settles attempts, a few at a time."""

    def __init__(
        self, database: Database, stores: Mapping[str, Store], data: Path, timing: Timing, at_once: int = 4
    ) -> None:
        self.database = database
        self.stores = stores
        self.timing = timing
        self.key = load_or_create_key(data)
        self._turn = asyncio.Semaphore(at_once)

    async def settle(self, job_id: str, attempt: int, target: Target) -> None:
        """Bring a job in ``finalizing`` to its end, or to its next attempt.

        Raises
        ------
        TargetUnreachable
            What is needed from the target cannot be had now; nothing was decided.
        """
        row = await self._row(job_id, attempt)
        if row is None:
            return
        async with self._turn:
            await retries.end_what_is_left(row, target, self.timing)
            kept = await self._fetch_records(row, target)
        steps.reached(Step.RECORDS_READ)
        record, ending = row["a_final"]["record"], Ending.from_json(row["a_final"]["ending"])
        late = late_record(row, kept)
        if late is not None:
            record, ending = late.as_json(), ending_of_record(late, row["cancel_requested_at"] is not None)
        if retries.wanted(row["spec"], row["attempt"], ending):
            if await retries.next_attempt(self.database, row, ending, self.timing):
                return
            ending = Ending(State.CANCELLED, "cancelled_by_user", "cancelled before the next attempt", None)
        plan = plan_job(row, row["stores"])
        if row["a_claimed_at"] is not None and (record is None or record.get("outcome") != "not_started"):
            await self._settle_stores(row, plan, target, kept)
        async with self._turn:
            await self._keep_records(plan, kept)
        steps.reached(Step.RECORDS_KEPT)
        await self._end(row, ending, record)

    async def give_up(self, job_id: str, attempt: int) -> None:
        """End a job whose outputs cannot be settled: as its evidence says, with what was proved of its outputs."""
        row = await self._row(job_id, attempt)
        if row is None:
            return
        problem = "the outputs could not be settled: see the gateway's log"

        def note(connection: Connection) -> None:
            for state in jobs.stores_of(connection, [job_id]).get(job_id, []):
                if state["state"] in (OutputsState.NONE, OutputsState.PARTIAL):
                    jobs.set_store(connection, job_id, state["store"], state=str(OutputsState.PARTIAL), problem=problem)

        await self.database.write(note)
        await self._end(row, Ending.from_json(row["a_final"]["ending"]), row["a_final"]["record"])

    async def _row(self, job_id: str, attempt: int) -> Row | None:
        """Return the job as it is now; None where this attempt is settled already."""
        rows = await self.database.read(lambda c: jobs.whole(c, [job_id]))
        return next((r for r in rows if r["state"] == State.FINALIZING and r["attempt"] == attempt), None)

    async def _fetch_records(self, row: Row, target: Target) -> dict[str, bytes]:
        """Read the attempt's small records in one remote command; its credentials are of no use any more."""
        script = RemoteScript()
        for name in KEPT:
            path = shlex.quote(f"{row['a_control_folder']}/{name}")
            script.add(name, f"[ -f {path} ] && [ ! -L {path} ] && tail -c {MAX_KEPT} -- {path}")
        path = shlex.quote(f"{row['a_control_folder']}/manifest.json")
        script.add("manifest.json", f"[ -f {path} ] && [ ! -L {path} ] && head -c {MAX_MANIFEST} -- {path}")
        script.add("credentials", f"rm -f -- {shlex.quote(row['a_control_folder'] + '/credentials')}")
        result = await target.transport.run(
            script.text, timeout=self.timing.stage_timeout, max_output=MAX_MANIFEST + 8 * MAX_KEPT
        )
        found: dict[str, CommandResult] = script.parse(result)
        return {name: part.stdout for name, part in found.items() if part.exit_status == 0 and name != "credentials"}

    async def _settle_stores(self, row: Row, plan: JobPlan, target: Target, kept: Mapping[str, bytes]) -> None:
        """Prove each store by itself: one that is down does not make the others wait."""
        states = (await self.database.read(lambda c: jobs.stores_of(c, [row["id"]])))[row["id"]]
        pushed = frozenset(state["store"] for state in states if state["transfer"] == "push")
        claims = await asyncio.to_thread(node_claims, row, plan, pushed, kept)
        found = await asyncio.gather(
            *(
                self._settle_store(row, item, target, item.name in pushed, claims.get(item.name))
                for item in plan.stores
            ),
            return_exceptions=True,
        )
        for problem in found:
            if problem is not None:
                raise problem

    async def _settle_store(
        self, row: Row, item: StorePlan, target: Target, pushed: bool, claim: tuple[ManifestFile, ...] | None
    ) -> None:
        """Prove one store complete, by the node's claim or by the gateway's own pass; try some times.

        A turn is held for each try only: while a store that is down is waited for, other jobs are settled.
        """
        proof = Proof(OutputsState.PARTIAL)
        if item.name not in self.stores:
            problem = f"store {item.name} is not configured any more"
            await self._write_proof(row, item, replace(proof, problem=problem))
            return
        for delay in (0.0, *self.timing.rescue_delays):
            await asyncio.sleep(delay)
            try:
                async with self._turn:
                    proof = await self._prove(row, item, target, claim, pushed)
                    steps.reached(Step.PROVED)
                    if proof.state is not OutputsState.PARTIAL:
                        await self._publish(row, item, proof)
                        steps.reached(Step.SIGNED)
                        await self._write_proof(row, item, proof)
                        steps.reached(Step.PROOF_WRITTEN)
                        return
            except TargetUnreachable:
                raise
            except (GatewayError, OSError) as error:
                proof = Proof(OutputsState.PARTIAL, proof.files, proof.missing, str(error))
                log.warning("job %s, store %s: %s", row["id"], item.name, error)
                if isinstance(error, TargetError):
                    break
            else:
                claim = None  # what the node said is not so: the gateway's own pass has to bring the rest
        try:
            async with self._turn:
                await self._publish(row, item, proof)
        except (GatewayError, OSError) as error:
            log.warning("job %s, store %s: %s", row["id"], item.name, error)
            proof = replace(proof, problem=proof.problem or str(error))
        await self._write_proof(row, item, proof)

    async def _prove(
        self, row: Row, item: StorePlan, target: Target, claim: tuple[ManifestFile, ...] | None, pushed: bool
    ) -> Proof:
        store, claimed = self.stores[item.name], claim
        if claimed is None:
            source = await target.transport.relay_source(row["a_job_folder"])
            try:
                result = await relay_pass(source, store, item.place, item.transfers, final=True)
            except TargetUnreachable as error:  # the one that the store is on
                raise StoreError(error.message) from None
            steps.reached(Step.RESCUED)
            if result.exit_status:
                raise StoreError(f"the gateway's own pass failed: {result.message}")
            found = await build_manifest(source, item.transfers, transport=target.transport, folder=row["a_job_folder"])
            claimed = tuple(found.values())
        stored = await self._listing(store, item)
        comparison = compare({file.path: file for file in claimed}, stored)
        missing = (*comparison.missing, *comparison.wrong_size)
        if missing:
            problem = f"{len(missing)} files are not in the store as the job left them"
            return Proof(OutputsState.PARTIAL, claimed, missing, problem)
        files = await self._fill_digests(store, item, claimed)
        rescued = pushed and claim is None
        return Proof(OutputsState.RESCUED if rescued else OutputsState.COMPLETE, files)

    async def _fill_digests(
        self, store: Store, item: StorePlan, files: tuple[ManifestFile, ...]
    ) -> tuple[ManifestFile, ...]:
        """Compute, from the store's own bytes, the digests that the node had no time for."""
        found = []
        for file in files:
            if file.digest is None:
                digest = hashlib.sha256()
                async for piece in store.read(item.place, file.path):
                    digest.update(piece)
                found.append(replace(file, digest=f"sha256:{digest.hexdigest()}"))
            else:
                found.append(file)
        return tuple(found)

    async def _listing(self, store: Store, item: StorePlan) -> dict[str, StoredObject]:
        return {found.path: found async for found in store.list(item.place) if not found.path.startswith(".gateway/")}

    async def _publish(self, row: Row, item: StorePlan, proof: Proof) -> None:
        """Annotate the objects, and write the signed manifest beside them."""
        store = self.stores[item.name]
        await self._annotate(store, item, row, output_rows(row, proof))
        text = await asyncio.to_thread(
            signed_manifest,
            self.key,
            job=row["id"],
            attempt=row["attempt"],
            store=item.name,
            state=SIGNED[proof.state],
            at=jobs.now(),
            files=proof.files,
            missing=proof.missing,
        )
        await store.write(item.place, MANIFEST_PATH, text, "application/json")

    async def _write_proof(self, row: Row, item: StorePlan, proof: Proof) -> None:
        rows = output_rows(row, proof)

        def record(connection: Connection) -> None:
            now = jobs.get(connection, row["id"])
            if now is None or not _is_at(now, row):
                return
            outputs.upsert(connection, row["id"], item.name, rows)
            jobs.set_store(connection, row["id"], item.name, state=str(proof.state), problem=proof.problem)
            data = {"store": item.name, "state": str(proof.state), "count": len(rows), "problem": proof.problem}
            data["bytes"] = sum(r.size for r in rows)
            events.append(connection, row["id"], row["owner"], "outputs", data, at=jobs.now())

        await self.database.write(record)

    async def _annotate(self, store: Store, item: StorePlan, row: Row, rows: Sequence[outputs.OutputRow]) -> None:
        async def one(output: outputs.OutputRow) -> None:
            metadata = {"job": row["id"], "owner": row["owner"]}
            if row["case"]:
                metadata["case"] = row["case"]
            if output.digest:
                metadata["sha256"] = output.digest.removeprefix("sha256:")
            await store.annotate(item.place, output.path, output.content_type, metadata)

        for start in range(0, len(rows), ANNOTATE_AT_ONCE):
            await asyncio.gather(*(one(output) for output in rows[start : start + ANNOTATE_AT_ONCE]))

    async def _keep_records(self, plan: JobPlan, kept: Mapping[str, bytes]) -> None:
        """Copy the attempt's records to each store under ``.gateway/``, where only the gateway writes."""
        for item in plan.stores:
            store = self.stores.get(item.name)
            if store is None:
                continue
            try:
                await store.prepare(item.place)
                for name in KEPT:
                    if name in kept:
                        kind = "application/json" if name.endswith(".json") else "text/plain; charset=utf-8"
                        await store.write(item.place, f".gateway/{name}", kept[name], kind)
                text = json.dumps(plan.specification.model_dump(mode="json"), indent=1).encode()
                await store.write(item.place, ".gateway/specification.json", text, "application/json")
            except (GatewayError, OSError) as error:
                log.warning("job %s, store %s: records could not be kept: %s", plan.job_id, item.name, error)

    async def _end(self, row: Row, ending: Ending, record: Mapping[str, Any] | None) -> None:
        def write(connection: Connection) -> None:
            now = jobs.get(connection, row["id"])
            if now is None or not _is_at(now, row):
                return
            jobs.set_attempt(
                connection, row["id"], row["attempt"], final={"ending": ending.as_json(), "record": record}
            )
            jobs.change_state(
                connection,
                row["id"],
                ending.state,
                evidence=record or {"record": None},
                reason=ending.reason,
                message=ending.message,
                exit_code=ending.exit_code,
            )
            steps.reached(Step.ENDING)

        await self.database.write(write)
        steps.reached(Step.ENDED)


def _is_at(now: Row, row: Row) -> bool:
    """Say whether a job is still where it was when it began to be settled."""
    return bool(now["state"] == State.FINALIZING and now["attempt"] == row["attempt"])


def late_record(row: Row, kept: Mapping[str, bytes]) -> FinalRecord | None:
    """Return the final record that came only after the attempt was given up; it counts as `final_counts` says."""
    if row["a_final"]["record"] is not None or row["a_token"] is None or "final.json" not in kept:
        return None
    final = parse_final_or_none(kept["final.json"])
    ours = (row["id"], row["attempt"], row["a_scheduler_id"], row["a_token"])
    return final if final and (final.job, final.attempt, final.scheduler_id, final.token) == ours else None


def node_claims(
    row: Row, plan: JobPlan, pushed: Collection[str], kept: Mapping[str, bytes]
) -> dict[str, tuple[ManifestFile, ...]]:
    """Return what the node says it put into each store. A store is left out of which it says nothing that counts.

    Where files land is the gateway's own plan, in the order of the script's transfers: never the node's word. After a
    pass that failed, an older file may stand in the store with the same size: then nothing that it says counts.
    """
    if "manifest.json" not in kept:
        return {}
    planned = [
        PlannedTransfer(item.name, transfer.source_folder, transfer.destination_folder)
        for item in plan.stores
        if item.name in pushed
        for transfer in item.transfers
    ]
    try:
        manifest = parse_manifest(kept["manifest.json"], planned)
    except ValueError as error:
        log.warning("job %s: the node's manifest is not usable: %s", row["id"], error)
        return {}
    if (manifest.job, manifest.attempt, manifest.token) != (row["id"], row["attempt"], row["a_token"]):
        return {}
    return {name: tuple(manifest.files(name).values()) for name in pushed if manifest.exit_status(name) == 0}


def output_rows(row: Row, proof: Proof) -> list[outputs.OutputRow]:
    """Return the rows of the files that were found in the store."""
    missing, at = set(proof.missing), jobs.now()
    return [
        outputs.OutputRow(
            path=file.path,
            size=file.size,
            state="partial" if proof.state is OutputsState.PARTIAL else "final",
            attempt=row["attempt"],
            modified_at=file.modified_at,
            content_type=file.content_type or guess(file.path),
            digest=file.digest,
            stored_at=at,
        )
        for file in proof.files
        if file.path not in missing
    ]
