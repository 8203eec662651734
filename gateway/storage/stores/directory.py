"""A folder on the gateway or on a target."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import field_validator

from gateway.compute.transport.base import RcloneRemote
from gateway.errors import ConfigurationError, NotFound, StoreError
from gateway.model.base import Line, Name
from gateway.model.job import Probe
from gateway.storage.names import clean_path
from gateway.storage.stores.base import Place, Store, StoreContext, StoredObject, StoreSettings
from gateway.storage.stores.folder import Folder
from gateway.storage.stores.target_folder import PIECE, TargetFolder

T = TypeVar("T")

_THREADS = 4
_ROWS = 1000
_ARGUMENTS = ("--local-encoding", "Raw")


class DirectorySettings(StoreSettings):
    """Section of a store of kind ``directory``.

    Attributes
    ----------
    path
        The folder; ``{data}`` and ``{username}`` are filled in.
    target
        Name of the target that the folder is on; None: on the gateway.
    """

    path: Line
    target: Name | None = None

    @field_validator("layout")
    @classmethod
    def _prefix_only(cls, value: str) -> str:
        if value != "prefix":
            raise ValueError("a directory has the layout prefix only")
        return value


class DirectoryStore(Store):
    """A folder. It keeps no content types and metadata: `annotate` does nothing, the catalogue has them."""

    kind: ClassVar[str] = "directory"
    Settings: ClassVar[type[StoreSettings]] = DirectorySettings

    def __init__(self, settings: StoreSettings, context: StoreContext) -> None:
        super().__init__(settings, context)
        assert isinstance(settings, DirectorySettings)
        self._root = _expand(settings.path, context)
        self._remote: TargetFolder | None = None
        if settings.target is not None:
            if context.transport is None:
                raise ConfigurationError(f"store {self.name}: there is no target {settings.target!r}")
            self._remote = TargetFolder(context.transport, self._root)
        self._local = Folder(Path(self._root))
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"store-{self.name}")

    async def _call(self, what: str, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except OSError as error:
            raise StoreError(f"store {self.name}: {what}: {error.strerror or 'failed'}") from None

    @staticmethod
    def _path(place: Place, path: str = "") -> str:
        below = clean_path(place.prefix)
        return f"{below}/{clean_path(path)}" if path else below

    def _below_root(self, place: Place) -> str:
        return f"{self._root.rstrip('/')}/{self._path(place)}"

    # --- Store

    async def probe(self) -> list[Probe]:
        """See `Store.probe`."""
        where = f"{self._root} on {self.context.target}" if self._remote else self._root
        place = Place(".gateway-probe", "")
        try:
            await self.write(place, "probe", b"probe", "text/plain")
            read = b"".join([piece async for piece in self.read(place, "probe")])
            await self.purge(place)
        except (StoreError, NotFound) as error:
            fix = f"make the folder {self._root} and let the gateway's account write there"
            return [Probe(name="store", status="failed", detail=f"{where}: {error.message}", fix=fix)]
        status = "ok" if read == b"probe" else "failed"
        return [Probe(name="store", status=status, detail=f"{where} can be written and read")]

    async def prepare(self, place: Place) -> None:
        """See `Store.prepare`."""
        path = self._path(place)
        if self._remote:
            await self._remote.make(path)
        else:
            await self._call("making the folder", lambda: self._local.make(path))

    @property
    def push_opens_own_only(self) -> bool:
        """There are no credentials: the node writes as the target's account, and a container sees its job only."""
        return True

    async def push_remote(  # noqa: D102
        self,
        place: Place,
        valid_for: timedelta,
        *,
        target: str,
    ) -> RcloneRemote | None:
        if self.settings.transfer == "relay":
            return None
        folder = self.folder_on(place, target)
        return None if folder is None else RcloneRemote({"type": "local"}, folder, _ARGUMENTS)

    def folder_on(self, place: Place, target: str) -> str | None:
        """See `Store.folder_on`."""
        here = self._remote is None and target in self.context.local_targets
        there = self._remote is not None and target == self.context.target
        return self._below_root(place) if here or there else None

    async def relay_remote(self, place: Place) -> RcloneRemote:
        """See `Store.relay_remote`."""
        if self._remote is None:
            return RcloneRemote({"type": "local"}, self._below_root(place), _ARGUMENTS)
        assert self.context.transport is not None
        return await self.context.transport.relay_source(self._below_root(place))

    async def list(self, place: Place, prefix: str = "") -> AsyncIterator[StoredObject]:
        """See `Store.list`."""
        folder, slash, last = prefix.rpartition("/")
        start = self._path(place, folder)
        if last:
            clean_path(last)
        head = folder + slash

        def named(found: StoredObject) -> StoredObject:
            return StoredObject(head + found.path, found.size, found.modified_at, found.content_type)

        if self._remote:
            for found in await self._remote.walk(start):
                if found.path.startswith(last):
                    yield named(found)
            return
        walk = self._local.walk(start)
        while rows := await self._call("listing", lambda: list(islice(walk, _ROWS))):
            for found in rows:
                if found.path.startswith(last):
                    yield named(found)

    async def everything(self) -> AsyncIterator[StoredObject]:
        """See `Store.everything`. On a target, some folders of its root with each command."""
        if self._remote:
            async for found in self._remote.walk_all():
                yield found
            return
        walk = self._local.walk("")
        while rows := await self._call("listing", lambda: list(islice(walk, _ROWS))):
            for found in rows:
                if "/" in found.path:
                    yield found

    async def stat(self, place: Place, path: str) -> StoredObject | None:
        """See `Store.stat`."""
        whole = self._path(place, clean_path(path))
        if self._remote:
            found = await self._remote.stat(whole)
        else:
            found = await self._call(f"looking at {path!a}", lambda: self._local.stat(whole))
        return found and StoredObject(path, found.size, found.modified_at, found.content_type)

    async def read(self, place: Place, path: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """See `Store.read`."""
        whole = self._path(place, clean_path(path))
        if self._remote:
            async for piece in self._remote.read(whole, offset, length):
                yield piece
            return
        descriptor = await self._call(f"reading {path!a}", lambda: self._local.open(whole))
        try:
            left = length
            while left is None or left > 0:
                count = PIECE if left is None else min(PIECE, left)
                piece = await self._call(f"reading {path!a}", partial(os.pread, descriptor, count, offset))
                if not piece:
                    return
                yield piece
                offset += len(piece)
                left = None if left is None else left - len(piece)
        finally:
            os.close(descriptor)

    async def write(self, place: Place, path: str, data: bytes, content_type: str) -> None:
        """See `Store.write`."""
        whole = self._path(place, clean_path(path))
        if self._remote:
            await self._remote.write(whole, data)
        else:
            await self._call(f"writing {path!a}", lambda: self._local.write(whole, data))

    async def annotate(
        self,
        place: Place,
        path: str,
        content_type: str | None,
        metadata: Mapping[str, str],
        known: StoredObject | None = None,
    ) -> None:
        """Do nothing: a file system keeps neither."""

    async def signed_url(
        self,
        place: Place,
        path: str,
        valid_for: timedelta,
        download_name: str,
    ) -> str | None:
        """Return None: a folder has no addresses."""
        return None

    async def remove(self, place: Place, paths: Sequence[str]) -> None:
        """See `Store.remove`. Folders that become empty stay."""
        base = self._path(place)
        checked = [clean_path(path) for path in paths]
        if self._remote:
            with contextlib.suppress(NotFound):
                await self._remote.unlink(base, checked)
            return

        def unlink() -> None:
            for path in checked:
                self._local.unlink(f"{base}/{path}")

        await self._call("removing", unlink)

    async def purge(self, place: Place) -> None:
        """See `Store.purge`."""
        path = self._path(place)
        if self._remote:
            await self._remote.remove(path)
        else:
            await self._call("removing", lambda: self._local.remove(path))

    async def close(self) -> None:
        """See `Store.close`."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _expand(path: str, context: StoreContext) -> str:
    username = context.username or getpass.getuser()
    if context.transport is not None and "{data}" in path:
        raise ConfigurationError(f"store {context.name}: {{data}} is a folder of the gateway, not of a target")
    text = path.replace("{data}", str(context.data)).replace("{username}", username)
    if context.transport is None:
        text = str(Path(text).expanduser())
    if not text.startswith("/") or "/../" in f"{text}/":
        raise ConfigurationError(f"store {context.name}: path must be absolute, and is {text!r}")
    return text
