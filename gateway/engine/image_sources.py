"""What jobs' images are: tags resolved once, files brought or made once, and what a node then gets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.compute.target import Target
from gateway.db import events, image_resolutions, jobs
from gateway.db.database import Database
from gateway.db.image_resolutions import Resolution
from gateway.errors import GatewayError, ImageError, StagingFailed
from gateway.images.references import REGISTRIES, BadReference, ImageReference
from gateway.images.registry_images import RegistryImages
from gateway.jobs.bell import Bell
from gateway.model.specification import Image, JobSpecification
from gateway.model.states import State

log = logging.getLogger(__name__)

DELAYS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0)
"""Waits after a registry that was away; after the last one the job fails, or is staged anew as its timing says."""
TOLD_JOBS = 100
"""Of the jobs that wait for one image, so many are told how far it is."""
SETTLED_AT_ONCE = 200
"""Jobs that one transaction writes."""

MOVING = frozenset({*REGISTRIES, "library"})
"""Schemes whose tags may mean another image tomorrow."""

Telling = Callable[[str], None]


@dataclass(eq=False)
class _Work:
    """Something that jobs of one target wait for, with their owners.

    Attributes
    ----------
    staging
        Those of them that go no further without it; the others may not start yet anyway.
    """

    target: str
    jobs: dict[str, str | None] = field(default_factory=dict)
    staging: set[str] = field(default_factory=set)
    task: asyncio.Task[None] | None = None
    message: str = ""
    telling: asyncio.Task[None] | None = None


def images_of(specification: JobSpecification) -> list[Image]:
    """Return the images that a job needs on its nodes: its own, and its tools'."""
    own = [specification.image] if specification.image is not None else []
    return [*own, *specification.tools]


class ImageSources:
    """Finds out what images of registries are, beside the targets' ticks; each once for all jobs that wait.

    Nothing of it outlives the process but what is written down: what was resolved stands in the jobs.
    """

    def __init__(self, registries: RegistryImages | None, database: Database, bell: Bell) -> None:
        self._registries = registries
        self._database = database
        self._bell = bell
        self._under_way: dict[tuple[str, ...], _Work] = {}
        self._seen: dict[str, set[str]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def look(self, target: Target, rows: Sequence[RowMapping]) -> None:
        """Resolve the tags of jobs that are seen for the first time, also of those that may not start yet."""
        before, owners = self._seen.get(target.name, set()), {row["id"]: row["owner"] for row in rows}
        fresh = [job_id for job_id in owners if job_id not in before]
        self._seen[target.name] = set(owners)
        if self._registries is None or not fresh:
            return
        found = await self._database.read(lambda c: image_resolutions.to_resolve(c, fresh, sorted(MOVING)))
        for job_id, raw in found.items():
            for image in images_of(JobSpecification.model_validate(raw)):
                reference = _parse(image.ref)
                if reference is not None and reference.scheme in MOVING and not _resolved(reference, image):
                    self._resolve(target, reference, image).jobs[job_id] = owners[job_id]

    def on_node(self, row: RowMapping, target: Target, image: Image) -> Image | None:
        """Return an image as the job's node gets it; None while that is being found out, or the file is being made.

        Raises
        ------
        StagingFailed
            It cannot be had.
        UrlUnreachable
            It cannot be had now.
        """
        reference = _parse(image.ref)
        if reference is None:
            return image
        if reference.scheme in {"cvmfs", "file"}:
            return image.model_copy(update={"ref": reference.name})
        if reference.scheme not in MOVING:
            return image
        if self._registries is None:
            raise StagingFailed("this gateway cannot fetch images of registries")
        if not _resolved(reference, image):
            self._wait(row, self._resolve(target, reference, image))
            return None
        if image.digest is not None:
            if self._registries.kept(image.digest) is not None:
                return image.model_copy(update={"ref": f"built:{_name(reference)}", "mirrors": ()})
            if image.mirrors:
                return image.model_copy(update={"ref": image.mirrors[0], "mirrors": image.mirrors[1:]})
            blobs = self._registries.client.open_to_nodes(reference)
            if blobs is not None and reference.scheme == "oras":
                return image.model_copy(update={"ref": blobs + image.digest})
        self._wait(row, self._obtain(target, reference, image))
        return None

    def _wait(self, row: RowMapping, work: _Work) -> None:
        """Have a job wait for a work; raises what the work has failed with."""
        task = work.task
        if task is None or not task.done():
            work.jobs[row["id"]] = row["owner"]
            work.staging.add(row["id"])
            return
        self.release(row["id"])
        error = None if task.cancelled() else task.exception()
        if isinstance(error, GatewayError):
            raise error if error.status == 503 else StagingFailed(error.message, hint=error.hint)
        if error is not None:
            log.error("an image could not be had", exc_info=error)
            raise StagingFailed(f"the image could not be had ({type(error).__name__})")

    def _resolve(self, target: Target, reference: ImageReference, image: Image) -> _Work:
        wanted = image.digest

        async def resolve(work: _Work) -> None:
            assert self._registries is not None
            found = await self._registries.resolve(reference, await target.architecture())
            if wanted is not None and found.digest is not None and wanted != found.digest and not image.mirrors:
                raise _another(reference, found.digest, wanted)
            await self._settle(work, image.ref, found)

        return self._work(("resolve", target.name, image.ref, wanted or ""), target, resolve)

    def _obtain(self, target: Target, reference: ImageReference, image: Image) -> _Work:
        assert image.manifest_digest is not None
        manifest, wanted = image.manifest_digest, image.digest

        async def obtain(work: _Work) -> None:
            assert self._registries is not None
            machine = await target.architecture()
            made = await self._registries.obtain(reference, manifest, machine, self._teller(work))
            if wanted is not None and made.digest != wanted:
                raise _another(reference, made.digest, wanted)
            await self._settle(work, image.ref, Resolution(manifest, made.digest, made.size))

        return self._work(("obtain", target.name, image.ref, manifest, wanted or ""), target, obtain)

    def _work(self, key: tuple[str, ...], target: Target, do: Callable[[_Work], Coroutine[Any, Any, None]]) -> _Work:
        """Return the work of a key; begin it where nobody did."""
        work = self._under_way.get(key)
        if work is None:
            work = self._under_way[key] = _Work(target.name)
            work.task = asyncio.create_task(self._patiently(work, do), name=f"image {' '.join(key[:3])}")
            self._ending.add(work.task)
            work.task.add_done_callback(lambda task: self._ended(key, work, task))
        return work

    async def _patiently(self, work: _Work, do: Callable[[_Work], Coroutine[Any, Any, None]]) -> None:
        """Do it; try again where the registry, or the target, is away."""
        for delay in (*DELAYS, None):
            try:
                await do(work)
                return
            except GatewayError as error:
                if delay is None or error.status != 503:
                    raise
                self._teller(work)(f"the image waits: {error.message}")
            await asyncio.sleep(delay)

    def _ended(self, key: tuple[str, ...], work: _Work, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if task.cancelled():
            return
        if task.exception() is not None:  # those that go no further are told of it; the others ask again
            work.jobs = {job_id: owner for job_id, owner in work.jobs.items() if job_id in work.staging}
        else:
            work.jobs = {}
        if not work.jobs and self._under_way.get(key) is work:
            del self._under_way[key]
        self._bell.ring(work.target)

    async def _settle(self, work: _Work, ref: str, found: Resolution) -> None:
        """Write down what was found in all jobs that wait: from now on nothing else changes what their image is."""
        written: set[str] = set()
        while left := [job_id for job_id in work.jobs if job_id not in written][:SETTLED_AT_ONCE]:

            def write(connection: Connection, some: Sequence[str] = tuple(left)) -> None:
                for job_id in some:
                    image_resolutions.settle(connection, job_id, ref, found)

            await self._database.write(write)
            written |= set(left)

    def _teller(self, work: _Work) -> Telling:
        """Return what tells the jobs that wait; the last words count where they come faster than they are written."""

        def tell(words: str) -> None:
            work.message = words
            if work.telling is None or work.telling.done():
                work.telling = asyncio.create_task(self._tell(work))
                self._ending.add(work.telling)
                work.telling.add_done_callback(self._ending.discard)

        return tell

    async def _tell(self, work: _Work) -> None:
        told = ""
        while told != work.message:
            told = work.message
            waiting: Mapping[str, str | None] = dict(list(work.jobs.items())[:TOLD_JOBS])

            def write(connection: Connection, words: str = told, ids: Mapping[str, Any] = waiting) -> None:
                for job_id, owner in ids.items():
                    if jobs.state_of(connection, job_id) is State.STAGING:
                        jobs.explain(connection, job_id, State.STAGING, words)
                        events.append(connection, job_id, owner, "pull", {"message": words}, at=jobs.now())

            await self._database.write(write)

    def keep(self, target: str, job_ids: Collection[str]) -> None:
        """Let go of every job that waits at `target` but these."""
        kept = set(job_ids)
        for work in [work for work in self._under_way.values() if work.target == target]:
            for job_id in [waiting for waiting in work.jobs if waiting not in kept]:
                self.release(job_id)

    def release(self, job_id: str) -> None:
        """Let go of a job; a work that no other one waits for is stopped."""
        for key, work in list(self._under_way.items()):
            if work.jobs.pop(job_id, "") != "" and not work.jobs:
                del self._under_way[key]
                if work.task is not None:
                    work.task.cancel()

    async def close(self) -> None:
        """Stop everything. What has arrived is gone on with the next time."""
        self._under_way.clear()
        for task in list(self._ending):
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)


def _parse(ref: str) -> ImageReference | None:
    try:
        return ImageReference.parse(ref)
    except BadReference:
        return None


def _resolved(reference: ImageReference, image: Image) -> bool:
    """Say whether it stands in the job what its reference means."""
    if reference.in_registry:
        return image.manifest_digest is not None
    return image.digest is not None and bool(image.mirrors)


def _another(reference: ImageReference, digest: str, wanted: str) -> ImageError:
    return ImageError(
        f"{reference.plain} is the image file {digest}, and the job wants {wanted}",
        hint=f"to name a manifest, write {reference.pinned('sha256:…')} and leave the digest out",
    )


def _name(reference: ImageReference) -> str:
    return reference.name.rpartition("/")[2][:64]
