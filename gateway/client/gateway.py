"""The synchronous client."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from gateway.client.discovery import Endpoint, find_gateway
from gateway.client.downloads import fetch, place_below
from gateway.client.event_stream import read_events
from gateway.client.problems import raise_problem
from gateway.errors import Conflict, GatewayError, NotFound
from gateway.model.job import (
    Event,
    EventPage,
    Job,
    JobPage,
    OutputFile,
    OutputPage,
    Probe,
    StoreInfo,
    TargetInfo,
)
from gateway.model.states import ENDED

API = "/api/v1"
WHOLE_ID = 36
"""Characters of a whole job id."""
TRIES = 4
"""How often a request is sent that is safe to send again."""
EVENT_TRIES = 16
"""How often in a row a stream of events is opened in vain, about a minute."""


class GatewayNotRunning(GatewayError):
    """No gateway answers."""

    status, problem, title = 503, "not-running", "No gateway is running"


class Gateway:
    """A gateway. Requests that are safe to repeat are repeated when the connection fails.

    Parameters
    ----------
    url, token
        Default: the running gateway that `find_gateway` finds.
    data
        The data folder to look for a running gateway in.

    Raises
    ------
    GatewayNotRunning
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        data: Path | None = None,
        timeout: float = 60,
    ) -> None:
        endpoint = Endpoint(url.rstrip("/"), token) if url else find_gateway(data)
        if endpoint is None:
            raise GatewayNotRunning("no gateway is running", hint="start one with: gateway serve")
        self.url = endpoint.url
        headers = {"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
        self._http = httpx.Client(base_url=endpoint.url, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, method: str, path: str, *, again: bool = True, **options: Any) -> httpx.Response:
        """Send a request; repeat it where that is safe and the connection failed."""
        for attempt in range(TRIES if again else 1):
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                if attempt + 1 == (TRIES if again else 1):
                    raise self._silent() from error
                time.sleep(0.2 * 2**attempt)
                continue
            raise_problem(response)
            return response
        raise AssertionError

    @contextlib.contextmanager
    def _stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Open an answer whose bytes are read as they come; raises what a problem stands for."""
        plain = {"Accept-Encoding": "identity", **headers}
        with self._http.stream("GET", path, headers=plain) as response:
            if response.is_error:
                response.read()
                raise_problem(response)
            yield response

    def _silent(self) -> GatewayNotRunning:
        return GatewayNotRunning(f"the gateway at {self.url} does not answer", hint="start it with: gateway serve")

    # ---- jobs

    def submit(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Job:
        """Submit a job.

        The request carries an idempotency key, so that sending it again after a lost answer gives the same job.

        Raises
        ------
        InvalidRequest
            Names each field that is wrong.
        """
        key = idempotency_key or str(uuid.uuid4())
        for attempt in range(TRIES):
            try:
                response = self._send("POST", f"{API}/jobs", json=body, headers={"Idempotency-Key": key})
            except Conflict:
                if attempt + 1 == TRIES:
                    raise
                time.sleep(0.5)
            else:
                return Job.model_validate(response.json())
        raise AssertionError

    def job(self, job_id: str) -> Job:
        """Return a job with its specification."""
        return Job.model_validate(self._send("GET", f"{API}/jobs/{quote(job_id, safe='')}").json())

    def jobs(self, *, limit: int | None = None, **filters: str) -> Iterator[Job]:
        """Yield jobs, newest first, page by page."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            query = {**filters, "limit": str(min(left or 200, 200))}
            if cursor:
                query["cursor"] = cursor
            page = JobPage.model_validate(self._send("GET", f"{API}/jobs", params=query).json())
            yield from page.items[:left]
            left = None if left is None else left - len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return

    def resolve(self, text: str) -> str:
        """Return the id meant by a whole id, a unique prefix of one, or ``@last``.

        Raises
        ------
        NotFound
            None, or more than one, is meant.
        """
        if text == "@last":
            found = [job.id for job in self.jobs(limit=1)]
        elif len(text) == WHOLE_ID or not text:
            found = [text] if text else []
        else:
            start = text.lower()
            found = [job.id for job in self.jobs(q=start) if job.id.startswith(start)]
        if not found:
            raise NotFound("there is no job yet" if text == "@last" else f"there is no job {text!r}")
        if len(found) > 1:
            raise NotFound(f"{text!r} could be any of {len(found)} jobs", hint="give more of the id")
        return found[0]

    def cancel(self, job_id: str) -> Job:
        """Ask for a job to be ended; its outputs are kept."""
        return Job.model_validate(self._send("POST", f"{API}/jobs/{quote(job_id, safe='')}/cancel").json())

    def script(self, job_id: str) -> str:
        """Return the batch script of the current attempt."""
        return self._send("GET", f"{API}/jobs/{quote(job_id, safe='')}/script").text

    def manifest(self, job_id: str) -> dict[str, Any]:
        """Return the signed manifest."""
        found: dict[str, Any] = self._send("GET", f"{API}/jobs/{quote(job_id, safe='')}/manifest").json()
        return found

    def wait(self, job_id: str, timeout: float | None = None, poll: float = 0.5) -> Job:
        """Wait until a job has ended and return it; `TimeoutError` after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            job = self.job(job_id)
            if job.state in ENDED:
                return job
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"job {job_id} is {job.state} after {timeout} s")
            time.sleep(poll)

    # ---- events and logs

    def events(self, job_id: str | None = None, after: int = 0) -> Iterator[Event]:
        """Yield events as they happen, without gap or repeat, also across a restart of the gateway.

        Parameters
        ----------
        job_id
            None: the events of all jobs.
        after
            Begin behind this sequence.
        """
        failures = 0
        while True:
            try:
                headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
                with self._stream(_events_path(job_id), headers) as response:
                    for event in read_events(response.iter_lines(), job_id):
                        failures = 0
                        if event.sequence > after:
                            after = event.sequence
                            yield event
            except httpx.TransportError as error:
                failures += 1
                if failures > EVENT_TRIES:
                    raise self._silent() from error
            time.sleep(min(0.25 * 2**failures, 5))

    def events_after(self, job_id: str | None, after: int = 0, limit: int = 500) -> list[Event]:
        """Return what happened since `after`, at most `limit` events, without waiting."""
        headers = {"Accept": "application/json"}
        query = {"after": after, "limit": limit}
        response = self._send("GET", _events_path(job_id), headers=headers, params=query)
        return EventPage.model_validate(response.json()).items

    def log(self, job_id: str, stream: str = "stdout", offset: int = 0, limit: int = 1 << 20) -> tuple[bytes, int]:
        """Return bytes of a log from `offset` (negative: from its end), and where to go on."""
        response = self._send(
            "GET",
            f"{API}/jobs/{quote(job_id, safe='')}/logs/{quote(stream, safe='')}",
            params={"offset": offset, "limit": limit},
        )
        return response.content, int(response.headers.get("X-Log-Offset", offset + len(response.content)))

    def follow_log(self, job_id: str, stream: str = "stdout", offset: int = 0, poll: float = 1) -> Iterator[bytes]:
        """Yield bytes of a log as they come, until the job has ended and all of it was read."""
        ended = False
        while True:
            content, offset = self.log(job_id, stream, offset)
            if content:
                yield content
            elif ended:
                return
            else:
                ended = self.job(job_id).state in ENDED
                if not ended:
                    time.sleep(poll)

    # ---- outputs

    def outputs(self, job_id: str, prefix: str = "", *, delimiter: str = "/", store: str | None = None) -> OutputPage:
        """Return everything below a prefix (one level with the delimiter ``/``, all with ``""``)."""
        query: dict[str, str] = {"prefix": prefix, "delimiter": delimiter}
        if store:
            query["store"] = store
        folders, files = [], []
        while True:
            path = f"{API}/jobs/{quote(job_id, safe='')}/outputs"
            page = OutputPage.model_validate(self._send("GET", path, params=query).json())
            folders += page.folders
            files += page.files
            if page.next_cursor is None:
                return OutputPage(prefix=prefix, folders=folders, files=files)
            query["cursor"] = page.next_cursor

    def download(self, file: OutputFile, folder: Path) -> Path:
        """Fetch one output below `folder`, going on where an earlier try stopped; return its path.

        Raises
        ------
        GatewayError
            The name would leave `folder`, or the bytes are not those that the catalogue names.
        """
        place = place_below(folder.absolute(), file.path)
        if not file.url.startswith("/"):  # the token goes to this gateway only
            raise GatewayError(f"{file.path}: {file.url!r} is not an address of this gateway")
        for attempt in range(TRIES):
            try:
                fetch(lambda headers: self._stream(file.url, headers), file, place)
            except httpx.TransportError as error:
                if attempt + 1 == TRIES:
                    raise self._silent() from error
                time.sleep(0.2 * 2**attempt)
            else:
                break
        return place

    # ---- targets and stores

    def targets(self) -> list[TargetInfo]:
        """Return the targets."""
        return [TargetInfo.model_validate(item) for item in self._items("targets")]

    def stores(self) -> list[StoreInfo]:
        """Return the stores."""
        return [StoreInfo.model_validate(item) for item in self._items("stores")]

    def check_target(self, name: str) -> list[Probe]:
        """Look at a target: one probe a line."""
        response = self._send("POST", f"{API}/targets/{quote(name, safe='')}/check", timeout=180, again=False)
        found = response.json()
        return [Probe.model_validate(item) for item in (found["items"] if isinstance(found, dict) else found)]

    def _items(self, what: str) -> list[dict[str, Any]]:
        found = self._send("GET", f"{API}/{what}").json()
        items: list[dict[str, Any]] = found["items"] if isinstance(found, dict) else found
        return items


def _events_path(job_id: str | None) -> str:
    return f"{API}/jobs/{quote(job_id, safe='')}/events" if job_id else f"{API}/events"
