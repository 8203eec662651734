"""Finding and verifying outputs, and reconciling stores, as flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from gateway.client.calls import API, fetch, job_path
from gateway.client.flow import Emit, Flow, Request, open_answer, pause, read
from gateway.errors import GatewayError, StoreError
from gateway.model.job import OutputPage
from gateway.model.verification import Repair, SigningKeys, Verification

LONGEST_POLL = 2.0
PATIENCE = 600.0
"""Seconds that a line of a repair may take."""


def find(job_id: str | None, limit: int | None, query: Mapping[str, str]) -> Flow[None]:
    """Emit outputs that fit, in one job or in all, page by page. A page may be empty and the search go on."""
    path = job_path(job_id, "outputs") if job_id is not None else f"{API}/outputs"
    asked, left = dict(query), limit
    while left is None or left > 0:
        asked["limit"] = str(min(left or 1000, 1000))
        page = yield from fetch(OutputPage, Request("GET", path, asked))
        for file in page.files[:left]:
            yield Emit(file)
        left = None if left is None else left - len(page.files)
        if page.next_cursor is None:
            return
        asked["cursor"] = page.next_cursor


def _path(job_id: str) -> str:
    return job_path(job_id, "verification")


def verification(job_id: str, store: str | None) -> Flow[Verification]:
    """Return the latest verification with all that it found."""
    query = {"store": store} if store else {}
    found = page = yield from fetch(Verification, Request("GET", _path(job_id), query))
    findings = list(found.findings)
    while page.next_cursor is not None:
        page = yield from fetch(Verification, Request("GET", _path(job_id), {**query, "cursor": page.next_cursor}))
        findings += page.findings
    return found.model_copy(update={"findings": findings, "next_cursor": None})


def verify(job_id: str, store: str | None, sample: int | None, *, fresh: bool, poll: float = 0.2) -> Flow[Verification]:
    """Verify a job's outputs; emit how far it is, and return what came of it."""
    query = {name: str(value) for name, value in (("store", store), ("sample", sample)) if value is not None}
    query |= {"fresh": "true"} if fresh else {}
    found = yield from fetch(Verification, Request("POST", _path(job_id), query))
    one = {"store": found.store, "limit": "1"}
    while found.state == "running":
        yield Emit(found)
        yield from pause(poll)
        poll = min(poll * 1.3, LONGEST_POLL)
        found = yield from fetch(Verification, Request("GET", _path(job_id), one))
    yield Emit(found)
    return (yield from verification(job_id, found.store))


def cancel_verification(job_id: str, store: str | None) -> Flow[Verification]:
    """End a verification that runs."""
    return (yield from fetch(Verification, Request("DELETE", _path(job_id), {"store": store} if store else {})))


def signing_keys() -> Flow[SigningKeys]:
    """Return the public keys whose signatures are believed."""
    return (yield from fetch(SigningKeys, Request("GET", f"{API}/signing-keys")))


def reconcile(store: str, job_id: str | None, *, dry_run: bool) -> Flow[None]:
    """Emit line by line what reconciling a store finds and does.

    Raises
    ------
    GatewayError
        The gateway could not go on, or the connection broke: what was told as done stays.
    """
    query: dict[str, Any] = {"dry_run": "true"} if dry_run else {}
    query |= {"job": job_id} if job_id is not None else {}
    path = f"{API}/stores/{quote(store, safe='')}/reconcile"
    yield from open_answer(Request("POST", path, query, timeout=PATIENCE, again=False))
    rest, last = b"", None
    while chunk := (yield from read()):
        *lines, rest = (rest + chunk).split(b"\n")
        for text in lines:
            last = _line(text)
            if last.kind == "failed":
                raise StoreError(last.detail or "the store failed", hint="reconcile again: it goes on from there")
            yield Emit(last)
    if last is None or last.kind != "done":
        raise GatewayError("the gateway broke off", hint="reconcile again: it goes on from there")


def _line(text: bytes) -> Repair:
    try:
        return Repair.model_validate_json(text)
    except ValidationError:
        raise GatewayError("the gateway's answer is no line of a repair") from None
