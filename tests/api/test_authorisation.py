"""Every route, for every role, on one's own things and on another's: one line of the table for each route.

A route without a line fails. What a line expects is said by the route's own permission and by whose the thing is:
nobody without a token, no viewer changes anything, no user administers, another's thing is not there.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import update

from gateway.api.routes import ROUTES, Permission, Route
from gateway.db import tables
from gateway.model.people import Person, Role
from gateway.model.users import NewToken
from tests.api.conftest import JOBS, PLAIN, Site, open_site, settings_for, specification

in_one_loop = pytest.mark.asyncio(loop_scope="module")
CASE = "cavity"
DIGEST = "sha256:" + "0" * 64
NAMES = [f"{route.method} {route.path}" for route in ROUTES]
CREDENTIALS = ["", "Bearer", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token}x", "Bearer ü", "Bearer sgw_"]


@dataclass(frozen=True)
class Line:
    """What a route is about.

    Attributes
    ----------
    thing
        Whose it is decides: ``job``, ``sweep``, ``upload``, ``token``, ``values``; "" for what is nobody's.
    for_admin
        Whether an admin may act on another's.
    """

    thing: str = ""
    body: Any = None
    for_admin: bool = True
    values: tuple[tuple[str, str], ...] = ()
    query: str = ""


JOB, UPLOAD, VALUES = Line("job"), Line("upload", for_admin=False), Line("values", for_admin=False)
SWEEP = Line("sweep")
TABLE: dict[str, Line] = {
    "POST /api/v1/jobs": Line(body=specification()),
    "GET /api/v1/jobs": Line(),
    "GET /api/v1/jobs/{id}": JOB,
    "PATCH /api/v1/jobs/{id}": Line("job", {"name": "other"}),
    "DELETE /api/v1/jobs/{id}": JOB,
    "POST /api/v1/jobs/cancel": Line(body={"ids": []}),
    "POST /api/v1/jobs/delete": Line(body={"ids": []}),
    "POST /api/v1/jobs/{id}/rerun": Line("job", {}),
    "POST /api/v1/jobs/{id}/clone": JOB,
    "POST /api/v1/jobs/{id}/submit": JOB,
    "POST /api/v1/jobs/{id}/cancel": JOB,
    "POST /api/v1/jobs/{id}/abandon": JOB,
    "POST /api/v1/jobs/{id}/hold": JOB,
    "POST /api/v1/jobs/{id}/release": JOB,
    "POST /api/v1/jobs/{id}/sync": JOB,
    "GET /api/v1/jobs/{id}/script": JOB,
    "GET /api/v1/jobs/{id}/attempts": JOB,
    "GET /api/v1/jobs/{id}/manifest": JOB,
    "GET /api/v1/jobs/{id}/outputs": JOB,
    "GET /api/v1/jobs/{id}/outputs/{path:path}": JOB,
    "GET /api/v1/outputs": Line(query="prefix={job}/"),
    "GET /api/v1/jobs/{id}/archive": JOB,
    "GET /api/v1/jobs/{id}/crate": JOB,
    "POST /api/v1/crates/plan": Line(body={}),
    "POST /api/v1/crates/run": Line(body={}),
    "POST /api/v1/jobs/{id}/verification": JOB,
    "GET /api/v1/jobs/{id}/verification": JOB,
    "DELETE /api/v1/jobs/{id}/verification": JOB,
    "GET /api/v1/signing-keys": Line(),
    "POST /api/v1/stores/{name}/reconcile": Line(values=(("name", "disk"),), query="dry_run=1"),
    "GET /api/v1/jobs/{id}/retention": JOB,
    "PUT /api/v1/jobs/{id}/retention": Line("job", {"after_days": 1}),
    "DELETE /api/v1/jobs/{id}/retention": JOB,
    "POST /api/v1/jobs/{id}/retention/hold": JOB,
    "POST /api/v1/jobs/{id}/retention/release": JOB,
    "POST /api/v1/jobs/{id}/retention/restore": JOB,
    "DELETE /api/v1/jobs/{id}/folder": JOB,
    "GET /api/v1/retention/plan": Line(),
    "POST /api/v1/retention/run": Line(body={}),
    "GET /api/v1/retention/works": Line(),
    "GET /api/v1/jobs/{id}/data": JOB,
    "GET /api/v1/jobs/{id}/data/{series}": JOB,
    "GET /api/v1/jobs/{id}/logs/{stream}": JOB,
    "GET /api/v1/jobs/{id}/events": JOB,
    "GET /api/v1/events": Line(),
    "GET /api/v1/cases": Line(),
    "GET /api/v1/cases/{name}": Line(),
    "GET /api/v1/cases/{name}/versions/{digest}": Line(),
    "GET /api/v1/cases/{name}/thumbnail": Line(),
    "POST /api/v1/cases/{name}/check": Line(body={"values": {}}),
    "POST /api/v1/cases/{name}/build": Line(values=(("name", "none"),)),
    "GET /api/v1/cases/{name}/values": Line(),
    "GET /api/v1/cases/{name}/values/{set}": VALUES,
    "PUT /api/v1/cases/{name}/values/{set}": Line(body={"values": {}}),
    "DELETE /api/v1/cases/{name}/values/{set}": VALUES,
    "GET /api/v1/images": Line(),
    "POST /api/v1/images": Line(body={}),
    "POST /api/v1/images/import": Line(body={}),
    "POST /api/v1/images/gc": Line(body={}),
    "GET /api/v1/images/{image}": Line(values=(("image", "fsl%2F6.0.3"),)),
    "PATCH /api/v1/images/{image}": Line(body={}, values=(("image", "fsl%2F6.0.3"),)),
    "POST /api/v1/images/{image}/check": Line(body={}, values=(("image", "fsl%2F6.0.3"),)),
    "POST /api/v1/images/{image}/prefetch": Line(values=(("image", "fsl%2F6.0.3"),)),
    "POST /api/v1/targets/{name}/images/gc": Line(body={}, values=(("name", "here"),)),
    "GET /api/v1/image-mirrors": Line(),
    "GET /api/v1/image-publications": Line(),
    "POST /api/v1/image-publications": Line(body={}),
    "POST /api/v1/image-publications/plan": Line(body={}),
    "POST /api/v1/sweeps": Line(body={"job": specification(), "grid": {"/env/A": ["1"]}}),
    "GET /api/v1/sweeps": Line(),
    "GET /api/v1/sweeps/{id}": SWEEP,
    "DELETE /api/v1/sweeps/{id}": SWEEP,
    "POST /api/v1/sweeps/{id}/cancel": SWEEP,
    "POST /api/v1/sweeps/{id}/rerun": SWEEP,
    "GET /api/v1/sweeps/{id}/table": SWEEP,
    "POST /api/v1/uploads": Line(),
    "GET /api/v1/uploads": Line(),
    "GET /api/v1/uploads/{name}": UPLOAD,
    "PATCH /api/v1/uploads/{name}": UPLOAD,
    "DELETE /api/v1/uploads/{name}": UPLOAD,
    "GET /api/v1/targets": Line(),
    "GET /api/v1/targets/{name}": Line(values=(("name", "here"),)),
    "POST /api/v1/targets/{name}/check": Line(values=(("name", "here"),)),
    "GET /api/v1/stores": Line(),
    "GET /api/v1/me": Line(),
    "GET /api/v1/users": Line(),
    "POST /api/v1/users": Line(body={}),
    "GET /api/v1/users/{name}": Line(values=(("name", "carol"),)),
    "PATCH /api/v1/users/{name}": Line(body={}, values=(("name", "carol"),)),
    "DELETE /api/v1/users/{name}": Line(values=(("name", "nobody"),)),
    "GET /api/v1/tokens": Line(),
    "POST /api/v1/tokens": Line(body={}),
    "DELETE /api/v1/tokens/{id}": Line("token"),
    "GET /api/v1/audit": Line(),
    "GET /healthz": Line(),
    "GET /readyz": Line(),
    "GET /metrics": Line(),
    "GET /openapi.json": Line(),
    "GET /api/v1/openapi.json": Line(),
    "GET /docs": Line(),
}


@dataclass
class World:
    """A gateway with a viewer, two users and its administrator, for all tests here."""

    site: Site
    tokens: dict[str, str]
    http: httpx.AsyncClient

    async def call(self, person: str | None, route: Route, line: Line, thing: str, method: str = "") -> httpx.Response:
        """Send a request of a route, as a person."""
        values = {
            "id": thing, "name": thing if line.thing == "upload" else CASE, "path": "a/b", "stream": "stdout",
            "digest": DIGEST, "set": thing, "series": "residuals", **dict(line.values),
        }  # fmt: skip
        address = re.sub(r"\{([a-z_]+)(:path)?\}", lambda match: values[match[1]], route.path)
        headers = {"Accept": "application/json", "Upload-Offset": "0"}
        if person is not None:
            headers["Authorization"] = f"Bearer {self.tokens[person]}"
        if line.query:
            address += "?" + line.query.format(job=thing)
        return await self.http.request(method or route.method, address, json=line.body, headers=headers)

    async def make(self, kind: str, owner: str) -> str:
        """Make a thing that belongs to a person; return its id."""
        return await MAKERS[kind](self.site, owner)


async def _job(site: Site, owner: str) -> str:
    made = await site.http.post(f"{JOBS}?draft=1", json=specification())
    await _give(site, tables.jobs, made.json()["id"], owner)
    return str(made.json()["id"])


async def _sweep(site: Site, owner: str) -> str:
    body = {"job": specification(), "grid": {"/env/A": ["1"]}}
    made = await site.http.post("/api/v1/sweeps", json=body)
    await _give(site, tables.sweeps, made.json()["id"], owner)
    return str(made.json()["id"])


async def _upload(site: Site, owner: str) -> str:
    made = await site.http.post("/api/v1/uploads", content=uuid.uuid4().bytes)
    await _give(site, tables.uploads, made.json()["id"], owner)
    return str(made.json()["id"])


async def _token(site: Site, owner: str) -> str:
    admin = Person(site.gateway.owner, Role.ADMIN)
    return (await site.gateway.people.add_token(NewToken(person=owner), admin)).id


async def _values(site: Site, owner: str) -> str:
    name = f"set-{uuid.uuid4().hex[:8]}"
    await site.http.put(f"/api/v1/cases/{CASE}/values/{name}", json={"values": {}})
    query = update(tables.value_sets).where(tables.value_sets.c.name == name).values(owner=owner)
    await site.gateway.database.write(lambda c: c.execute(query))
    return name


async def _nothing(site: Site, owner: str) -> str:
    return "00000000-0000-4000-8000-000000000000"


async def _give(site: Site, table: Any, thing: str, owner: str) -> None:
    await site.gateway.database.write(lambda c: c.execute(update(table).where(table.c.id == thing).values(owner=owner)))


MAKERS: dict[str, Callable[[Site, str], Awaitable[str]]] = {
    "job": _job, "sweep": _sweep, "upload": _upload, "token": _token, "values": _values, "": _nothing,
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    settings = settings_for(tmp_path_factory.mktemp("world") / "data", gateway={"rate_limit": 0})
    async with open_site(settings) as site:
        tokens = {"admin": site.token}
        for name, role in (("vera", Role.VIEWER), ("ulla", Role.USER), ("ada", Role.ADMIN), ("carol", Role.USER)):
            tokens[name] = await site.join(name, role)
        # One client for all: making one takes longer than most requests.
        async with httpx.AsyncClient(base_url=site.running.url, timeout=60, **PLAIN) as http:
            yield World(site, tokens, http)


@pytest.fixture(autouse=True)
def _no_remote_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def probe(_: object) -> list[Any]:
        return []

    monkeypatch.setattr("gateway.api.site.probe_target", probe)


def closed(answer: httpx.Response, thing: str) -> bool:
    """Whether an answer says that the thing is not there (and not that something of it is not)."""
    return answer.status_code == 404 and thing in answer.json()["detail"]


def test_every_route_has_a_line_in_the_table_of_this_test() -> None:
    assert [name for name in NAMES if name not in TABLE] == []


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
@in_one_loop
async def test_nobody_gets_in_without_a_valid_token(world: World, route: Route) -> None:
    address = re.sub(r"\{[a-z_]+(:path)?\}", "x", route.path)
    for method in (route.method, *(["HEAD"] if route.method == "GET" else [])):
        for text in CREDENTIALS:
            credential = text.format(token=world.site.token)
            headers = {b"Authorization": credential.encode()} if credential else {}
            answer = await world.http.request(method, address, headers=headers)
            if route.permission is Permission.PUBLIC:
                assert answer.status_code == 200
                continue
            assert answer.status_code == 401, (method, text)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
            assert answer.headers["Content-Type"] == "application/problem+json"


ROLES = {"vera": Role.VIEWER, "ulla": Role.USER, "ada": Role.ADMIN}
NEEDS = {
    Permission.PUBLIC: set(Role),
    Permission.READ: set(Role),
    Permission.WRITE: {Role.USER, Role.ADMIN},
    Permission.ADMIN: {Role.ADMIN},
}


@pytest.mark.parametrize("person", ROLES)
@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
@in_one_loop
async def test_each_role_may_do_what_it_may_on_its_own_and_on_anothers(world: World, route: Route, person: str) -> None:
    line, role = TABLE[f"{route.method} {route.path}"], ROLES[person]
    for owner in (person, "carol") if line.thing else (person,):
        thing = await world.make(line.thing, owner)
        answer = await world.call(person, route, line, thing)
        assert answer.status_code not in (401, 405), answer.text
        assert answer.status_code < 500, answer.text
        if role not in NEEDS[route.permission]:
            assert answer.status_code == 403, answer.text
            assert answer.json()["type"] == "urn:science-gateway:problem:forbidden"
            continue
        assert answer.status_code != 403, answer.text
        if line.thing:
            hidden = owner != person and not (role is Role.ADMIN and line.for_admin)
            assert closed(answer, thing) == hidden, (owner, answer.status_code, answer.text)


@in_one_loop
async def test_lists_show_ones_own_things_only(world: World) -> None:
    job, upload = await world.make("job", "carol"), await world.make("upload", "carol")
    token = await world.make("token", "carol")
    for person in ("vera", "ulla", "ada"):
        headers = {"Authorization": f"Bearer {world.tokens[person]}", "Accept": "application/json"}
        for path in ("jobs", "events", "uploads", "tokens"):
            text = (await world.http.get(f"/api/v1/{path}", headers=headers)).text
            assert job not in text
            assert upload not in text
            assert token not in text
        found = await world.http.get(f"/api/v1/outputs?prefix={job}/", headers=headers)
        assert found.status_code == (200 if person == "ada" else 404)


@in_one_loop
async def test_a_token_with_fewer_scopes_allows_less_than_its_persons_role(world: World) -> None:
    secret = await world.site.join("ulla", scopes=("read",))  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await world.http.get(JOBS, headers=headers)).status_code == 200
    refused = await world.http.post(JOBS, json=specification(), headers=headers)
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "this token may not change anything: that needs one with the scope 'write'",
    )


@in_one_loop
async def test_a_stranger_learns_nothing_from_addresses_that_are_not_there(world: World) -> None:
    for method, path in (("GET", "/nothing"), ("PUT", "/api/v1/jobs"), ("POST", "/healthz")):
        assert (await world.http.request(method, path)).status_code == 401


def test_only_what_shows_nothing_of_anybody_is_open() -> None:
    open_paths = {route.path for route in ROUTES if route.permission is Permission.PUBLIC}
    described = {"/openapi.json", "/api/v1/openapi.json", "/docs"}
    assert open_paths == {"/healthz", "/readyz", "/metrics", "/api/v1/signing-keys"} | described


def test_what_changes_something_is_never_a_get() -> None:
    for route in ROUTES:
        if route.permission is Permission.WRITE:
            assert route.method in ("POST", "PUT", "PATCH", "DELETE"), route.path
        if route.method == "GET":
            assert route.permission is not Permission.WRITE
