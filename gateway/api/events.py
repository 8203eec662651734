"""The functions behind the event routes: server-sent events, or pages in JSON."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing

from gateway.api.messages import JSON, Reply, Request, json_reply
from gateway.api.queries import EventsQuery
from gateway.api.route import READ, Route
from gateway.app import Gateway
from gateway.errors import FieldError, InvalidRequest
from gateway.jobs.views import API
from gateway.model.job import Event, EventPage

_HEARTBEAT = b": heartbeat\n\n"


async def job_events(gateway: Gateway, request: Request) -> Reply:
    """Give the events of one job."""
    job = await gateway.jobs.get(request.path["id"], request.owner)
    return await _events(gateway, request, job.id)


async def all_events(gateway: Gateway, request: Request) -> Reply:
    """Give the events of all jobs."""
    return await _events(gateway, request, None)


async def _events(gateway: Gateway, request: Request, job_id: str | None) -> Reply:
    query: EventsQuery = request.query
    after = start_of(query, request.headers.get("last-event-id"))
    if query.new and after == 0:
        after = await gateway.feed.newest()
    if wants_json(request.headers.get("accept", "")):
        found = await gateway.feed.page(request.owner, job_id=job_id, after=after, limit=query.limit + 1)
        items = found[: query.limit]
        following = str(items[-1].sequence) if len(found) > query.limit else None
        return json_reply(EventPage(items=items, next_cursor=following), headers={"Cache-Control": "no-cache"})
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return Reply(200, headers)
    return Reply(200, headers, _stream(gateway, request.owner, job_id, after))


async def _stream(gateway: Gateway, owner: str, job_id: str | None, after: int) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    found = gateway.feed.stream(owner, job_id=job_id, after=after)
    async with aclosing(found):
        async for event in found:
            yield _HEARTBEAT if event is None else render(event)


def render(event: Event) -> bytes:
    """Return one event as the stream carries it; JSON has no line breaks of its own."""
    kind = re.sub(r"[^A-Za-z0-9_.-]", "_", event.kind)
    return f"id: {event.sequence}\nevent: {kind}\ndata: {event.model_dump_json()}\n\n".encode()


def start_of(query: EventsQuery, header: str | None) -> int:
    """Return the sequence after which to begin: the first of header, parameters, 0.

    Raises
    ------
    InvalidRequest
        The header is not a sequence.
    """
    if header is not None and header.strip():
        if not re.fullmatch(r"[0-9]{1,18}", header.strip()):
            detail = "Last-Event-ID must be the id of an event"
            raise InvalidRequest([FieldError("#", detail)], detail)
        return int(header)
    given = (query.last_event_id, query.after, int(query.cursor) if query.cursor else None)
    return max((value for value in given if value is not None), default=0)


def wants_json(accept: str) -> bool:
    """Say whether the reader asks for JSON rather than for the stream."""
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return "application/json" in kinds and "text/event-stream" not in kinds


_STREAM = ("text/event-stream", JSON)

ROUTES = (
    Route(
        "GET",
        f"{API}/jobs/{{id}}/events",
        job_events,
        READ,
        "Watch a job",
        query=EventsQuery,
        response_model=EventPage,
        media_types=_STREAM,
    ),
    Route(
        "GET",
        f"{API}/events",
        all_events,
        READ,
        "Watch all jobs",
        query=EventsQuery,
        response_model=EventPage,
        media_types=_STREAM,
    ),
)
