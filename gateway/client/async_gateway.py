"""The client for asyncio; see `gateway.client.gateway` for what each method means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from gateway.client import calls, comparing, crates, downloads, people, streams, sweep_calls, uploads
from gateway.client.async_job import AsyncJobHandle, AsyncSweepHandle
from gateway.client.drivers import AsyncDriver, Watch
from gateway.client.flow import Flow
from gateway.client.gateway import endpoint_of
from gateway.client.handles import query_of
from gateway.client.output_checks import AsyncOutputChecks
from gateway.client.progress import display
from gateway.model.case import CaseInfo, CaseSummary
from gateway.model.comparison import Comparison, FileComparison
from gateway.model.crate import CratePlan
from gateway.model.job import BulkItem, Event, Job, OutputFile, OutputPage, Probe, StoreInfo, TargetInfo
from gateway.model.series import SeriesRows
from gateway.model.users import Me

T = TypeVar("T")


class AsyncGateway(AsyncOutputChecks):
    """As `Gateway`, with methods to await and iterators to go through with ``async for``."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        data: Path | None = None,
        timeout: float = 60,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        endpoint = endpoint_of(url, token, data)
        self.url = endpoint.url
        self._driver = AsyncDriver(endpoint, timeout, transport)

    async def __aenter__(self) -> Self:
        """Use as a context."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    def __repr__(self) -> str:
        """Never show the token."""
        return f"<gateway {self.url}>"

    async def close(self) -> None:
        """Close the connections."""
        await self._driver.close()

    async def run(self, flow: Flow[T], on: Watch | None = None) -> T:
        """Carry out a flow; `on` is given what it emits."""
        return await self._driver.run(flow, on)

    async def _handle(self, flow: Flow[Job]) -> AsyncJobHandle:
        return AsyncJobHandle(self, await self.run(flow))

    # ---- jobs

    async def submit(
        self,
        body: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        draft: bool = False,
        dry_run: bool = False,
        folder: Path | None = None,
        on_upload: Callable[[uploads.Sent], object] | None = None,
        **fields: Any,
    ) -> AsyncJobHandle:
        """Submit a job, uploading the local files that it names."""
        flow = uploads.submit(body, fields, folder=folder, key=idempotency_key, draft=draft, dry_run=dry_run)
        return AsyncJobHandle(self, await self.run(flow, on_upload))

    async def job(self, job_id: str) -> AsyncJobHandle:
        """Return a job with its specification."""
        return await self._handle(calls.job(job_id))

    async def jobs(self, *, limit: int | None = None, **filters: Any) -> AsyncIterator[AsyncJobHandle]:
        """Yield jobs, newest first, page by page."""
        async for found in self._driver.stream(calls.jobs(limit, query_of(filters))):
            yield AsyncJobHandle(self, found)

    async def resolve(self, text: str) -> str:
        """Return the id meant by a whole id, a unique prefix of one, or ``@last``."""
        return await self.run(calls.resolve(text))

    async def cancel(self, job_id: str) -> AsyncJobHandle:
        """Ask for a job to be ended; its outputs are kept."""
        return await self._handle(calls.act(job_id, "cancel"))

    async def act(self, job_id: str, verb: str) -> AsyncJobHandle:
        """Ask for something else: submit (a draft), hold, release, sync, abandon."""
        return await self._handle(calls.act(job_id, verb))

    async def delete(self, job_id: str) -> None:
        """Forget a job that has ended; its outputs stay in the stores."""
        await self.run(calls.delete(job_id))

    async def patch(self, job_id: str, changes: Mapping[str, Any], *, version: int | None = None) -> AsyncJobHandle:
        """Change a job by a JSON merge patch."""
        return await self._handle(calls.patch(job_id, changes, version))

    async def rerun(
        self, job_id: str, changes: Mapping[str, Any] | None = None, *, draft: bool = False
    ) -> AsyncJobHandle:
        """Run the same again with changes."""
        return await self._handle(uploads.rerun(job_id, changes or {}, draft=draft))

    async def clone(self, job_id: str) -> AsyncJobHandle:
        """Return a new draft with the same request."""
        return await self._handle(calls.clone(job_id))

    async def cancel_many(self, ids: Iterable[str] | None = None, **filters: Any) -> list[BulkItem]:
        """Cancel many jobs, by id or by filters."""
        return await self.run(calls.bulk("cancel", ids, query_of(filters)))

    async def delete_many(self, ids: Iterable[str] | None = None, **filters: Any) -> list[BulkItem]:
        """Forget many jobs, by id or by filters."""
        return await self.run(calls.bulk("delete", ids, query_of(filters)))

    async def wait(
        self, job_id: str, timeout: float | None = None, poll: float = 0.5, *, progress: bool = False
    ) -> AsyncJobHandle:
        """Wait until a job has ended and return it; `TimeoutError` after `timeout` seconds."""
        with display(progress) as shown:
            return AsyncJobHandle(self, await self.run(calls.wait(job_id, timeout, poll), shown.job))

    # ---- events, logs, data

    def events(self, job_id: str | None = None, after: int = 0) -> AsyncIterator[Event]:
        """Yield events as they happen, without gap or repeat."""
        return self._driver.stream(streams.events(job_id, after))

    async def events_after(self, job_id: str | None, after: int = 0, limit: int = 500) -> list[Event]:
        """Return what happened since `after`, without waiting."""
        return (await self.run(calls.events_after(streams.events_path(job_id), after, limit))).items

    def past_events(self, job_id: str | None = None, after: int = 0) -> AsyncIterator[Event]:
        """Yield what happened until now, of one job or of all."""
        return self._driver.stream(calls.past_events(streams.events_path(job_id), after))

    async def log(
        self, job_id: str, stream: str = "stdout", offset: int = 0, limit: int = 1 << 20
    ) -> tuple[bytes, int]:
        """Return bytes of a log from `offset`, and where to go on."""
        return await self.run(calls.log(job_id, stream, offset, limit))

    def follow_log(self, job_id: str, stream: str = "stdout", offset: int = 0) -> AsyncIterator[bytes]:
        """Yield bytes of a log as they come, until the job has ended."""
        return self._driver.stream(streams.log(job_id, stream, offset))

    def follow_series(
        self, job_id: str, name: str, after: int = 0, *, follow: bool = True
    ) -> AsyncIterator[SeriesRows]:
        """Yield rows of a data series as they come, until the job has ended."""
        return self._driver.stream(streams.series(job_id, name, follow=follow, after=after))

    # ---- outputs

    async def outputs(
        self, job_id: str, prefix: str = "", *, delimiter: str = "/", store: str | None = None
    ) -> OutputPage:
        """Return everything below a prefix."""
        return await self.run(calls.outputs(job_id, prefix, delimiter, store))

    async def download(self, file: OutputFile, folder: Path, on_bytes: Callable[[int], object] | None = None) -> Path:
        """Fetch one output below `folder`, going on where an earlier try stopped; return its path."""
        return await self.run(downloads.download(file, folder), on_bytes)

    async def compare(
        self,
        first: str,
        second: str,
        *,
        rtol: float | None = None,
        atol: float | None = None,
        ignore: Sequence[str] = (),
        prefix: str = "",
        store: str | None = None,
        on_file: Callable[[FileComparison], object] | None = None,
    ) -> Comparison:
        """Compare the outputs of two jobs."""
        wanted = comparing.how(rtol, atol, ignore, prefix, store)
        return await self.run(comparing.compare(first, second, wanted), on_file)

    async def reproduce(
        self,
        job_id: str,
        changes: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        rtol: float | None = None,
        atol: float | None = None,
        ignore: Sequence[str] = (),
    ) -> tuple[AsyncJobHandle, Comparison]:
        """Run a job again, wait for its end, and compare what both left."""
        wanted = comparing.how(rtol, atol, ignore)
        job, comparison = await self.run(comparing.reproduce(job_id, changes or {}, wanted, timeout))
        return AsyncJobHandle(self, job), comparison

    # ---- crates

    async def crate(self, job_id: str, store: str | None = None) -> dict[str, Any]:
        """Return the metadata of a job's RO-Crate."""
        return await self.run(crates.metadata(job_id, store))

    async def download_crate(self, job_id: str, file: Path, store: str | None = None) -> Path:
        """Write a job's RO-Crate, with all its outputs, to a zip file."""
        return await self.run(crates.download(job_id, file, store))

    async def plan_crate(
        self,
        crate: str | Path,
        *,
        target: str | None = None,
        stores: str | Sequence[str] | None = None,
        changes: Mapping[str, Any] | None = None,
        any_image: bool = False,
    ) -> CratePlan:
        """Say what `run_crate` would do."""
        return await self.run(crates.plan(crate, crates.wish(target, stores, changes, any_image=any_image)))

    async def run_crate(
        self,
        crate: str | Path,
        *,
        target: str | None = None,
        stores: str | Sequence[str] | None = None,
        changes: Mapping[str, Any] | None = None,
        any_image: bool = False,
        files: Sequence[Path] = (),
    ) -> AsyncJobHandle:
        """Run again what a crate holds: a folder, a zip file, or a URL."""
        wanted = crates.wish(target, stores, changes, any_image=any_image, files=tuple(files))
        return await self._handle(crates.rerun(crate, wanted))

    # ---- sweeps

    async def sweep(
        self,
        job: Mapping[str, Any] | str,
        *,
        grid: Mapping[str, Sequence[Any]] | None = None,
        table: Sequence[Mapping[str, Any]] | None = None,
        name: str | None = None,
        limit: int | None = None,
        idempotency_key: str | None = None,
        folder: Path | None = None,
    ) -> AsyncSweepHandle:
        """Submit a job for each point of a grid or row of a table."""
        given = {"grid": grid, "table": table, "name": name, "limit": limit}
        return AsyncSweepHandle(
            self, await self.run(uploads.submit_sweep(job, given, folder=folder, key=idempotency_key))
        )

    async def sweeps(self, *, limit: int | None = None) -> AsyncIterator[AsyncSweepHandle]:
        """Yield sweeps, newest first."""
        async for found in self._driver.stream(sweep_calls.sweeps(limit)):
            yield AsyncSweepHandle(self, found)

    async def sweep_of(self, sweep_id: str) -> AsyncSweepHandle:
        """Return a sweep by its id, a unique beginning of it, or ``@last``."""
        return AsyncSweepHandle(
            self, await self.run(sweep_calls.sweep(await self.run(calls.resolve(sweep_id, "sweep"))))
        )

    # ---- cases, targets, stores

    async def cases(self) -> list[CaseSummary]:
        """Return the published cases."""
        return await self.run(calls.cases())

    async def case(self, name: str, version: str | None = None) -> CaseInfo:
        """Return a case with its parameters."""
        return await self.run(calls.case(name, version))

    async def check_case(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values completed by defaults."""
        return await self.run(calls.check_case(name, values))

    async def build_case(self, name: str, timeout: float | None = None) -> CaseInfo:
        """Have the image of a case built where that has not been done; return the case when it can be run."""
        return await self.run(calls.build_case(name, timeout))

    async def me(self) -> Me:
        """Return who the token belongs to."""
        return await self.run(people.me())

    async def targets(self) -> list[TargetInfo]:
        """Return the targets."""
        return await self.run(calls.targets())

    async def stores(self) -> list[StoreInfo]:
        """Return the stores."""
        return await self.run(calls.stores())

    async def check_target(self, name: str) -> list[Probe]:
        """Look at a target: one probe a line."""
        return await self.run(calls.check_target(name))

    async def upload(self, file: Path, on_upload: Callable[[uploads.Sent], object] | None = None) -> str:
        """Send a local file and return its digest."""
        return await self.run(uploads.upload(file), on_upload)
