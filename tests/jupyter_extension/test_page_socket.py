"""The one connection of a page for everything that streams."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway import __version__
from science_gateway_jupyter import page_socket
from science_gateway_jupyter.streams import EventMessages, TextMessages
from tests.jupyter_extension.raw_gateway import Asked, RawGateway, plain
from tests.jupyter_extension.serving import API, Page, Served

JOB = "0b6c2f0e-1d2a-4b3c-8d4e-5f6071829304"
LOG = f"/api/v1/jobs/{JOB}/logs/stdout?follow=true"
EVENTS = "/api/v1/events"
SSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def answers(*pieces: bytes, wait: bool = False) -> Any:
    """Return what writes these pieces, and then ends or waits for the other side to go."""

    async def answer(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if wait:
            await reader.read()
        raise ConnectionError

    return answer


def log_head(offset: int) -> bytes:
    """Return the head of a log's answer."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/plain; charset=utf-8", f"X-Log-Offset: {offset}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


async def test_a_page_is_greeted_with_the_version(remote: Served) -> None:
    page = Page(await remote.socket())
    assert await page.next() == {"hello": {"version": __version__}}


async def test_events_arrive_with_their_ids_and_heartbeats_as_beats(remote: Served, elsewhere: RawGateway) -> None:
    first = 'retry: 2000\n\nid: 7\nevent: state\ndata: {"to": "rünning"}\n\n'
    raw = f"{first}: heartbeat\n\nid: 8\nevent: progress\ndata: {{}}\n\n".encode()
    elsewhere.answer = answers(SSE_HEAD + raw[:40], raw[40:48], raw[48:], wait=True)
    page = await remote.page()
    await page.send({"open": 1, "path": f"{EVENTS}?after=6"})
    assert await page.next() == {"stream": 1, "event": {"id": "7", "event": "state", "data": {"to": "rünning"}}}
    assert await page.next() == {"stream": 1, "beat": True}
    assert await page.next() == {"stream": 1, "event": {"id": "8", "event": "progress", "data": {}}}
    assert elsewhere.last.target == f"{EVENTS}?after=6"
    await page.send({"close": 1})
    async with asyncio.timeout(20):
        await elsewhere.closed.wait()


async def test_a_log_arrives_as_text_with_the_offset_to_read_on(remote: Served, elsewhere: RawGateway) -> None:
    text = "ü" * 3
    raw = text.encode()
    elsewhere.answer = answers(log_head(100) + raw[:3])
    page = await remote.page()
    await page.send({"open": 2, "path": LOG})
    assert await page.next() == {"stream": 2, "text": "ü", "offset": 102}
    assert await page.next() == {"stream": 2, "text": "\ufffd", "offset": 103}
    assert await page.next() == {"stream": 2, "end": True}


def test_text_is_never_cut_within_a_character_and_rubbish_is_replaced() -> None:
    messages = TextMessages(10)
    assert messages.feed(b"\xc3") is None
    assert messages.feed(b"\xbc\xff\xe2\x82") == {"text": "ü\ufffd", "offset": 13}
    assert messages.feed(b"\xac") == {"text": "€", "offset": 16}
    assert messages.feed(b"", last=True) is None


def test_events_are_read_however_they_are_cut() -> None:
    raw = 'id: 1\r\nevent: a\r\ndata: {"x": "€"}\r\n\r\n: hi\n\ndata: no object\n\n'.encode()
    messages = EventMessages()
    found = [message for byte in raw for message in messages.feed(bytes([byte]))]
    assert found == [{"event": {"id": "1", "event": "a", "data": {"x": "€"}}}, {"beat": True}]


async def test_a_refusal_of_the_gateway_is_a_problem_of_that_stream_alone(
    remote: Served, elsewhere: RawGateway
) -> None:
    problem = b'{"type": "urn:science-gateway:problem:not-found", "title": "t", "status": 404, "detail": "d"}'
    elsewhere.answer = plain("404 Not Found", problem, "Content-Type: application/problem+json")
    page = await remote.page()
    await page.send({"open": 3, "path": LOG})
    message = await page.next()
    assert (message["stream"], message["problem"]["status"]) == (3, 404)
    elsewhere.answer = answers(log_head(0) + b"well")
    await page.send({"open": 3, "path": LOG})
    assert (await page.next())["text"] == "well"


@pytest.mark.parametrize(
    "path", ["/api/v1/jobs", "/api/v1/events/../jobs", "http://elsewhere.example.org/api/v1/events", None, 7, ["x"]]
)
async def test_nothing_else_can_be_opened(remote: Served, elsewhere: RawGateway, path: object) -> None:
    page = await remote.page()
    elsewhere.asked.clear()
    await page.send({"open": 1, "path": path})
    assert (await page.next())["problem"]["status"] == 422
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    "said", ["", "[]", "{}", "nonsense", '{"open": 1}', '{"open": "1", "path": ""}', '{"open": true, "path": ""}',
             '{"close": -1}', '{"close": 1, "open": 1}', "[" * 10_000, '"' + "x" * 20_000 + '"']
)  # fmt: skip
async def test_a_page_that_says_something_else_is_sent_away(remote: Served, said: str) -> None:
    page = await remote.page()
    await page.send(said)
    assert await page.closed() == 1008


async def test_only_so_many_streams_are_open_at_once(remote: Served, elsewhere: RawGateway) -> None:
    elsewhere.answer = answers(SSE_HEAD + b": heartbeat\n\n", wait=True)
    page = await remote.page()
    for number in range(page_socket.MOST_STREAMS):
        await page.send({"open": number, "path": EVENTS})
        assert await page.next() == {"stream": number, "beat": True}
    for taken in (page_socket.MOST_STREAMS, 0):
        await page.send({"open": taken, "path": EVENTS})
        message = await page.next()
        assert (message["stream"], message["problem"]["status"]) == (taken, 409)
    await page.send({"close": 5})
    await page.send({"close": 99})
    await page.send({"open": 99, "path": EVENTS})
    assert await page.next() == {"stream": 99, "beat": True}


async def test_a_page_that_goes_away_lets_go_of_the_gateway(remote: Served, elsewhere: RawGateway) -> None:
    elsewhere.answer = answers(SSE_HEAD + b": heartbeat\n\n", wait=True)
    page = await remote.page()
    await page.send({"open": 1, "path": EVENTS})
    await page.next()
    page.socket.close()
    async with asyncio.timeout(20):
        await elsewhere.closed.wait()
    assert remote.shared.sockets == set()


@pytest.mark.parametrize(
    "broken",
    [
        answers(),
        answers(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n: "),
        plain("502 Bad Gateway", b"<html>", "Content-Type: text/html"),
        plain("401 Unauthorized"),
    ],
)
async def test_a_page_is_asked_to_come_back_when_the_gateway_is_lost(
    remote: Served, elsewhere: RawGateway, broken: Any
) -> None:
    page = await remote.page()
    elsewhere.answer = broken
    await page.send({"open": 1, "path": EVENTS})
    assert await page.closed() == 1013


async def test_a_page_is_greeted_only_when_there_is_a_gateway(remote: Served, elsewhere: RawGateway) -> None:
    elsewhere.token = "another"
    page = Page(await remote.socket())
    assert await page.closed() == 1013
    elsewhere.token = "alices-token-for-the-gateway"
    await remote.page()


async def test_a_silent_gateway_counts_as_lost_where_it_should_give_signs_of_life(
    remote: Served, elsewhere: RawGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_socket, "SILENCE", 0.2)
    elsewhere.answer = answers(SSE_HEAD, wait=True)
    page = await remote.page()
    await page.send({"open": 1, "path": EVENTS})
    assert await page.closed() == 1013


async def test_the_server_gives_signs_of_life_of_its_own(remote: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_socket, "BEAT", 0.05)
    page = await remote.page()
    assert await page.next() == {"beat": True}


async def test_a_page_that_does_not_read_holds_the_gateway_back(remote: Served, elsewhere: RawGateway) -> None:
    sent, piece = 0, b"x" * 65536

    async def much(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(0)
        writer.write(log_head(0))
        for _ in range(1500):
            writer.write(piece)
            await writer.drain()
            sent += 1
        raise ConnectionError

    elsewhere.answer = much
    page = await remote.page()
    held = page.socket.protocol
    assert held is not None
    await page.send({"open": 1, "path": LOG})
    before = -1
    while before != sent or sent == 0:
        before = sent
        await asyncio.sleep(0.3)
    assert sent < 750
    length = 0
    while "text" in (message := await page.next()):
        length += len(message["text"])
    assert message == {"stream": 1, "end": True}
    assert length == 1500 * len(piece)


async def test_a_real_job_is_followed_by_events_log_and_data(embedded: Served) -> None:
    script = "for i in 1 2 3; do echo step $i; echo $i >> n.csv; sleep 0.2; done"
    data = [{"name": "n", "file": "n.csv", "columns": [{"name": "n"}]}]
    answer = await embedded.http.post(f"{API}/jobs", json={"script": script, "data": data})
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    page = await embedded.page()
    await page.send({"open": 1, "path": f"/api/v1/jobs/{job}/events"})
    await page.send({"open": 2, "path": f"/api/v1/jobs/{job}/logs/stdout?follow=true"})
    await page.send({"open": 3, "path": f"/api/v1/jobs/{job}/data/n?follow=true"})
    states, text, rows, ended = [], "", [], set()
    while ended != {2, 3} or "succeeded" not in states:
        message = await page.next()
        assert "problem" not in message, message
        if message.get("event", {}).get("event") == "state":
            states.append(message["event"]["data"]["data"]["to"])
        elif "event" in message and message["stream"] == 3:
            rows += message["event"]["data"]["rows"]
        text += message.get("text", "")
        if "end" in message:
            ended.add(message["stream"])
    assert text == "step 1\nstep 2\nstep 3\n"
    assert [row[0] for row in rows] == [1, 2, 3]


async def test_the_socket_cannot_be_opened_by_a_plain_request(remote: Served) -> None:
    answer: httpx.Response = await remote.http.get(f"{API.removesuffix('/api/v1')}/socket")
    assert answer.status_code == 400
