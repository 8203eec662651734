"""The gateway keeps what its OpenAPI document promises, whatever is sent: no 5xx, no answer of another shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.api.openapi import document
from gateway.api.routes import ROUTES
from gateway.model.states import State
from tests.api.served_in_thread import Served, served_in_thread

EXAMPLES = 8
"""Requests of each operation."""
TIMEOUT = 30
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SLOW = {"/api/v1/targets/{name}/check", "/api/v1/cases/{name}/build"}
"""Looks at a machine, or builds an image: other tests do that; here nothing has the name."""
WORDS = {"id", "state", "target", "case", "owner", "sweep", "tag", "q", "store", "prefix", "cursor", "person"}
WORDS |= {"pattern", "content_type", "modified_after", "min_size", "job"}
WORDS |= {f"{what}_{when}" for what in ("created", "ended") for when in ("after", "before")}
"""Query parameters that make most lists empty or wrong when they are made up."""
FLOW = {"name": "flow", "command": ["true"], "tags": {"study": "re"}, "resources": {"cpus": 1}}
CRATE = {"run": {"job": "12345678-1234-1234-1234-123456789012", "specification": {"command": ["true"]}}}
GOOD: dict[str, dict[str, Any]] = {
    "POST /api/v1/jobs": FLOW,
    "PATCH /api/v1/jobs/{id}": {"tags": {"study": "other"}, "notes": "seen"},
    "POST /api/v1/jobs/{id}/rerun": {"env": {"RE": "200"}},
    "POST /api/v1/jobs/cancel": {"filter": {"state": "draft"}},
    "POST /api/v1/jobs/delete": {"filter": {"state": "draft"}},
    "POST /api/v1/sweeps": {"job": FLOW, "grid": {"/env/RE": ["100", "200"]}},
    "POST /api/v1/users": {"name": "adam", "role": "viewer"},
    "POST /api/v1/cases/{name}/check": {"values": {}},
    "POST /api/v1/crates/plan": CRATE,
    "POST /api/v1/crates/run": CRATE,
    "PUT /api/v1/cases/{name}/values/{set}": {"values": {}},
}
"""Bodies that can be carried out; what is made up at random hardly ever can."""

schema = schemathesis.openapi.from_dict(
    document(ROUTES), config=schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
)


class Things:
    """Real things in the places of addresses, for most requests; some keep what was made up."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {served.site.token}"
        self.session.trust_env = False
        self.base = served.site.running.url
        self.ended = served.run(self._ended_job())
        self._kinds = cycle(["ended", "accepted", "draft", "made up", "running"])
        self._tame = cycle([True, False])
        self._real = cycle([True, True, False])

    async def _ended_job(self) -> str:
        site = self.served.site
        job = await site.submit(tags={"study": "re"}, stores=["disk", "archive"])
        await site.attempt(job["id"], script="#!/bin/bash\n")
        await site.store_file(job["id"], "VTK/a.vtk", b"# vtk\n" * 99)
        await site.store_file(job["id"], ".gateway/manifest.json", b"{}")
        await site.move(job["id"], State.STAGING, State.QUEUED, State.RUNNING, State.FINALIZING, State.SUCCEEDED)
        return str(job["id"])

    async def _running_job(self) -> str:
        job = await self.served.site.submit()
        await self.served.site.move(job["id"], State.STAGING, State.QUEUED, State.RUNNING)
        return str(job["id"])

    def post(self, path: str, **request: Any) -> Any:
        """Make a thing and return it."""
        answer = self.session.post(f"{self.base}/api/v1{path}", timeout=TIMEOUT, **request)
        answer.raise_for_status()
        return answer.json()

    def job(self, *, reading: bool) -> str | None:
        """The id of a job; None: what was made up. Only what has ended is read: a log can be followed for ever."""
        kind = next(self._kinds)
        if kind == "made up":
            return None
        if reading:
            return self.ended
        if kind in ("accepted", "draft"):
            query = {"draft": "1"} if kind == "draft" else {}
            return str(self.post("/jobs", json={"name": "x", "command": ["true"]}, params=query)["id"])
        return self.served.run(self._running_job() if kind == "running" else self._ended_job())

    def sweep(self, *, reading: bool) -> str | None:
        """The id of a sweep."""
        job = {"command": ["true"]}
        return str(self.post("/sweeps", json={"job": job, "grid": {"/env/A": ["1", "2"]}})["id"])

    def upload(self, *, reading: bool) -> str | None:
        """The id of an upload."""
        return str(self.post("/uploads", data=b"content", headers={"Upload-Length": "1000"})["id"])

    def person(self, *, reading: bool) -> str | None:
        """The name of somebody."""
        self.session.post(f"{self.base}/api/v1/users", json={"name": "zoe", "role": "user"}, timeout=TIMEOUT)
        return "zoe"

    def token(self, *, reading: bool) -> str | None:
        """The id of a token."""
        return str(self.post("/tokens", json={"label": "for a while"})["id"])

    def values(self, *, reading: bool) -> str | None:
        """The name of a set of values."""
        address = f"{self.base}/api/v1/cases/cavity/values/mine"
        self.session.put(address, json={"values": {}}, timeout=TIMEOUT).raise_for_status()
        return "mine"

    def version(self, *, reading: bool) -> str | None:
        """The version of a case."""
        answer = self.session.get(f"{self.base}/api/v1/cases/cavity", timeout=TIMEOUT)
        return str(answer.json()["version"])

    def place(self, case: schemathesis.Case) -> None:
        """Put real things in the address."""
        reading = case.method.upper() == "GET"
        makers: dict[str, tuple[str, Callable[..., str | None]]] = {
            "/jobs/{id}": ("id", self.job),
            "/sweeps/{id}": ("id", self.sweep),
            "/uploads/{name}": ("name", self.upload),
            "/users/{name}": ("name", self.person),
            "/targets/{name}": ("name", lambda reading: "here"),
            "/stores/{name}": ("name", lambda reading: "disk"),
            "/tokens/{id}": ("id", self.token),
            "/cases/{name}": ("name", lambda reading: "cavity"),
            "/values/{set}": ("set", self.values),
            "/versions/{digest}": ("digest", self.version),
            "/outputs/{path}": ("path", lambda reading: "VTK/a.vtk"),
        }
        real = next(self._real)
        for part, (name, make) in makers.items():
            if case.path in SLOW or part not in case.path:
                continue
            if (make == self.job or real) and (made := make(reading=reading)):
                case.path_parameters[name] = made

    def tame(self, case: schemathesis.Case) -> None:
        """Make every second request one that can be carried out."""
        if not next(self._tame):
            return
        for name in WORDS & set(case.query):
            del case.query[name]
        for name in ("Idempotency-Key", "If-Match", "Upload-Digest", "Upload-Length"):
            case.headers.pop(name, None)
        if case.operation.label.startswith("PATCH /api/v1/uploads"):
            case.headers["Upload-Offset"] = "7"
        if case.path == "/api/v1/outputs":
            case.query["prefix"] = f"{self.ended}/"
        if case.operation.label in GOOD:
            case.body = dict(GOOD[case.operation.label])


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Things]:
    with served_in_thread(tmp_path_factory.mktemp("contract") / "data") as served:
        made = Things(served)
        yield made
        made.session.close()


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_is_answered_as_the_document_says(case: schemathesis.Case, things: Things) -> None:
    things.place(case)
    things.tame(case)
    headers = {} if case.path.endswith("/archive") else {"Accept": "application/json"}
    answer = case.call(base_url=things.base, session=things.session, headers=headers, timeout=TIMEOUT)
    assert answer.status_code != 405
    case.validate_response(answer, checks=CHECKS)
