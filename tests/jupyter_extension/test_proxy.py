"""Requests on their way to a gateway and back: what flows, what is refused, what happens when either side goes away."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from typing import Any

import httpx
import pytest

from science_gateway_jupyter.passing import SAFE_HEADERS
from tests.jupyter_extension.raw_gateway import TOKEN, Asked, RawGateway, document, plain
from tests.jupyter_extension.serving import API, JUPYTER_TOKEN, ROOT, Served

PIECE = b"x" * 65536


async def raw_request(
    served: Served, head: str, body: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request byte for byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    lines = [head, f"Host: 127.0.0.1:{served.port}", f"Authorization: token {JUPYTER_TOKEN}", "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    await writer.drain()
    return reader, writer


async def test_a_request_reaches_the_gateway_with_its_token_and_nothing_of_the_browsers(
    remote: Served, elsewhere: RawGateway
) -> None:
    elsewhere.answer = document({"items": []}, 'ETag: "3"', "Set-Cookie: a=b; Path=/", "Server: x", "X-Request-ID: r-1")
    given = {"Cookie": "mine=1", "Accept": "application/json", "X-Forwarded-For": "1.2.3.4", "If-None-Match": '"2"'}
    answer = await remote.http.get(f"{API}/jobs?state=running&token={JUPYTER_TOKEN}&1763750000000", headers=given)
    assert answer.json() == {"items": []}
    assert answer.headers["ETag"] == '"3"'
    assert answer.headers["X-Request-ID"] == "r-1"
    assert "a=b" not in answer.headers.get("Set-Cookie", "")
    again = await remote.http.get(f"{API}/jobs", headers={"Accept-Encoding": "identity"})
    assert again.status_code == 200
    first, second = (asked for asked in elsewhere.asked if asked.target != "/api/v1/me")
    assert first.target == "/api/v1/jobs?state=running"
    assert first.headers == {
        "host": elsewhere.url.removeprefix("http://"),
        "authorization": f"Bearer {TOKEN}",
        "accept": "application/json",
        "accept-encoding": "gzip, deflate",
        "if-none-match": '"2"',
    }
    assert "cookie" not in second.headers


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/../metrics",
        "/api/v1/jobs/%2e%2e/%2e%2e/metrics",
        "/api/v1/%252e%252e/metrics",
        "/api/v1/x%2f..%2f..%2fmetrics",
        "/api/v1//../metrics",
        "/api/v1/x\\..\\metrics",
    ],
)
async def test_tricks_with_addresses_do_not_reach_the_gateway(remote: Served, elsewhere: RawGateway, path: str) -> None:
    elsewhere.answer = document({})
    reader, writer = await raw_request(remote, f"GET {ROOT}{path} HTTP/1.1")
    line = await reader.readline()
    writer.close()
    assert line.split()[1] in (b"404", b"422")
    assert elsewhere.asked == []


async def test_an_absolute_address_is_answered_by_jupyter_alone(remote: Served, elsewhere: RawGateway) -> None:
    elsewhere.answer = document({})
    for address in (f"http://elsewhere.example.org{API}/jobs", f"{API}@elsewhere.example.org/jobs"):
        reader, writer = await raw_request(remote, f"GET {address} HTTP/1.1")
        line = await reader.readline()
        writer.close()
        assert line.split()[1] in (b"400", b"404", b"422")
    assert elsewhere.asked == []


async def test_bytes_of_an_output_come_with_their_range_and_cannot_run(remote: Served, elsewhere: RawGateway) -> None:
    elsewhere.answer = plain(
        "206 Partial Content",
        b"<script>",
        "Content-Type: text/html",
        "Content-Range: bytes 0-7/100",
        "Accept-Ranges: bytes",
        "Content-Security-Policy: default-src *",
        "Access-Control-Allow-Origin: *",
    )
    headers = {"Range": "bytes=0-7", "If-Range": '"e"'}
    answer = await remote.http.get(f"{API}/jobs/j/outputs/a%2Fb%20%23.html?store=disk", headers=headers)
    assert (answer.status_code, answer.content) == (206, b"<script>")
    assert answer.headers["Content-Range"] == "bytes 0-7/100"
    assert {name: answer.headers[name] for name in SAFE_HEADERS} == SAFE_HEADERS
    assert elsewhere.last.target == "/api/v1/jobs/j/outputs/a%2Fb%20%23.html?store=disk"
    assert (elsewhere.last.headers["range"], elsewhere.last.headers["if-range"]) == ("bytes=0-7", '"e"')


async def test_what_is_compressed_stays_as_it_is(remote: Served, elsewhere: RawGateway) -> None:
    packed = gzip.compress(b'{"items": []}')
    elsewhere.answer = plain("200 OK", packed, "Content-Type: application/json", "Content-Encoding: gzip")
    async with remote.http.stream("GET", f"{API}/jobs") as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert (raw, answer.headers["Content-Encoding"]) == (packed, "gzip")


async def test_answers_without_a_body_pass(remote: Served, elsewhere: RawGateway) -> None:
    elsewhere.answer = b'HTTP/1.1 304 Not Modified\r\nETag: "7"\r\n\r\n'
    answer = await remote.http.get(f"{API}/jobs", headers={"If-None-Match": '"7"'})
    assert (answer.status_code, answer.headers["ETag"], answer.content) == (304, '"7"', b"")
    elsewhere.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert (await remote.http.delete(f"{API}/jobs/x")).status_code == 204
    elsewhere.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 123456\r\nContent-Type: text/plain\r\n\r\n"
    answer = await remote.http.head(f"{API}/jobs/x/outputs/y")
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "123456")


async def test_problems_of_the_gateway_pass_as_they_are(remote: Served, elsewhere: RawGateway) -> None:
    problem = {"type": "urn:science-gateway:problem:validation", "title": "t", "status": 422, "detail": "d"}
    body = json.dumps(problem).encode()
    elsewhere.answer = plain("422 Unprocessable", body, "Content-Type: application/problem+json", "Retry-After: 7")
    answer = await remote.http.post(f"{API}/jobs", json={})
    assert (answer.status_code, answer.json()) == (422, problem)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("answered", "status", "word"),
    [
        (plain("302 Found", b"", "Location: https://elsewhere.example.org/login"), 502, "gateway-answer"),
        (plain("307 Temporary", b"", "Location: /api/v1/jobs"), 502, "gateway-answer"),
        (plain("403 Forbidden", b"<html>", "Content-Type: text/html"), 502, "gateway-answer"),
        (plain("502 Bad Gateway", b"<html>", "Content-Type: text/html"), 503, "gateway-unreachable"),
        (plain("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="x"'), 401, "needs-token"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 503, "gateway-unreachable"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 503, "gateway-unreachable"),
        (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", 503, "gateway-unreachable"),
    ],
)
async def test_what_does_not_answer_as_a_gateway_is_a_problem(
    remote: Served, elsewhere: RawGateway, answered: bytes, status: int, word: str
) -> None:
    elsewhere.answer = answered
    answer = await remote.http.get(f"{API}/jobs")
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:science-gateway:problem:{word}")
    assert "WWW-Authenticate" not in answer.headers
    assert "Location" not in answer.headers
    assert len([asked for asked in elsewhere.asked if asked.target != "/api/v1/me"]) == 1


async def test_a_gateway_that_is_away_is_a_problem_that_says_when_to_come_again(
    remote: Served, elsewhere: RawGateway, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang_up(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise ConnectionError

    elsewhere.answer = hang_up
    answer = await remote.http.get(f"{API}/jobs")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert TOKEN not in answer.text + caplog.text


async def test_a_large_body_flows_through_no_faster_than_the_gateway_takes_it(
    remote: Served, elsewhere: RawGateway
) -> None:
    pieces, sent, take = 1500, 0, asyncio.Event()
    received = 0

    async def slow(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await take.wait()
        while received < int(asked.headers["content-length"]):
            received += len(await reader.read(1 << 20))
        writer.write(document({"received": received}))

    async def body() -> Any:
        nonlocal sent
        for _ in range(pieces):
            yield PIECE
            sent += 1

    elsewhere.answer = slow
    headers = {"Content-Length": str(pieces * len(PIECE)), "Upload-Offset": "0"}
    asking = asyncio.create_task(remote.http.patch(f"{API}/uploads/u", headers=headers, content=body()))
    while not elsewhere.asked or sent in (0, await _settled(lambda: sent)) is False:
        await asyncio.sleep(0.05)
    assert sent < pieces / 2
    take.set()
    answer = await asking
    assert answer.json() == {"received": pieces * len(PIECE)}
    assert elsewhere.last.headers["upload-offset"] == "0"


async def _settled(value: Any) -> Any:
    """Return a number once it has not changed for a while."""
    before = None
    while before != value():
        before = value()
        await asyncio.sleep(0.3)
    return before


async def test_a_body_that_the_gateway_refuses_early_is_answered(remote: Served, elsewhere: RawGateway) -> None:
    problem = b'{"type": "urn:science-gateway:problem:too-large", "title": "t", "status": 413, "detail": "d"}'

    async def refuse(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(plain("413 Too Large", problem, "Content-Type: application/problem+json", "Connection: close"))
        await writer.drain()
        await reader.readexactly(int(asked.headers["content-length"]))

    elsewhere.answer = refuse
    answer = await remote.http.post(f"{API}/uploads", content=PIECE * 64)
    assert (answer.status_code, answer.json()["title"]) == (413, "t")


async def test_a_large_answer_flows_through_no_faster_than_the_browser_takes_it(
    remote: Served, elsewhere: RawGateway
) -> None:
    pieces, sent = 1500, 0

    async def much(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(0)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {pieces * len(PIECE)}\r\n\r\n".encode())
        for _ in range(pieces):
            writer.write(PIECE)
            await writer.drain()
            sent += 1

    elsewhere.answer = much
    async with remote.http.stream("GET", f"{API}/jobs/j/archive") as answer:
        taken = 0
        async for piece in answer.aiter_raw():
            if taken == 0:
                assert await _settled(lambda: sent) < pieces / 2
            taken += len(piece)
    assert taken == pieces * len(PIECE)


async def test_the_gateway_is_let_go_when_the_browser_goes_away(remote: Served, elsewhere: RawGateway) -> None:
    async def endless(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n3\r\nabc\r\n")
        await writer.drain()
        raise asyncio.IncompleteReadError(await reader.read(), None)

    elsewhere.answer = endless
    async with remote.http.stream("GET", f"{API}/jobs/j/logs/stdout?follow=true") as answer:
        assert await anext(answer.aiter_raw()) == b"abc"
        assert not elsewhere.closed.is_set()
    async with asyncio.timeout(20):
        await elsewhere.closed.wait()


async def test_a_question_that_the_browser_has_given_up_is_given_up_too(remote: Served, elsewhere: RawGateway) -> None:
    asked_now = asyncio.Event()

    async def silent(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked_now.set()
        raise asyncio.IncompleteReadError(await reader.read(), None)

    elsewhere.answer = silent
    _, writer = await raw_request(remote, f"GET {API}/jobs HTTP/1.1")
    await asked_now.wait()
    writer.close()
    async with asyncio.timeout(20):
        await elsewhere.closed.wait()


async def test_a_body_that_breaks_off_breaks_off_for_the_gateway(remote: Served, elsewhere: RawGateway) -> None:
    asked_now = asyncio.Event()

    async def read_all(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked_now.set()
        await reader.readexactly(1000)
        raise AssertionError

    elsewhere.answer = read_all
    _, writer = await raw_request(remote, f"POST {API}/uploads HTTP/1.1\r\nContent-Length: 1000", b"half")
    await asked_now.wait()
    writer.close()
    async with asyncio.timeout(20):
        await elsewhere.closed.wait()


@pytest.mark.parametrize("length", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_an_answer_that_breaks_off_is_never_whole_for_the_browser(
    remote: Served, elsewhere: RawGateway, length: str
) -> None:
    async def half(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n3\r\nabc\r\n".encode())
        await writer.drain()
        raise ConnectionError

    elsewhere.answer = half
    with pytest.raises(httpx.RemoteProtocolError):
        await remote.http.get(f"{API}/jobs/j/outputs/x")


async def test_the_gateways_token_is_in_no_log(
    remote: Served, elsewhere: RawGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    elsewhere.answer = document({})
    await remote.http.post(f"{API}/jobs", json={})
    elsewhere.answer = b"rubbish\r\n\r\n"
    await remote.http.get(f"{API}/jobs")
    answer = await remote.http.put(f"{ROOT}/token", content=b'{"token": "not json but secret')
    assert answer.status_code == 400
    assert caplog.text
    assert TOKEN not in caplog.text
    assert "not json but secret" not in caplog.text
    assert TOKEN not in repr(await remote.shared.mode.upstream())
