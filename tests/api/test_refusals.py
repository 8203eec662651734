"""Bad input: a problem that names each field; nothing half-created."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.api.conftest import JOBS, Site, specification

CLUSTER = {"target": "cluster", "image": "/a.sif"}
HOSTILE: list[tuple[dict[str, Any], str]] = [
    ({"resources": {"walltime": "soon"}}, "#/resources/walltime"),
    ({"resources": {"walltime": 0}}, "#/resources/walltime"),
    ({"resources": {"memory": "1X"}}, "#/resources/memory"),
    ({"resources": {"queue": "a;b"}}, "#/resources/queue"),
    ({"resources": {"queue": "batch"}}, "#/resources/queue"),
    ({"resources": {"nodes": 2}}, "#/resources/nodes"),
    ({"resources": {"options": {"qos": "high"}}}, "#/resources/options/qos"),
    ({"resources": {"options": {"a/b": "x"}}}, "#/resources/options/a~1b"),
    ({**CLUSTER, "resources": {"options": {"reservation": "x"}}}, "#/resources/options/reservation"),
    ({**CLUSTER, "resources": {"cpus": 3, "tasks_per_node": 2}}, "#/resources/tasks_per_node"),
    ({"target": "nowhere"}, "#/target"),
    ({"target": "../etc"}, "#/target"),
    ({"target": 7}, "#/target"),
    ({"target": "cluster"}, "#/image"),
    ({"image": "shub://alpine/linux"}, "#/image/ref"),
    ({"image": {"ref": "https://a/b", "digest": "md5:x"}}, "#/image/digest"),
    ({"stores": ["nowhere"]}, "#/stores/0"),
    ({"stores": ["disk", {"store": "nowhere"}]}, "#/stores/1/store"),
    ({"stores": [{"store": "disk", "path": "../x"}]}, "#/stores/0/path"),
    ({"stores": [{"store": "disk", "path": "x/"}]}, "#/stores/0/path"),
    ({"stores": [{"store": "disk", "path": ".gateway"}]}, "#/stores/0/path"),
    ({"stores": ["disk", "disk"]}, "#/stores"),
    ({"stores": [{"store": "disk", "outputs": [{"source": "[a"}]}]}, "#/stores/0/outputs/0/source"),
    ({"command": []}, "#/command"),
    ({"command": "ls"}, "#/command"),
    ({"command": ["a\0b"]}, "#/command/0"),
    ({"command": ["x" * (100 * 1024 + 1)]}, "#/command/0"),
    ({"command": [""]}, "#/command"),
    ({"script": "echo"}, "#"),
    ({"env": {"LD_PRELOAD": "x"}}, "#/env"),
    ({"env": {"A": 1}}, "#/env/A"),
    ({"env": {"a b": "x"}}, "#/env/a%20b"),
    ({"inputs": [{"path": "a", "url": "http://127.0.0.1/a"}]}, "#/inputs/0/url"),
    ({"inputs": [{"path": "ok", "content": ""}, {"path": "/etc/passwd", "content": ""}]}, "#/inputs/1/path"),
    ({"inputs": [{"path": ".gateway/x", "content": ""}]}, "#/inputs/0/path"),
    ({"inputs": [{"path": "a"}]}, "#/inputs/0"),
    ({"inputs": [{"path": "a", "upload": "sha256:" + "a" * 64}]}, "#/inputs/0/upload"),
    ({"inputs": [{"path": "a", "target_path": "/etc/passwd"}]}, "#/inputs/0/target_path"),
    ({"inputs": [{"path": "a", "content": ""}, {"path": "a", "content": ""}]}, "#/inputs"),
    ({"outputs": [{"source": "ok"}, {"source": "a/[b"}]}, "#/outputs/1/source"),
    ({"outputs": [{"source": "a/*", "destination": "x"}, {"source": "b/*", "destination": "x"}]}, "#/outputs/1"),
    ({"outputs": [{"source": f"d{i}/" + "**/*a*/" * 135, "destination": "o"} for i in range(200)]}, "#/outputs"),
    ({"outputs": [{"source": "a", "when": "never"}]}, "#/outputs/0/when"),
    ({"outputs": [{"source": "a", "destination": "../x"}]}, "#/outputs/0"),
    ({"exclude": ["ok", "/abs"]}, "#/exclude/1"),
    ({"tags": {"a b": "x"}}, "#/tags/a%20b"),
    ({"name": ""}, "#/name"),
    ({"name": "a\nb"}, "#/name"),
    ({"name": "\ud800"}, "#/name"),
    ({"retry": {"reasons": ["\udfff"]}}, "#/retry/reasons/0"),
    ({"sync": {"interval": 0}}, "#/sync/interval"),
    ({"unknown": 1}, "#/unknown"),
    ({"resources": {"wall time~/": 1}}, "#/resources/wall%20time~0~1"),
    ({"resources": None}, "#/resources"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "pointer"), HOSTILE, ids=[pointer for _, pointer in HOSTILE])
async def test_a_wrong_field_is_named_and_nothing_is_created(site: Site, changes: dict[str, Any], pointer: str) -> None:
    body = json.dumps(specification(**changes)).encode()
    answer = await site.http.post(JOBS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "errors"}
    assert (problem["type"], problem["status"]) == ("urn:science-gateway:problem:validation", 422)
    assert pointer in [error["pointer"] for error in problem["errors"]], problem["errors"]
    assert all(error["detail"] for error in problem["errors"])
    assert (await site.http.get(JOBS)).json()["items"] == []


async def test_every_wrong_field_is_named_at_once(site: Site) -> None:
    body = specification(
        target="nowhere", stores=["nope"], inputs=[{"path": "a", "job": "x" * 36, "output": "b"}], exclude=["/x"]
    )
    body["inputs"][0]["job"] = "00000000-0000-4000-8000-000000000000"
    errors = (await site.http.post(JOBS, json=body)).json()["errors"]
    assert [error["pointer"] for error in errors] == ["#/target", "#/stores/0", "#/inputs/0/job", "#/exclude/0"]


async def test_a_refusal_never_repeats_the_value(site: Site) -> None:
    answer = await site.http.post(JOBS, json=specification(env={"A": ["hunter2"]}, image={"ref": 5, "x": "hunter2"}))
    assert answer.status_code == 422
    assert "hunter2" not in answer.text


BROKEN = [
    b"",
    b"{",
    b"nonsense",
    b'{"name": "a", "name": "b"}',
    b'{"sync": {"interval": NaN}}',
    b'{"sync": {"interval": Infinity}}',
    b'{"name": "\xff"}',
    b"[" * 100_000,
    b'{"tags": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"a":' * 50_000,
    b'{"resources": {"nodes": ' + b"9" * 5000 + b"}}",
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
async def test_what_is_not_json_is_malformed(site: Site, body: bytes) -> None:
    answer = await site.http.post(JOBS, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:science-gateway:problem:malformed"), answer.text


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"7"])
async def test_json_that_is_no_object_is_invalid(site: Site, body: bytes) -> None:
    answer = await site.http.post(JOBS, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml"])
async def test_a_body_that_is_not_called_json_is_refused(site: Site, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await site.http.post(JOBS, content=b'{"command": ["true"]}', headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:science-gateway:problem:media-type")


@pytest.mark.parametrize("size", [16 * 1024 * 1024 + 1, 40 * 1024 * 1024])
async def test_a_body_over_16_mib_is_too_large(site: Site, size: int) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await site.http.post(JOBS, content=b" " * size, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:science-gateway:problem:too-large")
    assert (await site.http.get(JOBS)).status_code == 200


async def test_a_body_of_16_mib_is_read(site: Site) -> None:
    body = b'{"command": ["true"]}'.ljust(16 * 1024 * 1024)
    answer = await site.http.post(JOBS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 202


QUERIES = [
    (JOBS, "unknown=1", "?unknown"),
    (JOBS, "limit=0", "?limit"),
    (JOBS, "limit=501", "?limit"),
    (JOBS, "limit=ten", "?limit"),
    (JOBS, "limit=1&limit=2", "?limit"),
    (JOBS, "state=sleeping", "?state"),
    (JOBS, "sort=spec", "?sort"),
    (JOBS, "tag=%24.x%22:1", "?tag"),
    (JOBS, "cursor=", "?cursor"),
    (JOBS, "cursor=nonsense", "?cursor"),
    (JOBS, "cursor=WyJqb2JzKyIsMSwieCJd", "?cursor"),
    (JOBS, "cursor=WyJqb2JzLSIsdHJ1ZSwieCJd", "?cursor"),
    (JOBS, "cursor=%F0%9F%98%80", "?cursor"),
    (JOBS, "q=%ff", "?"),
    (JOBS, "q=%00", "?q"),
    ("/api/v1/outputs", "", "?prefix"),
    ("/api/v1/outputs", "prefix=abc", "?prefix"),
    ("/api/v1/events", "after=-1", "?after"),
    ("/api/v1/events", "after=x", "?after"),
    ("/api/v1/targets", "limit=1", "?limit"),
]


@pytest.mark.parametrize(("path", "query", "pointer"), QUERIES, ids=[query or "none" for _, query, _ in QUERIES])
async def test_wrong_query_parameters_are_named(site: Site, path: str, query: str, pointer: str) -> None:
    answer = await site.http.get(f"{path}?{query}")
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_method_that_is_not_there_names_those_that_are(site: Site) -> None:
    answer = await site.http.put(JOBS, json={})
    assert (answer.status_code, answer.json()["type"]) == (405, "urn:science-gateway:problem:method-not-allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    put = await site.http.put(f"{JOBS}/x", json={})
    assert (put.status_code, put.headers["Allow"]) == (405, "DELETE, GET, HEAD, PATCH")
    assert (await site.http.request("OPTIONS", JOBS)).status_code == 405
    assert (await site.http.request("BREW", JOBS)).status_code == 405


@pytest.mark.parametrize("path", ["/", "/api/v1", "/api/v2/jobs", "/api/v1/jobs/", "/%ff", "/api/v1/jobs//outputs"])
async def test_an_address_that_is_not_there_is_a_problem_too(site: Site, path: str) -> None:
    answer = await site.http.get(path)
    assert answer.status_code == 404, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_an_address_that_is_not_utf8_is_malformed(site: Site) -> None:
    answer = await site.http.get(f"{JOBS}/%ff")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:science-gateway:problem:malformed")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil"])
async def test_a_foreign_host_name_is_refused_before_anything_else(site: Site, host: str) -> None:
    for path in (JOBS, "/healthz", "/docs"):
        answer = await site.http.get(path, headers={"Host": host})
        assert (answer.status_code, answer.json()["type"]) == (421, "urn:science-gateway:problem:misdirected")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8480", "127.0.0.1:1", "[::1]:8480", "192.0.2.7"])
async def test_loopback_names_and_addresses_are_answered(site: Site, host: str) -> None:
    assert (await site.http.get("/healthz", headers={"Host": host})).status_code == 200


async def test_what_nobody_expected_is_500_without_details(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_down(*_: object) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(site.gateway.jobs, "get", break_down)
    answer = await site.http.get(f"{JOBS}/x")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert answer.json()["type"] == "urn:science-gateway:problem:internal"
    assert answer.headers["X-Request-ID"] in answer.json()["detail"]
    assert any(answer.headers["X-Request-ID"] in record.getMessage() for record in caplog.records)


async def test_half_a_request_does_not_stop_the_others(site: Site) -> None:
    url = httpx.URL(site.running.url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    assert (await site.http.get(JOBS)).status_code == 200
    writer.close()
    await writer.wait_closed()
    assert (await site.http.get(JOBS)).json()["items"] == []
