"""The API's routes about sweeps as flows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gateway.client.calls import API, LONGEST_POLL, PAGE, fetch, fetch_once
from gateway.client.flow import Emit, Flow, Request, deadline, exchange, pause
from gateway.model.states import ENDED
from gateway.model.sweep import Sweep, SweepPage, SweepRow, SweepState, SweepTable


def sweep_path(sweep_id: str, *rest: str) -> str:
    """Return the path of a sweep, or of something of it."""
    return "/".join((f"{API}/sweeps", *(quote(part, safe="") for part in (sweep_id, *rest))))


def submit_sweep(body: Mapping[str, Any], key: str | None = None) -> Flow[Sweep]:
    """Submit a sweep under a key."""
    headers = {"Idempotency-Key": key or str(uuid.uuid4())}
    return (yield from fetch_once(Sweep, Request("POST", f"{API}/sweeps", json=dict(body), headers=headers)))


def sweep(sweep_id: str) -> Flow[Sweep]:
    """Return a sweep."""
    return (yield from fetch(Sweep, Request("GET", sweep_path(sweep_id))))


def sweeps(limit: int | None) -> Flow[None]:
    """Emit sweeps, newest first."""
    query: dict[str, str] = {"limit": str(min(limit or PAGE, PAGE))}
    left = limit
    while left is None or left > 0:
        page = yield from fetch(SweepPage, Request("GET", f"{API}/sweeps", query))
        for found in page.items[:left]:
            yield Emit(found)
        left = None if left is None else left - len(page.items)
        if page.next_cursor is None:
            return
        query["cursor"] = page.next_cursor


def cancel_sweep(sweep_id: str) -> Flow[Sweep]:
    """Cancel all jobs of a sweep."""
    return (yield from fetch(Sweep, Request("POST", sweep_path(sweep_id, "cancel"))))


def rerun_sweep(sweep_id: str, *, failed: bool) -> Flow[Sweep]:
    """Run a sweep again: all of it, or what has failed."""
    query = {"failed": "1"} if failed else {}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    request = Request("POST", sweep_path(sweep_id, "rerun"), query, headers=headers)
    return (yield from fetch_once(Sweep, request))


def delete_sweep(sweep_id: str) -> Flow[None]:
    """Forget a sweep."""
    yield from exchange(Request("DELETE", sweep_path(sweep_id)))


def sweep_csv(sweep_id: str) -> Flow[str]:
    """Return the table of a sweep's values and results as CSV."""
    return (yield from exchange(Request("GET", sweep_path(sweep_id, "table"), {"format": "csv"}))).text


def sweep_table(sweep_id: str) -> Flow[list[dict[str, Any]]]:
    """Return the table of a sweep's values and results, one mapping a job."""
    query: dict[str, str] = {"format": "json"}
    found: list[dict[str, Any]] = []
    while True:
        page = yield from fetch(SweepTable, Request("GET", sweep_path(sweep_id, "table"), query))
        found += [_flat(row) for row in page.items]
        if page.next_cursor is None:
            return found
        query["cursor"] = page.next_cursor


def _flat(row: SweepRow) -> dict[str, Any]:
    known = row.model_dump(mode="json", exclude={"values"})
    values = {f"values.{name}" if name in known else name: value for name, value in row.values.items()}
    return {"index": known.pop("index"), "job_id": known.pop("job_id"), **values, **known}


def wait_sweep(sweep_id: str, timeout: float | None = None, poll: float = 0.5) -> Flow[Sweep]:
    """Emit a sweep whenever it was looked at, until all its jobs have ended; return it."""
    over = deadline(timeout)
    while True:
        found = yield from sweep(sweep_id)
        yield Emit(found)
        live = sum(count for state, count in found.counts.items() if state not in ENDED)
        if not live and found.state not in (SweepState.ACCEPTED, SweepState.RUNNING):
            return found
        if over():
            raise TimeoutError(f"sweep {sweep_id} is {found.state} after {timeout} s")
        yield from pause(poll)
        poll = min(poll * 1.2, max(poll, LONGEST_POLL))
