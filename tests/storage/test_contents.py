"""Files that are others although size and time are the same: found by MD5 or by their bytes, and brought again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.compute.transport.base import RcloneRemote
from gateway.compute.transport.ssh import SshTransport
from gateway.storage.contents import other_contents, stored_digest
from gateway.storage.filters import OutputRule, plan_transfers
from gateway.storage.manifest import ManifestFile, files_of_rows
from gateway.storage.relay import build_manifest, relay_pass
from gateway.storage.stores.base import Place, Store, StoredObject
from gateway.storage.stores.directory import DirectoryStore

AT = 1_600_000_000
RULES = [OutputRule("a/**", destination="x/"), OutputRule("b/*.txt", destination="y/")]


def local(folder: Path) -> RcloneRemote:
    return RcloneRemote({"type": "local"}, str(folder))


async def listing(store: Store, place: Place) -> dict[str, StoredObject]:
    return {found.path: found async for found in store.list(place)}


def write(file: Path, content: bytes) -> None:
    """Write a file that looks the same each time: only its bytes are others."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (AT, AT))


@pytest.mark.real
async def test_a_file_written_again_with_the_same_size_and_time_is_found_and_brought_again(
    store: Store, place: Place, tmp_path: Path
) -> None:
    folder = tmp_path / "job"
    for name in ("a/one", "a/deep/two", "b/three.txt", "b/x/one"):
        write(folder / name, b"first " + name.encode())
    transfers = plan_transfers(RULES, [])
    assert (await relay_pass(local(folder), store, place, transfers, final=True)).exit_status == 0
    write(folder / "a/deep/two", b"other a/deep/two")
    write(folder / "b/three.txt", b"other b/three.txt")
    assert (await relay_pass(local(folder), store, place, transfers, final=True)).copied == []
    claimed = await build_manifest(local(folder), transfers)
    other = await other_contents(store, place, claimed.values(), await listing(store, place), certain=())
    assert {file.path for file in other} == {"x/deep/two", "y/three.txt"}
    result = await relay_pass(local(folder), store, place, transfers, final=True, again=other)
    assert {path for path, _ in result.copied} == {"x/deep/two", "y/three.txt"}
    for path, file in claimed.items():
        assert await stored_digest(store, place, path) == file.digest
    assert await other_contents(store, place, claimed.values(), await listing(store, place), certain=()) == []


@pytest.mark.real
async def test_behind_ssh_where_times_have_whole_seconds_it_is_brought_again_too(
    make_store: Callable[..., Any], place: Place, tmp_path: Path, ssh_transport: SshTransport
) -> None:
    store = make_store(DirectoryStore, path=str(tmp_path / "outputs"))
    made = await ssh_transport.run(
        "mkdir -p ~/again && cd ~/again && printf 1 >f && touch -d @1600000000.2 f && pwd", timeout=30
    )
    folder = made.stdout.decode().strip()
    source, transfers = await ssh_transport.relay_source(folder), plan_transfers([], [])
    await relay_pass(source, store, place, transfers, final=True)
    await ssh_transport.run("cd ~/again && printf 2 >f && touch -d @1600000000.8 f", timeout=60)
    assert (await relay_pass(source, store, place, transfers, final=True)).copied == []
    claimed = await build_manifest(source, transfers, transport=ssh_transport, folder=folder)
    assert claimed["f"].md5 == hashlib.md5(b"2").hexdigest()
    other = await other_contents(store, place, claimed.values(), await listing(store, place), certain=())
    assert [file.path for file in other] == ["f"]
    await relay_pass(source, store, place, transfers, final=True, again=other)
    assert await stored_digest(store, place, "f") == claimed["f"].digest


class Listed:
    """A store that counts what is read of it."""

    def __init__(self, **files: bytes) -> None:
        self.files = files
        self.reads: list[str] = []

    async def read(self, place: Place, path: str) -> Any:
        self.reads.append(path)
        yield self.files[path]

    def listing(self, *, md5: bool) -> dict[str, StoredObject]:
        return {
            path: StoredObject(path, len(data), md5=hashlib.md5(data).hexdigest() if md5 else None)
            for path, data in self.files.items()
        }


def claim(path: str, data: bytes) -> ManifestFile:
    digest, md5 = hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest()
    return ManifestFile(path, len(data), digest=f"sha256:{digest}", md5=md5)


async def others(store: Any, *claimed: ManifestFile, md5: bool = True, **options: Any) -> list[str]:
    place = Place("job", owner="alice")
    return [file.path for file in await other_contents(store, place, claimed, store.listing(md5=md5), **options)]


async def test_where_the_store_lists_md5_only_what_differs_is_read() -> None:
    store = Listed(a=b"1", b=b"2")
    assert await others(store, claim("a", b"1"), claim("b", b"3")) == ["b"]
    assert store.reads == ["b"]


async def test_an_md5_that_is_not_of_the_bytes_as_some_encrypted_stores_list_it_is_not_believed() -> None:
    store = Listed(a=b"1")
    assert await others(store, replace(claim("a", b"1"), md5="0" * 32)) == []
    assert store.reads == ["a"]


async def test_without_md5_what_was_not_copied_just_now_is_read() -> None:
    store = Listed(a=b"1", b=b"2", c=b"3")
    claimed = [claim("a", b"x"), claim("b", b"x"), claim("c", b"3")]
    assert await others(store, *claimed, md5=False) == []
    assert await others(store, *claimed, md5=False, certain={"a"}) == ["b"]
    assert store.reads == ["b", "c"]


async def test_what_is_missing_or_of_another_size_or_without_a_digest_is_for_others_to_judge() -> None:
    store = Listed(a=b"1", c=b"3")
    claimed = [claim("a", b"22"), claim("b", b"2"), ManifestFile("c", 1)]
    assert await others(store, *claimed, certain=()) == []
    assert store.reads == []


def test_a_row_says_where_its_file_was_found() -> None:
    (file,) = files_of_rows([{"Path": "b/c", "Size": 1, "Hashes": {"md5": "A" * 32}}], "to", "from")
    assert (file.path, file.source, file.md5, file.digest) == ("to/b/c", "from/b/c", "a" * 32, None)
    with pytest.raises(ValueError, match="not a digest"):
        files_of_rows([{"Path": "a", "Size": 1, "Hashes": {"md5": "x"}}], "")
