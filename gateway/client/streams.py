"""What is followed while it grows: events, logs, data series. Without gap or repeat when the connection breaks."""

from __future__ import annotations

import httpx
from pydantic import ValidationError

from gateway.client import calls
from gateway.client.event_stream import MessageReader, as_event
from gateway.client.flow import Emit, Flow, Request, Walk, gather, open_answer, patience, pause, read, silent
from gateway.client.series import Series, SeriesSet, put_together
from gateway.errors import GatewayError, NotFound
from gateway.model.series import SeriesRows
from gateway.model.states import ENDED

EVENT_TRIES = 16
"""How often in a row a stream is opened in vain, about a minute."""


def _delay(failures: int) -> float:
    return float(min(0.25 * 2**failures, 5))


def _again(error: Exception, failures: int) -> None:
    """Raise unless a stream that broke is worth another try."""
    transient = isinstance(error, httpx.TransportError) or (
        isinstance(error, GatewayError) and error.status in (429, 502, 503, 504)
    )
    if not transient:
        raise error
    if failures > EVENT_TRIES:
        raise silent() from error


def events_path(job_id: str | None) -> str:
    """Return the path of a job's events, or of all."""
    return calls.job_path(job_id, "events") if job_id else f"{calls.API}/events"


def events(job_id: str | None, after: int) -> Flow[None]:
    """Emit events as they happen, also across a restart of the gateway; never ends."""
    failures = 0
    while True:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        reader = MessageReader()
        try:
            yield from open_answer(Request("GET", events_path(job_id), headers=headers))
            while chunk := (yield from read()):
                for message in reader.feed(chunk):
                    event = as_event(message, job_id)
                    if event is not None and event.sequence > after:
                        failures, after = 0, event.sequence
                        yield Emit(event)
        except (httpx.TransportError, GatewayError) as error:
            failures += 1
            _again(error, failures)
        yield from pause(_delay(failures))


def log(job_id: str, stream: str, offset: int) -> Flow[None]:
    """Emit bytes of a log as they come, until the job has ended and all of it was read."""
    failures, ended = 0, False
    while True:
        before = offset
        query = {"offset": offset, "follow": "true"}
        try:
            response = yield from open_answer(Request("GET", calls.job_path(job_id, "logs", stream), query))
            offset = int(response.headers.get("X-Log-Offset", max(offset, 0)))
            while chunk := (yield from read()):
                failures = 0
                offset += len(chunk)
                yield Emit(chunk)
        except (httpx.TransportError, GatewayError) as error:
            failures += 1
            _again(error, failures)
            yield from pause(_delay(failures))
            continue
        # The end of the stream may be that of the gateway: only the job says that there is no more.
        if ended and offset == before:
            return
        ended = (yield from calls.job(job_id)).state in ENDED
        if not ended:
            yield from pause(_delay(0))


def log_pieces(job_id: str, stream: str, offset: int) -> Flow[None]:
    """Emit the bytes of a log as far as it was written."""
    while True:
        data, offset = yield from calls.log(job_id, stream, offset, 1 << 20)
        if not data:
            return
        yield Emit(data)


def whole_log(job_id: str, stream: str) -> Flow[bytes]:
    """Return a log as far as it was written."""
    return b"".join((yield from gather(log_pieces(job_id, stream, 0))))


def series(job_id: str, name: str, *, follow: bool = False, after: int = 0) -> Flow[None]:
    """Emit pages of a data series: what there is, and with `follow` what comes until the job has ended."""
    path, first = calls.job_path(job_id, "data", name), True
    while True:
        page = yield from calls.fetch(SeriesRows, Request("GET", path, {"after": after}))
        if first or page.rows or page.reset:  # the first one brings the columns
            yield Emit(page)
        first = False
        more = bool(page.rows) and (page.reset or page.next != after)
        after = page.next
        if more:
            continue
        if not follow or page.ended:
            return
        after = yield from _grow(path, after)


def whole_series(job_id: str, name: str) -> Flow[Series]:
    """Return a data series as far as it was written; `NotFound` names those that there are."""
    known = {one.name: one for one in (yield from calls.series(job_id))}
    if name not in known:
        raise NotFound(
            f"the job has no data series {name!r}",
            hint=f"there are {', '.join(known)}" if known else "its case declares none",
        )
    return put_together(known[name], (yield from gather(series(job_id, name))))


def all_series(job_id: str) -> Flow[SeriesSet]:
    """Return all data series of a job."""
    found = []
    for one in (yield from calls.series(job_id)):
        found.append(put_together(one, (yield from gather(series(job_id, one.name)))))
    return SeriesSet(found)


def _grow(path: str, after: int) -> Flow[int]:
    """Emit pages as they come, until the stream ends; return where to go on."""
    failures = 0
    while True:
        reader = MessageReader()
        headers = {"Accept": "text/event-stream"}
        try:
            response = yield from open_answer(Request("GET", path, {"after": after, "follow": "1"}, headers=headers))
            while chunk := (yield from read()):
                for message in reader.feed(chunk):
                    page = _page(message.data)
                    if page is not None:
                        failures, after = 0, page.next
                        if page.rows or page.reset:
                            yield Emit(page)
        except (httpx.TransportError, GatewayError) as error:
            failures += 1
            _again(error, failures)
            yield from pause(_delay(failures))
            continue
        yield from pause(patience(response) or _delay(0))
        return after


def _page(data: dict[str, object]) -> SeriesRows | None:
    try:
        return SeriesRows.model_validate(data)
    except ValidationError:
        return None


def events_to_end(job_id: str, after: int) -> Flow[None]:
    """Emit a job's events, the old ones first, until it has ended."""
    yield from _until(events(job_id, after), job_id)


def _until(flow: Flow[None], job_id: str) -> Flow[None]:
    ended = {str(state) for state in ENDED}
    walk = Walk(flow)
    while (step := walk.step) is not None:
        try:
            found = yield step
            last = isinstance(step, Emit) and step.value.kind == "state" and step.value.data.get("to") in ended
            # A lost job may come back: only the job itself says that this was the end.
            if last and (yield from calls.job(job_id)).state in ENDED:
                walk.close()
                return
        except Exception as error:  # the flow decides what a failure means
            walk.fail(error)
        else:
            walk.answer(found)
