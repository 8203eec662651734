"""Runs made again, and compared: the part of the client that waits for each answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gateway.client import comparing, crates
from gateway.client.drivers import Watch
from gateway.client.flow import Flow
from gateway.client.job import JobHandle
from gateway.model.comparison import Comparison, FileComparison
from gateway.model.crate import CratePlan
from gateway.model.job import Job

T = TypeVar("T")


class Again(ABC):
    """Compares jobs, and runs again what was run before, here or elsewhere."""

    @abstractmethod
    def run(self, flow: Flow[T], on: Watch | None = None) -> T:
        """Carry out a flow."""

    @abstractmethod
    def _handle(self, flow: Flow[Job]) -> JobHandle:
        """Carry out a flow that gives a job."""

    @abstractmethod
    def job(self, job_id: str) -> JobHandle:
        """Return a job."""

    def compare(
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
        """Compare the outputs of two jobs: by size and digest, and text by its numbers where a tolerance is given.

        Parameters
        ----------
        rtol, atol
            How far two numbers of a table may lie apart: relative to the larger, or absolute.
        ignore
            Patterns of outputs that are left out.
        """
        return self.run(comparing.compare(first, second, comparing.how(rtol, atol, ignore, prefix, store)), on_file)

    def reproduce(
        self,
        job_id: str,
        changes: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        rtol: float | None = None,
        atol: float | None = None,
        ignore: Sequence[str] = (),
    ) -> tuple[JobHandle, Comparison]:
        """Run a job again (elsewhere: ``{"target": …}``), wait for its end, and compare what both left."""
        wanted = comparing.how(rtol, atol, ignore)
        job, comparison = self.run(comparing.reproduce(job_id, changes or {}, wanted, timeout))
        return self.job(job.id), comparison

    # ---- crates

    def crate(self, job_id: str, store: str | None = None) -> dict[str, Any]:
        """Return the metadata of a job's RO-Crate."""
        return self.run(crates.metadata(job_id, store))

    def download_crate(self, job_id: str, file: Path, store: str | None = None) -> Path:
        """Write a job's RO-Crate, with all its outputs, to a zip file."""
        return self.run(crates.download(job_id, file, store))

    def plan_crate(
        self,
        crate: str | Path,
        *,
        target: str | None = None,
        stores: str | Sequence[str] | None = None,
        changes: Mapping[str, Any] | None = None,
        any_image: bool = False,
    ) -> CratePlan:
        """Say what `run_crate` would do; nothing is uploaded or stored."""
        return self.run(crates.plan(crate, crates.wish(target, stores, changes, any_image=any_image)))

    def run_crate(
        self,
        crate: str | Path,
        *,
        target: str | None = None,
        stores: str | Sequence[str] | None = None,
        changes: Mapping[str, Any] | None = None,
        any_image: bool = False,
        files: Sequence[Path] = (),
    ) -> JobHandle:
        """Run again what a crate holds: a folder, a zip file, or a URL that the gateway opens.

        Parameters
        ----------
        changes
            A JSON merge patch over the request.
        files
            Local files for inputs that the crate only has the digests of.

        Raises
        ------
        CrateError
            It cannot be read, or lacks something that is needed; says what.
        """
        wanted = crates.wish(target, stores, changes, any_image=any_image, files=tuple(files))
        return self._handle(crates.rerun(crate, wanted))
