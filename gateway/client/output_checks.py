"""Finding and verifying outputs: parts of both clients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

from gateway.client import output_calls
from gateway.client.drivers import AsyncDriver, Driver, Watch
from gateway.client.flow import Flow
from gateway.client.handles import query_of
from gateway.model.job import OutputFile
from gateway.model.verification import Repair, SigningKey, Verification

T = TypeVar("T")


class OutputChecks(ABC):
    """Finds and verifies outputs."""

    _driver: Driver

    @abstractmethod
    def run(self, flow: Flow[T], on: Watch | None = None) -> T:
        """Carry out a flow."""

    def find_outputs(
        self, pattern: str | None = None, *, job_id: str | None = None, limit: int | None = None, **filters: Any
    ) -> Iterator[OutputFile]:
        """Yield outputs that fit, of one job or of all, those of the newest job first.

        Parameters
        ----------
        pattern
            As in the outputs of a specification: ``**/*.vtk``.
        filters
            ``prefix``, ``content_type``, ``min_size``, ``modified_after``, ``store``; without `job_id` also those of
            `jobs`.
        """
        query = query_of({"pattern": pattern, **filters})
        yield from self._driver.stream(output_calls.find(job_id, limit, query))

    def verify_outputs(
        self,
        job_id: str,
        *,
        store: str | None = None,
        sample: int | None = None,
        fresh: bool = False,
        on_progress: Watch | None = None,
    ) -> Verification:
        """Have the outputs of an ended job read again and compared with what was signed.

        Parameters
        ----------
        sample
            Read so many files, chosen by chance, instead of all.
        fresh
            Begin anew also where an earlier verification was broken off.
        """
        return self.run(output_calls.verify(job_id, store, sample, fresh=fresh), on_progress)

    def verification(self, job_id: str, store: str | None = None) -> Verification:
        """Return the latest verification with what it found; `NotFound` where there was none."""
        return self.run(output_calls.verification(job_id, store))

    def cancel_verification(self, job_id: str, store: str | None = None) -> Verification:
        """End a verification that runs."""
        return self.run(output_calls.cancel_verification(job_id, store))

    def signing_keys(self) -> list[SigningKey]:
        """Return the public keys whose signatures under manifests are believed."""
        return self.run(output_calls.signing_keys()).items

    def reconcile(self, store: str, *, job_id: str | None = None, dry_run: bool = False) -> Iterator[Repair]:
        """Put right what the catalogue says of a store (administrators); yield what is found and done."""
        yield from self._driver.stream(output_calls.reconcile(store, job_id, dry_run=dry_run))


class AsyncOutputChecks(ABC):
    """As `OutputChecks`, with methods to await."""

    _driver: AsyncDriver

    @abstractmethod
    async def run(self, flow: Flow[T], on: Watch | None = None) -> T:
        """Carry out a flow."""

    def find_outputs(
        self, pattern: str | None = None, *, job_id: str | None = None, limit: int | None = None, **filters: Any
    ) -> AsyncIterator[OutputFile]:
        """Yield outputs that fit, of one job or of all."""
        query = query_of({"pattern": pattern, **filters})
        return self._driver.stream(output_calls.find(job_id, limit, query))

    async def verify_outputs(
        self,
        job_id: str,
        *,
        store: str | None = None,
        sample: int | None = None,
        fresh: bool = False,
        on_progress: Watch | None = None,
    ) -> Verification:
        """Have the outputs of an ended job read again and compared with what was signed."""
        return await self.run(output_calls.verify(job_id, store, sample, fresh=fresh), on_progress)

    async def verification(self, job_id: str, store: str | None = None) -> Verification:
        """Return the latest verification with what it found."""
        return await self.run(output_calls.verification(job_id, store))

    async def cancel_verification(self, job_id: str, store: str | None = None) -> Verification:
        """End a verification that runs."""
        return await self.run(output_calls.cancel_verification(job_id, store))

    async def signing_keys(self) -> list[SigningKey]:
        """Return the public keys whose signatures under manifests are believed."""
        return (await self.run(output_calls.signing_keys())).items

    def reconcile(self, store: str, *, job_id: str | None = None, dry_run: bool = False) -> AsyncIterator[Repair]:
        """Put right what the catalogue says of a store (administrators); yield what is found and done."""
        return self._driver.stream(output_calls.reconcile(store, job_id, dry_run=dry_run))
