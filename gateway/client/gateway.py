"""The client that waits for each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from gateway.client import calls, downloads, people, streams, sweep_calls, uploads
from gateway.client.again import Again
from gateway.client.discovery import Endpoint, find_gateway
from gateway.client.drivers import Driver, Watch
from gateway.client.flow import Flow, GatewayNotRunning
from gateway.client.handles import query_of
from gateway.client.job import JobHandle
from gateway.client.output_checks import OutputChecks
from gateway.client.progress import display
from gateway.client.sweep import SweepHandle
from gateway.model.case import CaseInfo, CaseSummary
from gateway.model.job import BulkItem, Event, Job, OutputFile, OutputPage, Probe, StoreInfo, TargetInfo
from gateway.model.series import SeriesRows
from gateway.model.users import Me

__all__ = ["Gateway", "GatewayNotRunning", "endpoint_of"]

T = TypeVar("T")


def endpoint_of(url: str | None, token: str | None, data: Path | None) -> Endpoint:
    """Return the gateway that is meant: the one named, else the running one.

    Raises
    ------
    GatewayNotRunning
        None is named, and none runs.
    """
    found = Endpoint(url.rstrip("/"), token) if url else find_gateway(data)
    if found is None:
        raise GatewayNotRunning("no gateway is running", hint="start one with: gateway serve")
    return found


class Gateway(Again, OutputChecks):
    """A gateway. Requests that are safe to repeat are repeated when the connection fails.

    Parameters
    ----------
    url, token
        Default: ``$GATEWAY_URL`` with ``$GATEWAY_TOKEN``, else the gateway that runs on this machine.
    data
        The data folder to look for a running gateway in.
    timeout
        Seconds to wait for an answer to begin or go on.
    transport
        Carries the requests instead of the network, for tests.

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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        endpoint = endpoint_of(url, token, data)
        self.url = endpoint.url
        self._driver = Driver(endpoint, timeout, transport)

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def __repr__(self) -> str:
        """Never show the token."""
        return f"<gateway {self.url}>"

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()

    def run(self, flow: Flow[T], on: Watch | None = None) -> T:
        """Carry out a flow of `gateway.client.calls` and the like; `on` is given what it emits."""
        return self._driver.run(flow, on)

    def _handle(self, flow: Flow[Job]) -> JobHandle:
        return JobHandle(self, self.run(flow))

    # ---- jobs

    def submit(
        self,
        body: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        draft: bool = False,
        dry_run: bool = False,
        folder: Path | None = None,
        on_upload: Callable[[uploads.Sent], object] | None = None,
        **fields: Any,
    ) -> JobHandle:
        """Submit a job: a specification, single fields of one (``case``, ``values``, ``target`` …), or both.

        Local files that it names (``{"path": "mesh.bin", "file": "./mesh.bin"}``) are uploaded first. The request
        carries an idempotency key, so that sending it again after a lost answer gives the same job.

        Parameters
        ----------
        draft, dry_run
            Keep it without running it; only check it, and answer what it would be.
        folder
            What names of local files are relative to (default: the working directory).

        Raises
        ------
        InvalidRequest
            Names each field that is wrong.
        """
        flow = uploads.submit(body, fields, folder=folder, key=idempotency_key, draft=draft, dry_run=dry_run)
        return JobHandle(self, self.run(flow, on_upload))

    def job(self, job_id: str) -> JobHandle:
        """Return a job with its specification."""
        return self._handle(calls.job(job_id))

    def jobs(self, *, limit: int | None = None, **filters: Any) -> Iterator[JobHandle]:
        """Yield jobs, newest first, page by page.

        Parameters
        ----------
        filters
            As of ``GET /jobs``: ``state``, ``target``, ``case``, ``owner``, ``sweep``, ``tag``, ``q``,
            ``created_after``, ``created_before``, ``ended_after``, ``ended_before``, ``sort``.
        """
        for found in self._driver.stream(calls.jobs(limit, query_of(filters))):
            yield JobHandle(self, found)

    def resolve(self, text: str) -> str:
        """Return the id meant by a whole id, a unique prefix of one, or ``@last``.

        Raises
        ------
        NotFound
            None, or more than one, is meant.
        """
        return self.run(calls.resolve(text))

    def cancel(self, job_id: str) -> JobHandle:
        """Ask for a job to be ended; its outputs are kept."""
        return self._handle(calls.act(job_id, "cancel"))

    def act(self, job_id: str, verb: str) -> JobHandle:
        """Ask for something else: submit (a draft), hold, release, sync, abandon."""
        return self._handle(calls.act(job_id, verb))

    def delete(self, job_id: str) -> None:
        """Forget a job that has ended; its outputs stay in the stores."""
        self.run(calls.delete(job_id))

    def patch(self, job_id: str, changes: Mapping[str, Any], *, version: int | None = None) -> JobHandle:
        """Change a job by a JSON merge patch: all of a draft, else its name, tags and notes."""
        return self._handle(calls.patch(job_id, changes, version))

    def rerun(self, job_id: str, changes: Mapping[str, Any] | None = None, *, draft: bool = False) -> JobHandle:
        """Run the same again with changes (a merge patch over the request); the new job's `changes` name them."""
        return self._handle(uploads.rerun(job_id, changes or {}, draft=draft))

    def clone(self, job_id: str) -> JobHandle:
        """Return a new draft with the same request."""
        return self._handle(calls.clone(job_id))

    def cancel_many(self, ids: Iterable[str] | None = None, **filters: Any) -> list[BulkItem]:
        """Cancel many jobs, by id or by the filters of `jobs`; each answers for itself."""
        return self.run(calls.bulk("cancel", ids, query_of(filters)))

    def delete_many(self, ids: Iterable[str] | None = None, **filters: Any) -> list[BulkItem]:
        """Forget many jobs, by id or by the filters of `jobs`; each answers for itself."""
        return self.run(calls.bulk("delete", ids, query_of(filters)))

    def script(self, job_id: str) -> str:
        """Return the batch script of the current attempt."""
        return self.run(calls.text_of(job_id, "script"))

    def manifest(self, job_id: str) -> dict[str, Any]:
        """Return the signed manifest."""
        return self.run(calls.manifest(job_id))

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """Return the attempts of a job, oldest first."""
        return self.run(calls.attempts(job_id))

    def wait(
        self, job_id: str, timeout: float | None = None, poll: float = 0.5, *, progress: bool = False
    ) -> JobHandle:
        """Wait until a job has ended and return it; `TimeoutError` after `timeout` seconds."""
        with display(progress) as shown:
            return JobHandle(self, self.run(calls.wait(job_id, timeout, poll), shown.job))

    # ---- events, logs, data

    def events(self, job_id: str | None = None, after: int = 0) -> Iterator[Event]:
        """Yield events as they happen, without gap or repeat, also across a restart of the gateway.

        Parameters
        ----------
        job_id
            None: the events of all jobs.
        after
            Begin behind this sequence.
        """
        return self._driver.stream(streams.events(job_id, after))

    def events_after(self, job_id: str | None, after: int = 0, limit: int = 500) -> list[Event]:
        """Return what happened since `after`, at most `limit` events, without waiting."""
        return self.run(calls.events_after(streams.events_path(job_id), after, limit)).items

    def past_events(self, job_id: str | None = None, after: int = 0) -> Iterator[Event]:
        """Yield what happened until now, of one job or of all."""
        return self._driver.stream(calls.past_events(streams.events_path(job_id), after))

    def log(self, job_id: str, stream: str = "stdout", offset: int = 0, limit: int = 1 << 20) -> tuple[bytes, int]:
        """Return bytes of a log from `offset` (negative: from its end), and where to go on."""
        return self.run(calls.log(job_id, stream, offset, limit))

    def follow_log(self, job_id: str, stream: str = "stdout", offset: int = 0) -> Iterator[bytes]:
        """Yield bytes of a log as they come, until the job has ended and all of it was read."""
        return self._driver.stream(streams.log(job_id, stream, offset))

    def follow_series(self, job_id: str, name: str, after: int = 0, *, follow: bool = True) -> Iterator[SeriesRows]:
        """Yield rows of a data series as they come, until the job has ended."""
        return self._driver.stream(streams.series(job_id, name, follow=follow, after=after))

    # ---- outputs

    def outputs(self, job_id: str, prefix: str = "", *, delimiter: str = "/", store: str | None = None) -> OutputPage:
        """Return everything below a prefix (one level with the delimiter ``/``, all with ``""``)."""
        return self.run(calls.outputs(job_id, prefix, delimiter, store))

    def download(self, file: OutputFile, folder: Path, on_bytes: Callable[[int], object] | None = None) -> Path:
        """Fetch one output below `folder`, going on where an earlier try stopped; return its path.

        Parameters
        ----------
        on_bytes
            Is told again and again how many of its bytes are there.

        Raises
        ------
        GatewayError
            The name would leave `folder`, or the bytes are not those that the catalogue names.
        """
        return self.run(downloads.download(file, folder), on_bytes)

    # ---- sweeps

    def sweep(
        self,
        job: Mapping[str, Any] | str,
        *,
        grid: Mapping[str, Sequence[Any]] | None = None,
        table: Sequence[Mapping[str, Any]] | None = None,
        name: str | None = None,
        limit: int | None = None,
        idempotency_key: str | None = None,
        folder: Path | None = None,
    ) -> SweepHandle:
        """Submit a job for each point of a grid or row of a table.

        Parameters
        ----------
        job
            A specification; a text is the name of a case.
        grid, table
            Keys are parameters of the case, or JSON pointers into the specification (``/env/RE``).
        limit
            So many jobs may be queued or running at once.
        """
        given = {"grid": grid, "table": table, "name": name, "limit": limit}
        return SweepHandle(self, self.run(uploads.submit_sweep(job, given, folder=folder, key=idempotency_key)))

    def sweeps(self, *, limit: int | None = None) -> Iterator[SweepHandle]:
        """Yield sweeps, newest first."""
        for found in self._driver.stream(sweep_calls.sweeps(limit)):
            yield SweepHandle(self, found)

    def sweep_of(self, sweep_id: str) -> SweepHandle:
        """Return a sweep by its id, a unique beginning of it, or ``@last``."""
        return SweepHandle(self, self.run(sweep_calls.sweep(self.run(calls.resolve(sweep_id, "sweep")))))

    # ---- cases, targets, stores

    def cases(self) -> list[CaseSummary]:
        """Return the published cases."""
        return self.run(calls.cases())

    def case(self, name: str, version: str | None = None) -> CaseInfo:
        """Return a case with its parameters; as it is now, or a version of it."""
        return self.run(calls.case(name, version))

    def check_case(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values completed by defaults; `InvalidRequest` names each parameter that is wrong."""
        return self.run(calls.check_case(name, values))

    def build_case(self, name: str, timeout: float | None = None) -> CaseInfo:
        """Have the image of a case built, once, where that has not been done; return the case when it can be run.

        Raises
        ------
        ImageError
            It could not be built, with the reason.
        Forbidden
            Only administrators have images built.
        """
        return self.run(calls.build_case(name, timeout))

    def me(self) -> Me:
        """Return who the token belongs to."""
        return self.run(people.me())

    def targets(self) -> list[TargetInfo]:
        """Return the targets."""
        return self.run(calls.targets())

    def stores(self) -> list[StoreInfo]:
        """Return the stores."""
        return self.run(calls.stores())

    def check_target(self, name: str) -> list[Probe]:
        """Look at a target: one probe a line."""
        return self.run(calls.check_target(name))

    def upload(self, file: Path, on_upload: Callable[[uploads.Sent], object] | None = None) -> str:
        """Send a local file and return its digest, which inputs name as ``upload``."""
        return self.run(uploads.upload(file), on_upload)
