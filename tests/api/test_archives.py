"""Archives over HTTP: all outputs below a prefix, streamed, whole or broken off, in one folder."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.errors import NotFound, StoreUnreachable
from gateway.jobs import archives
from gateway.storage.stores.base import Place
from tests.api.conftest import Site

CONTENT = {"VTK/a.vtk": b"a" * 1000, "VTK/b.vtk": b"b" * 700_000, "log": b"", "é/ü.txt": b"x"}


async def with_outputs(site: Site, name: str = "flow one") -> str:
    job = await site.submit(name=name)
    for path, data in CONTENT.items():
        await site.store_file(job["id"], path, data)
    return str(job["id"])


def url(job_id: str) -> str:
    return f"/api/v1/jobs/{job_id}/archive"


def unpack(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    if answer.headers["Content-Type"] == "application/zip":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
            return {name: found.read(name) for name in found.namelist()}
    assert answer.headers["Content-Type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as found:
        streams = {member.name: found.extractfile(member) for member in found}
        return {name: stream.read() if stream else b"" for name, stream in streams.items()}


@pytest.mark.parametrize("kind", ["zip", "tar"])
async def test_all_outputs_come_in_one_folder(site: Site, kind: str) -> None:
    job_id = await with_outputs(site)
    answer = await site.http.get(url(job_id), params={"format": kind})
    assert unpack(answer) == {f"flow one/{path}": data for path, data in CONTENT.items()}
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="flow one.{kind}"')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


async def test_a_prefix_narrows_it(site: Site) -> None:
    job_id = await with_outputs(site, name="job")
    found = unpack(await site.http.get(url(job_id), params={"prefix": "VTK/"}))
    assert set(found) == {f"{job_id}/VTK/a.vtk", f"{job_id}/VTK/b.vtk"}
    missing = await site.http.get(url(job_id), params={"prefix": "vtk/"})
    assert missing.status_code == 404


async def test_the_head_is_answered_without_reading(site: Site) -> None:
    answer = await site.http.head(url(await with_outputs(site)))
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"] == "application/zip"


async def test_a_job_without_outputs_gives_an_empty_archive(site: Site) -> None:
    job = await site.submit()
    assert unpack(await site.http.get(url(job["id"]))) == {}


async def test_names_never_leave_the_folder(site: Site) -> None:
    job = await site.submit(name="../up")
    rows = {"..\\evil": "..%5Cevil"}
    for path in rows:
        await site.store_file(job["id"], path, b"x")
    assert set(unpack(await site.http.get(url(job["id"])))) == {f"_up/{name}" for name in rows.values()}


@pytest.mark.parametrize("kind", ["zip", "tar"])
async def test_what_is_gone_or_has_changed_is_named(site: Site, kind: str) -> None:
    job_id = await with_outputs(site)
    store, place = site.gateway.stores["disk"], Place(job_id, site.gateway.owner)
    await store.write(place, "VTK/b.vtk", b"c" * 500_000, "text/plain")
    await site.store_file(job_id, "gone", b"x" * 300_000)
    folder = site.gateway.data / "outputs" / job_id
    (folder / "gone").unlink()
    (folder / "log").unlink()
    found = unpack(await site.http.get(url(job_id), params={"format": kind}))
    told = found.pop("flow one/.gateway/archive-problems.txt").decode().splitlines()
    assert told == [
        "flow one/VTK/b.vtk: had 500000 bytes while it was read, not 700000",
        "flow one/gone: is not in the store any more",
        "flow one/log: is not in the store any more",
    ]
    assert set(found) == {"flow one/VTK/a.vtk", "flow one/VTK/b.vtk", "flow one/é/ü.txt"}
    assert len(found["flow one/VTK/b.vtk"]) == (700_000 if kind == "tar" else 500_000)


async def test_many_files_come_page_by_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "PAGE", 3)
    job = await site.submit()
    for number in range(20):
        await site.store_file(job["id"], f"f{number:02}", str(number).encode())
    found = unpack(await site.http.get(url(job["id"])))
    assert found == {f"flow/f{number:02}": str(number).encode() for number in range(20)}


async def test_a_store_that_fails_breaks_the_archive_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await with_outputs(site)
    store = site.gateway.stores["disk"]
    read = store.read

    async def failing(place: Place, path: str, *more: Any) -> AsyncIterator[bytes]:
        if path == "log":
            raise StoreUnreachable("it went away")
        async for piece in read(place, path, *more):
            yield piece

    monkeypatch.setattr(store, "read", failing)
    with pytest.raises(httpx.RemoteProtocolError):
        await site.http.get(url(job_id))


async def test_archives_of_others_are_not_there(site: Site) -> None:
    job_id = await with_outputs(site)
    with pytest.raises(NotFound):
        await site.gateway.archives.open(job_id, "other", archives.Wanted())
    wrong = await site.http.get(url(job_id), params={"format": "rar"})
    assert wrong.status_code == 422
