"""Settles an ended attempt: proves its outputs, rescues what is missing, keeps the records, ends the job."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping

from gateway.compute.remote import RemoteScript
from gateway.compute.target import Target
from gateway.compute.transport.base import CommandResult
from gateway.db import events, jobs, outputs
from gateway.db.database import Database
from gateway.engine.plan import JobPlan, StorePlan, plan_job
from gateway.engine.timing import Timing
from gateway.engine.verdict import Ending
from gateway.errors import GatewayError, StoreError, TargetError, TargetUnreachable
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

    async def settle(self, row: Row, target: Target) -> None:
        """Bring a job in ``finalizing`` to its end, or to its next attempt.

        Raises
        ------
        TargetUnreachable
            The records cannot be read now; nothing was decided.
        """
        ending = Ending.from_json(row["a_final"]["ending"])
        if await self._retry(row, ending):
            return
        async with self._turn:
            plan = plan_job(row, row["stores"])
            record = row["a_final"]["record"]
            kept = await self._fetch_records(row, target)
            if row["a_claimed_at"] is not None and (record is None or record.get("outcome") != "not_started"):
                for item in plan.stores:
                    await self._settle_store(row, item, target, kept)
            await self._keep_records(plan, kept)
            await self._end(row, ending)

    async def _retry(self, row: Row, ending: Ending) -> bool:
        retry = plan_job(row, row["stores"]).specification.retry
        wanted = ending.state is State.FAILED and ending.reason in retry.reasons
        if not wanted or row["attempt"] >= retry.attempts or row["cancel_requested_at"] is not None:
            return False

        def again(connection: Any) -> None:
            number = row["attempt"] + 1
            jobs.insert_attempt(connection, row["id"], number, f"gw-{secrets.token_hex(6)}")
            evidence = {"attempt": row["attempt"], **ending.as_json()}
            jobs.change_state(
                connection, row["id"], State.STAGING, evidence=evidence, attempt=number, scheduler_id=None
            )

        await self.database.write(again)
        return True

    async def _fetch_records(self, row: Row, target: Target) -> dict[str, bytes]:
        """Read the attempt's small records in one remote command."""
        script = RemoteScript()
        for name in KEPT:
            path = shlex.quote(f"{row['a_control_folder']}/{name}")
            script.add(name, f"[ -f {path} ] && [ ! -L {path} ] && tail -c {MAX_KEPT} -- {path}")
        path = shlex.quote(f"{row['a_control_folder']}/manifest.json")
        script.add("manifest.json", f"[ -f {path} ] && [ ! -L {path} ] && head -c {MAX_MANIFEST} -- {path}")
        result = await target.transport.run(
            script.text, timeout=self.timing.stage_timeout, max_output=MAX_MANIFEST + 8 * MAX_KEPT
        )
        found: dict[str, CommandResult] = script.parse(result)
        return {name: part.stdout for name, part in found.items() if part.exit_status == 0}

    async def _settle_store(self, row: Row, item: StorePlan, target: Target, kept: Mapping[str, bytes]) -> None:
        """Prove one store complete, by the node's claim or by the gateway's own pass; try some times."""
        pushed = (await self._transfer_of(row["id"], item.name)) == "push"
        proof = Proof(OutputsState.PARTIAL, problem="not looked at yet")
        for delay in (0.0, *self.timing.rescue_delays):
            await asyncio.sleep(delay)
            try:
                proof = await self._prove(row, item, target, kept, by_node=pushed and delay == 0.0)
            except (StoreError, TargetError) as error:
                proof = Proof(OutputsState.PARTIAL, proof.files, proof.missing, str(error))
                if isinstance(error, TargetError) and not isinstance(error, TargetUnreachable):
                    break
                log.warning("job %s, store %s: %s", row["id"], item.name, error)
                continue
            if proof.state is not OutputsState.PARTIAL:
                break
        await self._write_proof(row, item, proof)

    async def _transfer_of(self, job_id: str, store: str) -> str:
        rows = await self.database.read(lambda c: jobs.stores_of(c, [job_id]))
        return next(str(r["transfer"]) for r in rows[job_id] if r["store"] == store)

    async def _prove(
        self, row: Row, item: StorePlan, target: Target, kept: Mapping[str, bytes], *, by_node: bool
    ) -> Proof:
        store = self.stores[item.name]
        claimed: tuple[ManifestFile, ...] | None = None
        if by_node:
            claimed = await self._node_claim(row, item.name, kept)
            if claimed is None:
                by_node = False
        if not by_node:
            source = await target.transport.relay_source(row["a_job_folder"])
            await store.prepare(item.place)
            result = await relay_pass(source, store, item.place, item.transfers, final=True)
            if result.exit_status:
                raise StoreError(f"the gateway's own pass failed: {result.message}")
            found = await build_manifest(source, item.transfers, transport=target.transport, folder=row["a_job_folder"])
            claimed = tuple(found.values())
        stored = await self._listing(store, item)
        comparison = compare({file.path: file for file in claimed or ()}, stored)
        missing = (*comparison.missing, *comparison.wrong_size)
        if missing:
            state, problem = (
                OutputsState.PARTIAL,
                f"{len(missing)} files are not in the store as the job left them",
            )
        else:
            pushed = (await self._transfer_of(row["id"], item.name)) == "push"
            state = OutputsState.RESCUED if pushed and not by_node else OutputsState.COMPLETE
            problem = None
        files = await self._fill_digests(store, item, tuple(claimed or ()), set(missing))
        return Proof(state, files, missing, problem)

    async def _fill_digests(
        self, store: Store, item: StorePlan, files: tuple[ManifestFile, ...], missing: set[str]
    ) -> tuple[ManifestFile, ...]:
        """Compute, from the store's own bytes, the digests that the node had no time for."""
        found = []
        for file in files:
            if file.digest is None and file.path not in missing:
                digest = hashlib.sha256()
                async for piece in store.read(item.place, file.path):
                    digest.update(piece)
                found.append(replace(file, digest=f"sha256:{digest.hexdigest()}"))
            else:
                found.append(file)
        return tuple(found)

    async def _node_claim(self, row: Row, store: str, kept: Mapping[str, bytes]) -> tuple[ManifestFile, ...] | None:
        """Return what the node says it put into `store`; None where it says nothing that counts.

        Where files land is the gateway's own plan, in the order of the script's transfers: never the node's word.
        """
        if "manifest.json" not in kept:
            return None
        states = (await self.database.read(lambda c: jobs.stores_of(c, [row["id"]])))[row["id"]]
        pushed = {state["store"] for state in states if state["transfer"] == "push"}
        plan = [
            PlannedTransfer(item.name, transfer.source_folder, transfer.destination_folder)
            for item in plan_job(row, row["stores"]).stores
            if item.name in pushed
            for transfer in item.transfers
        ]
        try:
            manifest = parse_manifest(kept["manifest.json"], plan)
        except ValueError as error:
            log.warning("job %s: the node's manifest is not usable: %s", row["id"], error)
            return None
        ours = manifest.job == row["id"] and manifest.attempt == row["attempt"] and manifest.token == row["a_token"]
        return tuple(manifest.files(store).values()) if ours else None

    async def _listing(self, store: Store, item: StorePlan) -> dict[str, StoredObject]:
        return {found.path: found async for found in store.list(item.place) if not found.path.startswith(".gateway/")}

    async def _write_proof(self, row: Row, item: StorePlan, proof: Proof) -> None:
        """Annotate the objects, write the signed manifest, then the rows."""
        store, at = self.stores[item.name], jobs.now()
        problem = proof.problem
        missing = set(proof.missing)
        rows = [
            outputs.OutputRow(
                path=file.path,
                size=file.size,
                state="partial" if file.path in missing or proof.state is OutputsState.PARTIAL else "final",
                attempt=row["attempt"],
                modified_at=file.modified_at,
                content_type=file.content_type or guess(file.path),
                digest=file.digest,
                stored_at=at,
            )
            for file in proof.files
            if file.path not in missing
        ]
        try:
            await self._annotate(store, item, row, rows)
            text = signed_manifest(
                self.key,
                job=row["id"],
                attempt=row["attempt"],
                store=item.name,
                state=SIGNED[proof.state],
                at=at,
                files=proof.files,
                missing=proof.missing,
            )
            await store.write(item.place, MANIFEST_PATH, text, "application/json")
        except StoreError as error:
            log.warning("job %s, store %s: %s", row["id"], item.name, error)
            problem = problem or str(error)

        def record(connection: Any) -> None:
            outputs.upsert(connection, row["id"], item.name, rows)
            jobs.set_store(connection, row["id"], item.name, state=str(proof.state), problem=problem)
            data = {"store": item.name, "state": str(proof.state), "count": len(rows), "problem": problem}
            data["bytes"] = sum(r.size for r in rows)
            events.append(connection, row["id"], row["owner"], "outputs", data, at=at)

        await self.database.write(record)

    async def _annotate(self, store: Store, item: StorePlan, row: Row, rows: list[outputs.OutputRow]) -> None:
        turn = asyncio.Semaphore(ANNOTATE_AT_ONCE)

        async def one(output: outputs.OutputRow) -> None:
            metadata = {"job": row["id"], "owner": row["owner"]}
            if row["case"]:
                metadata["case"] = row["case"]
            if output.digest:
                metadata["sha256"] = output.digest.removeprefix("sha256:")
            async with turn:
                await store.annotate(item.place, output.path, output.content_type, metadata)

        await asyncio.gather(*(one(output) for output in rows))

    async def _keep_records(self, plan: JobPlan, kept: Mapping[str, bytes]) -> None:
        """Copy the attempt's records to each store under ``.gateway/``, where only the gateway writes."""
        for item in plan.stores:
            store = self.stores[item.name]
            try:
                await store.prepare(item.place)
                for name in KEPT:
                    if name in kept:
                        kind = "application/json" if name.endswith(".json") else "text/plain; charset=utf-8"
                        await store.write(item.place, f".gateway/{name}", kept[name], kind)
                text = json.dumps(plan.specification.model_dump(mode="json"), indent=1).encode()
                await store.write(item.place, ".gateway/specification.json", text, "application/json")
            except GatewayError as error:
                log.warning("job %s, store %s: records could not be kept: %s", plan.job_id, item.name, error)

    async def _end(self, row: Row, ending: Ending) -> None:
        evidence = row["a_final"]["record"] or {"record": None}

        def write(connection: Any) -> None:
            jobs.change_state(
                connection,
                row["id"],
                ending.state,
                evidence=evidence,
                reason=ending.reason,
                message=ending.message,
                exit_code=ending.exit_code,
            )

        await self.database.write(write)
