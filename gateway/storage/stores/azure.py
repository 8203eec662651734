"""Azure Blob Storage, by azure-storage-blob in threads of its own; pushes with a SAS per job."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar, TypeVar
from urllib.parse import quote

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient, ContentSettings

from gateway.compute.transport.base import RcloneRemote
from gateway.errors import NotFound, StoreError
from gateway.model.job import Probe
from gateway.storage.names import clean_path, from_azure, to_azure
from gateway.storage.stores.azure_blobs import annotate_blob, bring_back, in_batches, is_folder, is_open, stored
from gateway.storage.stores.azure_client import PIECE, AzureSettings, connect, translated
from gateway.storage.stores.base import Place, Store, StoreContext, StoredObject, StoreSettings
from gateway.storage.stores.headers import metadata_value, tag_value

T = TypeVar("T")

_THREADS = 8
_RELAY_VALID = timedelta(days=1)
_PAGE = 5000
_DELETE_AT_ONCE = 256
_END = object()
_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


class AzureStore(Store):
    """A blob account. `annotate` writes content type and metadata; `signed_url` is a SAS of one blob."""

    kind: ClassVar[str] = "azure"
    Settings: ClassVar[type[StoreSettings]] = AzureSettings

    def __init__(self, settings: StoreSettings, context: StoreContext) -> None:
        super().__init__(settings, context)
        assert isinstance(settings, AzureSettings)
        self._container = settings.container or ""
        self._access = connect(settings)
        self._service = self._access.service
        self._tags = None if settings.index_tags == "auto" else settings.index_tags
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"store-{self.name}")

    # --- places

    def _where(self, place: Place) -> tuple[str, str]:
        """Container, and folder in it (``''``, or ending with a slash), of a place."""
        if self.settings.layout == "container":
            container, folder = place.job_id, clean_path(place.path or "", empty=True)
        else:
            container, folder = self._container, clean_path(place.prefix)
        return container, to_azure(folder) + "/" if folder else ""

    def _blob(self, place: Place, path: str) -> tuple[str, str]:
        container, folder = self._where(place)
        return container, folder + to_azure(clean_path(path))

    def _client(self, container: str) -> ContainerClient:
        return self._service.get_container_client(container)

    async def _call(self, what: str, work: Callable[[], T]) -> T:
        """Run blocking `work` in a thread; the SDK's errors become the gateway's."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except AzureError as error:
            raise translated(error, f"store {self.name}: {what}") from None

    # --- Store

    async def probe(self) -> list[Probe]:
        """See `Store.probe`."""
        try:
            return [await self._call("looking at the container", self._probe)]
        except (StoreError, NotFound) as error:
            fix = "check account_url, container and credential, and that this machine reaches the account"
            return [Probe(name="store", status="failed", detail=error.message, fix=fix)]

    def _probe(self) -> Probe:
        if self.settings.layout == "container":
            next(iter(self._service.list_containers(results_per_page=1)), None)
            return Probe(name="store", status="ok", detail="the account answers; each job gets a container")
        client = self._client(self._container)
        if not client.exists():
            detail = f"the container {self._container} does not exist; the first job makes it"
            return Probe(name="store", status="warning", detail=detail, fix=f"create {self._container}")
        blob = client.get_blob_client(".gateway/probe")
        blob.upload_blob(b"probe", overwrite=True)
        read = blob.download_blob().readall()
        blob.delete_blob()
        if read != b"probe":
            detail = "what was written reads back as something else"
            return Probe(name="store", status="failed", detail=detail, fix="look at what stands before the store")
        detail = f"the container {self._container} can be written and read"
        return Probe(name="store", status="ok", detail=detail)

    async def prepare(self, place: Place) -> None:
        """See `Store.prepare`."""
        container, _ = self._where(place)

        def make() -> None:
            client = self._client(container)
            if not client.exists():
                try:
                    client.create_container()
                except ResourceExistsError as error:
                    if getattr(error, "error_code", None) == "ContainerBeingDeleted":
                        raise

        await self._call(f"making the container {container}", make)

    @property
    def push_opens_own_only(self) -> bool:
        """A SAS opens a container: the job's own in the layout ``container``, everybody's in ``prefix``."""
        return self.settings.layout == "container"

    async def push_remote(  # noqa: D102
        self,
        place: Place,
        valid_for: timedelta,
        *,
        target: str,
    ) -> RcloneRemote | None:
        if self.settings.transfer == "relay":
            return None
        return await self._remote(place, valid_for, can_end=self._can_end)

    @property
    def _can_end(self) -> bool:
        """Whether a job's credentials are its own, and have a policy. A container has five at most."""
        return self.settings.layout == "container" and self._access.has_policies

    async def revoke_push(self, place: Place) -> bool:
        """See `Store.revoke_push`: in the layout ``container``, for an account with a key."""
        if not self._can_end:
            return False
        container, _ = self._where(place)
        try:
            await self._call("ending credentials", lambda: self._access.end_policies(container))
        except NotFound:  # with the container went what was in it
            return True
        return True

    async def relay_remote(self, place: Place) -> RcloneRemote:
        """See `Store.relay_remote`. A SAS here too: the account's key never leaves this process."""
        return await self._remote(place, _RELAY_VALID)

    async def _remote(self, place: Place, valid_for: timedelta, *, can_end: bool = False) -> RcloneRemote:
        """Return the place with a container SAS that reads, creates, writes and lists, and cannot delete."""
        container, folder = self._where(place)
        sign = self._access.by_policy if can_end else self._access.container
        sas = await self._call("making credentials", lambda: sign(container, valid_for))
        options = {"type": "azureblob", "sas_url": f"{self._service.url.rstrip('/')}/{container}?{sas}"}
        # The root is in rclone's standard names, as every path that rclone is given.
        root = f"{container}/{from_azure(folder)}".rstrip("/")
        return RcloneRemote(options, root, ("--azureblob-no-check-container", *await self._upload_headers(place)))

    async def _upload_headers(self, place: Place) -> tuple[str, ...]:
        """Return what rclone says of every blob while it uploads it: no request of its own for each is needed."""
        headers = ["Content-Disposition: attachment"]
        if self._tags is None:
            self._tags = await self._call("asking for the account's kind", self._access.knows_tags)
        if self._tags:
            named = {"job": place.job_id, "case": place.case, "owner": place.owner}
            tags = ",".join(f"{key}={tag_value(value)}" for key, value in named.items() if value)
            headers.append(f"x-ms-tags: {tags}")
        return tuple(word for header in headers for word in ("--header-upload", header))

    async def list(self, place: Place, prefix: str = "") -> AsyncIterator[StoredObject]:
        """See `Store.list`."""
        container, folder = self._where(place)
        async for found in self._listed(container, folder, folder + _prefix(prefix)):
            yield found

    def key(self, place: Place) -> str:
        """See `Store.key`."""
        container, folder = self._where(place)
        return f"{container}/{from_azure(folder)}".rstrip("/") if self.settings.layout == "container" else place.prefix

    async def everything(self) -> AsyncIterator[StoredObject]:
        """See `Store.everything`. In the layout ``container``, containers that are named like a job."""
        if self.settings.layout != "container":
            async for found in self._listed(self._container, "", ""):
                yield found
            return
        containers = self._service.list_containers().by_page()
        while page := await self._call("listing containers", lambda: [item.name for item in next(containers, ())]):
            for container in filter(_JOB_ID.match, page):
                async for found in self._listed(container, "", ""):
                    yield replace(found, path=f"{container}/{found.path}")

    async def _listed(self, container: str, folder: str, start: str) -> AsyncIterator[StoredObject]:
        """Yield what begins with `start`, by names below `folder`."""
        listing = self._client(container).list_blobs(
            name_starts_with=start or None, include=["metadata"], results_per_page=_PAGE
        )
        pages = listing.by_page()

        def next_page() -> list[StoredObject] | None:
            try:
                return [stored(blob, folder) for blob in next(pages) if not is_folder(blob)]
            except (StopIteration, ResourceNotFoundError):
                return None

        while (page := await self._call("listing", next_page)) is not None:
            for found in page:
                yield found

    async def stat(self, place: Place, path: str) -> StoredObject | None:
        """See `Store.stat`."""
        container, name = self._blob(place, path)
        _, folder = self._where(place)

        def look() -> StoredObject | None:
            try:
                return stored(self._client(container).get_blob_client(name).get_blob_properties(), folder)
            except ResourceNotFoundError:
                return None

        return await self._call(f"looking at {path!a}", look)

    async def read(self, place: Place, path: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """See `Store.read`."""
        if length == 0:
            return
        container, name = self._blob(place, path)
        blob = self._client(container).get_blob_client(name)

        def begin() -> object:
            try:
                return iter(blob.download_blob(offset=offset, length=length).chunks())
            except HttpResponseError as error:
                if error.status_code == 416:  # at or behind the end
                    return iter(())
                raise

        what = f"reading {path!a}"
        pieces = await self._call(what, begin)
        left = length
        while (piece := await self._call(what, lambda: next(pieces, _END))) is not _END:  # type: ignore[call-overload]
            for at in range(0, len(piece), PIECE):
                part = piece[at : at + PIECE][: left if left is not None else PIECE]
                left = None if left is None else left - len(part)
                if part:
                    yield part

    async def write(self, place: Place, path: str, data: bytes, content_type: str) -> None:
        """See `Store.write`."""
        container, name = self._blob(place, path)
        settings = ContentSettings(content_type=content_type)

        def put() -> None:
            blob = self._client(container).get_blob_client(name)
            blob.upload_blob(data, overwrite=True, content_settings=settings)

        await self._call(f"writing {path!a}", put)

    async def annotate(
        self,
        place: Place,
        path: str,
        content_type: str | None,
        metadata: Mapping[str, str],
        known: StoredObject | None = None,
    ) -> None:
        """See `Store.annotate`. Keeps the MD5, rclone's ``mtime`` and every other key.

        Raises
        ------
        NotFound
        StoreError
            Also where somebody replaced the blob in between.
        """
        container, name = self._blob(place, path)
        values = {key: metadata_value(value) for key, value in metadata.items()}
        what = f"annotating {path!a}"
        await self._call(what, lambda: annotate_blob(self._client(container), name, content_type, values, known))

    async def signed_url(self, place: Place, path: str, valid_for: timedelta, download_name: str) -> str | None:
        """See `Store.signed_url`: reads this blob only, and is saved, never shown."""
        container, name = self._blob(place, path)
        sas = await self._call("signing", lambda: self._access.blob(container, name, valid_for, download_name))
        return f"{self._service.url.rstrip('/')}/{container}/{quote(name, safe='/~')}?{sas}"

    async def remove(self, place: Place, paths: Sequence[str]) -> None:
        """See `Store.remove`."""
        container, _ = self._where(place)
        names = [self._blob(place, path)[1] for path in paths]
        await self._call("removing", lambda: in_batches(self._client(container), "delete", names))

    @property
    def archive_tier(self) -> str | None:
        """Azure's own."""
        return "Archive"

    async def archive(self, place: Place, paths: Sequence[str], tier: str) -> None:
        """See `Store.archive`."""
        container, _ = self._where(place)
        names = [self._blob(place, path)[1] for path in paths]
        await self._call("archiving", lambda: in_batches(self._client(container), "tier", names, tier))

    async def restore(self, place: Place, paths: Sequence[str], *, urgent: bool) -> None:
        """See `Store.restore`."""
        container, _ = self._where(place)
        names = [self._blob(place, path)[1] for path in paths]
        await self._call("restoring", lambda: bring_back(self._client(container), names, urgent=urgent))

    async def restored(self, place: Place, paths: Sequence[str]) -> set[str]:
        """See `Store.restored`."""
        container, _ = self._where(place)
        client = self._client(container)

        async def look(path: str) -> str | None:
            name = self._blob(place, path)[1]
            return path if await self._call(f"looking at {path!a}", lambda: is_open(client, name)) else None

        return {path for path in await asyncio.gather(*map(look, paths)) if path is not None}

    async def purge(self, place: Place) -> None:
        """See `Store.purge`."""
        container, folder = self._where(place)

        def remove() -> None:
            client = self._client(container)
            try:
                if not folder:
                    client.delete_container()
                    return
                for page in client.list_blobs(name_starts_with=folder, results_per_page=_DELETE_AT_ONCE).by_page():
                    names = [blob.name for blob in page]
                    if names:
                        client.delete_blobs(*names, raise_on_any_failure=True)
            except ResourceNotFoundError:
                return

        await self._call("removing", remove)

    async def close(self) -> None:
        """See `Store.close`."""
        await self._call("closing", self._service.close)
        self._executor.shutdown(wait=False, cancel_futures=True)


def _prefix(prefix: str) -> str:
    """Return the beginning of blob names; the last name of `prefix` may be a part of one, or empty."""
    if not prefix:
        return ""
    folder, slash, last = prefix.rpartition("/")
    clean_path(folder, empty=not slash)
    if last:
        clean_path(last)
    # Not `to_azure`: only whole names have stand-ins for their last full stop.
    return (to_azure(folder) + "/" if slash else "") + to_azure(last + "x")[:-1]
