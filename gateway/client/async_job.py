"""Jobs and sweeps in one's hand, for asyncio; see `gateway.client.job` for what each method means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.client import calls, downloads, streams, sweep_calls, uploads
from gateway.client.handles import JobFacts, SweepFacts
from gateway.client.progress import display
from gateway.client.series import Series, SeriesSet
from gateway.client.tree import SHOWN, Tree, rows
from gateway.model.job import Event, Job, OutputFile
from gateway.model.sweep import Sweep

if TYPE_CHECKING:
    from gateway.client.async_gateway import AsyncGateway


class AsyncJobHandle(JobFacts):
    """As `JobHandle`, with methods to await."""

    def __init__(self, gateway: AsyncGateway, info: Job) -> None:
        self._gateway = gateway
        self.info = info

    async def refresh(self) -> AsyncJobHandle:
        """Ask how the job is now."""
        self.info = await self._gateway.run(calls.job(self.info.id))
        return self

    async def wait(self, timeout: float | None = None, *, progress: bool = False, poll: float = 0.5) -> AsyncJobHandle:
        """Wait until the job has ended; `TimeoutError` after `timeout` seconds."""
        with display(progress) as shown:
            self.info = await self._gateway.run(calls.wait(self.info.id, timeout, poll), shown.job)
        return self

    async def submit(self) -> AsyncJobHandle:
        """Let a draft run."""
        return await self._act("submit")

    async def cancel(self) -> AsyncJobHandle:
        """Ask for its end; its outputs are kept."""
        return await self._act("cancel")

    async def hold(self) -> AsyncJobHandle:
        """Keep it from starting."""
        return await self._act("hold")

    async def release(self) -> AsyncJobHandle:
        """Let it start after `hold`."""
        return await self._act("release")

    async def sync(self) -> AsyncJobHandle:
        """Ask for a full pass over its outputs now."""
        return await self._act("sync")

    async def abandon(self) -> AsyncJobHandle:
        """Give it up where its state is unknown."""
        return await self._act("abandon")

    async def _act(self, verb: str) -> AsyncJobHandle:
        self.info = await self._gateway.run(calls.act(self.info.id, verb))
        return self

    async def edit(self, **changes: Any) -> AsyncJobHandle:
        """Change it, where nobody else has meanwhile."""
        self.info = await self._gateway.run(calls.patch(self.info.id, changes, self.info.version))
        return self

    async def delete(self) -> None:
        """Forget it; its outputs stay in the stores."""
        await self._gateway.run(calls.delete(self.info.id))

    async def rerun(self, *, draft: bool = False, **changes: Any) -> AsyncJobHandle:
        """Run the same again with other ``values``, ``target``, ``stores`` …."""
        return AsyncJobHandle(self._gateway, await self._gateway.run(uploads.rerun(self.info.id, changes, draft=draft)))

    async def clone(self) -> AsyncJobHandle:
        """Return a new draft with the same request."""
        return AsyncJobHandle(self._gateway, await self._gateway.run(calls.clone(self.info.id)))

    async def script(self) -> str:
        """Return the batch script of the current attempt."""
        return await self._gateway.run(calls.text_of(self.info.id, "script"))

    async def manifest(self) -> dict[str, Any]:
        """Return the signed manifest of its outputs."""
        return await self._gateway.run(calls.manifest(self.info.id))

    async def log(self, stream: str = "stdout") -> str:
        """Return a log as far as it was written."""
        return (await self._gateway.run(streams.whole_log(self.info.id, stream))).decode("utf-8", "replace")

    def follow_log(self, stream: str = "stdout", offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the bytes of a log until the job has ended."""
        return self._gateway.follow_log(self.info.id, stream, offset)

    def events(self, after: int = 0) -> AsyncIterator[Event]:
        """Yield what happened to it, and what happens, until it has ended."""
        return self._gateway._driver.stream(streams.events_to_end(self.info.id, after))

    async def data(self) -> SeriesSet:
        """Return all data series, as far as they were written."""
        return await self._gateway.run(streams.all_series(self.info.id))

    async def series(self, name: str) -> Series:
        """Return one data series."""
        return await self._gateway.run(streams.whole_series(self.info.id, name))

    @property
    def outputs(self) -> AsyncOutputs:
        """Its outputs."""
        return AsyncOutputs(self._gateway, self.info)


class AsyncOutputs:
    """The outputs of a job in one store (its first, unless another one is named)."""

    def __init__(self, gateway: AsyncGateway, job: Job, store: str | None = None) -> None:
        self._gateway, self._job, self._store = gateway, job, store
        self.info = job.outputs

    def __call__(self, store: str) -> AsyncOutputs:
        """Return those in another store."""
        return AsyncOutputs(self._gateway, self._job, store)

    async def tree(self, prefix: str = "", *, everything: bool = False) -> Tree:
        """Return them as a tree that prints."""
        listing = lambda level: calls.outputs(self._job.id, level, "/", self._store)
        return Tree(tuple(await self._gateway.run(rows(listing, prefix, None if everything else SHOWN))))

    async def files(self, pattern: str = "**") -> list[AsyncOutputHandle]:
        """Return those whose paths fit a pattern (``**`` any depth)."""
        found = await self._gateway.run(calls.matching(self._job.id, pattern, self._store))
        return [AsyncOutputHandle(self._gateway, file) for file in found]

    async def get(self, path: str) -> AsyncOutputHandle:
        """Return the output of this path; `NotFound` names some that are there."""
        return AsyncOutputHandle(self._gateway, await self._gateway.run(calls.output(self._job.id, path, self._store)))

    async def download(
        self,
        folder: Path | str,
        pattern: str = "**",
        on_progress: Callable[[downloads.Fetched], object] | None = None,
    ) -> list[Path]:
        """Fetch those that fit a pattern below `folder`."""
        found = await self._gateway.run(calls.matching(self._job.id, pattern, self._store))
        return await self._gateway.run(downloads.download_all(found, Path(folder)), on_progress)


class AsyncOutputHandle:
    """One output; `info` is what the catalogue says of it."""

    def __init__(self, gateway: AsyncGateway, info: OutputFile) -> None:
        self._gateway, self.info = gateway, info
        self.path, self.size, self.digest = info.path, info.size, info.digest

    async def read_bytes(self) -> bytes:
        """Return all its bytes."""
        return await self._gateway.run(downloads.content(self.info))

    async def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return it as text."""
        return (await self.read_bytes()).decode(encoding, errors)

    async def download(self, folder: Path | str = ".") -> Path:
        """Fetch it below `folder`, under its own path; return where it is."""
        return await self._gateway.run(downloads.download(self.info, Path(folder)))


class AsyncSweepHandle(SweepFacts):
    """As `SweepHandle`, with methods to await."""

    def __init__(self, gateway: AsyncGateway, info: Sweep) -> None:
        self._gateway = gateway
        self.info = info

    async def refresh(self) -> AsyncSweepHandle:
        """Ask how the sweep is now."""
        self.info = await self._gateway.run(sweep_calls.sweep(self.info.id))
        return self

    async def wait(
        self, timeout: float | None = None, *, progress: bool = False, poll: float = 0.5
    ) -> AsyncSweepHandle:
        """Wait until all its jobs have ended."""
        with display(progress) as shown:
            self.info = await self._gateway.run(sweep_calls.wait_sweep(self.info.id, timeout, poll), shown.sweep)
        return self

    def jobs(self, **filters: Any) -> AsyncIterator[AsyncJobHandle]:
        """Yield its jobs."""
        return self._gateway.jobs(sweep=self.info.id, **filters)

    async def cancel(self) -> AsyncSweepHandle:
        """Ask for the end of all its jobs."""
        self.info = await self._gateway.run(sweep_calls.cancel_sweep(self.info.id))
        return self

    async def rerun(self, *, failed: bool = False) -> AsyncSweepHandle:
        """Run it again: all of it, or only what has failed; return the new sweep."""
        return AsyncSweepHandle(
            self._gateway, await self._gateway.run(sweep_calls.rerun_sweep(self.info.id, failed=failed))
        )

    async def csv(self) -> str:
        """Return the table of values and results as CSV."""
        return await self._gateway.run(sweep_calls.sweep_csv(self.info.id))

    async def table(self) -> list[dict[str, Any]]:
        """Return the table of values and results, one mapping a job."""
        return await self._gateway.run(sweep_calls.sweep_table(self.info.id))
