"""How long outputs are kept, as flows: ``gateway.run(retention.hold(job_id))``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.client.calls import API, fetch, items, job_path
from gateway.client.flow import Flow, Request
from gateway.model.retention import Begun, JobRetention, OwnRule, RetentionItem, RetentionPlan, RetentionWork

PAGE = 500


def plan(rule: str | None = None, job: str | None = None) -> Flow[list[RetentionItem]]:
    """Return what the rules would do now. Nothing is changed."""
    found: list[RetentionItem] = []
    query: dict[str, Any] = {"limit": str(PAGE)}
    query |= {name: value for name, value in (("rule", rule), ("job", job)) if value}
    while True:
        page = yield from fetch(RetentionPlan, Request("GET", f"{API}/retention/plan", query))
        found += page.items
        if page.next_cursor is None:
            return found
        query["cursor"] = page.next_cursor


def run(rules: Sequence[str] = (), jobs: Sequence[str] = ()) -> Flow[Begun]:
    """Begin what the rules ask for now."""
    body = {"rules": list(rules), "jobs": list(jobs)}
    return (yield from fetch(Begun, Request("POST", f"{API}/retention/run", json=body, again=False)))


def works(limit: int = 100, *, open_only: bool = False) -> Flow[list[RetentionWork]]:
    """Return what was begun, newest first."""
    query = {"limit": str(limit), "open": "true" if open_only else "false"}
    return (yield from items(f"{API}/retention/works", RetentionWork, query))


def show(job_id: str) -> Flow[JobRetention]:
    """Return what holds for a job's outputs."""
    return (yield from fetch(JobRetention, Request("GET", job_path(job_id, "retention"))))


def hold(job_id: str, why: str | None = None) -> Flow[JobRetention]:
    """Keep a job's outputs until the hold is taken away."""
    return (yield from fetch(JobRetention, Request("POST", job_path(job_id, "retention", "hold"), json={"why": why})))


def release(job_id: str) -> Flow[JobRetention]:
    """Take one's hold away; `Conflict` where there is none."""
    return (yield from fetch(JobRetention, Request("POST", job_path(job_id, "retention", "release"), again=False)))


def set_rule(job_id: str, rule: OwnRule) -> Flow[JobRetention]:
    """Set how long a job's outputs are kept."""
    request = Request("PUT", job_path(job_id, "retention"), json=rule.model_dump(mode="json"))
    return (yield from fetch(JobRetention, request))


def remove_rule(job_id: str) -> Flow[JobRetention]:
    """Take the own rule away."""
    return (yield from fetch(JobRetention, Request("DELETE", job_path(job_id, "retention"))))


def restore(
    job_id: str, patterns: Sequence[str] = (), store: str | None = None, *, urgent: bool = False
) -> Flow[JobRetention]:
    """Bring archived outputs back; `Conflict` where nothing of that is archived. The store takes hours."""
    body = {"patterns": list(patterns), "store": store, "urgent": urgent}
    return (yield from fetch(JobRetention, Request("POST", job_path(job_id, "retention", "restore"), json=body)))


def give_up_folder(job_id: str) -> Flow[JobRetention]:
    """Remove the folder of a job that has ended from its target, with all that is there only."""
    return (yield from fetch(JobRetention, Request("DELETE", job_path(job_id, "folder"), again=False)))
