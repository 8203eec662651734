"""Verifying outputs again: what somebody did to a store after the job ended is named, file by file."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update

from gateway.db import jobs, outputs, verifications
from gateway.db.tables import verifications as verifications_table
from gateway.jobs import verification, verifying
from gateway.model.states import State
from gateway.storage.manifest import ManifestFile
from gateway.storage.signing import MANIFEST_PATH, public_key_text
from gateway.storage.stores.base import Place
from tests.api.conftest import JOBS, Site, open_site, settings_for
from tests.api.settled import FILES, ended_job, sign, write

KEYS = "/api/v1/signing-keys"


async def verified(site: Site, job_id: str, **query: Any) -> dict[str, Any]:
    """Verify, and return what came of it."""
    url = f"{JOBS}/{job_id}/verification"
    begun = await site.http.post(url, params=query)
    assert begun.status_code == 202, begun.text
    while True:
        found: dict[str, Any] = (await site.http.get(url)).json()
        if found["state"] != "running":
            return found
        await asyncio.sleep(0.01)


def results(found: dict[str, Any]) -> dict[str, str]:
    return {item["path"]: item["result"] for item in found["findings"]}


async def test_outputs_that_nobody_touched_are_verified_and_the_job_says_when(site: Site) -> None:
    job_id = await ended_job(site)
    before = (await site.http.get(f"{JOBS}/{job_id}")).json()["version"]
    found = await verified(site, job_id)
    (own,) = (await site.http.get(KEYS)).json()["items"]
    size = sum(map(len, FILES.values()))
    assert (found["state"], found["verdict"], found["signature"], found["key"]) == (
        "done",
        "verified",
        "good",
        own["key"],
    )
    assert (found["files"], found["files_checked"], found["bytes"], found["bytes_checked"]) == (4, 4, size, size)
    assert (found["counts"], found["findings"], found["problem"]) == ({"ok": 4}, [], None)
    job = (await site.http.get(f"{JOBS}/{job_id}")).json()
    assert job["version"] > before
    for told in (job["outputs"], job["outputs"]["stores"]["disk"]):
        assert (told["verdict"], told["verified_at"]) == ("verified", found["ended_at"])
    events = (await site.http.get(f"{JOBS}/{job_id}/events", headers={"Accept": "application/json"})).json()["items"]
    assert [event["data"]["verdict"] for event in events if event["kind"] == "verified"] == ["verified"]


async def test_each_kind_of_damage_is_named(site: Site) -> None:
    job_id = await ended_job(site)
    await write(site, job_id, "VTK/a.vtk", b"A" * 100)
    await write(site, job_id, "VTK/b.vtk", b"b" * 69_999)
    await write(site, job_id, "log.txt", b"one\ntwo\nthree\n")
    await write(site, job_id, "new.exe", b"?")
    await write(site, job_id, "removed later", b"kept")
    kept = outputs.OutputRow("removed later", 4, "partial", 1)
    await site.gateway.database.write(lambda c: outputs.upsert(c, job_id, "disk", [kept]))
    Path(site.gateway.data, "outputs", job_id, "empty").unlink()
    found = await verified(site, job_id)
    assert (found["verdict"], found["signature"], found["kept"]) == ("failed", "good", 1)
    assert results(found) == {
        "VTK/a.vtk": "tampered", "VTK/b.vtk": "truncated", "log.txt": "grown", "new.exe": "extra", "empty": "missing",
    }  # fmt: skip
    assert found["counts"] == {"tampered": 1, "truncated": 1, "grown": 1, "extra": 1, "missing": 1}
    pages: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await site.http.get(f"{JOBS}/{job_id}/verification", params=query)).json()
        pages += results(page)
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert pages == sorted(results(found))


async def test_a_manifest_that_somebody_else_wrote_is_not_believed_and_the_catalogue_is_the_measure(site: Site) -> None:
    job_id = await ended_job(site)
    other = await ended_job(site, {"x": b"x"})
    place = Place(job_id, "")
    store = site.gateway.stores["disk"]
    good = b"".join([piece async for piece in store.read(place, MANIFEST_PATH)])
    foreign = b"".join([piece async for piece in store.read(Place(other, ""), MANIFEST_PATH)])
    await write(site, job_id, "VTK/a.vtk", b"A" * 100)
    lie = json.loads(good)
    lie["manifest"]["files"][0]["digest"] = f"sha256:{hashlib.sha256(b'A' * 100).hexdigest()}"
    for data, signature in ((json.dumps(lie).encode(), "bad"), (b"[]", "bad"), (foreign, "wrong")):
        await write(site, job_id, MANIFEST_PATH, data)
        found = await verified(site, job_id)
        assert (found["verdict"], found["signature"]) == ("failed", signature)
        assert results(found) == {"VTK/a.vtk": "tampered"}
    await sign(site, job_id, {}, state="partial", missing=["VTK/a.vtk"])
    found = await verified(site, job_id)
    assert (found["verdict"], found["signature"]) == ("failed", "wrong")  # older than what was proved
    Path(site.gateway.data, "outputs", job_id, MANIFEST_PATH).unlink()
    found = await verified(site, job_id)
    assert (found["verdict"], found["signature"], results(found)) == ("failed", "missing", {"VTK/a.vtk": "tampered"})


async def test_a_key_is_believed_where_the_configuration_names_it(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    public = public_key_text(key.public_key())
    for trusted, verdict in (((), "failed"), ((public,), "verified")):
        settings = settings_for(tmp_path / f"data-{len(trusted)}", gateway={"trusted_keys": list(trusted)})
        async with open_site(settings) as site:
            found = await verified(site, await ended_job(site, key=key))
            assert found["verdict"] == verdict
            keys = (await site.http.get(KEYS, headers={"Authorization": ""})).json()["items"]
            assert [item["key"] for item in keys if item["origin"] == "trusted"] == list(trusted)


async def test_a_manifest_that_names_missing_files_or_digests_leaves_it_incomplete(site: Site) -> None:
    job_id = await ended_job(site)
    await site.gateway.database.write(lambda c: jobs.set_store(c, job_id, "disk", state="partial"))
    await sign(site, job_id, FILES, state="partial", missing=["VTK/a.vtk"])
    found = await verified(site, job_id)
    assert (found["verdict"], found["completeness"], found["findings"]) == ("incomplete", "partial", [])
    assert "missing: 1" in found["problem"]
    await sign(site, job_id, {}, files=[ManifestFile(path, len(data)) for path, data in FILES.items()])
    found = await verified(site, job_id)
    assert (found["verdict"], found["counts"]) == ("incomplete", {"unproved": 4})


async def test_a_sample_reads_some_files_and_says_so(site: Site) -> None:
    job_id = await ended_job(site)
    found = await verified(site, job_id, sample=2)
    assert (found["verdict"], found["files"], found["counts"], found["sample"]) == ("sampled", 2, {"ok": 2}, 2)
    assert (await verified(site, job_id, sample=9))["verdict"] == "verified"
    await write(site, job_id, "extra", b"x")
    assert (await verified(site, job_id, sample=1))["verdict"] == "failed"


class Gate:
    """Reading stops in one file until it is opened."""

    def __init__(self, store: Any, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self.paths: list[str] = []
        read = store.read

        async def gated(place: Place, wanted: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
            if wanted == path:
                self.reached.set()
                await self.opened.wait()
            self.paths.append(wanted)
            async for piece in read(place, wanted, offset, length):
                yield piece

        monkeypatch.setattr(store, "read", gated)


async def test_it_is_cancelled_and_goes_on_where_it_stopped(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "READ_AT_ONCE", 1)
    monkeypatch.setattr(verification, "HEARTBEAT", 0.01)
    job_id = await ended_job(site)
    await write(site, job_id, "VTK/a.vtk", b"A" * 100)
    gate = Gate(site.gateway.stores["disk"], monkeypatch, "empty")
    url = f"{JOBS}/{job_id}/verification"
    assert (await site.http.delete(url)).status_code == 409
    assert (await site.http.post(url)).json()["state"] == "running"
    await gate.reached.wait()
    assert (await site.http.post(url)).json()["state"] == "running"
    while (await site.http.get(url)).json()["files_checked"] < 2:
        await asyncio.sleep(0.01)
    ended = await site.http.delete(url)
    assert (ended.status_code, ended.json()["state"], ended.json()["verdict"]) == (200, "cancelled", None)
    assert (await site.http.get(f"{JOBS}/{job_id}")).json()["outputs"]["verified_at"] is None
    gate.opened.set()
    gate.paths.clear()
    found = await verified(site, job_id)
    assert gate.paths == [MANIFEST_PATH, "empty", "log.txt"]
    assert (found["verdict"], results(found), found["files_checked"]) == ("failed", {"VTK/a.vtk": "tampered"}, 4)
    assert found["counts"] == {"ok": 3, "tampered": 1}
    gate.paths.clear()
    assert (await verified(site, job_id))["counts"] == {"ok": 3, "tampered": 1}
    assert len(gate.paths) == 5


async def test_one_that_waits_for_its_turn_keeps_what_an_earlier_try_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "HEARTBEAT", 0.01)
    job_id = await ended_job(site)
    verifier = site.gateway.verifier
    data = (await verified(site, job_id))["counts"]
    read = lambda c: verifications.get(c, job_id, "disk")
    done = await site.gateway.database.read(read)
    assert done is not None
    kept = {"state": "cancelled", "position": "log.txt", "verdict": None}
    change = update(verifications_table).values(**kept)
    await site.gateway.database.write(lambda c: c.execute(change))
    async with verifier._turn, verifier._turn:
        url = f"{JOBS}/{job_id}/verification"
        before = (await site.http.post(url)).json()["updated_at"]
        while (await site.http.get(url)).json()["updated_at"] == before:
            await asyncio.sleep(0.01)
        waiting = await site.gateway.database.read(read)
        assert waiting is not None
        assert (waiting["position"], waiting["report"]) == ("log.txt", done["report"])
    found = await verified(site, job_id)
    assert (found["verdict"], found["counts"]) == ("verified", data)


async def test_one_that_a_dead_process_left_is_interrupted_and_another_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await ended_job(site)
    begin = lambda c: verifications.begin(c, job_id, "disk", "a dead process", None, again=False)
    await site.gateway.database.write(begin)
    url = f"{JOBS}/{job_id}/verification"
    assert (await site.http.get(url)).json()["state"] == "running"
    assert (await site.http.post(url)).json()["state"] == "running"  # somebody else does it
    monkeypatch.setattr(verification, "STALE", -verification.STALE)
    assert (await site.http.get(url)).json()["state"] == "interrupted"
    await site.http.post(url)
    monkeypatch.undo()
    while (found := (await site.http.get(url)).json())["state"] == "running":
        await asyncio.sleep(0.01)
    assert (found["state"], found["verdict"]) == ("done", "verified")


async def test_what_cannot_be_verified_is_refused(site: Site) -> None:
    job_id = (await site.submit())["id"]
    url = f"{JOBS}/{job_id}/verification"
    assert (await site.http.get(url)).status_code == 404
    assert (await site.http.post(url)).status_code == 409
    await site.move(job_id, State.CANCELLED)
    answer = await site.http.post(url)
    assert (answer.status_code, answer.json()["detail"]) == (409, "there are no outputs in store disk")
    assert (await site.http.post(url, params={"store": "other"})).status_code == 422
