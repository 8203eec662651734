"""Uploads over HTTP: streamed, resumable, proved, each person's own."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.api.tornado_adapter import MAX_BODY
from gateway.jobs import upload_files
from gateway.jobs.upload_files import whole_file
from tests.api.conftest import Site, open_site, settings_for

UPLOADS = "/api/v1/uploads"
DATA = bytes(range(256)) * 8192


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def loop_scope() -> str:
    return "module"


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def kept(site: Site) -> list[str]:
    """Names of all files of uploads."""
    return sorted(file.name for file in site.gateway.uploads.folder.rglob("*") if file.is_file())


async def test_a_file_comes_in_whole_and_is_found_by_id_and_by_digest(site: Site) -> None:
    answer = await site.http.post(UPLOADS, content=DATA, headers={"Upload-Digest": digest_of(DATA)})
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["digest"], found["size"], found["received"]) == (digest_of(DATA), len(DATA), len(DATA))
    assert found["complete"]
    assert answer.headers["Location"] == f"{UPLOADS}/{found['id']}"
    for name in (found["id"], found["digest"]):
        assert (await site.http.get(f"{UPLOADS}/{name}")).json() == found
    assert whole_file(site.gateway.uploads.folder, site.gateway.owner, digest_of(DATA)).read_bytes() == DATA
    assert (await site.http.get(UPLOADS)).json() == {"items": [found], "next_cursor": None}


async def test_a_body_beyond_the_limit_of_other_routes_is_streamed(site: Site) -> None:
    part = bytes(1024 * 1024)
    many = MAX_BODY // len(part) + 2
    answer = await site.http.post(UPLOADS, content=pieces(*[part] * many))
    assert answer.status_code == 201
    assert answer.json()["size"] == many * len(part)
    assert answer.json()["digest"] == digest_of(part * many)


async def test_an_upload_goes_on_where_it_stopped(site: Site) -> None:
    headers = {"Upload-Digest": digest_of(DATA), "Upload-Length": str(len(DATA))}
    first = (await site.http.post(UPLOADS, content=DATA[:1000], headers=headers)).json()
    assert (first["received"], first["complete"], first["size"]) == (1000, False, len(DATA))
    assert (await site.http.get(f"{UPLOADS}/{digest_of(DATA)}")).json()["id"] == first["id"]
    url = f"{UPLOADS}/{first['id']}"
    wrong = await site.http.patch(url, content=b"x", headers={"Upload-Offset": "999"})
    assert (wrong.status_code, wrong.json()["detail"]) == (409, "the upload goes on at byte 1000, not 999")
    assert (await site.http.patch(url, content=b"x")).status_code == 422
    second = (await site.http.patch(url, content=DATA[1000:5000], headers={"Upload-Offset": "1000"})).json()
    assert (second["received"], second["complete"]) == (5000, False)
    last = (await site.http.patch(url, content=DATA[5000:], headers={"Upload-Offset": "5000"})).json()
    assert (last["received"], last["complete"], last["digest"]) == (len(DATA), True, digest_of(DATA))
    again = await site.http.patch(url, content=b"x", headers={"Upload-Offset": str(len(DATA))})
    assert again.status_code == 409
    assert kept(site) == [digest_of(DATA).removeprefix("sha256:")]


async def test_what_came_before_the_client_went_away_is_kept(site: Site) -> None:
    parts = urlsplit(site.running.url)
    assert parts.hostname is not None
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = (
        f"POST {UPLOADS} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {site.token}\r\n"
        f"Upload-Digest: {digest_of(DATA)}\r\nContent-Length: {len(DATA)}\r\n\r\n"
    )
    writer.write(head.encode() + DATA[:70_000])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    url = f"{UPLOADS}/{digest_of(DATA)}"
    async with asyncio.timeout(20):
        while (found := (await site.http.get(url)).json()).get("received") != 70_000:
            await asyncio.sleep(0.02)
    assert not found["complete"]
    rest = DATA[found["received"] :]
    done = await site.http.patch(url, content=rest, headers={"Upload-Offset": str(found["received"])})
    assert done.json()["complete"], done.text


async def test_a_wrong_digest_is_refused_and_nothing_is_kept(site: Site) -> None:
    answer = await site.http.post(UPLOADS, content=DATA, headers={"Upload-Digest": digest_of(b"")})
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"the file's digest is {digest_of(DATA)}, not the announced {digest_of(b'')}"
    assert (await site.http.get(UPLOADS)).json()["items"] == []
    assert kept(site) == []


async def test_more_bytes_than_announced_are_refused_and_nothing_is_kept(site: Site) -> None:
    answer = await site.http.post(UPLOADS, content=DATA, headers={"Upload-Length": "10"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "more than the announced 10 bytes came")
    assert kept(site) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("Upload-Digest", "md5:abc"), ("Upload-Digest", "sha256:AB"), ("Upload-Length", "-1"), ("Upload-Length", "1e3")],
)
async def test_headers_that_cannot_be_read_are_refused(site: Site, name: str, value: str) -> None:
    answer = await site.http.post(UPLOADS, content=b"x", headers={name: value})
    assert answer.status_code == 422
    assert name in answer.json()["detail"]


async def test_an_empty_file_is_a_file(site: Site) -> None:
    found = (await site.http.post(UPLOADS, content=b"")).json()
    assert (found["size"], found["complete"], found["digest"]) == (0, True, digest_of(b""))


async def test_the_same_file_twice_is_one(site: Site) -> None:
    first = (await site.http.post(UPLOADS, content=DATA)).json()
    second = (await site.http.post(UPLOADS, content=DATA)).json()
    third = (await site.http.post(UPLOADS, content=b"", headers={"Upload-Digest": first["digest"]})).json()
    assert first["id"] == second["id"] == third["id"]
    assert len(kept(site)) == 1


def opened() -> set[Path]:
    """Return the files that this process, and with it the gateway, has open."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(entry.readlink())
    return found


async def test_two_requests_never_write_one_upload_at_a_time(site: Site) -> None:
    first = (await site.http.post(UPLOADS, content=b"", headers={"Upload-Length": "2000"})).json()
    url = f"{UPLOADS}/{first['id']}"
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"a" * 1000
        begun.set()
        await go_on.wait()
        yield b"a" * 1000

    sending = asyncio.create_task(site.http.patch(url, content=slow(), headers={"Upload-Offset": "0"}))
    await begun.wait()
    part = site.gateway.uploads.folder / f"{first['id']}.part"
    async with asyncio.timeout(60):
        while part not in opened():
            await asyncio.sleep(0.01)
    other = await site.http.patch(url, content=b"b", headers={"Upload-Offset": "0"})
    assert other.status_code == 409
    assert "another request" in other.json()["detail"]
    go_on.set()
    assert (await sending).json()["digest"] == digest_of(b"a" * 2000)


async def test_the_limit_of_a_person_holds(tmp_path: Path) -> None:
    changed = settings_for(tmp_path / "data", gateway={"upload_limit": "10K"})
    async with open_site(changed) as site:
        assert (await site.http.post(UPLOADS, content=bytes(10_000))).status_code == 201
        for content in (bytes(1000), pieces(bytes(1000))):
            answer = await site.http.post(UPLOADS, content=content)
            assert answer.status_code == 413
            assert "10240 are allowed" in answer.json()["detail"]
        assert len(kept(site)) == 1


async def test_a_disk_without_room_is_told_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_files, "SPARE", 2**60)
    answer = await site.http.post(UPLOADS, content=DATA)
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:science-gateway:problem:no-room")
    assert (await site.http.get(UPLOADS)).json()["items"] == []


async def test_uploads_of_others_are_not_there(site: Site) -> None:
    found = (await site.http.post(UPLOADS, content=DATA)).json()
    uploads = site.gateway.uploads
    for name in (found["id"], found["digest"]):
        for call in (uploads.get(name, "other"), uploads.delete(name, "other")):
            with pytest.raises(Exception, match="there is no upload"):
                await call
    assert (await uploads.list("other", limit=10)).items == []


async def test_a_removed_upload_is_gone_with_its_file(site: Site) -> None:
    found = (await site.http.post(UPLOADS, content=DATA)).json()
    assert (await site.http.delete(f"{UPLOADS}/{found['digest']}")).status_code == 204
    assert (await site.http.get(f"{UPLOADS}/{found['id']}")).status_code == 404
    assert kept(site) == []


async def test_the_list_has_pages(site: Site) -> None:
    ids = [(await site.http.post(UPLOADS, content=bytes([n]))).json()["id"] for n in range(5)]
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await site.http.get(UPLOADS, params=query)).json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == ids[::-1]


async def test_what_nobody_used_for_long_expires_with_its_file(site: Site) -> None:
    await site.http.post(UPLOADS, content=DATA)
    await site.http.post(UPLOADS, content=b"half", headers={"Upload-Length": "100"})
    used = (await site.http.post(UPLOADS, content=b"used")).json()
    await site.submit(inputs=[{"path": "a", "upload": used["digest"]}])
    uploads = site.gateway.uploads
    assert await uploads.expire() == 0
    assert await uploads.expire(datetime.now(UTC) + uploads.kept_for + timedelta(minutes=1)) == 2
    assert kept(site) == [used["digest"].removeprefix("sha256:")]
    answer = await site.http.delete(f"{UPLOADS}/{used['id']}")
    assert (answer.status_code, answer.json()["detail"]) == (409, "a job that has not ended uses this upload")


async def test_a_stranger_is_refused_before_the_body_is_read(site: Site) -> None:
    parts = urlsplit(site.running.url)
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=10):
        async with httpx.AsyncClient(base_url=site.running.url, trust_env=False) as stranger:
            answer = await stranger.post(UPLOADS, content=DATA)
    assert answer.status_code == 401
    assert kept(site) == []
