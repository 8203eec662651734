from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.compute.transport.base import RcloneRemote
from gateway.errors import ConfigurationError, StoreError, StoreUnreachable
from gateway.storage.rclone import address, find_rclone
from gateway.storage.stores.azure import AzureStore
from gateway.storage.stores.azure_client import AzureSettings
from gateway.storage.stores.base import Place, StoreContext
from testbed.azurite import Azurite

MakeStore = Callable[..., Any]

pytestmark = pytest.mark.real


def node_rclone(remote: RcloneRemote, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run rclone as the node does: one binary and an environment, nothing else."""
    argv = [str(find_rclone()), command, *arguments, *remote.arguments, "--retries", "1"]
    env = {"RCLONE_CONFIG": os.devnull, "PATH": "/usr/bin:/bin", **remote.environment("S0")}
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60)


@pytest.fixture(params=["prefix", "container"])
async def store(
    request: pytest.FixtureRequest, make_store: MakeStore, azure_section: dict[str, Any], place: Place
) -> AzureStore:
    made = make_store(AzureStore, **azure_section, layout=request.param)
    assert isinstance(made, AzureStore)
    await made.prepare(place)
    return made


async def test_a_node_pushes_with_nothing_but_the_remote_it_was_given(
    store: AzureStore, place: Place, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a b.txt").write_text("hello")
    remote = await store.push_remote(place, timedelta(hours=1), target="cluster")
    assert remote is not None
    done = node_rclone(remote, "copy", str(tmp_path / "src"), address("S0", remote, "VTK"))
    assert done.returncode == 0, done.stderr
    [found] = [item async for item in store.list(place)]
    assert (found.path, found.size) == ("VTK/a b.txt", 5)
    assert found.md5 == "5d41402abc4b2a76b9719d911017c592"
    modified = (tmp_path / "src/a b.txt").stat().st_mtime
    assert found.modified_at is not None
    assert abs(found.modified_at.timestamp() - modified) < 0.001


async def test_the_pushed_credential_cannot_delete_and_reaches_no_other_container(
    store: AzureStore, place: Place, azurite: Azurite
) -> None:
    await store.write(place, "x", b"1", "text/plain")
    remote = await store.push_remote(place, timedelta(hours=1), target="cluster")
    assert remote is not None
    assert azurite.key not in str(remote)
    assert node_rclone(remote, "deletefile", address("S0", remote, "x")).returncode != 0
    assert await store.stat(place, "x") is not None
    container, _ = store._where(place)
    service = store._service.create_container(container + "x")
    service.upload_blob("theirs", b"2")
    wider = remote.options["sas_url"].replace(f"/{container}?", f"/{container}x?")
    other = RcloneRemote({**remote.options, "sas_url": wider}, f"{container}x", remote.arguments)
    assert node_rclone(other, "cat", address("S0", other, "theirs")).stdout == ""
    assert node_rclone(other, "lsjson", address("S0", other, folder=True)).returncode != 0


async def test_an_expired_credential_is_refused(store: AzureStore, place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    remote = await store.push_remote(place, timedelta(seconds=-5), target="cluster")
    assert remote is not None
    assert node_rclone(remote, "copy", str(tmp_path / "file"), address("S0", remote, folder=True)).returncode != 0
    assert [item async for item in store.list(place)] == []


async def test_transfer_relay_gives_nodes_nothing(
    make_store: MakeStore, azure_section: dict[str, Any], place: Place
) -> None:
    store = make_store(AzureStore, **azure_section, transfer="relay")
    assert await store.push_remote(place, timedelta(hours=1), target="cluster") is None
    assert (await store.relay_remote(place)).options["type"] == "azureblob"


async def test_annotating_keeps_md5_mtime_and_other_keys(store: AzureStore, place: Place, tmp_path: Path) -> None:
    (tmp_path / "a.vtk").write_text("hello")
    remote = await store.relay_remote(place)
    assert node_rclone(remote, "copy", str(tmp_path / "a.vtk"), address("S0", remote, folder=True)).returncode == 0
    before = await store.stat(place, "a.vtk")
    await store.annotate(place, "a.vtk", "application/vnd.vtk", {"job": place.job_id, "owner": "ünal 100%"})
    await store.annotate(place, "a.vtk", None, {"sha256": "0" * 64})
    after = await store.stat(place, "a.vtk")
    assert before is not None
    assert after is not None
    assert (after.md5, after.modified_at, after.size) == (before.md5, before.modified_at, 5)
    assert after.content_type == "application/vnd.vtk"
    assert after.metadata["job"] == place.job_id
    assert after.metadata["owner"] == "%C3%BCnal 100%25"
    assert after.metadata["sha256"] == "0" * 64
    assert (
        node_rclone(remote, "copy", str(tmp_path / "a.vtk"), address("S0", remote, folder=True), "-v").stderr.count(
            "Copied"
        )
        == 0
    )


async def test_a_signed_url_is_saved_as_a_file_and_reads_one_blob_only(store: AzureStore, place: Place) -> None:
    await store.write(place, "page.html", b"<script>", "text/html")
    await store.write(place, "other", b"2", "text/plain")
    url = await store.signed_url(place, "page.html", timedelta(minutes=5), 'dir/pa"ge ü.html')
    assert url is not None
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
        assert answer.headers["content-disposition"] == (
            "attachment; filename=\"pa_ge _.html\"; filename*=UTF-8''pa%22ge%20%C3%BC.html"
        )
        assert (await client.get(url.replace("page.html", "other"))).status_code == 403
        assert (await client.delete(url)).status_code == 403


async def test_blobs_that_stand_for_folders_are_not_listed(store: AzureStore, place: Place) -> None:
    await store.write(place, "folder", b"", "text/plain")
    await store.annotate(place, "folder", None, {"hdi_isfolder": "true"})
    await store.write(place, "folder/x", b"1", "text/plain")
    assert [item.path async for item in store.list(place)] == ["folder/x"]


async def test_more_objects_than_a_page_are_listed_and_purged(
    store: AzureStore, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.storage.stores.azure._PAGE", 3)
    monkeypatch.setattr("gateway.storage.stores.azure._DELETE_AT_ONCE", 3)
    await asyncio.gather(*(store.write(place, f"f{n}", b"x", "text/plain") for n in range(10)))
    assert len([item async for item in store.list(place)]) == 10
    await store.purge(place)
    assert [item async for item in store.list(place)] == []


async def test_a_store_that_is_down_is_unreachable_and_no_error_shows_a_secret(
    make_store: MakeStore, azure_section: dict[str, Any], place: Place, dead_port: int, azurite: Azurite
) -> None:
    section = {**azure_section, "account_url": f"http://127.0.0.1:{dead_port}/account"}
    store = make_store(AzureStore, **section)
    async with asyncio.timeout(30):
        with pytest.raises(StoreUnreachable) as caught:
            await store.prepare(place)
    assert "sig=" not in str(caught.value)
    assert azurite.key not in str(caught.value)
    [probe] = await store.probe()
    assert (probe.status, probe.fix is not None) == ("failed", True)


async def test_a_wrong_key_is_an_error_that_names_the_code_and_not_the_key(
    make_store: MakeStore, azure_section: dict[str, Any], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ACCOUNT_KEY", "d3Jvbmcta2V5LXdyb25nLWtleQ==")
    store = make_store(AzureStore, **azure_section)
    with pytest.raises(StoreError) as caught:
        await store.prepare(place)
    assert "403" in str(caught.value)
    assert "d3Jvbmc" not in str(caught.value)


async def test_a_connection_string_is_enough(
    make_store: MakeStore, azurite: Azurite, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_CONNECTION", azurite.connection_string)
    store = make_store(AzureStore, layout="container", credential={"connection_string": {"env": "TEST_CONNECTION"}})
    await store.prepare(place)
    await store.write(place, "x", b"1", "text/plain")
    assert await store.push_remote(place, timedelta(hours=1), target="t") is not None
    await store.purge(place)


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_ACCOUNT_KEY", raising=False)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"container": None}, "needs a container"),
        ({"container": "Jobs"}, "lower-case"),
        ({"container": "a--b"}, "hyphens"),
        ({"account_url": None}, "account_url"),
        ({"account_url": "ftp://x"}, "pattern"),
        ({"credential": {}}, "exactly one"),
        ({"credential": {"account_key": "abc"}}, "account_key"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, Any], word: str) -> None:
    good = {
        "kind": "azure",
        "account_url": "https://a.blob.core.windows.net",
        "container": "jobs",
        "credential": {"account_key": {"env": "TEST_ACCOUNT_KEY"}},
    }
    AzureSettings.model_validate(good)
    with pytest.raises(ValueError, match=word):
        AzureSettings.model_validate({**good, **change})


def test_a_missing_secret_names_its_place(nothing_set: None, tmp_path: Path) -> None:
    settings = AzureSettings.model_validate(
        {
            "kind": "azure",
            "account_url": "https://a.blob.core.windows.net",
            "container": "jobs",
            "credential": {"account_key": {"env": "TEST_ACCOUNT_KEY"}},
        }
    )
    with pytest.raises(ConfigurationError, match="TEST_ACCOUNT_KEY"):
        AzureStore(settings, StoreContext("blobs", tmp_path))
