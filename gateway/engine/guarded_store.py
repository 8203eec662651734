"""A store that a lane's holder changes only as long as it may drive the lane."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

from gateway.compute.transport.base import RcloneRemote
from gateway.db.tenure import Tenure
from gateway.model.job import Probe
from gateway.storage.stores.base import Place, Store, StoredObject


class GuardedStore(Store):
    """Another store; what changes something raises `LeaseLost` after the lease. Closing it leaves that one open."""

    def __init__(self, inner: Store, tenure: Tenure) -> None:
        super().__init__(inner.settings, inner.context)
        self.kind = inner.kind  # type: ignore[misc]
        self.inner = inner
        self._tenure = tenure

    @property
    def push_opens_own_only(self) -> bool:
        """As the store says."""
        return self.inner.push_opens_own_only

    async def probe(self) -> list[Probe]:
        """As the store does."""
        return await self.inner.probe()

    async def prepare(self, place: Place) -> None:
        """Make the place."""
        self._tenure.check()
        await self.inner.prepare(place)

    async def push_remote(self, place: Place, valid_for: timedelta, *, target: str) -> RcloneRemote | None:
        """Make credentials for a node."""
        self._tenure.check()
        return await self.inner.push_remote(place, valid_for, target=target)

    async def relay_remote(self, place: Place) -> RcloneRemote:
        """As the store does."""
        return await self.inner.relay_remote(place)

    def list(self, place: Place, prefix: str = "") -> AsyncIterator[StoredObject]:
        """As the store does."""
        return self.inner.list(place, prefix)

    def key(self, place: Place) -> str:
        """As the store says."""
        return self.inner.key(place)

    def everything(self) -> AsyncIterator[StoredObject]:
        """As the store does."""
        return self.inner.everything()

    async def stat(self, place: Place, path: str) -> StoredObject | None:
        """As the store does."""
        return await self.inner.stat(place, path)

    def read(self, place: Place, path: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """As the store does."""
        return self.inner.read(place, path, offset, length)

    async def write(self, place: Place, path: str, data: bytes, content_type: str) -> None:
        """Put one small object."""
        self._tenure.check()
        await self.inner.write(place, path, data, content_type)

    async def annotate(
        self,
        place: Place,
        path: str,
        content_type: str | None,
        metadata: Mapping[str, str],
        known: StoredObject | None = None,
    ) -> None:
        """Set content type and metadata."""
        self._tenure.check()
        await self.inner.annotate(place, path, content_type, metadata, known)

    async def signed_url(self, place: Place, path: str, valid_for: timedelta, download_name: str) -> str | None:
        """As the store does."""
        return await self.inner.signed_url(place, path, valid_for, download_name)

    def folder_on(self, place: Place, target: str) -> str | None:
        """As the store says."""
        return self.inner.folder_on(place, target)

    async def revoke_push(self, place: Place) -> bool:
        """End a node's credentials."""
        self._tenure.check()
        return await self.inner.revoke_push(place)

    async def remove(self, place: Place, paths: Sequence[str]) -> None:
        """Delete single objects."""
        self._tenure.check()
        await self.inner.remove(place, paths)

    @property
    def archive_tier(self) -> str | None:
        """As the store says."""
        return self.inner.archive_tier

    async def archive(self, place: Place, paths: Sequence[str], tier: str) -> None:
        """Move single objects to another tier."""
        self._tenure.check()
        await self.inner.archive(place, paths, tier)

    async def restore(self, place: Place, paths: Sequence[str], *, urgent: bool) -> None:
        """Ask for single objects back."""
        self._tenure.check()
        await self.inner.restore(place, paths, urgent=urgent)

    async def restored(self, place: Place, paths: Sequence[str]) -> set[str]:
        """Say which came back."""
        self._tenure.check()
        return await self.inner.restored(place, paths)

    async def purge(self, place: Place) -> None:
        """Remove everything below the place."""
        self._tenure.check()
        await self.inner.purge(place)
