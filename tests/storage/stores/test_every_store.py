"""What holds for every store, on the real service."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from gateway.errors import NotFound, StoreError
from gateway.storage.stores.base import Place, Store

HOSTILE = [
    "sp ace.txt",
    " leading and trailing ",
    "h#sh?query&x=1",
    "per%41cent",
    "br[1]{a}*.dat",
    "ünï/—é.vtk",
    "e\u0301",
    "-dash",
    "-folder/-rf",
    ".hidden/.x",
    "back\\slash",
    "stop./end.",
    "quo'te\"$(touch pwned)`x`;",
    "nl␊name",
    "~tilde",
    "a+b=c@d:e,f",
]

pytestmark = pytest.mark.real


async def names(store: Store, place: Place, prefix: str = "") -> set[str]:
    return {found.path async for found in store.list(place, prefix)}


async def read(store: Store, place: Place, path: str, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.read(place, path, offset, length)])


async def test_a_fresh_place_is_empty_and_making_it_again_is_fine(store: Store, place: Place) -> None:
    await store.prepare(place)
    assert await names(store, place) == set()
    assert await store.stat(place, "nothing") is None
    with pytest.raises(NotFound):
        await read(store, place, "nothing")


async def test_what_is_written_is_listed_described_and_read_back(store: Store, place: Place) -> None:
    await store.write(place, "a/b.json", b'{"x": 1}', "application/json")
    await store.write(place, "a/b.json", b'{"x": 22}', "application/json")
    [listed] = [found async for found in store.list(place)]
    described = await store.stat(place, "a/b.json")
    assert described is not None
    assert (listed.path, listed.size) == ("a/b.json", 9) == (described.path, described.size)
    assert described.content_type == "application/json"
    assert described.modified_at is not None
    assert await read(store, place, "a/b.json") == b'{"x": 22}'
    assert await store.stat(place, "a") is None
    with pytest.raises(NotFound):
        await read(store, place, "a")


async def test_ranges_are_read_exactly_and_in_bounded_pieces(store: Store, place: Place) -> None:
    data = bytes(range(256)) * 20_000
    await store.write(place, "big", data, "application/octet-stream")
    pieces = [piece async for piece in store.read(place, "big")]
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 4 * 1024 * 1024
    for offset, length in [(0, 1), (1, 10), (4_194_300, 10), (len(data) - 3, None), (len(data) - 3, 10)]:
        end = None if length is None else offset + length
        assert await read(store, place, "big", offset, length) == data[offset:end]
    assert await read(store, place, "big", len(data)) == b""
    assert await read(store, place, "big", len(data) + 5, 3) == b""
    assert await read(store, place, "big", 3, 0) == b""
    await store.write(place, "empty", b"", "text/plain")
    assert await read(store, place, "empty") == b""


async def test_a_prefix_selects_by_the_beginning_of_the_path(store: Store, place: Place) -> None:
    for path in ("VTK/a.vtk", "VTK/deep/b.vtk", "VTK2/c.vtk", "log"):
        await store.write(place, path, b"x", "text/plain")
    assert await names(store, place, "VTK/") == {"VTK/a.vtk", "VTK/deep/b.vtk"}
    assert await names(store, place, "VTK") == {"VTK/a.vtk", "VTK/deep/b.vtk", "VTK2/c.vtk"}
    assert await names(store, place, "VTK/de") == {"VTK/deep/b.vtk"}
    assert await names(store, place, "none/") == set()


async def test_hostile_names_come_back_as_they_were(store: Store, place: Place) -> None:
    for number, path in enumerate(HOSTILE):
        await store.write(place, path, b"%d" % number, "text/plain")
    assert await names(store, place) == set(HOSTILE)
    for number, path in enumerate(HOSTILE):
        assert await read(store, place, path) == b"%d" % number, path
        found = await store.stat(place, path)
        assert found is not None
        assert found.path == path


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".", "nl\nname", "nul\0", "\ud800"]
)
async def test_paths_that_lead_elsewhere_are_refused(store: Store, place: Place, path: str) -> None:
    with pytest.raises(StoreError):
        await read(store, place, path)
    with pytest.raises(StoreError):
        await store.write(place, path, b"x", "text/plain")
    with pytest.raises(StoreError):
        await store.stat(place, path)


async def test_places_do_not_see_each_other_and_purging_one_leaves_the_other(store: Store, place: Place) -> None:
    other = Place(place.job_id[:-1] + ("0" if place.job_id[-1] != "0" else "1"), owner="bob")
    await store.prepare(other)
    await store.write(place, "mine/x", b"1", "text/plain")
    await store.write(other, "theirs", b"2", "text/plain")
    assert await names(store, place) == {"mine/x"}
    await store.purge(place)
    await store.purge(place)
    assert await names(store, place) == set()
    assert await read(store, other, "theirs") == b"2"


async def test_everything_is_listed_by_place_whatever_its_name(store: Store, place: Place) -> None:
    other = Place(place.job_id[:-1] + ("2" if place.job_id[-1] != "2" else "3"), owner="bob")
    await store.prepare(place)
    await store.prepare(other)
    for name in HOSTILE:
        await store.write(place, f"below/{name}", b"1", "text/plain")
    await store.write(other, "theirs", b"22", "text/plain")
    found = {found.path: found.size async for found in store.everything()}
    expected = {f"{store.key(place)}/below/{name}": 1 for name in HOSTILE} | {f"{store.key(other)}/theirs": 2}
    assert {
        path: size for path, size in found.items() if path.startswith((store.key(place), store.key(other)))
    } == expected
    await store.purge(other)
    assert store.key(other) not in {path.split("/")[0] for path in [found.path async for found in store.everything()]}


async def test_a_path_of_the_author_stands_for_the_job_id(store: Store, place: Place) -> None:
    chosen = Place(place.job_id, owner="alice", path="re-scan/100 #1")
    await store.prepare(chosen)
    await store.write(chosen, "x", b"1", "text/plain")
    assert await names(store, chosen) == {"x"}
    assert await read(store, chosen, "x") == b"1"
    await store.purge(chosen)
    assert await names(store, chosen) == set()


async def test_annotating_keeps_the_bytes_and_a_signed_url_gives_them(store: Store, place: Place) -> None:
    name = "VTK/ü #1.vtk"
    await store.write(place, name, b"bytes", "text/plain")
    await store.annotate(place, name, "application/vnd.vtk", {"job": place.job_id, "owner": "ünal"})
    assert await read(store, place, name) == b"bytes"
    url = await store.signed_url(place, name, timedelta(minutes=5), "ü #1.vtk")
    if store.kind == "directory":
        assert url is None
        return
    assert url is not None
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
        assert (answer.status_code, answer.content) == (200, b"bytes")
        assert (await client.put(url, content=b"changed")).status_code in (400, 403)


async def test_a_probe_of_a_good_store_is_ok_and_leaves_nothing(store: Store, place: Place) -> None:
    if store.settings.layout == "container":
        await store.prepare(place)
    [probe] = await store.probe()
    assert probe.status == "ok", probe.detail
    if store.kind != "azure":
        assert await names(store, Place(".gateway-probe", "")) == set()
    assert await names(store, place) == set()


async def test_single_objects_are_removed_and_others_stay_whatever_they_are_called(store: Store, place: Place) -> None:
    for path in (*HOSTILE, "keep/sp ace.txt", "-dash2"):
        await store.write(place, path, b"x", "text/plain")
    await store.remove(place, [*HOSTILE, "never/there", "nor this"])
    assert await names(store, place) == {"keep/sp ace.txt", "-dash2"}
    await store.remove(place, HOSTILE)
    with pytest.raises(StoreError):
        await store.remove(place, ["../x"])
