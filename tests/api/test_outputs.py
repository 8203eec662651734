"""Outputs over the API: listings from the catalogue, bytes from the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from gateway.db import jobs, outputs
from gateway.errors import NotFound
from gateway.storage.stores.base import Place
from tests.api.conftest import JOBS, Site
from tests.api.somebody import stranger

DATA = bytes(range(256)) * 40
DIGEST = "sha256:" + "5" * 64
AT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


async def job_with(site: Site, *paths: str, **changes: Any) -> str:
    """A job whose catalogue has `paths`, one byte longer each."""
    job_id: str = (await site.submit(**changes))["id"]
    rows = [
        outputs.OutputRow(path=path, size=number + 1, state="final", attempt=1) for number, path in enumerate(paths)
    ]
    await site.gateway.database.write(lambda c: outputs.upsert(c, job_id, "disk", rows))
    return job_id


async def test_a_level_of_outputs_has_exactly_the_contracts_shape(site: Site) -> None:
    job_id = await job_with(site, "VTK/fixedWalls/0.vtk", "VTK/fixedWalls/1.vtk", "log.cavity")
    row: dict[str, Any] = {
        "path": "VTK/cavity_0.vtk",
        "size": 1,
        "state": "final",
        "attempt": 1,
        "modified_at": AT,
        "content_type": "application/vtk",
        "digest": DIGEST,
        "stored_at": AT,
    }
    await site.gateway.database.write(lambda c: outputs.upsert(c, job_id, "disk", [outputs.OutputRow(**row)]))
    expected = {
        "prefix": "VTK/",
        "folders": [{"prefix": "VTK/fixedWalls/", "count": 2, "bytes": 3}],
        "files": [
            {
                "path": "VTK/cavity_0.vtk",
                "name": f"{job_id}/VTK/cavity_0.vtk",
                "job_id": job_id,
                "store": "disk",
                "attempt": 1,
                "size": 1,
                "modified_at": "2026-01-02T03:04:05.678Z",
                "content_type": "application/vtk",
                "digest": DIGEST,
                "state": "final",
                "stored_at": "2026-01-02T03:04:05.678Z",
                "tier": None,
                "archived": False,
                "restoring": False,
                "url": f"{JOBS}/{job_id}/outputs/VTK/cavity_0.vtk",
            }
        ],
        "next_cursor": None,
    }
    answer = await site.http.get(f"{JOBS}/{job_id}/outputs", params={"prefix": "VTK/", "delimiter": "/"})
    assert (answer.status_code, answer.json()) == (200, expected)
    by_name = await site.http.get("/api/v1/outputs", params={"prefix": f"{job_id}/VTK/", "delimiter": "/"})
    assert by_name.json() == expected


@pytest.mark.parametrize(
    ("prefix", "delimiter", "folders", "files"),
    [
        ("", "/", ["VTK/", "a/"], ["VTK", "a", "a.txt", "b b"]),
        ("", "", [], ["VTK", "VTK/x/y", "a", "a.txt", "a/1", "a/2", "b b"]),
        ("a", "/", ["a/"], ["a", "a.txt"]),
        ("a/", "/", [], ["a/1", "a/2"]),
        ("a/2", "/", [], ["a/2"]),
        ("VTK/", "/", ["VTK/x/"], []),
        ("VTK/x", "", [], ["VTK/x/y"]),
        ("nothing/", "/", [], []),
        ("../", "/", [], []),
        ("/", "/", [], []),
    ],
)
async def test_prefix_and_delimiter_choose_a_level(
    site: Site, prefix: str, delimiter: str, folders: list[str], files: list[str]
) -> None:
    job_id = await job_with(site, "VTK", "VTK/x/y", "a", "a.txt", "a/1", "a/2", "b b")
    query = {"prefix": prefix, "delimiter": delimiter}
    found = (await site.http.get(f"{JOBS}/{job_id}/outputs", params=query)).json()
    assert [item["prefix"] for item in found["folders"]] == folders
    assert [item["path"] for item in found["files"]] == files
    pages: list[str] = []
    query["limit"] = "1"
    while True:
        page = (await site.http.get(f"{JOBS}/{job_id}/outputs", params=query)).json()
        pages += [item["prefix"] for item in page["folders"]] + [item["path"] for item in page["files"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert pages == sorted([*folders, *files])


async def test_an_admin_lists_anybodys_outputs_by_whole_name_and_others_their_own(site: Site) -> None:
    async with stranger(site) as alice, stranger(site, "bob") as bob:
        made = await alice.post(JOBS, json={"command": ["true"], "image": {"ref": "https://example.org/x.sif"}})
        assert made.status_code == 202, made.text
        job_id = made.json()["id"]
        found = [outputs.OutputRow(path="a/b.txt", size=1, state="final", attempt=1)]
        await site.gateway.database.write(lambda c: outputs.upsert(c, job_id, "disk", found))
        query = {"prefix": f"{job_id}/a/"}
        for client in (alice, site.http):
            answer = await client.get("/api/v1/outputs", params=query)
            assert [file["path"] for file in answer.json()["files"]] == ["a/b.txt"]
        assert (await bob.get("/api/v1/outputs", params=query)).status_code == 404


async def test_a_cursor_of_another_listing_is_refused(site: Site) -> None:
    job_id = await job_with(site, "a", "b")
    url = f"{JOBS}/{job_id}/outputs"
    cursor = (await site.http.get(url, params={"limit": 1})).json()["next_cursor"]
    answer = await site.http.get(url, params={"limit": 1, "delimiter": "/", "cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?cursor")


async def test_each_store_of_a_job_has_its_own_listing(site: Site) -> None:
    job_id = (await site.submit(stores=["archive", "disk"]))["id"]
    await site.store_file(job_id, "a", b"on disk", store="disk")
    await site.store_file(job_id, "a", b"in the archive", store="archive")
    first = (await site.http.get(f"{JOBS}/{job_id}/outputs")).json()["files"]
    second = (await site.http.get(f"{JOBS}/{job_id}/outputs", params={"store": "disk"})).json()["files"]
    assert [(f["store"], f["size"]) for f in first + second] == [("archive", 14), ("disk", 7)]
    assert (await site.http.get(first[0]["url"])).content == b"in the archive"
    assert (await site.http.get(second[0]["url"])).content == b"on disk"
    other = await site.http.get(f"{JOBS}/{job_id}/outputs", params={"store": "elsewhere"})
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, "?store")
    job = (await site.http.get(f"{JOBS}/{job_id}")).json()
    assert job["outputs"]["stores"]["archive"].items() >= {"state": "none", "count": 1, "bytes": 14}.items()
    assert (job["outputs"]["count"], job["outputs"]["bytes"]) == (2, 21)


NAMES = ["a b.txt", "ü/ñ.txt", "100%.txt", "a%2Fb", "q?x=1", "h#y", "+plus+", "quote'\".txt", "<script>.html", "💾"]


@pytest.mark.parametrize("path", NAMES)
async def test_every_name_can_be_read_by_its_own_address(site: Site, path: str) -> None:
    job_id = (await site.submit())["id"]
    await site.store_file(job_id, path, path.encode())
    (file,) = (await site.http.get(f"{JOBS}/{job_id}/outputs")).json()["files"]
    assert file["path"] == path
    answer = await site.http.get(file["url"])
    assert (answer.status_code, answer.content) == (200, path.encode())
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename=")
    assert disposition.endswith("filename*=UTF-8''" + quote(path.rpartition("/")[2], safe=""))
    assert disposition.isascii()


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd",
        "..%2f..%2fdata%2ftoken",
        "%2e%2e/token",
        ".gateway/manifest.json",
        "a%2f..%2fb",
        "%2e%2fb",
    ],
)
async def test_a_path_that_is_not_in_the_catalogue_is_not_found(site: Site, path: str) -> None:
    job_id = (await site.submit())["id"]
    await site.store_file(job_id, "b", b"b")
    await site.gateway.stores["disk"].write(Place(job_id, ""), ".gateway/manifest.json", b"{}", "application/json")
    url = httpx.URL(site.running.url).copy_with(raw_path=f"{JOBS}/{job_id}/outputs/{path}".encode())
    assert (await site.http.get(url)).status_code == 404


async def stored(site: Site) -> str:
    job_id: str = (await site.submit())["id"]
    row = {"digest": DIGEST, "modified_at": AT, "content_type": "text/html"}
    await site.store_file(job_id, "d/page.html", DATA, row=row)
    return f"{JOBS}/{job_id}/outputs/d/page.html"


async def test_bytes_are_never_something_that_a_browser_would_run(site: Site) -> None:
    answer = await site.http.get(await stored(site))
    assert answer.content == DATA
    headers = {name: answer.headers[name] for name in answer.headers if name not in ("date", "x-request-id")}
    assert headers == {
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": "attachment; filename=\"page.html\"; filename*=UTF-8''page.html",
        "content-length": str(len(DATA)),
        "content-security-policy": "sandbox; default-src 'none'",
        "content-type": "text/html",
        "etag": f'"{DIGEST}"',
        "last-modified": "Fri, 02 Jan 2026 03:04:05 GMT",
        "x-content-type-options": "nosniff",
    }


SIZE = len(DATA)
RANGES: list[tuple[str, int, slice]] = [
    ("bytes=0-0", 206, slice(0, 1)),
    ("bytes=0-", 206, slice(0, SIZE)),
    ("bytes=100-199", 206, slice(100, 200)),
    (f"bytes=100-{SIZE * 2}", 206, slice(100, SIZE)),
    (f"bytes={SIZE - 1}-", 206, slice(SIZE - 1, SIZE)),
    ("bytes=-1", 206, slice(SIZE - 1, SIZE)),
    (f"bytes=-{SIZE * 2}", 206, slice(0, SIZE)),
    (f"bytes={SIZE}-", 416, slice(0)),
    ("bytes=-0", 416, slice(0)),
    ("bytes=5-4", 200, slice(0, SIZE)),
    ("bytes=0-1,3-4", 200, slice(0, SIZE)),
    ("bytes=a-b", 200, slice(0, SIZE)),
    ("bytes=-", 200, slice(0, SIZE)),
    ("lines=0-1", 200, slice(0, SIZE)),
    ("bytes=" + "9" * 30 + "-", 200, slice(0, SIZE)),
]


@pytest.mark.parametrize(("wanted", "status", "part"), RANGES, ids=[wanted for wanted, _, _ in RANGES])
async def test_one_range_of_the_bytes_can_be_had(site: Site, wanted: str, status: int, part: slice) -> None:
    url = await stored(site)
    answer = await site.http.get(url, headers={"Range": wanted})
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
        assert answer.json()["type"] == "urn:science-gateway:problem:range"
        return
    assert answer.content == DATA[part]
    if status == 206:
        start, stop, _ = part.indices(SIZE)
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    head = await site.http.head(url, headers={"Range": wanted})
    assert (head.status_code, head.content) == (status, b"")
    assert head.headers["Content-Length"] == answer.headers["Content-Length"]


async def test_a_reader_that_has_the_bytes_gets_none(site: Site) -> None:
    url = await stored(site)
    etag = f'"{DIGEST}"'
    for headers in (
        {"If-None-Match": etag},
        {"If-None-Match": f'"x", W/{etag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": "Fri, 02 Jan 2026 03:04:05 GMT"},
    ):
        answer = await site.http.get(url, headers=headers)
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    for headers in (
        {"If-None-Match": '"x"', "If-Modified-Since": "Fri, 02 Jan 2026 03:04:05 GMT"},
        {"If-Modified-Since": "Fri, 02 Jan 2026 03:04:04 GMT"},
        {"If-Modified-Since": "nonsense"},
    ):
        assert (await site.http.get(url, headers=headers)).status_code == 200


async def test_a_range_of_an_older_version_gives_the_whole(site: Site) -> None:
    url = await stored(site)
    same = await site.http.get(url, headers={"Range": "bytes=0-3", "If-Range": f'"{DIGEST}"'})
    older = await site.http.get(url, headers={"Range": "bytes=0-3", "If-Range": '"older"'})
    dated = await site.http.get(url, headers={"Range": "bytes=0-3", "If-Range": "Fri, 02 Jan 2026 03:04:05 GMT"})
    assert [answer.status_code for answer in (same, older, dated)] == [206, 200, 200]
    assert older.content == DATA


async def test_an_empty_file_is_given(site: Site) -> None:
    job_id = (await site.submit())["id"]
    await site.store_file(job_id, "empty", b"")
    url = f"{JOBS}/{job_id}/outputs/empty"
    answer = await site.http.get(url)
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "0")
    assert (await site.http.get(url, headers={"Range": "bytes=0-"})).status_code == 416


async def test_a_growing_file_is_given_as_it_stands_in_the_store(site: Site) -> None:
    job_id = (await site.submit())["id"]
    await site.store_file(job_id, "log", b"one two", row={"state": "partial", "size": 3})
    first = await site.http.get(f"{JOBS}/{job_id}/outputs/log")
    assert (first.content, first.headers["Content-Length"]) == (b"one two", "7")
    await site.gateway.stores["disk"].write(Place(job_id, ""), "log", b"one two three", "text/plain")
    second = await site.http.get(f"{JOBS}/{job_id}/outputs/log")
    assert second.content == b"one two three"
    assert second.headers["ETag"] != first.headers["ETag"]


async def test_a_file_that_is_gone_from_the_store_is_not_found(site: Site) -> None:
    job_id = await job_with(site, "gone")
    answer = await site.http.get(f"{JOBS}/{job_id}/outputs/gone")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


async def test_a_file_that_became_shorter_breaks_the_answer_off(site: Site) -> None:
    job_id = (await site.submit())["id"]
    await site.store_file(job_id, "short", b"x" * 10, row={"size": 1000})
    with pytest.raises(httpx.RemoteProtocolError):
        await site.http.get(f"{JOBS}/{job_id}/outputs/short")
    assert (await site.http.get(JOBS)).status_code == 200


async def test_a_large_file_is_streamed_whole(site: Site) -> None:
    job_id = (await site.submit())["id"]
    data = bytes(range(256)) * (4 * 12 * 1024)
    await site.store_file(job_id, "large", data)
    seen = bytearray()
    async with site.http.stream("GET", f"{JOBS}/{job_id}/outputs/large") as answer:
        async for piece in answer.aiter_bytes():
            seen += piece
    assert seen == data
    async with site.http.stream("GET", f"{JOBS}/{job_id}/outputs/large") as answer:
        assert answer.status_code == 200
    assert (await site.http.get(JOBS)).status_code == 200


async def test_a_redirect_is_given_only_by_a_store_that_can_sign(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    url = await stored(site)
    plain = await site.http.get(url, params={"redirect": "1"})
    assert (plain.status_code, plain.content) == (200, DATA)

    async def sign(place: Place, path: str, valid_for: object, download_name: str) -> str:
        return f"https://store.example.org/{place.prefix}/{path}?signature=x&name={download_name}"

    monkeypatch.setattr(site.gateway.stores["disk"], "signed_url", sign)
    answer = await site.http.get(url, params={"redirect": "1"})
    job_id = url.split("/")[4]
    assert answer.status_code == 302
    address = f"https://store.example.org/{job_id}/d/page.html?signature=x&name=page.html"
    assert answer.headers["Location"] == address
    assert answer.headers["Cache-Control"] == "no-store"


async def test_outputs_are_found_below_the_path_that_the_job_chose(site: Site) -> None:
    job_id = (await site.submit(stores=[{"store": "disk", "path": "re-scan/100"}]))["id"]
    place = Place(job_id, "", path="re-scan/100")
    await site.gateway.stores["disk"].write(place, "a", b"abc", "text/plain")
    row = outputs.OutputRow(path="a", size=3, state="final", attempt=1)
    await site.gateway.database.write(lambda c: outputs.upsert(c, job_id, "disk", [row]))
    assert (await site.http.get(f"{JOBS}/{job_id}/outputs/a")).content == b"abc"


async def test_the_manifest_is_not_found_until_it_is_written(site: Site) -> None:
    job_id = (await site.submit())["id"]
    assert (await site.http.get(f"{JOBS}/{job_id}/manifest")).status_code == 404
    await site.gateway.stores["disk"].write(
        Place(job_id, ""), ".gateway/manifest.json", b'{"a": 1}', "application/json"
    )
    answer = await site.http.get(f"{JOBS}/{job_id}/manifest")
    assert (answer.status_code, answer.json(), answer.headers["Content-Type"]) == (200, {"a": 1}, "application/json")


async def test_a_store_that_fails_in_the_middle_does_not_hang_the_reader(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await stored(site)

    async def read(*_: object) -> AsyncIterator[bytes]:
        yield DATA[:100]
        raise NotFound("gone")

    monkeypatch.setattr(site.gateway.stores["disk"], "read", read)
    with pytest.raises(httpx.RemoteProtocolError):
        await site.http.get(url)


async def test_the_jobs_totals_follow_the_catalogue(site: Site) -> None:
    job_id = await job_with(site, "a", "b/c")
    await site.gateway.database.write(lambda c: jobs.set_store(c, job_id, "disk", state="partial"))
    job = (await site.http.get(f"{JOBS}/{job_id}")).json()
    partial = {"state": "partial", "count": 2, "bytes": 3}
    assert job["outputs"].items() >= partial.items()
    assert job["outputs"]["stores"]["disk"].items() >= partial.items()
