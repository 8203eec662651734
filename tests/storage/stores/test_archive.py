"""Archive tiers, on the services that have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest
from azure.core.exceptions import HttpResponseError

from gateway.errors import ObjectArchived, StoreError
from gateway.storage.rclone import LogLine, RcloneResult
from gateway.storage.stores.azure import AzureStore
from gateway.storage.stores.azure_blobs import is_open
from gateway.storage.stores.azure_client import translated
from gateway.storage.stores.base import Place
from gateway.storage.stores.rclone import RcloneStore
from gateway.storage.stores.rclone_archive import read_status, refused

MakeStore = Callable[..., Any]

pytestmark = pytest.mark.real


async def test_many_blobs_are_archived_and_reading_one_says_whom_to_ask(
    make_store: MakeStore, azure_section: dict[str, Any], place: Place
) -> None:
    store = make_store(AzureStore, **azure_section)
    await store.prepare(place)
    for path in ("a.vtk", "b/ü.vtk", "hot"):
        await store.write(place, path, b"x", "text/plain")
    await store.archive(place, ["a.vtk", "b/ü.vtk", "gone"], store.archive_tier)
    container, folder = store._where(place)
    tiers = {b.name[len(folder) :]: b.blob_tier for b in store._client(container).list_blobs(name_starts_with=folder)}
    assert (tiers["a.vtk"], tiers["b/ü.vtk"], tiers["hot"]) == ("Archive", "Archive", "Hot")
    with pytest.raises(ObjectArchived) as caught:
        b"".join([piece async for piece in store.read(place, "a.vtk")])
    assert "gateway outputs restore" in str(caught.value.hint)
    assert (await store.stat(place, "a.vtk")).size == 1
    assert await store.restored(place, ["a.vtk", "b/ü.vtk", "hot", "gone"]) == {"hot", "gone"}
    for urgent in (False, True):  # asking twice does no harm
        await store.restore(place, ["a.vtk", "gone"], urgent=urgent)
    assert await store.restored(place, ["a.vtk", "b/ü.vtk"]) == {"a.vtk"}
    assert b"".join([piece async for piece in store.read(place, "a.vtk")]) == b"x"


async def test_an_s3_service_that_keeps_objects_where_they_are_is_not_believed_to_archive(
    make_store: MakeStore, s3_section: dict[str, Any], place: Place
) -> None:
    plain = make_store(RcloneStore, **s3_section)
    assert plain.archive_tier is None  # rclone knows no tiers of this service
    remote = {**s3_section["remote"], "provider": "AWS", "force_path_style": True}
    store = make_store(RcloneStore, **{**s3_section, "remote": remote})
    assert store.archive_tier == "GLACIER"
    for path in ("a.vtk", "b/ü.vtk"):
        await plain.write(place, path, b"bytes", "text/plain")
    # This service takes the request, and refuses: it has one storage class only. rclone ends with status 0 then.
    with pytest.raises(StoreError, match="SetTier"):
        await store.archive(place, ["a.vtk"], "STANDARD_IA")
    await store.archive(place, ["gone"], "STANDARD_IA")
    # Nothing is away here, and nothing comes back: both are said as they are.
    assert await store.restored(place, ["a.vtk", "b/ü.vtk", "gone"]) == {"a.vtk", "b/ü.vtk", "gone"}
    await store.restore(place, ["a.vtk", "gone"], urgent=False)
    with pytest.raises(StoreError, match="cannot be brought back"):
        await plain.restore(place, ["a.vtk"], urgent=False)


async def test_a_folder_has_no_archive(store: Any, place: Place) -> None:
    if store.archive_tier is None:
        with pytest.raises(StoreError, match="no archive tier"):
            await store.archive(place, ["x"], "Archive")
        with pytest.raises(StoreError, match=r"no archive tier|cannot be brought back"):
            await store.restore(place, ["x"], urgent=False)


def test_what_s3_says_of_archived_objects_is_read_as_what_it_is() -> None:
    rows = [
        {"Remote": "usual", "StorageClass": "STANDARD"},
        {"Remote": "coming", "StorageClass": "GLACIER", "RestoreStatus": {"IsRestoreInProgress": True}},
        {"Remote": "back", "StorageClass": "DEEP_ARCHIVE", "RestoreStatus": {"IsRestoreInProgress": False}},
        {"Remote": "away", "StorageClass": "GLACIER", "RestoreStatus": None},
        {"Remote": "at once", "StorageClass": "GLACIER_IR"},
    ]
    paths = ["usual", "coming", "back", "away", "at once", "gone"]
    found = read_status(json.dumps(rows).encode(), paths)
    assert (found.open, found.copied, found.forgotten) == ({"usual", "at once", "gone"}, {"back"}, {"away"})
    assert read_status(b"null\n", ["x"]).open == {"x"}
    with pytest.raises(StoreError, match="cannot be read"):
        read_status(b"<html>", ["x"])


def test_only_what_cannot_come_back_is_a_refusal() -> None:
    said = ["OK", "Not GLACIER or DEEP_ARCHIVE or INTELLIGENT_TIERING storage class", "RestoreAlreadyInProgress: x"]
    assert refused(json.dumps([{"Status": text} for text in said]).encode()) == []
    assert refused(json.dumps([{"Status": "AccessDenied: no"}]).encode()) == ["AccessDenied: no"]


def test_a_blob_on_its_way_back_is_not_back() -> None:
    def seen(tier: str, status: str | None) -> bool:
        client = MagicMock()
        client.get_blob_client().get_blob_properties.return_value = MagicMock(blob_tier=tier, archive_status=status)
        return is_open(client, "x")

    assert [seen("Hot", None), seen("Cool", None), seen("Archive", None)] == [True, True, False]
    assert not seen("Archive", "rehydrate-pending-to-hot")


def test_each_service_s_own_word_for_archived_is_known() -> None:
    refused = RcloneResult(1, messages=(LogLine("error", "InvalidObjectState: The operation is not valid"),))
    assert isinstance(refused.error("reading"), ObjectArchived)
    error = HttpResponseError("x")
    error.status_code = 409
    error.error_code = "BlobArchived"  # type: ignore[attr-defined]
    assert isinstance(translated(error, "reading"), ObjectArchived)
