"""What is done with single blobs. Blocking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import (
    BlobProperties,
    ContainerClient,
    ContentSettings,
    RehydratePriority,
    StandardBlobTier,
)

from gateway.errors import StoreError
from gateway.storage.names import from_azure
from gateway.storage.stores.base import StoredObject

_AT_ONCE = 256
"""Blobs of one request at most."""
_GOOD = (200, 202, 404)


def stored(blob: BlobProperties, folder: str) -> StoredObject:
    """Return a blob as stores describe it, by its path below `folder`."""
    metadata = {key.lower(): value for key, value in (blob.metadata or {}).items()}
    md5 = blob.content_settings.content_md5
    return StoredObject(
        from_azure(blob.name[len(folder) :]),
        int(blob.size),
        _modified(metadata.get("mtime")) or blob.last_modified,
        blob.content_settings.content_type,
        bytes(md5).hex() if md5 else None,
        metadata,
        blob.etag,
    )


def is_folder(blob: BlobProperties) -> bool:
    """Say whether it stands for a folder of an account with a hierarchical namespace."""
    return (blob.metadata or {}).get("hdi_isfolder") == "true"


def annotate_blob(
    client: ContainerClient,
    name: str,
    content_type: str | None,
    values: Mapping[str, str],
    known: StoredObject | None,
) -> None:
    """Set content type, disposition and metadata; nothing is asked that `known` says, and nothing sent that is so."""
    blob = client.get_blob_client(name)
    if known is None or known.etag is None:
        known = stored(blob.get_blob_properties(), "")
    etag = known.etag
    if content_type is not None and content_type != known.content_type:
        md5 = bytearray.fromhex(known.md5) if known.md5 else None
        settings = ContentSettings(content_type, content_md5=md5, content_disposition="attachment")
        etag = blob.set_http_headers(settings, etag=etag, match_condition=MatchConditions.IfNotModified)["etag"]
    merged = {**known.metadata, **values}
    if merged != known.metadata:
        blob.set_blob_metadata(merged, etag=etag, match_condition=MatchConditions.IfNotModified)


def in_batches(
    client: ContainerClient, action: Literal["delete", "tier"], names: Sequence[str], tier: str | None = None
) -> None:
    """Delete blobs or move them to a tier, many with one request. Those that are gone are no error.

    Raises
    ------
    StoreError
        The service refused for some of them.
    """
    for start in range(0, len(names), _AT_ONCE):
        chunk = names[start : start + _AT_ONCE]
        answers: Iterable[Any]
        if action == "delete":
            answers = client.delete_blobs(*chunk, delete_snapshots="include", raise_on_any_failure=False)
        else:
            answers = client.set_standard_blob_tier_blobs(tier, *chunk, raise_on_any_failure=False)
        bad = [answer.status_code for answer in answers if answer.status_code not in _GOOD]
        if bad:
            raise StoreError(f"the service answered {bad[0]} for {len(bad)} of {len(chunk)} blobs")


def bring_back(client: ContainerClient, names: Sequence[str], *, urgent: bool) -> None:
    """Ask for blobs back from the archive tier. Those that are gone or on their way already are no error.

    Raises
    ------
    StoreError
        The service refused for some of them.
    """
    priority = RehydratePriority.HIGH if urgent else RehydratePriority.STANDARD
    for start in range(0, len(names), _AT_ONCE):
        chunk = names[start : start + _AT_ONCE]
        answers: Iterable[Any] = client.set_standard_blob_tier_blobs(
            StandardBlobTier.HOT, *chunk, rehydrate_priority=priority, raise_on_any_failure=False
        )
        bad = [answer for answer in answers if answer.status_code not in _GOOD and not _is_coming(answer)]
        if bad:
            raise StoreError(f"the service answered {bad[0].status_code} for {len(bad)} of {len(chunk)} blobs")


def _is_coming(answer: Any) -> bool:
    return bool(answer.status_code == 409 and answer.headers.get("x-ms-error-code") == "BlobBeingRehydrated")


def is_open(client: ContainerClient, name: str) -> bool:
    """Say whether a blob can be read, or is gone: it is neither archived nor on its way back."""
    try:
        found = client.get_blob_client(name).get_blob_properties()
    except ResourceNotFoundError:
        return True
    return not found.archive_status and str(found.blob_tier) != StandardBlobTier.ARCHIVE.value


def _modified(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
