"""Settles an ended attempt: proves its outputs, rescues what is missing, keeps the records, ends the job."""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.compute.remote import RemoteScript
from gateway.compute.target import Target
from gateway.compute.transport.base import CommandResult
from gateway.db import behind, events, jobs, outputs
from gateway.db.database import Database
from gateway.engine import retries, steps
from gateway.engine.about import about
from gateway.engine.annotations import annotate_all
from gateway.engine.borne_out import borne_out
from gateway.engine.claims import late_record, node_claims
from gateway.engine.plan import JobPlan, StorePlan, plan_job
from gateway.engine.proof import Proof, output_rows
from gateway.engine.record import Recorder
from gateway.engine.scratch import left_on_scratch
from gateway.engine.steps import Step
from gateway.engine.timing import Timing
from gateway.engine.verdict import Ending, ending_of_record
from gateway.errors import GatewayError, StoreError, TargetError, TargetUnreachable
from gateway.model.states import OutputsState, State
from gateway.storage.contents import other_contents, stored_digest
from gateway.storage.manifest import ManifestFile, compare
from gateway.storage.relay import RelayOptions, build_manifest, relay_pass
from gateway.storage.signing import MANIFEST_PATH, SignedState, load_or_create_key, signed_manifest
from gateway.storage.stores.base import Store, StoredObject

log = logging.getLogger(__name__)

Row = RowMapping
KEPT = ("payload.out", "payload.err", "pull.log", "script.log", "sync.jsonl", "final.json")
MAX_KEPT = 4 * 1024 * 1024
"""Bytes kept of each record in the store, from its end."""
MAX_MANIFEST = 256 * 1024 * 1024
LOST_TOO = "all that is there was copied; the job was lost, so nobody knows whether that is everything"
SIGNED: dict[OutputsState, SignedState] = {
    OutputsState.NONE: "partial",
    OutputsState.PARTIAL: "partial",
    OutputsState.COMPLETE: "complete",
    OutputsState.RESCUED: "rescued",
}


class Finaliser:
    """Settles attempts, a few at a time."""

    def __init__(
        self, database: Database, stores: Mapping[str, Store], data: Path, timing: Timing, at_once: int = 4
    ) -> None:
        self.database = database
        self.stores = stores
        self.timing = timing
        self.key = load_or_create_key(data)
        self.recorder = Recorder(database, stores, data)
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
        if jobs.may_have_run(row) and (record is None or record.get("outcome") != "not_started"):
            await self._settle_stores(row, plan, target, kept)
        async with self._turn:
            records = {name: kept[name] for name in KEPT if name in kept}
            await self.recorder.write(plan, target, ending, record, records)
        steps.reached(Step.RECORDS_KEPT)
        await self._end(row, ending, record)

    async def bring(self, row: Row, name: str, target: Target, *, pushed: bool) -> str | None:
        """Try once more to complete one store of an ended job by the gateway's own pass; return what is wrong still.

        Raises
        ------
        GatewayError, OSError
            Target or store cannot be had now.
        """
        plan = plan_job(row, row["stores"])
        item = next((item for item in plan.stores if item.name == name), None)
        if item is None or name not in self.stores:
            return f"store {name} is not configured any more"
        async with target.relay.turn:
            proof = await self._prove(row, item, target, None, pushed)
            if row["state"] == State.LOST and proof.state is not OutputsState.PARTIAL:
                proof = replace(proof, state=OutputsState.PARTIAL, problem=LOST_TOO)
            elif proof.state is OutputsState.PARTIAL:
                await self._write_proof(row, item, proof, {"rescue_at": None} if proof.lasting else {})
                return proof.problem
            await self._publish(row, item, proof)
            final = row["a_final"] or {"ending": Ending(State(row["state"]), None, None, None).as_json()}
            kept = await self._fetch_records(row, target)
            records = {name: kept[name] for name in KEPT if name in kept}
            only = replace(plan, stores=(item,))
            await self.recorder.write(only, target, Ending.from_json(final["ending"]), final.get("record"), records)
        await self._write_proof(row, item, proof, {"rescue_at": None, "tries": 0})
        await self._forget(row["id"])
        return None

    async def give_up(self, job_id: str, attempt: int) -> None:
        """End a job whose outputs cannot be settled: as its evidence says, with what was proved of its outputs."""
        row = await self._row(job_id, attempt)
        if row is None:
            return
        problem = "the outputs could not be settled: see the gateway's log"

        def note(connection: Connection) -> None:
            for state in jobs.stores_of(connection, [job_id]).get(job_id, []):
                if state["state"] in (OutputsState.NONE, OutputsState.PARTIAL):
                    again = {"rescue_at": self._first_later(), "tries": 0}
                    found = {"state": str(OutputsState.PARTIAL), "problem": problem, **again}
                    jobs.set_store(connection, job_id, state["store"], **found)

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
        if claims and plan.specification.image is None:
            wait = self.timing.stage_timeout
            claims = await borne_out(target.transport, row["a_job_folder"], plan, claims, wait)
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
                # A pass of the gateway's own may take hours: others that end meanwhile do not wait for it.
                async with self._turn if claim is not None else target.relay.turn:
                    proof = await self._prove(row, item, target, claim, pushed)
                    steps.reached(Step.PROVED)
                    if proof.state is not OutputsState.PARTIAL:
                        await self._publish(row, item, proof)
                        steps.reached(Step.SIGNED)
                        await self._write_proof(row, item, proof)
                        steps.reached(Step.PROOF_WRITTEN)
                        return
                    if proof.lasting:
                        break
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
        if pushed:  # whoever still writes there, what is looked at from here on stays as it is
            await store.revoke_push(item.place)
        other: list[ManifestFile] = []
        if claimed is None:
            source = await target.transport.relay_source(row["a_job_folder"])
            whole = partial(relay_pass, source, store, item.place, item.transfers, final=True)
            options = RelayOptions(bandwidth=target.relay.bandwidth)
            try:
                result = await whole(options=options)
            except TargetUnreachable as error:  # the one that the store is on
                raise StoreError(error.message) from None
            steps.reached(Step.RESCUED)
            if result.exit_status:
                raise StoreError(f"the gateway's own pass failed: {result.message}")
            found = await build_manifest(source, item.transfers, transport=target.transport, folder=row["a_job_folder"])
            claimed = tuple(found.values())
            stored = await self._listing(store, item)
            copied = {path for path, _ in result.copied}
            other = await other_contents(store, item.place, claimed, stored, certain=copied)
            if other:  # size and time were the same: only a pass that looks at neither brings them
                await whole(options=options, again=other)
        stored = await self._listing(store, item)
        comparison = compare({file.path: file for file in claimed}, stored)
        # What was brought again is read again: nothing else can say of it that it is right now.
        other = await other_contents(store, item.place, other or claimed, stored, certain=() if other else None)
        missing = (*comparison.missing, *comparison.wrong_size, *(file.path for file in other))
        if missing:
            problem = f"{len(missing)} files are not in the store as the job left them"
            return Proof(OutputsState.PARTIAL, claimed, missing, problem)
        files = await self._fill_digests(store, item, claimed)
        if claim is None and (stayed := await left_on_scratch(target.transport, row["a_control_folder"])):
            return Proof(OutputsState.PARTIAL, files, (), stayed, stored, lasting=True)
        rescued = pushed and claim is None
        return Proof(OutputsState.RESCUED if rescued else OutputsState.COMPLETE, files, stored=stored)

    async def _fill_digests(
        self, store: Store, item: StorePlan, files: tuple[ManifestFile, ...]
    ) -> tuple[ManifestFile, ...]:
        """Compute, from the store's own bytes, the digests that the node had no time for."""
        found = []
        for file in files:
            if file.digest is None:
                found.append(replace(file, digest=await stored_digest(store, item.place, file.path)))
            else:
                found.append(file)
        return tuple(found)

    async def _listing(self, store: Store, item: StorePlan) -> dict[str, StoredObject]:
        return {found.path: found async for found in store.list(item.place) if not found.path.startswith(".gateway/")}

    async def _publish(self, row: Row, item: StorePlan, proof: Proof) -> None:
        """Annotate the objects, and write the signed manifest beside them."""
        store = self.stores[item.name]
        await annotate_all(store, item.place, row, output_rows(row, proof), proof.stored)
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
            about=about(row),
        )
        await store.write(item.place, MANIFEST_PATH, text, "application/json")

    def _first_later(self) -> datetime:
        return jobs.now() + timedelta(seconds=self.timing.rescue_later[0])

    async def _write_proof(
        self, row: Row, item: StorePlan, proof: Proof, columns: Mapping[str, Any] | None = None
    ) -> None:
        """Write what was proved.

        Parameters
        ----------
        columns
            Of the store of an ended job that was tried again, none where that goes on.
        """
        rows, later = output_rows(row, proof), columns
        if later is None:
            wanting = proof.state is OutputsState.PARTIAL and not proof.lasting
            later = {"rescue_at": self._first_later() if wanting else None, "tries": 0}

        def record(connection: Connection) -> None:
            now = jobs.get(connection, row["id"])
            if now is None or not _is_at(now, row):
                return
            if columns is not None and behind.to_rescue(connection, row["id"], item.name) is None:
                return  # taken away meanwhile
            outputs.upsert(connection, row["id"], item.name, rows)
            proved = {"state": str(proof.state), "problem": proof.problem}
            jobs.set_store(connection, row["id"], item.name, **proved, **later)
            data = {"store": item.name, "state": str(proof.state), "count": len(rows), "problem": proof.problem}
            data["bytes"] = sum(r.size for r in rows)
            if later:  # else it is tried again, and again
                events.append(connection, row["id"], row["owner"], "outputs", data, at=jobs.now())
            jobs.set_columns(connection, row["id"])

        await self.database.write(record)

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
        await self._forget(row["id"])

    async def _forget(self, job_id: str) -> None:
        """Let go of what a record is made from, unless a store is to get it later."""
        if not await self.database.read(lambda c: behind.waits(c, job_id)):
            await self.recorder.forget(job_id)


def _is_at(now: Row, row: Row) -> bool:
    """Say whether a job is still where it was when it began to be settled, or to be rescued."""
    return bool(now["state"] == row["state"] and now["attempt"] == row["attempt"])
