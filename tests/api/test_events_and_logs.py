"""Events as a stream and as pages; logs from the target and from the store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.db import events, jobs
from gateway.jobs import feed, logs
from gateway.model.states import State
from gateway.storage.stores.base import Place
from tests.api.conftest import JOBS, Site, open_site, settings_for

AS_JSON = {"Accept": "application/json"}


async def note(site: Site, job_id: str, number: int) -> None:
    """Write one event, as the engine does."""
    owner = site.gateway.owner
    await site.gateway.database.write(
        lambda c: events.append(c, job_id, owner, "note", {"message": str(number)}, at=jobs.now())
    )


async def sent(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """Read a stream of server-sent events."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields
            fields = {}
        else:
            fields = {}


async def take(site: Site, path: str, count: int, **headers: str) -> list[dict[str, str]]:
    """Return the first events of a stream."""
    found: list[dict[str, str]] = []
    async with site.http.stream("GET", path, headers=headers) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        async for event in sent(answer):
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_a_page_of_events_has_exactly_the_contracts_shape(site: Site) -> None:
    job = await site.submit()
    answer = await site.http.get(f"{JOBS}/{job['id']}/events", headers=AS_JSON)
    assert answer.json() == {
        "items": [
            {
                "sequence": 1,
                "job_id": job["id"],
                "at": job["created_at"],
                "kind": "state",
                "data": {"from": None, "to": "accepted"},
                "evidence": None,
            }
        ],
        "next_cursor": None,
    }


async def test_pages_of_events_go_on_where_the_page_before_ended(site: Site) -> None:
    job = await site.submit()
    for number in range(6):
        await note(site, job["id"], number)
    found: list[int] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = (await site.http.get("/api/v1/events", params=query, headers=AS_JSON)).json()
        found += [item["sequence"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == [1, 2, 3, 4, 5, 6, 7]
    later = await site.http.get("/api/v1/events", params={"after": 5}, headers=AS_JSON)
    assert [item["sequence"] for item in later.json()["items"]] == [6, 7]


async def test_a_stream_carries_sequence_kind_and_the_whole_event(site: Site) -> None:
    job = await site.submit()
    (event,) = await take(site, f"{JOBS}/{job['id']}/events", 1)
    assert (event["id"], event["event"]) == ("1", "state")
    content = json.loads(event["data"])
    assert content.pop("at") == job["created_at"]
    assert content == {
        "sequence": 1,
        "job_id": job["id"],
        "kind": "state",
        "data": {"from": None, "to": "accepted"},
        "evidence": None,
    }


async def test_streams_that_break_and_resume_have_no_gap_and_no_repeat(site: Site) -> None:
    job = await site.submit()
    total = 120

    async def write() -> None:
        for number in range(total - 1):
            await note(site, job["id"], number)

    writer = asyncio.create_task(write())
    found: list[int] = []
    for size in (1, 7, 30, 2, 40, 40):
        last = {"Last-Event-ID": str(found[-1])} if found else {}
        found += [int(event["id"]) for event in await take(site, f"{JOBS}/{job['id']}/events", size, **last)]
    await writer
    assert found == list(range(1, total + 1))


async def test_many_readers_see_the_same_in_the_same_order(site: Site) -> None:
    one, two = await site.submit(), await site.submit()
    readers = [asyncio.create_task(take(site, "/api/v1/events", 42)) for _ in range(5)]
    only_two = asyncio.create_task(take(site, f"{JOBS}/{two['id']}/events", 21))
    for number in range(20):
        await note(site, one["id"], number)
        await note(site, two["id"], number)
    for reader in readers:
        assert [int(event["id"]) for event in await reader] == list(range(1, 43))
    assert {json.loads(event["data"])["job_id"] for event in await only_two} == {two["id"]}


async def test_a_reader_too_slow_for_its_queue_still_misses_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_QUEUE", 3)
    job = await site.submit()
    stream = site.gateway.feed.stream(site.gateway.owner, job_id=job["id"])
    first = await anext(stream)
    assert first is not None
    found = [first.sequence]
    second = asyncio.ensure_future(anext(stream))
    await note(site, job["id"], 0)
    event = await second
    assert event is not None
    found.append(event.sequence)
    for number in range(20):
        await note(site, job["id"], number)
    while len(found) < 22:
        event = await asyncio.wait_for(anext(stream), 10)
        if event is not None:
            found.append(event.sequence)
    await stream.aclose()
    assert found == list(range(1, 23))


async def test_events_that_another_process_wrote_arrive(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "FALLBACK", 0.05)
    job = await site.submit()
    reader = asyncio.create_task(take(site, f"{JOBS}/{job['id']}/events", 2))
    while not site.gateway.feed._readers:
        await asyncio.sleep(0.01)
    async with open_site(settings_for(site.gateway.data)) as other:
        await note(other, job["id"], 1)
        assert [event["event"] for event in await asyncio.wait_for(reader, 15)] == ["state", "note"]


async def test_a_quiet_stream_has_heartbeats_and_stays_open_after_the_end(site: Site) -> None:
    job = await site.submit()
    await site.http.post(f"{JOBS}/{job['id']}/cancel")
    stream = site.gateway.feed.stream(site.gateway.owner, job_id=job["id"], heartbeat=0.02)
    kinds = [event and event.kind for event in [await anext(stream) for _ in range(5)]]
    await stream.aclose()
    assert kinds == ["state", "cancel_requested", "state", None, None]


async def test_a_stream_can_begin_with_what_happens_from_now_on(site: Site) -> None:
    job = await site.submit()
    last = await site.gateway.feed.newest()
    answer = await site.http.get("/api/v1/events?new=true", headers=AS_JSON)
    assert answer.json()["items"] == []
    taking = asyncio.create_task(take(site, "/api/v1/events?new=true", 1))
    while not site.gateway.feed._readers:
        await asyncio.sleep(0.01)
    await note(site, job["id"], 7)
    (event,) = await taking
    assert int(event["id"]) > last
    assert json.loads(event["data"])["data"] == {"message": "7"}


async def test_a_last_event_id_that_is_none_is_refused(site: Site) -> None:
    answer = await site.http.get("/api/v1/events", headers={"Last-Event-ID": "x"})
    assert answer.status_code == 422
    (event,) = await take(site, f"{JOBS}/{(await site.submit())['id']}/events?last_event_id=0", 1)
    assert event["id"] == "1"


async def test_a_reader_that_left_is_forgotten(site: Site) -> None:
    job = await site.submit()
    await take(site, f"{JOBS}/{job['id']}/events", 1)
    while site.gateway.feed._readers:
        await asyncio.sleep(0.01)
    assert site.gateway.feed._position is None


async def test_a_server_that_stops_ends_its_streams(tmp_path: Path) -> None:
    async with open_site(settings_for(tmp_path / "data")) as site:
        job = await site.submit()
        reader = asyncio.create_task(take(site, f"{JOBS}/{job['id']}/events", 2))
        while not site.gateway.feed._readers:
            await asyncio.sleep(0.01)
    with pytest.raises((httpx.TransportError, AssertionError)):
        assert len(await asyncio.wait_for(reader, 10)) == 2


async def logged_job(site: Site, folder: Path, data: bytes) -> str:
    """A running job whose control folder on the target has a log."""
    job_id: str = (await site.submit())["id"]
    folder.mkdir()
    (folder / "payload.out").write_bytes(data)
    await site.attempt(job_id, control_folder=str(folder))
    await site.move(job_id, State.STAGING, State.QUEUED, State.RUNNING)
    return job_id


TEXT = b"\x00\xffline 1\nline 2\n" + bytes(range(256)) + b"\n\n"
PARTS = [
    ("", 0, len(TEXT)),
    ("offset=4", 4, len(TEXT)),
    ("offset=4&limit=3", 4, 7),
    (f"offset={len(TEXT)}", len(TEXT), len(TEXT)),
    (f"offset={len(TEXT) + 9}", len(TEXT), len(TEXT)),
    ("offset=-5", len(TEXT) - 5, len(TEXT)),
    ("offset=-5&limit=2", len(TEXT) - 5, len(TEXT) - 3),
    ("offset=-99999", 0, len(TEXT)),
    ("limit=0", 0, 0),
]


@pytest.mark.parametrize("kept", [False, True], ids=["on the target", "in the store"])
@pytest.mark.parametrize(("query", "start", "end"), PARTS, ids=[query or "all" for query, _, _ in PARTS])
async def test_a_part_of_a_log_is_given_byte_for_byte(
    site: Site, tmp_path: Path, query: str, start: int, end: int, kept: bool
) -> None:
    job_id = await logged_job(site, tmp_path / 'it\'s a "folder" $(x)', TEXT)
    if kept:
        await site.move(job_id, State.FINALIZING, State.SUCCEEDED)
        place = Place(job_id, "")
        await site.gateway.stores["disk"].write(place, ".gateway/payload.out", TEXT, "text/plain")
        (tmp_path / 'it\'s a "folder" $(x)/payload.out').unlink()
    answer = await site.http.get(f"{JOBS}/{job_id}/logs/stdout?{query}")
    assert (answer.status_code, answer.content) == (200, TEXT[start:end])
    assert answer.headers["X-Log-Offset"] == str(end)
    assert answer.headers["X-Log-Size"] == str(len(TEXT))
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_log_that_is_not_there_yet_is_empty(site: Site, tmp_path: Path) -> None:
    job_id = (await site.submit())["id"]
    for stream in ("stdout", "stderr", "pull", "sync"):
        answer = await site.http.get(f"{JOBS}/{job_id}/logs/{stream}")
        assert (answer.status_code, answer.content, answer.headers["X-Log-Offset"]) == (200, b"", "0")
    assert (await site.http.get(f"{JOBS}/{job_id}/logs/credentials")).status_code == 404
    running = await logged_job(site, tmp_path / "control", b"")
    assert (await site.http.get(f"{JOBS}/{running}/logs/stderr")).content == b""


async def test_a_log_that_is_a_link_is_not_followed(site: Site, tmp_path: Path) -> None:
    job_id = await logged_job(site, tmp_path / "control", b"")
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "control/payload.err").symlink_to(tmp_path / "secret")
    assert (await site.http.get(f"{JOBS}/{job_id}/logs/stderr")).content == b""


async def test_a_followed_log_goes_on_until_the_job_has_ended(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FOLLOW_INTERVAL", 0.02)
    job_id = await logged_job(site, tmp_path / "control", b"one\n")
    log = tmp_path / "control/payload.out"
    seen = b""
    async with site.http.stream("GET", f"{JOBS}/{job_id}/logs/stdout?follow=1") as answer:
        async for piece in answer.aiter_bytes():
            seen += piece
            if seen == b"one\n":
                with log.open("ab") as stream:
                    stream.write(b"two\n")
            elif seen == b"one\ntwo\n":
                with log.open("ab") as stream:
                    stream.write(b"three\n")
                await site.move(job_id, State.FINALIZING, State.SUCCEEDED)
    assert seen == b"one\ntwo\nthree\n"


async def test_a_followed_log_takes_its_end_from_the_store_where_the_target_has_it_no_more(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FOLLOW_INTERVAL", 0.02)
    job_id = await logged_job(site, tmp_path / "control", b"one\n")
    seen = b""
    async with site.http.stream("GET", f"{JOBS}/{job_id}/logs/stdout?follow=1") as answer:
        async for piece in answer.aiter_bytes():
            seen += piece
            if seen == b"one\n":
                (tmp_path / "control/payload.out").unlink()
                place = Place(job_id, "")
                await site.gateway.stores["disk"].write(place, ".gateway/payload.out", b"one\ntwo\n", "text/plain")
                await site.move(job_id, State.FINALIZING, State.SUCCEEDED)
    assert seen == b"one\ntwo\n"
