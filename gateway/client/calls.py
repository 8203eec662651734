"""The API's routes as flows: what is sent, and what the answer means."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from gateway.client.flow import TRIES, Emit, Flow, Request, deadline, exchange, pause
from gateway.client.tree import fixed_part, matches
from gateway.errors import Conflict, GatewayError, ImageError, NotFound
from gateway.model.case import CaseInfo, CaseSummary
from gateway.model.job import (
    BulkItem,
    BulkPage,
    EventPage,
    Job,
    JobPage,
    OutputFile,
    OutputPage,
    Probe,
    StoreInfo,
    TargetInfo,
)
from gateway.model.series import SeriesInfo
from gateway.model.states import ENDED

M = TypeVar("M", bound=BaseModel)

API = "/api/v1"
WHOLE_ID = 36
"""Characters of a whole id."""
PAGE = 200
"""Items of a page."""
LONGEST_POLL = 2.0
"""Seconds between two looks at a job that one waits for, at most."""
MERGE_PATCH = "application/merge-patch+json"


def job_path(job_id: str, *rest: str) -> str:
    """Return the path of a job, or of something of it. Every part stays one part."""
    return "/".join((f"{API}/jobs", *(quote(part, safe="") for part in (job_id, *rest))))


def read_json(response: httpx.Response) -> Any:
    """Return the JSON of an answer; `GatewayError` where it is none."""
    try:
        return response.json()
    except ValueError:
        raise GatewayError("the gateway's answer is not JSON", hint="is that a Science Gateway?") from None


def read_as(model: type[M], value: Any) -> M:
    """Return an answer as its model; `GatewayError` where it is something else."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise GatewayError(
            f"the gateway's answer is no {model.__name__} (at {where or 'its root'})",
            hint="are client and gateway of like versions?",
        ) from None


def fetch(model: type[M], request: Request) -> Flow[M]:
    """Send a request and return what the answer's JSON stands for."""
    response = yield from exchange(request)
    return read_as(model, read_json(response))


def items(path: str, model: type[M], query: Mapping[str, Any] | None = None) -> Flow[list[M]]:
    """Return all items of a list that needs no pages."""
    found = read_json((yield from exchange(Request("GET", path, query or {}))))
    rows = found.get("items", []) if isinstance(found, dict) else found
    return [read_as(model, row) for row in rows]


# ---- jobs


def submit(body: Mapping[str, Any], key: str | None = None, query: Mapping[str, str] | None = None) -> Flow[Job]:
    """Submit a job under a key, so that sending it again after a lost answer gives the same job."""
    headers = {"Idempotency-Key": key or str(uuid.uuid4())}
    request = Request("POST", f"{API}/jobs", query or {}, json=dict(body), headers=headers)
    return (yield from fetch_once(Job, request))


def fetch_once(model: type[M], request: Request) -> Flow[M]:
    """Send a request that carries an idempotency key; wait while the first one under it still runs."""
    for attempt in range(TRIES):
        try:
            return (yield from fetch(model, request))
        except Conflict:
            if attempt + 1 == TRIES:
                raise
            yield from pause(0.5)
    raise AssertionError


def job(job_id: str) -> Flow[Job]:
    """Return a job with its specification."""
    return (yield from fetch(Job, Request("GET", job_path(job_id))))


def jobs(limit: int | None, filters: Mapping[str, str]) -> Flow[None]:
    """Emit jobs, page by page."""
    cursor: str | None = None
    left = limit
    while left is None or left > 0:
        query = {**filters, "limit": str(min(left or PAGE, PAGE))}
        if cursor:
            query["cursor"] = cursor
        page = yield from fetch(JobPage, Request("GET", f"{API}/jobs", query))
        for found in page.items[:left]:
            yield Emit(found)
        left = None if left is None else left - len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


def resolve(text: str, what: str = "job") -> Flow[str]:
    """Return the id meant by a whole id, a unique beginning of one, or ``@last``."""
    path = f"{API}/{what}s"
    if len(text) == WHOLE_ID:
        return text
    if text == "@last":
        found = (yield from _ids(Request("GET", path, {"limit": "1"})))[:1]
    elif not text:
        found = []
    else:
        query = {"q": text.lower(), "limit": "200"} if what == "job" else {"limit": "200"}
        every = yield from _ids(Request("GET", path, query))
        found = [one for one in every if one.startswith(text.lower())]
    if not found:
        raise NotFound(f"there is no {what} yet" if text == "@last" else f"there is no {what} {text!r}")
    if len(found) > 1:
        raise NotFound(f"{text!r} could be any of {len(found)} {what}s", hint="give more of the id")
    return found[0]


def _ids(request: Request) -> Flow[list[str]]:
    found: list[str] = []
    query = dict(request.query)
    for _ in range(50):
        page = read_json((yield from exchange(Request("GET", request.path, query))))
        found += [str(item["id"]) for item in page["items"]]
        if page.get("next_cursor") is None or query["limit"] == "1":
            break
        query["cursor"] = page["next_cursor"]
    return found


def act(job_id: str, verb: str) -> Flow[Job]:
    """Ask for something to happen to a job: submit, cancel, hold, release, sync or abandon."""
    return (yield from fetch(Job, Request("POST", job_path(job_id, verb))))


def delete(job_id: str) -> Flow[None]:
    """Forget a job that has ended; its outputs stay in the stores."""
    yield from exchange(Request("DELETE", job_path(job_id)))


def patch(job_id: str, changes: Mapping[str, Any], version: int | None) -> Flow[Job]:
    """Change a job by a JSON merge patch; only where it still has this version, if one is given."""
    headers = {"Content-Type": MERGE_PATCH} | ({} if version is None else {"If-Match": f'"{version}"'})
    request = Request("PATCH", job_path(job_id), json=dict(changes), headers=headers, again=version is None)
    return (yield from fetch(Job, request))


def rerun(job_id: str, changes: Mapping[str, Any], *, draft: bool = False, key: str | None = None) -> Flow[Job]:
    """Ask for the same again, with changes (a merge patch over the request); the new job names them."""
    headers = {"Content-Type": MERGE_PATCH, "Idempotency-Key": key or str(uuid.uuid4())}
    query = {"draft": "1"} if draft else {}
    request = Request("POST", job_path(job_id, "rerun"), query, json=dict(changes), headers=headers)
    return (yield from fetch_once(Job, request))


def clone(job_id: str) -> Flow[Job]:
    """Return a new draft with the same request."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    return (yield from fetch_once(Job, Request("POST", job_path(job_id, "clone"), headers=headers)))


def bulk(verb: str, ids: Iterable[str] | None, filters: Mapping[str, str] | None) -> Flow[list[BulkItem]]:
    """Cancel or delete many jobs; each answers for itself."""
    body: dict[str, Any] = {"ids": list(ids)} if ids is not None else {"filter": dict(filters or {})}
    found: list[BulkItem] = []
    while True:
        page = yield from fetch(BulkPage, Request("POST", f"{API}/jobs/{verb}", json=body))
        found += page.items
        if page.next_cursor is None:
            return found
        body["cursor"] = page.next_cursor


def text_of(job_id: str, what: str) -> Flow[str]:
    """Return a text about a job."""
    response = yield from exchange(Request("GET", job_path(job_id, what)))
    return response.text


def manifest(job_id: str) -> Flow[dict[str, Any]]:
    """Return the signed manifest."""
    found: dict[str, Any] = read_json((yield from exchange(Request("GET", job_path(job_id, "manifest")))))
    return found


def attempts(job_id: str) -> Flow[list[dict[str, Any]]]:
    """Return the attempts of a job."""
    found: list[dict[str, Any]] = read_json((yield from exchange(Request("GET", job_path(job_id, "attempts")))))[
        "items"
    ]
    return found


def wait(job_id: str, timeout: float | None = None, poll: float = 0.5) -> Flow[Job]:
    """Emit a job whenever it was looked at, until it has ended; return it. `TimeoutError` after `timeout` seconds."""
    over = deadline(timeout)
    while True:
        found = yield from job(job_id)
        yield Emit(found)
        if found.state in ENDED:
            return found
        if over():
            raise TimeoutError(f"job {job_id} is {found.state} after {timeout} s")
        yield from pause(poll)
        poll = min(poll * 1.2, max(poll, LONGEST_POLL))


def events_after(path: str, after: int, limit: int) -> Flow[EventPage]:
    """Return what happened since, without waiting."""
    query = {"after": after, "limit": limit}
    return (yield from fetch(EventPage, Request("GET", path, query, headers={"Accept": "application/json"})))


def past_events(path: str, after: int) -> Flow[None]:
    """Emit what happened until now."""
    while True:
        page = yield from events_after(path, after, 1000)
        for event in page.items:
            yield Emit(event)
            after = event.sequence
        if page.next_cursor is None:
            return


def log(job_id: str, stream: str, offset: int, limit: int) -> Flow[tuple[bytes, int]]:
    """Return bytes of a log from `offset` (negative: from its end), and where to go on."""
    query = {"offset": offset, "limit": limit}
    response = yield from exchange(Request("GET", job_path(job_id, "logs", stream), query))
    return response.content, int(response.headers.get("X-Log-Offset", offset + len(response.content)))


def outputs(job_id: str, prefix: str, delimiter: str, store: str | None) -> Flow[OutputPage]:
    """Return everything below a prefix: one level with the delimiter ``/``, all with ``""``."""
    query: dict[str, str] = {"prefix": prefix, "delimiter": delimiter} | ({"store": store} if store else {})
    folders, files = [], []
    while True:
        page = yield from fetch(OutputPage, Request("GET", job_path(job_id, "outputs"), query))
        folders += page.folders
        files += page.files
        if page.next_cursor is None:
            return OutputPage(prefix=prefix, folders=folders, files=files)
        query["cursor"] = page.next_cursor


def series(job_id: str) -> Flow[list[SeriesInfo]]:
    """Return the data series of a job."""
    return (yield from items(job_path(job_id, "data"), SeriesInfo))


# ---- targets, stores, cases


def targets() -> Flow[list[TargetInfo]]:
    """Return the targets."""
    return (yield from items(f"{API}/targets", TargetInfo))


def stores() -> Flow[list[StoreInfo]]:
    """Return the stores."""
    return (yield from items(f"{API}/stores", StoreInfo))


def check_target(name: str) -> Flow[list[Probe]]:
    """Look at a target."""
    request = Request("POST", f"{API}/targets/{quote(name, safe='')}/check", timeout=180, again=False)
    found = read_json((yield from exchange(request)))
    return [read_as(Probe, item) for item in found["items"]]


def cases() -> Flow[list[CaseSummary]]:
    """Return the published cases."""
    return (yield from items(f"{API}/cases", CaseSummary))


def case(name: str, version: str | None = None) -> Flow[CaseInfo]:
    """Return a case with its parameters; as it is now, or a version of it."""
    path = f"{API}/cases/{quote(name, safe='')}" + (f"/versions/{quote(version, safe='')}" if version else "")
    return (yield from fetch(CaseInfo, Request("GET", path)))


def check_case(name: str, values: Mapping[str, Any]) -> Flow[dict[str, Any]]:
    """Return the values completed by defaults; `InvalidRequest` names each parameter that is wrong."""
    request = Request("POST", f"{API}/cases/{quote(name, safe='')}/check", json={"values": dict(values)})
    found: dict[str, Any] = read_json((yield from exchange(request)))["values"]
    return found


def build_case(name: str, timeout: float | None = None, poll: float = 1.0) -> Flow[CaseInfo]:
    """Have the image of a case built where that has not been done; return the case when it can be run."""
    over = deadline(timeout)
    found = yield from case(name)
    if found.image.state == "not_built":
        yield from exchange(Request("POST", f"{API}/cases/{quote(name, safe='')}/build"))
        found = yield from case(name)
    while found.image.state == "building":
        if over():
            raise TimeoutError(f"the image of {name} is not built after {timeout} s")
        yield from pause(poll)
        found = yield from case(name)
    if found.image.state == "not_built":
        raise ImageError(f"the image of {name} could not be built: {found.image.message or 'no reason is known'}")
    return found


# ---- outputs by name or pattern


def output(job_id: str, path: str, store: str | None) -> Flow[OutputFile]:
    """Return the output of this very path; `NotFound` names some that begin alike."""
    page = yield from outputs(job_id, path, "/", store)
    for file in page.files:
        if file.path == path:
            return file
    beside = yield from outputs(job_id, path.rpartition("/")[0] + "/" if "/" in path else "", "/", store)
    near = [*(folder.prefix for folder in beside.folders), *(file.path for file in beside.files)][:8]
    raise NotFound(f"there is no output {path!r}", hint=f"there are {', '.join(near)}" if near else "nothing is there")


def matching(job_id: str, pattern: str, store: str | None) -> Flow[list[OutputFile]]:
    """Return the outputs that fit a pattern."""
    page = yield from outputs(job_id, fixed_part(pattern), "", store)
    return [file for file in page.files if matches(pattern, file.path)]
