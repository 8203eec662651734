"""Azure Blob Storage, by azure-storage-blob in threads of its own; pushes with a SAS per job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import ClassVar, TypeVar
from urllib.parse import quote

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import (
    BlobProperties,
    BlobSasPermissions,
    ContainerClient,
    ContainerSasPermissions,
    ContentSettings,
    generate_blob_sas,
    generate_container_sas,
)

from gateway.compute.transport.base import RcloneRemote
from gateway.errors import NotFound, StoreError
from gateway.model.job import Probe
from gateway.storage.names import clean_path, from_azure, to_azure
from gateway.storage.stores.azure_client import PIECE, AzureSettings, connect, translated
from gateway.storage.stores.base import Place, Store, StoreContext, StoredObject, StoreSettings
from gateway.storage.stores.headers import attachment, metadata_value

T = TypeVar("T")

_THREADS = 8
_CLOCK_SKEW = timedelta(minutes=10)
_RELAY_VALID = timedelta(days=1)
_PAGE = 5000
_DELETE_AT_ONCE = 256
_END = object()


class AzureStore(Store):
    """A blob account. `annotate` writes content type and metadata; `signed_url` is a SAS of one blob."""

    kind: ClassVar[str] = "azure"
    Settings: ClassVar[type[StoreSettings]] = AzureSettings

    def __init__(self, settings: StoreSettings, context: StoreContext) -> None:
        super().__init__(settings, context)
        assert isinstance(settings, AzureSettings)
        self._container = settings.container or ""
        self._service, self._key = connect(settings)
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
        return None if self.settings.transfer == "relay" else self._remote(place, valid_for)

    async def relay_remote(self, place: Place) -> RcloneRemote:
        """See `Store.relay_remote`. A SAS here too: the account's key never leaves this process."""
        return self._remote(place, _RELAY_VALID)

    def _remote(self, place: Place, valid_for: timedelta) -> RcloneRemote:
        """Return the place with a container SAS that reads, creates, writes and lists, and cannot delete."""
        container, folder = self._where(place)
        now = datetime.now(UTC)
        sas = generate_container_sas(
            self._service.account_name or "",
            container,
            account_key=self._key,
            permission=ContainerSasPermissions(read=True, create=True, write=True, list=True),
            start=now - _CLOCK_SKEW,
            expiry=now + valid_for,
        )
        options = {"type": "azureblob", "sas_url": f"{self._service.url.rstrip('/')}/{container}?{sas}"}
        # The root is in rclone's standard names, as every path that rclone is given.
        root = f"{container}/{from_azure(folder)}".rstrip("/")
        return RcloneRemote(options, root, ("--azureblob-no-check-container",))

    async def list(self, place: Place, prefix: str = "") -> AsyncIterator[StoredObject]:
        """See `Store.list`."""
        container, folder = self._where(place)
        start = folder + _prefix(prefix)
        listing = self._client(container).list_blobs(
            name_starts_with=start or None, include=["metadata"], results_per_page=_PAGE
        )
        pages = listing.by_page()

        def next_page() -> list[StoredObject] | None:
            try:
                return [_stored(blob, folder) for blob in next(pages) if not _is_folder(blob)]
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
                return _stored(self._client(container).get_blob_client(name).get_blob_properties(), folder)
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

    async def annotate(self, place: Place, path: str, content_type: str | None, metadata: Mapping[str, str]) -> None:
        """See `Store.annotate`. Keeps the MD5, rclone's ``mtime`` and every other key.

        Raises
        ------
        NotFound
        StoreError
            Also where somebody replaced the blob in between.
        """
        container, name = self._blob(place, path)

        def put() -> None:
            blob = self._client(container).get_blob_client(name)
            found = blob.get_blob_properties()
            etag = found.etag
            if content_type is not None and content_type != found.content_settings.content_type:
                settings = found.content_settings
                settings.content_type = content_type
                unchanged = MatchConditions.IfNotModified
                etag = blob.set_http_headers(settings, etag=etag, match_condition=unchanged)["etag"]
            values = {key: metadata_value(value) for key, value in metadata.items()}
            merged = {**(found.metadata or {}), **values}
            if merged != (found.metadata or {}):
                blob.set_blob_metadata(merged, etag=etag, match_condition=MatchConditions.IfNotModified)

        await self._call(f"annotating {path!a}", put)

    async def signed_url(self, place: Place, path: str, valid_for: timedelta, download_name: str) -> str | None:
        """See `Store.signed_url`: reads this blob only, and is saved, never shown."""
        container, name = self._blob(place, path)
        now = datetime.now(UTC)
        sas = generate_blob_sas(
            self._service.account_name or "",
            container,
            name,
            account_key=self._key,
            permission=BlobSasPermissions(read=True),
            start=now - _CLOCK_SKEW,
            expiry=now + valid_for,
            content_disposition=attachment(download_name),
        )
        return f"{self._service.url.rstrip('/')}/{container}/{quote(name, safe='/~')}?{sas}"

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


def _is_folder(blob: BlobProperties) -> bool:
    return (blob.metadata or {}).get("hdi_isfolder") == "true"


def _stored(blob: BlobProperties, folder: str) -> StoredObject:
    metadata = {key.lower(): value for key, value in (blob.metadata or {}).items()}
    md5 = blob.content_settings.content_md5
    return StoredObject(
        from_azure(blob.name[len(folder) :]),
        int(blob.size),
        _modified(metadata.get("mtime")) or blob.last_modified,
        blob.content_settings.content_type,
        bytes(md5).hex() if md5 else None,
        metadata,
    )


def _modified(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
