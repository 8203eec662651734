"""What the engine writes into the database, each function one transaction's worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from sqlalchemy import Connection, RowMapping

from gateway.compute.records import RecordUpdate
from gateway.db import events, jobs, outputs
from gateway.engine.plan import JobPlan, StorePlan
from gateway.engine.verdict import Decision
from gateway.model.states import State
from gateway.storage.content_types import guess
from gateway.storage.filters import Transfer, land

PHASES = frozenset({"claimed", "pulled", "running", "stopping", "saving", "saved", "payload_ended", "syncing", "ended"})


def apply(connection: Connection, row: RowMapping, decision: Decision) -> bool:
    """Write a decision about a job and its attempt; return whether the state changed.

    A job that somebody changed since `row` was read (abandoned, deleted) is left to the next tick.
    """
    attempt = {name: value for name, value in decision.attempt.items() if row[f"a_{name}"] != value}
    if not attempt and not decision.job and decision.state == State(row["state"]):
        return False  # most jobs of most ticks: no query at all
    if jobs.state_of(connection, row["id"]) is not State(row["state"]):
        return False
    if attempt:
        jobs.set_attempt(connection, row["id"], row["attempt"], **attempt)
    if decision.state == State(row["state"]):
        if decision.job:
            jobs.set_columns(connection, row["id"], **decision.job)
        return False
    values = dict(decision.job)
    if decision.state is State.QUEUED and row["queued_at"] is None:
        values["queued_at"] = jobs.now()
    return jobs.change_state(connection, row["id"], decision.state, evidence=decision.evidence, **values)


def note_progress(connection: Connection, row: RowMapping, update: RecordUpdate) -> None:
    """Turn new lines of status.jsonl into events; of several pull reports in a tick only the last counts."""
    pull: dict[str, Any] | None = None
    at = jobs.now()
    for line in update.status_lines:
        phase = line.get("phase")
        if phase == "pulling":
            pull = {key: line.get(key) for key in ("at", "bytes", "total", "source")}
            continue
        if phase not in PHASES:
            continue
        if pull is not None:
            events.append(connection, row["id"], row["owner"], "pull", pull, at=at)
            pull = None
        if phase == "pulled":
            data = {"bytes": line.get("bytes"), "total": line.get("bytes"), "cached": line.get("cached")}
            events.append(connection, row["id"], row["owner"], "pull", data, at=at)
        data = {key: value for key, value in line.items() if key not in ("token",)}
        events.append(connection, row["id"], row["owner"], "phase", data, at=at)
        if phase == "running":
            jobs.set_attempt(connection, row["id"], row["attempt"], payload_started_at=at)
    if pull is not None:
        events.append(connection, row["id"], row["owner"], "pull", pull, at=at)


def copied_objects(update: RecordUpdate, transfer: int) -> tuple[list[tuple[int, str, int]], int]:
    """Return (transfer number, path below its source, size) of what the node says it copied, and the last transfer.

    The syncer writes a line with ``begin`` before rclone's own lines of a transfer; `transfer` is the one that was
    begun when the lines were last read.
    """
    found = []
    for line in update.sync_lines:
        begun, path, size = line.get("begin"), line.get("object"), line.get("size")
        if isinstance(begun, int) and not isinstance(begun, bool):
            transfer = begun
        copied = str(line.get("msg", "")).startswith(("Copied (", "Multi-thread Copied ("))
        if copied and _is_name(path) and isinstance(size, int) and 0 <= size < 2**63:
            found.append((transfer, path, size))
    return found, transfer


def _is_name(path: object) -> TypeGuard[str]:
    """Say whether a database takes the text as a path."""
    return isinstance(path, str) and "\0" not in path and not any("\ud800" <= char <= "\udfff" for char in path)


def note_copied(connection: Connection, row: RowMapping, plan: JobPlan, update: RecordUpdate) -> int:
    """Write rows of what the node says it copied since the last tick; return the transfer that was last begun."""
    pushed = {r["store"] for r in jobs.stores_of(connection, [row["id"]])[row["id"]] if r["transfer"] == "push"}
    transfers = [(item, transfer) for item in plan.stores if item.name in pushed for transfer in item.transfers]
    copied, last = copied_objects(update, int((row["a_offsets"] or {}).get("transfer", 0)))
    by_store: dict[str, list[outputs.OutputRow]] = {}
    for number, path, size in copied:
        if 0 <= number < len(transfers):
            item, transfer = transfers[number]
            found = partial_row(item, row["attempt"], transfer, path, size)
            if found is not None:
                by_store.setdefault(item.name, []).append(found)
    for store, rows in by_store.items():
        note_outputs(connection, row, store, rows)
    return last


def partial_row(plan: StorePlan, attempt: int, transfer: Transfer, path: str, size: int) -> outputs.OutputRow | None:
    """Return the row of a file that was copied while the job runs; None for a name that no output has.

    It is the node's claim, and stays ``partial`` until the gateway has compared it with the store's listing.
    """
    full = f"{transfer.source_folder}/{path}" if transfer.source_folder else path
    for landing in land(plan.rules, plan.exclude, full):
        return outputs.OutputRow(
            path=landing.destination,
            size=size,
            state="partial",
            attempt=attempt,
            content_type=landing.content_type or guess(landing.destination),
            stored_at=jobs.now(),
        )
    return None


def placed_row(attempt: int, path: str, size: int) -> outputs.OutputRow:
    """Return the row of a file that the gateway's own background pass copied."""
    return outputs.OutputRow(path, size, "partial", attempt, content_type=guess(path), stored_at=jobs.now())


def note_outputs(
    connection: Connection,
    row: RowMapping,
    store: str,
    rows: Sequence[outputs.OutputRow],
) -> None:
    """Write rows of outputs that appeared while the job runs, with one event."""
    if not rows:
        return
    outputs.upsert(connection, row["id"], store, rows)
    jobs.set_store(connection, row["id"], store, state="partial")
    data = {
        "store": store,
        "count": len(rows),
        "bytes": sum(r.size for r in rows),
        "new": [r.path for r in rows[:50]],
    }
    events.append(connection, row["id"], row["owner"], "outputs", data, at=jobs.now())
    jobs.set_columns(connection, row["id"])
