"""Images that are made here, once: of published cases' recipes, and of what registries have. Delivered to targets.

``{data}/built-images/``: ``<hex>.sqfs`` (or ``.sif``), the image of that SHA-256; ``recipes/<hex>.json``, which image a
recipe gave (the name is the digest of the recipe and of the files it adds; of a manifest and what is done with it);
``work/``, the makers' own folders.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import platform
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from gateway.db import built_images
from gateway.db.database import Database
from gateway.errors import GatewayError, ImageError
from gateway.images.build import BUILDER, BuiltImage
from gateway.images.building import build_beside
from gateway.images.recipe import case_folder, content_key, load_recipe, read_added_files

log = logging.getLogger(__name__)

ImageState = Literal["built", "not_built", "building"]
Progress = Callable[[str], None]
Builder = Callable[[Path, Path, Progress], Coroutine[Any, Any, BuiltImage]]
Maker = Callable[[Progress], Coroutine[Any, Any, BuiltImage]]
"""Makes an image, telling of it."""
SUFFIXES = (".sqfs", ".sif")

_STOPPED = "The build of the image was stopped."
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
WAIT = 0.5
"""Seconds between looks at a build of another process."""


@dataclass(frozen=True)
class PublishedImage:
    """An image that this gateway built and keeps.

    Attributes
    ----------
    name
        The recipe's.
    digest
        ``sha256:…`` of the file.
    size
        Bytes.
    file
        Where it lies on this machine.
    """

    name: str
    digest: str
    size: int
    file: Path

    @property
    def ref(self) -> str:
        """How a job's specification names it, together with the digest."""
        return f"built:{self.name}"


@dataclass
class _Build:
    """A build that this process runs, and what it said last."""

    task: asyncio.Task[PublishedImage]
    message: str = "the build begins"


class PublishedImages:
    """Builds, keeps and finds the images of cases.

    Parameters
    ----------
    folder
        ``{data}/built-images``; made at the first build.
    database
        Where builds are recorded; the files are what counts.
    """

    def __init__(self, folder: Path, database: Database | None = None, *, builder: Builder = build_beside) -> None:
        self._folder = folder
        self._database = database
        self._builder = builder
        self._builds: dict[str, _Build] = {}
        self._problems: dict[str, str] = {}
        self._closed = False

    def recipe_digest(self, recipe: Path) -> str:
        """Return the digest of a recipe with all that its image is made from.

        Raises
        ------
        ImageError
            The recipe, or a file that it adds, cannot be read.
        """
        plan = load_recipe(recipe)
        files = read_added_files(plan, case_folder(recipe))
        return f"sha256:{content_key(plan, files, architecture=platform.machine(), builder=BUILDER)}"

    def find(self, recipe: Path) -> PublishedImage | None:
        """Return the image that was built from this very recipe and its files, None where there is none.

        Raises
        ------
        ImageError
            The recipe cannot be read.
        """
        return self._of_recipe(self.recipe_digest(recipe))

    def by_digest(self, digest: str) -> PublishedImage | None:
        """Return the image with this digest, None where it is not kept here."""
        match = _DIGEST.fullmatch(digest)
        if match is None:
            return None
        for suffix in SUFFIXES:
            file = self._folder / f"{match[1]}{suffix}"
            with contextlib.suppress(OSError):
                return PublishedImage("image", digest, file.stat().st_size, file)
        return None

    def made(self, key: str) -> PublishedImage | None:
        """Return the image that was made under a key (``sha256:…`` of all that it is made from)."""
        return self._of_recipe(key)

    async def make(self, key: str, name: str, maker: Maker, on_progress: Progress | None = None) -> PublishedImage:
        """Return the image of a key; make it first where it is not there, once among all processes that ask.

        Raises
        ------
        GatewayError
            Whatever `maker` raises.
        """
        if (running := self._builds.get(key)) is not None:
            return await self._share(running.task)
        if self._closed:
            raise ImageError(_STOPPED, hint="start it again")
        task = self._start(key, name, maker, on_progress)
        try:
            return await task
        finally:
            task.cancel()

    def state(self, recipe: Path) -> ImageState:
        """Say whether the recipe's image is there, or being built by any process. Raises `ImageError`."""
        digest = self.recipe_digest(recipe)
        if self._of_recipe(digest) is not None:
            return "built"
        return "building" if digest in self._builds or self._is_locked(digest) else "not_built"

    def message(self, recipe: Path) -> str | None:
        """Return what the build of this process said last, or why the last one failed. Raises `ImageError`."""
        digest = self.recipe_digest(recipe)
        build = self._builds.get(digest)
        return build.message if build else self._problems.get(digest)

    async def build(self, recipe: Path, on_progress: Progress | None = None) -> PublishedImage:
        """Return the recipe's image; build it first where it is not there. All who ask at once share one build.

        A caller that goes away ends the build only if it began it.

        Raises
        ------
        MissingProgram, ImageError
            It could not be built; the sentence says why.
        """
        digest = await asyncio.to_thread(self.recipe_digest, recipe)
        return await self.make(digest, load_recipe(recipe).name, self._builds_recipe(recipe), on_progress)

    def _builds_recipe(self, recipe: Path) -> Maker:
        return lambda told: self._builder(recipe, self._folder / "work", told)

    def begin_build(self, recipe: Path) -> ImageState:
        """Build beside what else goes on, where that is needed; return the state now.

        Raises
        ------
        ImageError
            The recipe cannot be read.
        """
        state = self.state(recipe)
        if state == "not_built":
            self._start(self.recipe_digest(recipe), load_recipe(recipe).name, self._builds_recipe(recipe), None)
            return "building"
        return state

    @staticmethod
    async def _share(task: asyncio.Task[PublishedImage]) -> PublishedImage:
        """Wait for a build that somebody else began; whoever goes away does not end it."""
        await asyncio.wait([task])
        if task.cancelled():
            raise ImageError(_STOPPED, hint="start it again")
        return task.result()

    async def close(self) -> None:
        """End the builds of this process."""
        self._closed = True
        tasks = [build.task for build in self._builds.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(
        self, digest: str, name: str, maker: Maker, on_progress: Progress | None
    ) -> asyncio.Task[PublishedImage]:
        def told(sentence: str) -> None:
            build.message = sentence
            if on_progress is not None:
                on_progress(sentence)

        task = asyncio.create_task(self._build(digest, name, maker, told), name=f"build {name}")
        build = self._builds[digest] = _Build(task)
        self._problems.pop(digest, None)
        task.add_done_callback(lambda done: self._ended(digest, done))
        return task

    def _ended(self, digest: str, task: asyncio.Task[PublishedImage]) -> None:
        self._builds.pop(digest, None)
        if task.cancelled() or (error := task.exception()) is None:
            return
        self._problems[digest] = str(error) if isinstance(error, GatewayError) else "the build failed unexpectedly"
        log.warning("an image could not be built: %s", error)

    async def _build(self, digest: str, name: str, maker: Maker, on_progress: Progress) -> PublishedImage:
        try:
            (self._folder / "recipes").mkdir(parents=True, exist_ok=True)
            async with contextlib.AsyncExitStack() as held:
                while not (lock := self._try_lock(digest)):
                    on_progress("waiting for another build of the same image")
                    await asyncio.sleep(WAIT)
                held.callback(os.close, lock)
                if (there := self._of_recipe(digest)) is not None:
                    on_progress(f"the image {name} is there already")
                    return there
                built = await maker(on_progress)
                return await self._publish(digest, name, built)
        except OSError as error:
            raise ImageError(f"The image cannot be kept in {self._folder}: {error.strerror or error}.") from None

    async def _publish(self, recipe_digest: str, name: str, built: BuiltImage) -> PublishedImage:
        suffix = built.path.suffix if built.path.suffix in SUFFIXES else SUFFIXES[0]
        image = PublishedImage(name, built.digest, built.size, self._folder / f"{_hex(built.digest)}{suffix}")
        with contextlib.suppress(FileExistsError):
            image.file.hardlink_to(built.path)
        at = datetime.now(UTC)
        described = {"name": name, "digest": image.digest, "size": image.size, "built_at": at.isoformat()}
        record = self._record(recipe_digest)
        draft = record.with_suffix(f".{os.getpid()}.part")
        draft.write_text(json.dumps(described, indent=2) + "\n")
        draft.replace(record)
        if self._database is not None:
            await self._database.write(
                lambda c: built_images.record(
                    c,
                    digest=image.digest,
                    name=name,
                    file=image.file.name,
                    size=image.size,
                    recipe=recipe_digest,
                    built_at=at,
                )
            )
        return image

    def _record(self, recipe_digest: str) -> Path:
        return self._folder / "recipes" / f"{_hex(recipe_digest)}.json"

    def _of_recipe(self, recipe_digest: str) -> PublishedImage | None:
        """Read what a recipe gave; a record without its whole file counts for nothing."""
        try:
            found = json.loads(self._record(recipe_digest).read_text())
            image = self.by_digest(found["digest"])
            return replace(image, name=found["name"]) if image is not None and image.size == found["size"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _lock_file(self, recipe_digest: str) -> Path:
        return self._folder / "recipes" / f"{_hex(recipe_digest)}.lock"

    def _try_lock(self, recipe_digest: str) -> int | None:
        """Take the lock of a build; the file stays, because removing it would let two in."""
        descriptor = os.open(self._lock_file(recipe_digest), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def _is_locked(self, recipe_digest: str) -> bool:
        try:
            with self._lock_file(recipe_digest).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


def _hex(digest: str) -> str:
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise ValueError(f"{digest!r} is not a SHA-256 digest")
    return match[1]
