"""Brings inputs (by URL, upload, other jobs' outputs) to files of the gateway before their jobs are staged."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.db.database import DatabaseUnavailable
from gateway.engine.stored_inputs import StoredInputs
from gateway.errors import (
    ConfigurationError,
    GatewayError,
    NoRoom,
    StagingFailed,
    StoreError,
    StoreUnreachable,
    UrlError,
    UrlUnreachable,
)
from gateway.jobs.bell import Bell
from gateway.model.specification import Input
from gateway.urls import UrlOpener

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Downloads that run at the same time; the others wait."""
TIMEOUT = 2 * 3600.0
"""Seconds for one file."""


@dataclass(eq=False)
class _Download:
    """One file on its way, or there, or failed; and the jobs that wait for it."""

    file: Path
    task: asyncio.Task[None]
    jobs: set[str] = field(default_factory=set)


class InputFiles:
    """Files that jobs named by URL, in a folder of the gateway, from the first tick of staging to its end.

    Nothing of it outlives the process: after a restart, jobs that still wait for staging fetch again.

    Parameters
    ----------
    folder
        For these files alone.
    bell
        Rung for a job's target when a download ends.
    stored
        Brings uploads and outputs of other jobs.
    """

    def __init__(self, opener: UrlOpener, folder: Path, bell: Bell, stored: StoredInputs | None = None) -> None:
        self._opener = opener
        self._folder = folder
        self._bell = bell
        self._stored = stored
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._numbers = itertools.count(1)
        self._shared: dict[str, _Download] = {}
        self._held: dict[str, dict[str, _Download]] = {}
        self._targets: dict[str, str] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def clear(self) -> None:
        """Remove what an earlier process left. Blocking; before the first job only.

        Raises
        ------
        ConfigurationError
            The folder cannot be made.
        """
        try:
            if self._folder.exists():
                shutil.rmtree(self._folder)
            self._folder.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise ConfigurationError(f"gateway.data: {self._folder} cannot be made: {error.strerror}") from None

    def ready(self, job_id: str, target: str, inputs: Sequence[Input], owner: str = "") -> Mapping[str, Path] | None:
        """Return the files of all inputs that are fetched, by the inputs' paths; None while some are on their way.

        Downloads that are needed are started. After a failure, the next call starts the file again.

        Raises
        ------
        UrlUnreachable, StoreUnreachable
            A download failed, and may not the next time.
        StagingFailed
            A download failed for good.
        """
        fetched = [item for item in inputs if item.url or item.upload or item.job]
        wanted = {_key(job_id, owner, item): item for item in fetched}
        if not wanted:
            return {}
        self._targets[job_id] = target
        held = self._held.setdefault(job_id, {})
        for key, item in wanted.items():
            if key not in held:
                held[key] = self._shared.get(key) or self._start(key, item, owner)
                held[key].jobs.add(job_id)
        for key, download in list(held.items()):
            if download.task.done() and (error := download.task.exception()) is not None:
                del held[key]
                raise _failure(wanted[key], error)
        if not all(download.task.done() for download in held.values()):
            return None
        return {item.path: held[_key(job_id, owner, item)].file for item in fetched}

    def keep(self, target: str, job_ids: Collection[str]) -> None:
        """Let go of every job of `target` but these: cancelled ones end here."""
        for job_id in [j for j, t in self._targets.items() if t == target and j not in job_ids]:
            self.release(job_id)

    def release(self, job_id: str) -> None:
        """Let go of a job's files; what no other job waits for is stopped and removed."""
        self._targets.pop(job_id, None)
        for key, download in self._held.pop(job_id, {}).items():
            download.jobs.discard(job_id)
            if download.jobs:
                continue
            if self._shared.get(key) is download:
                del self._shared[key]
            download.task.cancel()
            download.file.unlink(missing_ok=True)

    async def close(self) -> None:
        """Stop all downloads and remove all files."""
        for job_id in list(self._held):
            self.release(job_id)
        await asyncio.gather(*self._ending, return_exceptions=True)
        self._opener.close()

    def _start(self, key: str, item: Input, owner: str) -> _Download:
        # A number of its own: a download that is being stopped may still have its file for a moment.
        file = self._folder / f"{key}.{next(self._numbers)}"
        task = asyncio.create_task(self._fetch(item, owner, file), name=f"fetch {key[:12]}")
        download = self._shared[key] = _Download(file, task)
        self._ending.add(task)
        task.add_done_callback(self._ended(key, download))
        return download

    async def _fetch(self, item: Input, owner: str, file: Path) -> None:
        if item.url is None:
            assert self._stored is not None
            if item.upload is not None:
                await self._stored.bring_upload(item.upload, owner, file)
            else:
                await self._stored.bring_output(item, owner, file, self._slots)
            return
        async with self._slots:
            await self._opener.fetch(item.url, file, digest=item.digest, timeout=TIMEOUT)

    def _ended(self, key: str, download: _Download) -> Callable[[asyncio.Task[None]], None]:
        def ended(task: asyncio.Task[None]) -> None:
            self._ending.discard(task)
            if task.cancelled():
                return
            if task.exception() is not None and self._shared.get(key) is download:
                del self._shared[key]
            for job_id in download.jobs:
                if job_id in self._targets:
                    self._bell.ring(self._targets[job_id])

        return ended


def _failure(item: Input, error: BaseException) -> GatewayError:
    """Say which input failed. What nobody foresaw fails the job, too: never the tick of all the others."""
    if isinstance(error, UrlUnreachable):
        return UrlUnreachable(f"input {item.path}: {error.message}")
    if isinstance(error, StoreUnreachable | NoRoom | DatabaseUnavailable):
        return StoreUnreachable(f"input {item.path}: {error.message}")
    if isinstance(error, UrlError | StagingFailed | StoreError):
        return StagingFailed(f"input {item.path}: {error.message}")
    log.error("input %s: the download failed", item.path, exc_info=error)
    return StagingFailed(f"input {item.path}: the download failed unexpectedly ({type(error).__name__})")


def _key(job_id: str, owner: str, item: Input) -> str:
    """Name a download. Files by URL are shared only with a digest: others may have changed from job to job."""
    if item.url is not None:
        named = [item.url, item.digest or f"job {job_id}"]
    elif item.upload is not None:
        named = ["upload", owner, item.upload]
    else:
        named = ["output", owner, item.job or "", item.output or ""]
    return hashlib.sha256("\n".join(named).encode()).hexdigest()
