"""Brings one image to mirrors: looks, takes it from where it is, copies, reads back what arrived, signs, records.

Everything can be done again at any moment: what is there already, and right, is left; what a kill left half done is
found by the next look.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.compute.transport.base import RcloneRemote
from gateway.db.jobs import now
from gateway.errors import GatewayError, ImageError, LeaseLost
from gateway.images.copying import copy_file, local_remote, same_service
from gateway.images.entry import ImageEntry
from gateway.images.health import look_at
from gateway.images.mirror import ImageMirror, Look
from gateway.images.obtaining import LocalCopies
from gateway.images.signatures import sign_image, signature_problem, signer_of
from gateway.model.image_mirrors import PlannedPublication
from gateway.urls import UrlOpener

AT_ONCE = 3
"""Mirrors that one image is copied to at the same time."""

Note = Callable[..., Awaitable[None]]
"""``await note(mirror, column=value, …)``: writes what is known; `LeaseLost` where somebody else works at the image."""


@dataclass(frozen=True)
class Known:
    """What was written down of an image in a mirror before: where it was put, and by what it is known again."""

    path: str | None = None
    proof: str | None = None

    def proof_at(self, path: str) -> str | None:
        """What proves the file at this path."""
        return self.proof if path == self.path else None


@dataclass
class _Run:
    """One image on its way: where it stands by now, and what failed."""

    entry: ImageEntry
    known: Mapping[str, Known]
    note: Note
    paths: dict[str, str] = field(default_factory=dict)
    looks: dict[str, Look] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> list[str]:
        """Mirrors that have it."""
        return [name for name, look in self.looks.items() if look.standing == "there"]


class _Local:
    """The copy on this machine: made when the first one asks, removed at the end. What failed stays so."""

    def __init__(self, copies: LocalCopies, entry: ImageEntry, held: contextlib.AsyncExitStack) -> None:
        self._copies, self._entry, self._held = copies, entry, held
        self._lock = asyncio.Lock()
        self._failed: GatewayError | None = None
        self.file: Path | None = None

    async def get(self) -> Path:
        async with self._lock:
            if self._failed is not None:
                raise self._failed
            if self.file is None:
                try:
                    self.file = await self._held.enter_async_context(self._copies.held(self._entry))
                except GatewayError as error:
                    self._failed = error
                    raise
            return self.file


class Publisher:
    """Publishes images to the configured mirrors.

    Parameters
    ----------
    key, trusted
        What images are signed with (None: they are not), and the public keys that signatures may be of.
    bandwidth
        Bytes a second of each copy through this machine.
    """

    def __init__(
        self,
        mirrors: Mapping[str, ImageMirror],
        copies: LocalCopies,
        opener: UrlOpener,
        *,
        key: Ed25519PrivateKey | None = None,
        trusted: Sequence[str] = (),
        bandwidth: int | None = None,
    ) -> None:
        self.mirrors = mirrors
        self.copies = copies
        self._opener = opener
        self._key = key
        self._trusted = trusted
        self._bandwidth = bandwidth

    async def plan(
        self, entry: ImageEntry, wanted: Sequence[str], known: Mapping[str, Known]
    ) -> list[PlannedPublication]:
        """Say what `publish` would do. Nothing is changed, and no image is read."""
        run = _Run(entry, known, _nothing)
        await self._look(run, read=False)
        found = []
        for name in wanted:
            action, source, detail = self._planned(run, name)
            plain = {"image_id": entry.id, "image": entry.name, "mirror": name}
            found.append(
                PlannedPublication.model_validate({**plain, "action": action, "source": source, "detail": detail})
            )
        return found

    def _planned(self, run: _Run, name: str) -> tuple[str, str | None, str | None]:
        if (problem := self._refusal(run, name)) is not None:
            return "refused", None, problem
        if run.looks[name].standing == "there":
            return "none", None, None
        detail = "in the place of what stands there" if run.looks[name].standing == "other" else None
        if run.good:
            return "copy", run.good[0], detail
        source = self.copies.source(run.entry)
        if source is None:
            return (
                "refused",
                None,
                f"the image {run.entry.name} can be had nowhere: the catalogue knows no address of it",
            )
        return "upload", source, detail

    async def publish(
        self, entry: ImageEntry, wanted: Sequence[str], known: Mapping[str, Known], note: Note
    ) -> dict[str, str]:
        """Bring the image to those mirrors; return why it is not in some of them, by mirror.

        Raises
        ------
        LeaseLost
            Another process works at the image now.
        """
        run = _Run(entry, known, note)
        await self._look(run, read=True)
        needy = []
        for name in wanted:
            if (problem := self._refusal(run, name)) is not None:
                run.problems[name] = problem
            elif run.looks[name].standing == "there":
                await self._tried(run, name, self._settle(run, name))
            else:
                needy.append(name)
        async with contextlib.AsyncExitStack() as held:
            local = _Local(self.copies, entry, held)
            while needy and not run.good:  # to one of them first: the others can be copied from there
                name = needy.pop(0)
                await self._tried(run, name, self._bring(run, name, local))
            await self._bring_all(run, needy, local)
        return run.problems

    async def _bring_all(self, run: _Run, names: Sequence[str], local: _Local) -> None:
        """Copy the image to several mirrors, some at the same time."""
        turns = asyncio.Semaphore(AT_ONCE)
        lost: list[LeaseLost] = []

        async def bring(name: str) -> None:
            async with turns:
                try:
                    await self._tried(run, name, self._bring(run, name, local))
                except LeaseLost as error:
                    lost.append(error)

        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(bring(name))
        if lost:
            raise lost[0]

    @staticmethod
    async def _tried(run: _Run, name: str, work: Awaitable[None]) -> None:
        """Do something for one mirror; its failure is its own."""
        try:
            await work
        except LeaseLost:
            raise
        except GatewayError as error:
            run.problems[name] = str(error)

    async def _look(self, run: _Run, *, read: bool) -> None:
        """Look into all mirrors, those that are not asked for too: the image may be taken from there."""

        async def one(name: str, mirror: ImageMirror) -> None:
            known = run.known.get(name, Known())
            try:
                path = mirror.path(run.entry)
            except GatewayError as error:
                run.looks[name] = Look("failed", problem=error.message)
                return
            run.paths[name] = path
            run.looks[name] = await mirror.look(run.entry, path, known.proof_at(path), read=read)

        await asyncio.gather(*(one(name, mirror) for name, mirror in self.mirrors.items()))
        run.looks = {name: run.looks[name] for name in self.mirrors}

    def _refusal(self, run: _Run, name: str) -> str | None:
        """Say why nothing can be done with a mirror. What somebody else put there is not overwritten."""
        look, path = run.looks[name], run.paths.get(name)
        if look.standing == "failed":
            return look.problem or "the mirror cannot be looked at"
        ours = path is not None and run.known.get(name, Known()).path == path
        if look.standing == "other" and look.size and not ours and not self.mirrors[name].holds_only_this:
            return f"{look.problem}, and this gateway did not put it there: remove {path} from the mirror, or rename"
        return None

    async def _bring(self, run: _Run, name: str, local: _Local) -> None:
        """Copy the image to a mirror from the best place that has it, and read back what arrived."""
        mirror, path = self.mirrors[name], run.paths[name]
        await run.note(name, path=path, proof=None)  # whatever stands there from now on is this gateway's
        await mirror.store.prepare(mirror.place)
        destination = await mirror.store.relay_remote(mirror.place)
        blamed: list[str] = []
        for source in await self._sources(run, name, destination, local):
            try:
                remote, source_path = await self._opened(run, source, local)
                await self._copy(run, name, remote, source_path, destination)
                look = await mirror.look(run.entry, path, None)
                if look.standing != "there":
                    raise ImageError(
                        f"what arrived in the mirror {name} is wrong: {look.problem or 'nothing is there'}"
                    )
            except LeaseLost:
                raise
            except GatewayError as error:
                blamed.append(error.message)
                continue
            run.looks[name] = look
            await mirror.clear(path)
            await self._settle(run, name)
            return
        raise ImageError("; ".join(dict.fromkeys(blamed)))

    async def _sources(self, run: _Run, name: str, destination: RcloneRemote, local: _Local) -> list[str | None]:
        """Return who has the image, the best first; None is this machine."""
        near: list[str | None] = []
        far: list[str | None] = []
        for other in run.good:
            if other == name:
                continue
            mirror = self.mirrors[other]
            with contextlib.suppress(GatewayError):
                same = same_service(await mirror.store.relay_remote(mirror.place), destination)
                (near if same else far).append(other)
        return [*near, None, *far] if local.file is not None else [*near, *far, None]

    async def _opened(self, run: _Run, source: str | None, local: _Local) -> tuple[RcloneRemote, str]:
        if source is None:
            file = await local.get()
            return local_remote(file.parent), file.name
        mirror = self.mirrors[source]
        return await mirror.store.relay_remote(mirror.place), run.paths[source]

    async def _copy(self, run: _Run, name: str, source: RcloneRemote, path: str, destination: RcloneRemote) -> None:
        notes: set[asyncio.Task[None]] = set()

        async def note(sent: int) -> None:
            with contextlib.suppress(GatewayError):  # only numbers for people: what counts is written elsewhere
                await run.note(name, bytes=sent)

        def told(sent: int) -> None:
            if not notes:
                task = asyncio.get_running_loop().create_task(note(sent))
                notes.add(task)
                task.add_done_callback(notes.discard)

        what = f"copying the image {run.entry.name} to the mirror {name}"
        try:
            await copy_file(
                source, path, destination, run.paths[name], what=what, bandwidth=self._bandwidth, on_bytes=told
            )
        finally:
            await asyncio.gather(*notes, return_exceptions=True)

    async def _settle(self, run: _Run, name: str) -> None:
        """See to the signature and the public address of an image that is in a mirror, and write that down."""
        mirror, path, look = self.mirrors[name], run.paths[name], run.looks[name]
        url = mirror.url(path)
        await run.note(name, path=path, proof=look.proof, url=url)
        await self._sign(run.entry, mirror, path)
        await self._read_publicly(run.entry, url)
        await run.note(name, state="published", problem=None, checked_at=now())

    async def _sign(self, entry: ImageEntry, mirror: ImageMirror, path: str) -> None:
        if self._key is None or entry.digest is None or entry.size is None:
            return
        there = await mirror.signature(path)
        with contextlib.suppress(ValueError):
            if there is not None:
                signer_of(there, entry.digest, self._trusted)
                return
        await mirror.write_signature(path, sign_image(self._key, entry.digest, entry.size, now()))

    async def _read_publicly(self, entry: ImageEntry, url: str) -> None:
        """Read the first, a middle and the last piece from where everybody will; raises `ImageError`."""
        seen = await look_at(self._opener, url, entry)
        if seen.state != "alive":
            why = f"it stands in the store, but not at its public address {url}: {seen.problem}"
            raise ImageError(why, hint="see to the mirror's url, and that the store lets everybody read")
        if entry.digest is not None:
            problem = await signature_problem(self._opener, url, entry.digest, self._trusted)
            if problem is not None:
                raise ImageError(f"{url}: {problem}", hint="another gateway's public key may belong into trusted_keys")


async def _nothing(mirror: str, **values: Any) -> None:
    """Write nothing down."""
