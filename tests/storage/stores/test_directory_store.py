from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.compute.transport.base import Transport
from gateway.compute.transport.ssh import SshTransport
from gateway.errors import ConfigurationError, NotFound, StoreError, StoreUnreachable
from gateway.storage.stores.base import Place, Store, StoreContext
from gateway.storage.stores.directory import DirectorySettings, DirectoryStore
from testbed.sshd import SshSite

MakeStore = Callable[..., Store]


@pytest.fixture(params=["here", "on a target"])
async def store(
    request: pytest.FixtureRequest, make_store: MakeStore, tmp_path: Path, local_transport: Transport
) -> Store:
    if request.param == "here":
        return make_store(DirectoryStore, path=str(tmp_path / "outputs"))
    return make_store(DirectoryStore, transport=local_transport, path=str(tmp_path / "outputs"), target="cluster")


async def read(store: Store, place: Place, path: str) -> bytes:
    return b"".join([piece async for piece in store.read(place, path)])


async def test_links_are_neither_listed_nor_followed(store: Store, place: Place, tmp_path: Path) -> None:
    await store.write(place, "real/x", b"1", "text/plain")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    folder = tmp_path / "outputs" / place.job_id
    (folder / "link").symlink_to(secret / "key")
    (folder / "linked").symlink_to(secret)
    os.mkfifo(folder / "pipe")
    assert [found.path async for found in store.list(place)] == ["real/x"]
    assert await store.stat(place, "link") is None
    for path in ("link", "pipe"):
        with pytest.raises(NotFound):
            await read(store, place, path)
    with pytest.raises((StoreError, NotFound)):
        await read(store, place, "linked/key")
    with pytest.raises(StoreError):
        await store.write(place, "linked/new", b"x", "text/plain")
    await store.write(place, "link", b"mine now", "text/plain")
    assert (secret / "key").read_text() == "secret"
    assert sorted(path.name for path in secret.iterdir()) == ["key"]
    assert await read(store, place, "link") == b"mine now"


async def test_purging_a_place_that_is_a_link_leaves_what_it_leads_to(
    store: Store, place: Place, tmp_path: Path
) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/x").write_text("x")
    (tmp_path / "outputs" / place.job_id).symlink_to(tmp_path / "kept")
    await store.purge(place)
    assert (tmp_path / "kept/x").exists()
    assert not (tmp_path / "outputs" / place.job_id).is_symlink()


async def test_names_that_are_not_utf8_are_listed_and_read(store: Store, place: Place, tmp_path: Path) -> None:
    await store.prepare(place)
    folder = os.fsencode(tmp_path / "outputs" / place.job_id)
    Path(os.fsdecode(folder + b"/in\xffvalid\n")).write_bytes(b"bytes")
    [found] = [item async for item in store.list(place)]
    assert found.path == "in\u201bFFvalid\u240a"
    assert await read(store, place, found.path) == b"bytes"


async def test_a_write_that_replaces_is_one_step_and_leaves_no_parts(
    store: Store, place: Place, tmp_path: Path
) -> None:
    for number in range(3):
        await store.write(place, "x", b"%d" % number, "text/plain")
    assert [path.name for path in (tmp_path / "outputs" / place.job_id).iterdir()] == ["x"]


async def test_nodes_on_this_machine_push_into_a_folder_of_the_gateway_and_others_do_not(
    make_store: MakeStore, tmp_path: Path, place: Place
) -> None:
    store = make_store(DirectoryStore, path=str(tmp_path / "outputs"))
    hour = timedelta(hours=1)
    pushed = await store.push_remote(place, hour, target="here")
    assert pushed is not None
    assert (pushed.options, pushed.root) == ({"type": "local"}, str(tmp_path / "outputs" / place.job_id))
    assert await store.push_remote(place, hour, target="cluster") is None
    relayed = make_store(DirectoryStore, path=str(tmp_path / "outputs"), transfer="relay")
    assert await relayed.push_remote(place, hour, target="here") is None


async def test_a_folder_of_a_target_takes_pushes_of_that_target_only(
    make_store: MakeStore, local_transport: Transport, place: Place
) -> None:
    store = make_store(DirectoryStore, transport=local_transport, path="/project/{username}/x", target="cluster")
    hour = timedelta(hours=1)
    pushed = await store.push_remote(place, hour, target="cluster")
    assert pushed is not None
    assert pushed.root == f"/project/{local_transport.username}/x/{place.job_id}"
    assert await store.push_remote(place, hour, target="here") is None
    assert (await store.relay_remote(place)).root == pushed.root


@pytest.mark.real
async def test_a_folder_behind_ssh_is_written_listed_and_read(
    make_store: MakeStore, ssh_transport: SshTransport, plain_sshd: SshSite, place: Place
) -> None:
    root = f"{plain_sshd.accounts[0].home}/out puts"
    store = make_store(DirectoryStore, transport=ssh_transport, path=root, target="cluster")
    await store.prepare(place)
    data = bytes(range(256)) * 20_000
    await store.write(place, "VTK/ü $(x) 'a.vtk", data, "text/plain")
    assert [(found.path, found.size) async for found in store.list(place)] == [("VTK/ü $(x) 'a.vtk", len(data))]
    assert await read(store, place, "VTK/ü $(x) 'a.vtk") == data
    [probe] = await store.probe()
    assert probe.status == "ok", probe.detail
    await store.purge(place)
    assert [found async for found in store.list(place)] == []


async def test_a_target_that_cannot_be_reached_makes_the_store_unreachable(
    make_store: MakeStore, dead_port: int, place: Place, ssh_settings: Any, tmp_path: Path
) -> None:
    closed = ssh_settings.model_copy(update={"port": dead_port})
    transport = SshTransport(closed, env={}, path=None, state_folder=tmp_path)
    store = make_store(DirectoryStore, transport=transport, path="/x", target="cluster")
    with pytest.raises(StoreUnreachable):
        await store.prepare(place)
    await transport.close()


@pytest.mark.real
async def test_a_folder_of_a_target_that_cannot_be_entered_is_not_called_empty(
    make_store: MakeStore, place: Place, plain_sshd: SshSite, ssh_transport: SshTransport
) -> None:
    root = f"{plain_sshd.home}/closed"
    store = make_store(DirectoryStore, transport=ssh_transport, path=root, target="vm")
    await store.write(place, "x", b"1", "text/plain")
    plain_sshd.check(f"chmod 0 {root}")
    with pytest.raises(StoreError, match="ermission"):
        assert [found.path async for found in store.list(place)]
    with pytest.raises(StoreError, match="ermission"):
        await store.prepare(place)
    plain_sshd.check(f"chmod 700 {root}")
    assert [found.path async for found in store.list(place)] == ["x"]


async def test_a_root_that_cannot_be_made_is_a_failed_probe_with_its_fix(make_store: MakeStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = make_store(DirectoryStore, path=str(tmp_path / "file" / "outputs"))
    [probe] = await store.probe()
    assert (probe.status, probe.fix is not None) == ("failed", True)


@pytest.mark.parametrize("path", ["relative", "/a/../b"])
def test_a_path_that_is_not_absolute_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="absolute"):
        DirectoryStore(DirectorySettings(kind="directory", path=path), StoreContext("x", tmp_path))


def test_data_and_username_are_filled_in(tmp_path: Path) -> None:
    settings = DirectorySettings(kind="directory", path="{data}/{username}")
    store = DirectoryStore(settings, StoreContext("x", tmp_path, username="bob"))
    assert store._root == f"{tmp_path}/bob"


async def test_the_folders_of_many_jobs_on_a_target_are_made_by_few_commands_and_a_bad_one_fails_alone(
    make_store: MakeStore, local_transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, commands, run = tmp_path / "outputs", [], local_transport.run
    store = make_store(DirectoryStore, transport=local_transport, path=str(root), target="cluster")

    async def counted(script: str, **options: Any) -> Any:
        commands.append(script)
        return await run(script, **options)

    monkeypatch.setattr(local_transport, "run", counted)
    root.mkdir()
    (root / "job 7").symlink_to(tmp_path)
    (root / "job 8").write_text("a file")
    places = [Place(f"job {number}", "somebody") for number in range(40)]
    found = await asyncio.gather(*(store.prepare(place) for place in places), return_exceptions=True)
    assert [number for number, error in enumerate(found) if isinstance(error, StoreError)] == [7, 8]
    assert [error for error in found if not isinstance(error, StoreError)] == [None] * 38
    assert all((root / f"job {number}").is_dir() for number in range(40) if number != 8)
    assert len(commands) <= 2
