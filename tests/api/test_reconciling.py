"""Reconciling a store with the catalogue: rows follow what is there, and folders are taken over only where signed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update

from gateway.db import jobs, outputs, reconciling
from gateway.db.tables import folders, job_stores
from gateway.model.states import State
from gateway.storage.manifest import ManifestFile
from gateway.storage.signing import MANIFEST_PATH
from gateway.storage.stores.base import Place
from tests.api.conftest import JOBS, Site, open_site, settings_for
from tests.api.settled import FILES, ended_job, sign, write
from tests.api.somebody import stranger

Line = dict[str, Any]


async def reconcile(site: Site, store: str = "disk", **query: Any) -> tuple[list[Line], Line]:
    """Reconcile; return what was told of jobs and folders, and the sums."""
    answer = await site.http.post(f"/api/v1/stores/{store}/reconcile", params=query)
    assert answer.status_code == 200, answer.text
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[-1]["kind"] == "done", lines[-1]
    return [line for line in lines[:-1] if line["kind"] != "progress"], lines[-1]


async def listed(site: Site, job_id: str, store: str = "disk") -> dict[str, tuple[int, str]]:
    answer = await site.http.get(f"{JOBS}/{job_id}/outputs", params={"store": store})
    assert answer.status_code == 200, answer.text
    return {file["path"]: (file["size"], file["state"]) for file in answer.json()["files"]}


async def totals_are_right(site: Site) -> None:
    """Every folder's kept total is what counting gives."""

    def look(connection: Any) -> None:
        for job_id, store in connection.execute(select(job_stores.c.job_id, job_stores.c.store)).all():
            before = reconciling.totals(connection, job_id, store)
            counted: dict[str, list[int]] = {"": [0, 0]}
            for entry in reconciling.entries(connection, job_id, store):
                outputs.count_in(counted, entry.path, 1, entry.size)
            assert before == {prefix: tuple(numbers) for prefix, numbers in counted.items()}

    await site.gateway.database.read(look)


def folder_of(site: Site, job_id: str, store: str = "outputs") -> Path:
    return Path(site.gateway.data, store, job_id)


async def test_nothing_is_told_of_a_store_that_is_as_the_catalogue_says(site: Site) -> None:
    ids = [await ended_job(site) for _ in range(3)]
    lines, done = await reconcile(site)
    assert (lines, done["jobs"], done["added"] + done["removed"] + done["changed"]) == ([], 3, 0)
    assert done["objects"] == 3 * (len(FILES) + 1)
    assert [len(await listed(site, job_id)) for job_id in ids] == [4, 4, 4]


async def test_rows_follow_what_is_in_the_store(site: Site) -> None:
    job_id = await ended_job(site)
    await write(site, job_id, "VTK/new/c.vtk", b"c")
    await write(site, job_id, "log.txt", b"longer than before")
    folder_of(site, job_id).joinpath("VTK/b.vtk").unlink()
    expected = {"kind": "job", "job_id": job_id, "added": 1, "removed": 1, "changed": 1, "totals": False}
    before = await listed(site, job_id)
    (line,), _ = await reconcile(site, dry_run=1)
    assert line.items() >= {**expected, "done": False}.items()
    assert await listed(site, job_id) == before
    (line,), done = await reconcile(site)
    assert line.items() >= {**expected, "done": True, "paths": ["VTK/new/c.vtk", "VTK/b.vtk", "log.txt"]}.items()
    assert (done["added"], done["removed"], done["changed"], done["done"]) == (1, 1, 1, True)
    assert await listed(site, job_id) == {
        "VTK/a.vtk": (100, "final"), "VTK/new/c.vtk": (1, "partial"), "log.txt": (18, "partial"), "empty": (0, "final"),
    }  # fmt: skip
    job = (await site.http.get(f"{JOBS}/{job_id}")).json()
    assert (job["outputs"]["state"], job["outputs"]["count"], job["outputs"]["bytes"]) == ("partial", 4, 119)
    assert "gone from the store" in job["outputs"]["stores"]["disk"]["problem"]
    await totals_are_right(site)
    assert (await reconcile(site))[0] == []


async def test_rows_and_totals_that_were_lost_come_back_as_they_were_signed(site: Site) -> None:
    job_id, other = await ended_job(site), await ended_job(site)
    before = await listed(site, job_id)

    def lose(connection: Any) -> None:
        outputs.remove(connection, job_id, "disk", list(FILES))
        jobs.set_store(connection, job_id, "disk", state="none")
        connection.execute(update(folders).where(folders.c.job_id == other).values(count=7))

    await site.gateway.database.write(lose)
    lines, _ = await reconcile(site)
    told = {line["job_id"]: (line["added"], line["totals"]) for line in lines}
    assert told == {job_id: (4, False), other: (0, True)}
    assert await listed(site, job_id) == before
    assert (await site.http.get(f"{JOBS}/{job_id}")).json()["outputs"]["state"] == "complete"
    await totals_are_right(site)


async def test_what_live_jobs_write_is_left_alone(site: Site) -> None:
    job_id = (await site.submit())["id"]
    await site.store_file(job_id, "a", b"a", row={"state": "partial"})
    await write(site, job_id, "b", b"b")
    folder_of(site, job_id).joinpath("a").unlink()
    await site.move(job_id, State.STAGING, State.QUEUED, State.RUNNING)
    lines, done = await reconcile(site)
    assert (lines, done["detail"]) == ([], "places that were left alone: 1")
    (line,), _ = await reconcile(site, job=job_id)
    assert (line["kind"], line["detail"]) == ("skipped", "the job is running")
    assert list(await listed(site, job_id)) == ["a"]


async def test_a_row_that_is_newer_than_the_listing_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await ended_job(site)
    folder_of(site, job_id).joinpath("VTK/a.vtk").unlink()
    store = site.gateway.stores["disk"]
    everything = store.everything

    async def slow() -> Any:
        async for found in everything():
            yield found
        row = outputs.OutputRow("VTK/a.vtk", 100, "final", 1, stored_at=jobs.now())
        await site.gateway.database.write(lambda c: outputs.upsert(c, job_id, "disk", [row]))

    monkeypatch.setattr(store, "everything", slow)
    await reconcile(site)
    assert "VTK/a.vtk" in await listed(site, job_id)


async def test_only_the_place_of_one_job_is_read_where_asked(site: Site) -> None:
    ids = [await ended_job(site) for _ in range(2)]
    for job_id in ids:
        await write(site, job_id, "new", b"x")
    (line,), done = await reconcile(site, job=ids[0])
    assert (line["job_id"], done["jobs"], done["objects"]) == (ids[0], 1, len(FILES) + 2)
    assert ["new" in await listed(site, job_id) for job_id in ids] == [True, False]


async def test_places_with_paths_of_their_own_are_known_and_shared_ones_are_left_alone(site: Site) -> None:
    found = {}
    for path in ("scan/1", "scan/2", "both", "both", "outer", "outer/inner"):
        job = await site.submit(stores=[{"store": "disk", "path": path}])
        await site.gateway.stores["disk"].write(Place(job["id"], "", path=path), "x/y", b"1", "text/plain")
        await site.move(job["id"], State.CANCELLED)
        found.setdefault(path, []).append(job["id"])
    await write(site, "scan", "3/stray", b"?")
    lines, _ = await reconcile(site)
    told = {line["folder"]: (line["kind"], line["added"]) for line in lines}
    assert told == {"scan/1": ("job", 1), "scan/2": ("job", 1), "scan": ("unknown", 0)}
    assert await listed(site, found["scan/1"][0]) == {"x/y": (1, "partial")}


async def test_a_folder_that_somebody_copied_to_another_store_becomes_one_of_the_jobs(site: Site) -> None:
    job_id = await ended_job(site)
    shutil.copytree(folder_of(site, job_id), folder_of(site, job_id, "archive"))
    (line,), _ = await reconcile(site, "archive", dry_run=1)
    assert (line["kind"], line["added"], line["done"]) == ("adopted", 4, False)
    (line,), _ = await reconcile(site, "archive")
    assert (line["kind"], line["added"], line["done"]) == ("adopted", 4, True)
    assert await listed(site, job_id, "archive") == await listed(site, job_id)
    job = (await site.http.get(f"{JOBS}/{job_id}")).json()
    assert (job["stores"], job["outputs"]["stores"]["archive"]["state"]) == (["disk", "archive"], "complete")
    data = await site.http.get(f"{JOBS}/{job_id}/outputs/VTK/a.vtk", params={"store": "archive"})
    assert data.content == FILES["VTK/a.vtk"]
    await totals_are_right(site)
    assert (await reconcile(site, "archive"))[0] == []


async def test_a_folder_of_another_gateway_becomes_a_job_only_where_a_known_key_signed_it(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "first")
    async with open_site(settings) as first:
        job_id = await ended_job(first)
        about = {"owner": "carol", "name": "lid", "outcome": "succeeded"}
        await sign(first, job_id, FILES, about=about)
        unsigned = await ended_job(first)
        folder_of(first, unsigned).joinpath(MANIFEST_PATH).unlink()
        forged = await ended_job(first, key=Ed25519PrivateKey.generate())
        wrong = await ended_job(first)
        shutil.copy(folder_of(first, job_id) / MANIFEST_PATH, folder_of(first, wrong) / MANIFEST_PATH)
        (key,) = (await first.http.get("/api/v1/signing-keys")).json()["items"]
        shutil.copytree(tmp_path / "first/outputs", tmp_path / "second/outputs")
    settings = settings_for(tmp_path / "second", gateway={"trusted_keys": [key["key"]]})
    async with open_site(settings) as second:
        await second.join("carol")
        lines, _ = await reconcile(second)
        told = {line["folder"]: (line["kind"], line["detail"]) for line in lines}
        assert told == {
            job_id: ("adopted", None),
            unsigned: ("unknown", "it has no signed manifest"),
            forged: ("unknown", "the manifest was changed, or signed by somebody else"),
            wrong: ("unknown", f"its manifest is that of job '{job_id}'"),
        }
        job = (await second.http.get(f"{JOBS}/{job_id}")).json()
        shown = {"owner": "carol", "name": "lid", "state": "succeeded", "reason": "imported", "target": "imported"}
        assert job.items() >= shown.items()
        assert (job["outputs"]["state"], job["outputs"]["count"]) == ("complete", 4)
        await totals_are_right(second)
        (again,) = [line for line in (await reconcile(second))[0] if line["kind"] != "unknown"] or [None]
        assert again is None
        begun = await second.http.post(f"{JOBS}/{job_id}/verification")
        assert begun.status_code == 202
        for what in ("rerun", "clone"):
            refused = await second.http.post(f"{JOBS}/{job_id}/{what}", json={} if what == "rerun" else None)
            assert refused.status_code == 422, refused.text
        for what in ("script", "attempts", "events", "logs/stdout", "data", "archive"):
            answer = await second.http.get(f"{JOBS}/{job_id}/{what}", headers={"Accept": "application/json"})
            assert answer.status_code in (200, 404, 409), f"{what}: {answer.text}"
        assert (await second.http.delete(f"{JOBS}/{job_id}")).status_code == 204


async def test_without_an_owner_that_is_known_here_an_adopted_job_is_the_admins(site: Site) -> None:
    job_id = await ended_job(site)
    await sign(site, job_id, FILES, about={"owner": "nobody", "name": "x\n", "outcome": "flying"}, attempt=3)
    await site.gateway.database.write(lambda c: jobs.delete(c, job_id))
    (line,), _ = await reconcile(site, job=job_id)
    assert (line["kind"], line["added"]) == ("adopted", 4)
    job = (await site.http.get(f"{JOBS}/{job_id}")).json()
    assert (job["owner"], job["state"], job["attempt"]) == (site.gateway.owner, "lost", 3)
    assert (job["name"], "not known" in job["message"]) == (f"imported {job_id[:8]}", True)


async def test_names_that_rclone_and_a_file_system_write_differently_are_one(site: Site) -> None:
    job_id = await ended_job(site, {})
    path = Path(folder_of(site, job_id), "odd")
    path.mkdir()
    Path(str(path).encode().decode(), "a\udcff").write_bytes(b"12")
    row = outputs.OutputRow("odd/a\N{REPLACEMENT CHARACTER}", 2, "final", 1)
    await site.gateway.database.write(lambda c: outputs.upsert(c, job_id, "disk", [row]))
    assert (await reconcile(site))[0] == []


async def test_only_an_admin_reconciles_and_only_a_store_that_is_there(site: Site) -> None:
    async with stranger(site) as alice:
        assert (await alice.post("/api/v1/stores/disk/reconcile")).status_code == 403
    assert (await site.http.post("/api/v1/stores/none/reconcile")).status_code == 404
    assert (await site.http.post("/api/v1/stores/disk/reconcile?job=x")).status_code == 422


async def test_a_manifest_that_is_partial_makes_nothing_final(site: Site) -> None:
    job_id = await ended_job(site)
    rows = [ManifestFile(path, len(data), None, "sha256:" + "0" * 64) for path, data in FILES.items()]
    await sign(site, job_id, {}, files=rows, state="partial", missing=["log.txt"])
    await site.gateway.database.write(lambda c: outputs.remove(c, job_id, "disk", list(FILES)))
    await site.gateway.database.write(lambda c: jobs.set_store(c, job_id, "disk", state="partial"))
    await reconcile(site)
    assert {state for _, state in (await listed(site, job_id)).values()} == {"partial"}
    assert (await site.http.get(f"{JOBS}/{job_id}")).json()["outputs"]["state"] == "partial"
