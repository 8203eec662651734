"""The server's borders: hosts, other origins, compression, rates, request ids, and requests that never end."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.api import request_ids, server, tornado_adapter
from gateway.api.auth import check_host
from gateway.api.compression import Compressor, accepts_gzip
from gateway.api.messages import Misdirected, Reply
from tests.api.conftest import JOBS, Site, open_site, settings_for, specification

PAGE = "https://lab.example.org:8888"


@pytest.fixture
async def open_to_pages(tmp_path: Path) -> AsyncIterator[Site]:
    settings = settings_for(
        tmp_path / "data", gateway={"cors_origins": [PAGE], "host_names": ["gw.example.org"], "rate_limit": 4}
    )
    async with open_site(settings) as site:
        yield site


# --- Hosts and origins


def test_only_the_named_hosts_are_answered_where_there_are_names() -> None:
    check_host("gw.example.org:443", "0.0.0.0:80", ["gw.example.org"])
    check_host("localhost", "0.0.0.0:80", ["gw.example.org"])
    with pytest.raises(Misdirected):
        check_host("other.example.org", "0.0.0.0:80", ["gw.example.org"])


async def test_a_page_of_an_allowed_origin_may_ask_and_read(open_to_pages: Site) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "PATCH", "Authorization": ""}
    allowed = await open_to_pages.http.options(f"{JOBS}/x", headers=asked)
    assert allowed.status_code == 204
    assert allowed.headers["Access-Control-Allow-Origin"] == PAGE
    assert "PATCH" in allowed.headers["Access-Control-Allow-Methods"]
    assert "If-Match" in allowed.headers["Access-Control-Allow-Headers"]
    for path, status in ((JOBS, 200), (f"{JOBS}/x", 404), ("/healthz", 200)):
        answer = await open_to_pages.http.get(path, headers={"Origin": PAGE, "Host": "gw.example.org"})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, PAGE)
        assert "Origin" in answer.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert (await open_to_pages.http.get("/healthz", headers={"Host": "other.example.org"})).status_code == 421


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "*", PAGE + ".evil.example", PAGE.upper() + "x"])
async def test_a_page_of_another_origin_may_not(open_to_pages: Site, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    refused = await open_to_pages.http.options(JOBS, headers=asked)
    assert refused.status_code == 405
    answer = await open_to_pages.http.get("/healthz", headers={"Origin": origin})
    assert not [name for name in (*refused.headers, *answer.headers) if name.startswith("access-control")]


async def test_without_the_setting_no_page_may_ask(site: Site) -> None:
    answer = await site.http.get(JOBS, headers={"Origin": "http://127.0.0.1"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


# --- Compression


async def test_long_answers_are_compressed_where_the_client_takes_it(site: Site) -> None:
    job = await site.submit(env={f"VARIABLE_{n}": "x" * 100 for n in range(200)})
    url = f"{JOBS}/{job['id']}"
    plain = await site.http.get(url, headers={"Accept-Encoding": "identity"})
    packed = await site.http.get(url, headers={"Accept-Encoding": "gzip"})
    assert (plain.headers["ETag"], packed.headers["ETag"]) == ('"1"', 'W/"1"')
    assert plain.json() == packed.json()
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(plain.content) // 5
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Accept-Encoding" in packed.headers["Vary"]
    head = await site.http.head(url, headers={"Accept-Encoding": "gzip"})
    assert head.headers["Content-Length"] == packed.headers["Content-Length"]
    unchanged = await site.http.get(url, headers={"If-None-Match": packed.headers["ETag"]})
    assert unchanged.status_code == 304
    cancelled = await site.http.post(f"{url}/cancel", headers={"If-Match": packed.headers["ETag"]})
    assert cancelled.status_code == 202


async def test_short_answers_streams_and_outputs_are_sent_as_they_are(site: Site) -> None:
    job = await site.submit()
    await site.store_file(job["id"], "a.txt", b"x" * 5000)
    headers = {"Accept-Encoding": "gzip"}
    for path in ("/healthz", f"{JOBS}/{job['id']}", f"{JOBS}/{job['id']}/outputs/a.txt"):
        answer = await site.http.get(path, headers=headers)
        assert answer.status_code == 200
        assert "Content-Encoding" not in answer.headers, path
    async with site.http.stream("GET", f"{JOBS}/{job['id']}/events", headers=headers) as events:
        assert "Content-Encoding" not in events.headers


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("", False),
        ("identity", False),
        ("gzip;q=nonsense", False),
    ],
)
def test_the_clients_wish_is_read_as_the_standard_has_it(header: str, wanted: bool) -> None:
    assert accepts_gzip(header) is wanted


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "image/png"},
        {"Content-Type": "application/json", "Content-Encoding": "br"},
        {"Content-Type": "text/plain", "Content-Range": "bytes 0-9/10"},
        {"Content-Type": "text/plain", "Content-Disposition": "attachment"},
    ],
)
def test_what_must_keep_its_bytes_keeps_them(headers: dict[str, str]) -> None:
    reply = Reply(200, headers, b"x" * 5000)
    assert Compressor().apply(reply, "gzip") == reply


def test_the_same_bytes_are_compressed_once() -> None:
    compressor = Compressor()
    reply = Reply(200, {"Content-Type": "application/json"}, b"x" * 5000)
    first, second = (compressor.apply(reply, "gzip").content for _ in range(2))
    assert first is second
    assert isinstance(first, bytes)
    assert gzip.decompress(first) == reply.content


# --- Rates and ids


async def test_too_many_requests_with_one_token_have_to_wait_and_others_have_not(open_to_pages: Site) -> None:
    http = open_to_pages.http
    answers = [await http.get("/api/v1/stores") for _ in range(40)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert answers[0].status_code == 200
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert refused[0].json()["type"] == "urn:science-gateway:problem:too-many-requests"
    other = {"Authorization": f"Bearer {await open_to_pages.join('alice')}"}
    assert (await http.get("/api/v1/stores", headers=other)).status_code == 200
    assert (await http.get("/healthz")).status_code == 200


async def test_a_well_formed_request_id_is_kept_and_another_is_not(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def note(*_: object) -> None:
        seen.append(request_ids.current.get())
        raise RuntimeError("x")

    monkeypatch.setattr(site.gateway.jobs, "get", note)
    for given, kept in (("abcdef0123456789", True), ("a" * 65, False), ("short", False), ("with space 12", False)):
        answer = await site.http.get(f"{JOBS}/x", headers={"X-Request-ID": given})
        assert (answer.headers["X-Request-ID"] == given) is kept
        assert seen[-1] == answer.headers["X-Request-ID"]
        assert seen[-1] in answer.json()["detail"]


def test_every_line_of_the_log_has_the_requests_id(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    request_ids.log_to_stderr("info")
    try:
        token = request_ids.current.set("0123456789abcdef")
        logging.getLogger("gateway.anything").info("something happened")
        request_ids.current.reset(token)
        logging.getLogger("gateway.anything").info("later")
    finally:
        for handler in [handler for handler in root.handlers if handler not in before]:
            root.removeHandler(handler)
        logging.getLogger("gateway").setLevel(logging.NOTSET)
    first, second = capsys.readouterr().err.splitlines()
    assert "[0123456789abcdef] something happened" in first
    assert "[-] later" in second


# --- The audit log


async def test_what_was_asked_for_is_in_the_audit_log_before_the_answer_came(site: Site) -> None:
    token = await site.join("alice")
    alice = {"Authorization": f"Bearer {token}"}
    made = await site.http.post(JOBS, json=specification(), headers={**alice, "X-Request-ID": "of-alices-job"})
    job = made.json()["id"]
    await site.http.post(f"{JOBS}/{job}/cancel?version=1")
    await site.http.post(f"{JOBS}/{job}/cancel")
    await site.http.get(f"{JOBS}/{job}")
    await site.http.post(JOBS, json=specification(), headers={"Authorization": "Bearer x"})
    await site.http.delete("/api/v1/users/root", headers=alice)
    rows = (await site.http.get("/api/v1/audit")).json()["items"]
    me = site.gateway.owner
    assert [(row["person"], row["action"], row["owner"], row["status"]) for row in rows] == [
        ("alice", "remove_user", None, 403),
        ("-", "submit_job", None, 401),
        (me, "cancel_job", "alice", 202),
        (me, "cancel_job", "alice", 422),
        ("alice", "submit_job", "alice", 202),
    ]
    assert rows[-1]["request"] == "of-alices-job"
    assert rows[2]["path"] == f"{JOBS}/{job}/cancel"
    assert token not in json.dumps(rows)
    page = (await site.http.get("/api/v1/audit", params={"limit": 2, "person": "alice"})).json()
    assert [row["action"] for row in page["items"]] == ["remove_user", "submit_job"]
    first = (await site.http.get("/api/v1/audit", params={"limit": 3})).json()
    rest = (await site.http.get("/api/v1/audit", params={"cursor": first["next_cursor"]})).json()
    assert first["items"] + rest["items"] == rows


async def test_strangers_cannot_fill_the_audit_log(site: Site) -> None:
    for _ in range(40):
        await site.http.post(JOBS, headers={"Authorization": "Bearer x"})
    rows = (await site.http.get("/api/v1/audit")).json()["items"]
    assert 1 <= len(rows) < 20


# --- Requests that are not what they should be

BROKEN = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET " + b"/a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"b" * 70_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nbroken header\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5, 6\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"\r\n" * 5000,
    b"\x00" * 1000,
]


@contextlib.asynccontextmanager
async def connected(site: Site) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw connection."""
    url = httpx.URL(site.running.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_broken_requests_end_their_own_connection_only(site: Site) -> None:
    for data in BROKEN:
        async with connected(site) as (reader, writer):
            with contextlib.suppress(OSError):
                writer.write(data)
                await writer.drain()
                writer.write_eof()
                async with asyncio.timeout(10):
                    answer = await reader.read()
            assert not answer.startswith(b"HTTP/1.1 2"), data[:60]
            assert b"Traceback" not in answer
        assert (await site.http.get("/healthz")).status_code == 200, data[:60]


async def test_requests_that_never_end_are_given_up_and_stop_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.4)
    monkeypatch.setattr(tornado_adapter, "BODY_STALL", 0.4)
    start = b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
    endless = [
        b"",
        b"GET / HT",
        start,
        start + b"Content-Length: 100\r\n\r\n{",
        start + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"POST /api/v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx",
    ]
    async with open_site(settings_for(tmp_path / "data")) as site, contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(connected(site)) for _ in range(42)]
        for number, (_, writer) in enumerate(opened):
            writer.write(endless[number % len(endless)])
            await writer.drain()
        # A kept connection would be given up as well: it sends no next request.
        assert (await site.http.get("/healthz", headers={"Connection": "close"})).status_code == 200
        async with asyncio.timeout(20):
            for reader, _ in opened:
                with contextlib.suppress(ConnectionError):
                    await reader.read()
        assert (await site.http.post(JOBS, json=specification())).status_code == 202


async def test_a_half_closed_connection_ends_alone(site: Site) -> None:
    request = f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {site.token}\r\n\r\n"
    for data in (request.encode(), b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"):
        async with connected(site) as (reader, writer):
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(10):
                with contextlib.suppress(ConnectionError):
                    await reader.read()
    assert (await site.http.get(JOBS)).json()["items"] == []


# --- Metrics and readiness


async def test_metrics_count_what_happened_and_name_no_person(site: Site) -> None:
    await site.join("alice")
    job = await site.submit()
    await site.http.get(f"{JOBS}/{job['id']}")
    await site.http.get(f"{JOBS}/nothing")
    await site.http.post(f"{JOBS}/{job['id']}/cancel")
    text = (await site.http.get("/metrics")).text
    assert 'gateway_http_requests_total{method="GET",route="/api/v1/jobs/{id}",status="200"} 1.0' in text
    assert 'gateway_http_requests_total{method="GET",route="/api/v1/jobs/{id}",status="404"} 1.0' in text
    assert 'gateway_jobs_ended_total{reason="cancelled_by_user",state="cancelled"} 1.0' in text
    assert "gateway_http_seconds_bucket" in text
    assert job["id"] not in text
    assert "alice" not in text
    assert (
        'gateway_jobs_ended_total{reason="cancelled_by_user",state="cancelled"} 1.0'
        in (await site.http.get("/metrics")).text
    )


async def test_readiness_tells_who_drives_and_how_the_targets_are(site: Site) -> None:
    ready = (await site.http.get("/readyz")).json()
    assert (ready["driving"], ready["lease"], ready["targets"]) == (False, "none", {"unknown": 2})
