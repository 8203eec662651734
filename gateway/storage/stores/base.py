"""What a store is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Literal

from gateway.compute.transport.base import RcloneRemote, Transport
from gateway.errors import StoreError
from gateway.model.job import Probe
from gateway.settings import PluginSettings

TransferMode = Literal["push", "relay", "auto"]


class StoreSettings(PluginSettings):
    """Settings that every store has."""

    layout: Literal["prefix", "container"] = "prefix"
    transfer: TransferMode = "auto"


@dataclass(frozen=True)
class Place:
    """Where one job's outputs stand in a store.

    Attributes
    ----------
    job_id
        Also the container's name in the layout ``container``.
    path
        What the job's author asked for instead of ``<job-id>``; a clean relative path, or None.
    """

    job_id: str
    owner: str
    case: str | None = None
    path: str | None = None

    @property
    def prefix(self) -> str:
        """Folder of the job below the store's root in the layout ``prefix``."""
        return self.path or self.job_id


@dataclass(frozen=True)
class StoredObject:
    """One object below a place. `path` is relative to the place."""

    path: str
    size: int
    modified_at: datetime | None = None
    content_type: str | None = None
    md5: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None


@dataclass(frozen=True)
class StoreContext:
    """What a store is given besides its own settings.

    Attributes
    ----------
    data
        The gateway's data folder.
    transport, username, target
        Of the target that a ``directory`` store names; None for a folder on the gateway.
    local_targets
        Names of the targets whose nodes are this machine: a folder on the gateway is a folder there too.
    """

    name: str
    data: Path
    transport: Transport | None = None
    username: str = ""
    target: str | None = None
    local_targets: frozenset[str] = frozenset()


class Store(ABC):
    """A store. Methods may block only inside the store's own executor."""

    kind: ClassVar[str]
    Settings: ClassVar[type[StoreSettings]]

    def __init__(self, settings: StoreSettings, context: StoreContext) -> None:
        self.settings = settings
        self.context = context
        self.name = context.name

    @abstractmethod
    async def probe(self) -> list[Probe]:
        """Look whether the store can be reached, written and read. One line each, with the fix."""

    @abstractmethod
    async def prepare(self, place: Place) -> None:
        """Make the place (a container, a folder). Idempotent."""

    @property
    def push_opens_own_only(self) -> bool:
        """Whether what `push_remote` gives opens nothing but the job's own place: no other person's outputs."""
        return False

    @abstractmethod
    async def push_remote(self, place: Place, valid_for: timedelta, *, target: str) -> RcloneRemote | None:
        """Return the place as a remote for the node's rclone, with short-lived credentials of the least rights.

        None where this store cannot make one, or the node of `target` cannot have it: then the gateway relays.
        """

    @abstractmethod
    async def relay_remote(self, place: Place) -> RcloneRemote:
        """Return the place as a remote for the gateway's own rclone."""

    @abstractmethod
    def list(self, place: Place, prefix: str = "") -> AsyncIterator[StoredObject]:
        """Yield the objects below `prefix` of the place, in any order. Nothing there: nothing is yielded."""

    def key(self, place: Place) -> str:
        """Return the folder that a place is in what `everything` yields."""
        return place.prefix

    @abstractmethod
    def everything(self) -> AsyncIterator[StoredObject]:
        """Yield the objects of all places, in any order; each path begins with the key of its place."""

    @abstractmethod
    async def stat(self, place: Place, path: str) -> StoredObject | None:
        """Return one object, None where there is none."""

    @abstractmethod
    def read(self, place: Place, path: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of one object from `offset`, at most `length`, in pieces of at most 4 MiB.

        Raises
        ------
        NotFound
        """

    @abstractmethod
    async def write(self, place: Place, path: str, data: bytes, content_type: str) -> None:
        """Put one small object (the gateway's own records). Replaces."""

    @abstractmethod
    async def annotate(
        self,
        place: Place,
        path: str,
        content_type: str | None,
        metadata: Mapping[str, str],
        known: StoredObject | None = None,
    ) -> None:
        """Set content type and metadata (job, case, owner, sha256) where the store has them.

        Parameters
        ----------
        known
            What a listing said of the object a moment ago: then it is not asked for again.
        """

    @abstractmethod
    async def signed_url(self, place: Place, path: str, valid_for: timedelta, download_name: str) -> str | None:
        """Return a short-lived address of one object, None where the store has none."""

    def folder_on(self, place: Place, target: str) -> str | None:
        """Return the folder on a target that the place is; None where it is none there."""
        return None

    async def revoke_push(self, place: Place) -> bool:
        """Make what `push_remote` gave for this place of no use any more, from now on.

        Returns
        -------
        bool
            False where the store cannot: then credentials end with their time only.
        """
        return False

    async def remove(self, place: Place, paths: Sequence[str]) -> None:
        """Delete single objects; those that are gone already are no error.

        Raises
        ------
        StoreError
            Some are still there.
        """
        raise StoreError(f"store {self.name} cannot delete single outputs")

    @property
    def archive_tier(self) -> str | None:
        """Where `archive` moves objects to if nothing else is said; None where the store has no such place."""
        return None

    async def archive(self, place: Place, paths: Sequence[str], tier: str) -> None:
        """Move single objects to another tier; those that are gone already are no error."""
        raise StoreError(f"store {self.name} has no archive tier")

    async def restore(self, place: Place, paths: Sequence[str], *, urgent: bool) -> None:
        """Ask for single objects back from an archive tier; those that are gone, or on their way, are no error."""
        raise StoreError(f"store {self.name} has no archive tier")

    async def restored(self, place: Place, paths: Sequence[str]) -> set[str]:
        """Return those of `paths` that can be read and stay so, because they came back or never were away.

        Those that are gone count: nothing is to be waited for.
        """
        return set(paths)

    @abstractmethod
    async def purge(self, place: Place) -> None:
        """Remove everything below the place."""

    async def close(self) -> None:  # noqa: B027 - most stores have nothing to end
        """End connections."""
