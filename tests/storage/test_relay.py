"""Passes that the gateway runs itself, on real stores and over real SSH."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.compute.transport.base import RcloneRemote
from gateway.compute.transport.ssh import SshTransport
from gateway.storage.filters import OutputRule, land, plan_transfers
from gateway.storage.manifest import compare
from gateway.storage.rclone import Rclone
from gateway.storage.relay import Left, RelayOptions, build_manifest, relay_pass
from gateway.storage.stores.base import Place, Store, StoredObject
from gateway.storage.stores.directory import DirectoryStore
from testbed.sshd import SshSite

MakeStore = Callable[..., Any]
pytestmark = pytest.mark.real

FILES = {
    "VTK/cavity_0.vtk": b"zero",
    "VTK/walls/w 1.vtk": b"wall",
    "log.solver": b"line\n" * 10,
    "0.5/U": b"",
    "nl\nname": b"newline",
    "back\\slash": b"b",
    "dol$(touch pwned)`x`": b"d",
    "[1]*?{a}": b"g",
    "ü/e\u0301": b"nfd",
    "ü/\u00e9": b"nfc",
    "-dash": b"-",
    "stop.": b".",
    "core.123": b"dump",
    ".gateway/forged": b"x",
}


@pytest.fixture
def job_folder(tmp_path: Path) -> Path:
    """A job's folder as payloads leave them: strange names, links out, a pipe."""
    folder = tmp_path / "job"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (tmp_path / "private").mkdir()
    (tmp_path / "private/key").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "private/key")
    (folder / "linked").symlink_to(tmp_path / "private")
    os.mkfifo(folder / "pipe")
    return folder


def local(folder: Path) -> RcloneRemote:
    return RcloneRemote({"type": "local"}, str(folder))


async def listing(store: Store, place: Place) -> dict[str, StoredObject]:
    return {found.path: found async for found in store.list(place)}


async def read(store: Store, place: Place, path: str) -> bytes:
    return b"".join([piece async for piece in store.read(place, path)])


async def test_a_final_pass_brings_every_file_and_its_manifest_matches_the_store(
    store: Store, place: Place, job_folder: Path
) -> None:
    transfers = plan_transfers([], ["**/core.*"])
    result = await relay_pass(local(job_folder), store, place, transfers, final=True)
    assert (result.exit_status, result.message) == (0, None)
    manifest = await build_manifest(local(job_folder), transfers)
    stored = await listing(store, place)
    found = compare(manifest, stored)
    assert (found.missing, found.wrong_size, found.extra) == ((), (), ())
    assert len(manifest) == len(FILES) - 2
    assert sorted(result.copied) == sorted((path, file.size) for path, file in manifest.items())
    assert manifest["nl␊name"].digest == "sha256:" + hashlib.sha256(b"newline").hexdigest()
    assert manifest["VTK/cavity_0.vtk"].content_type == "application/vnd.vtk"
    for path, expected in (("nl␊name", b"newline"), ("back\\slash", b"b"), ("stop.", b"."), ("0.5/U", b"")):
        assert await read(store, place, path) == expected
    again = await relay_pass(local(job_folder), store, place, transfers, final=True)
    assert (again.exit_status, again.copied) == (0, [])


async def test_files_land_where_the_rules_say_with_their_content_type(
    store: Store, place: Place, job_folder: Path
) -> None:
    rules = [
        OutputRule("VTK/**", destination="fields/", content_type="application/x-field"),
        OutputRule("log.*", content_type="text/plain"),
        OutputRule("missing/*.dat", destination="never/"),
    ]
    result = await relay_pass(local(job_folder), store, place, plan_transfers(rules, []), final=True)
    assert result.exit_status == 0, result.message
    stored = await listing(store, place)
    expected = {found.destination for name in FILES for found in land(rules, [], name)}
    assert set(stored) == expected == {"fields/cavity_0.vtk", "fields/walls/w 1.vtk", "log.solver"}
    assert set(await build_manifest(local(job_folder), plan_transfers(rules, []))) == expected
    if store.kind != "directory":
        found = await store.stat(place, "fields/cavity_0.vtk")
        assert found is not None
        assert found.content_type == "application/x-field"


async def test_a_background_pass_waits_for_files_to_settle_and_leaves_what_comes_at_the_end(
    make_store: MakeStore, place: Place, tmp_path: Path, job_folder: Path
) -> None:
    store = make_store(DirectoryStore, path=str(tmp_path / "outputs"))
    rules = [OutputRule("VTK/**"), OutputRule("log.*", when="end")]
    old = time.time() - 100
    os.utime(job_folder / "VTK/cavity_0.vtk", (old, old))
    os.utime(job_folder / "log.solver", (old, old))
    options = RelayOptions(settle=50)
    transfers = plan_transfers(rules, [])
    await relay_pass(local(job_folder), store, place, transfers, final=False, options=options)
    assert set(await listing(store, place)) == {"VTK/cavity_0.vtk"}
    narrow = replace(options, window=75)
    older = time.time() - 60
    os.utime(job_folder / "VTK/walls/w 1.vtk", (older, older))
    (job_folder / "VTK/cavity_0.vtk").write_bytes(b"changed")
    os.utime(job_folder / "VTK/cavity_0.vtk", (old, old))
    result = await relay_pass(local(job_folder), store, place, transfers, final=False, options=narrow)
    assert [path for path, _ in result.copied] == ["VTK/walls/w 1.vtk"]
    await relay_pass(local(job_folder), store, place, transfers, final=True)
    assert set(await listing(store, place)) == {"VTK/cavity_0.vtk", "VTK/walls/w 1.vtk", "log.solver"}


async def test_a_link_in_the_place_of_a_source_folder_is_not_followed(
    make_store: MakeStore, place: Place, tmp_path: Path, job_folder: Path
) -> None:
    store = make_store(DirectoryStore, path=str(tmp_path / "outputs"))
    (job_folder / "deep").mkdir()
    (job_folder / "deep/linked").symlink_to(tmp_path / "private")
    rules = [OutputRule("linked/**", destination="a/"), OutputRule("deep/linked/*", destination="b/")]
    transfers = plan_transfers(rules, [])
    result = await relay_pass(local(job_folder), store, place, transfers, final=True)
    assert (result.exit_status, result.copied) == (0, [])
    assert await listing(store, place) == {}
    assert await build_manifest(local(job_folder), transfers) == {}


async def test_one_failing_transfer_does_not_keep_the_others_from_running(
    make_store: MakeStore, place: Place, tmp_path: Path, job_folder: Path
) -> None:
    store = make_store(DirectoryStore, path=str(tmp_path / "outputs"))
    await store.write(place, "fields", b"a file where a folder should be", "text/plain")
    rules = [OutputRule("VTK/**", destination="fields/"), OutputRule("log.*")]
    result = await relay_pass(local(job_folder), store, place, plan_transfers(rules, []), final=True)
    assert [transfer.exit_status != 0 for transfer in result.transfers] == [True, False]
    assert result.exit_status != 0
    assert result.message
    assert "log.solver" in await listing(store, place)


async def test_a_cancelled_pass_can_be_run_again(
    make_store: MakeStore, place: Place, tmp_path: Path, job_folder: Path
) -> None:
    store = make_store(DirectoryStore, path=str(tmp_path / "outputs"))
    transfers = plan_transfers([], [])
    (job_folder / "big").write_bytes(os.urandom(2_000_000))
    slow = RelayOptions(bandwidth="100k")
    task = asyncio.create_task(relay_pass(local(job_folder), store, place, transfers, final=True, options=slow))
    while not await listing(store, place):
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await relay_pass(local(job_folder), store, place, transfers, final=True)).exit_status == 0
    found = compare(await build_manifest(local(job_folder), transfers), await listing(store, place))
    assert found.complete


async def test_a_store_that_is_down_fails_the_pass_with_its_cause(
    place: Place, tmp_path: Path, job_folder: Path, dead_port: int, make_store: MakeStore
) -> None:
    class Dead(DirectoryStore):
        async def relay_remote(self, place: Place) -> RcloneRemote:
            password = (await Rclone().run(["obscure", "-"], data=b"x")).stdout.decode().strip()
            where = {"host": "127.0.0.1", "port": str(dead_port), "user": "x", "pass": password}
            return RcloneRemote({"type": "sftp", **where}, "/jobs")

    store = make_store(Dead, path=str(tmp_path / "outputs"))
    result = await relay_pass(local(job_folder), store, place, plan_transfers([], []), final=True)
    assert result.exit_status != 0
    assert result.message is not None
    assert "connection refused" in result.message
    assert result.copied == []


@pytest.fixture
def remote_folder(plain_sshd: SshSite) -> str:
    """A job's folder at the other end of an SSH connection."""
    home = plain_sshd.accounts[0].home
    plain_sshd.check(
        "set -e; d=~/'work dir'/job; rm -rf ~/'work dir'; mkdir -p \"$d/VTK\"; cd \"$d\"; printf zero >VTK/a.vtk;"
        "printf n >$'nl\\nname'; printf d >'dol$(x)'; ln -s /etc/passwd link; ln -s /etc linked; mkfifo pipe;"
        "mkdir .gateway; printf x >.gateway/forged; printf s >'back\\slash'"
    )
    return f"{home}/work dir/job"


async def test_a_job_behind_ssh_is_relayed_with_digests_and_without_links(
    make_store: MakeStore, place: Place, azure_section: dict[str, Any], ssh_transport: SshTransport, remote_folder: str
) -> None:
    from gateway.storage.stores.azure import AzureStore

    store = make_store(AzureStore, **azure_section)
    source = await ssh_transport.relay_source(remote_folder)
    transfers = plan_transfers([], [])
    result = await relay_pass(source, store, place, transfers, final=True)
    assert result.exit_status == 0, result.message
    manifest = await build_manifest(source, transfers, transport=ssh_transport, folder=remote_folder)
    assert set(manifest) == {"VTK/a.vtk", "nl␊name", "dol$(x)", "back\\slash"}
    for path, data in (("VTK/a.vtk", b"zero"), ("nl␊name", b"n"), ("back\\slash", b"s")):
        assert manifest[path].digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert compare(manifest, await listing(store, place)).complete
    linked = plan_transfers([OutputRule("linked/host*", destination="x/")], [])
    assert (await relay_pass(source, store, place, linked, final=True)).copied == []


async def test_a_host_key_that_is_not_the_configured_one_stops_the_relay(
    make_store: MakeStore,
    place: Place,
    ssh_transport: SshTransport,
    remote_folder: str,
    tmp_path: Path,
    plain_sshd: SshSite,
) -> None:
    store = make_store(DirectoryStore, path=str(tmp_path / "outputs"))
    source = await ssh_transport.relay_source(remote_folder)
    known = Path(source.options["known_hosts_file"])
    other = "AAAAC3NzaC1lZDI1NTE5AAAAIJ0Y9pZ1mD1r9b3QvJm0c5m2q3y4s5t6u7v8w9x0y1z2"
    wrong = tmp_path / "known_hosts"
    wrong.write_text(" ".join([*known.read_text().split()[:2], other]) + "\n")
    source = replace(source, options={**source.options, "known_hosts_file": str(wrong)})
    result = await relay_pass(source, store, place, plan_transfers([], []), final=True)
    assert result.exit_status != 0
    assert await listing(store, place) == {}


def test_what_a_pass_has_not_copied_is_read_from_statistics_of_any_kind() -> None:
    stats = {"totalTransfers": 5, "transfers": 2, "totalBytes": 500, "bytes": 120}
    assert Left.of(stats) == Left(3, 380)
    assert Left.of({"transfers": 7, "totalTransfers": 2, "bytes": "many"}) == Left()


async def test_a_pass_with_little_bandwidth_says_what_is_left_and_brings_it_all(
    make_store: MakeStore, place: Place, tmp_path: Path
) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "large").write_bytes(b"x" * 4 * 1024 * 1024)
    store, told = make_store(DirectoryStore, path=str(tmp_path / "outputs")), list[Left]()
    options = RelayOptions(bandwidth=f"{1024 * 1024}B")
    transfers = plan_transfers([], [])
    result = await relay_pass(local(folder), store, place, transfers, final=True, options=options, on_left=told.append)
    assert (result.exit_status, result.copied) == (0, [("large", 4 * 1024 * 1024)])
    assert told[-1] == Left()


async def test_a_folder_that_is_not_there_is_a_failure_however_its_files_are_chosen(
    make_store: MakeStore, place: Place, tmp_path: Path
) -> None:
    store = make_store(DirectoryStore, path=str(tmp_path / "outputs"))
    for rules in ([], [OutputRule("sub/*", destination="x/")]):
        result = await relay_pass(local(tmp_path / "gone"), store, place, plan_transfers(rules, []), final=True)
        assert result.exit_status != 0
        assert result.message
