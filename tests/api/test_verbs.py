"""Hold, release and sync as intents; data series; logs that are cut while they are followed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.db import events, jobs
from gateway.jobs import logs, series
from gateway.model.states import State
from tests.api.conftest import JOBS, Site

DATA = [{"name": "drag", "label": "Drag", "file": "post/drag.csv", "x": "t"}]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at once, and often."""
    monkeypatch.setattr(series, "FRESH", 0.0)
    monkeypatch.setattr(series, "FOLLOW_INTERVAL", 0.02)
    monkeypatch.setattr(logs, "FOLLOW_INTERVAL", 0.02)


async def post(site: Site, job_id: str, verb: str, **headers: str) -> httpx.Response:
    """Ask for something."""
    return await site.http.post(f"{JOBS}/{job_id}/{verb}", headers=headers)


async def kinds(site: Site, job_id: str) -> list[str]:
    """The kinds of a job's events."""
    rows = await site.gateway.database.read(lambda c: events.after(c, 0, job_id=job_id))
    return [row["kind"] for row in rows]


async def test_holding_and_releasing_are_intents_that_change_nothing_twice(site: Site) -> None:
    job = await site.submit()
    answer = await post(site, job["id"], "hold", **{"If-Match": f'"{job["version"]}"'})
    held = answer.json()
    assert (answer.status_code, held["hold"], held["state"]) == (202, True, "accepted")
    assert answer.headers["ETag"] == f'"{held["version"]}"'
    assert (await post(site, job["id"], "hold")).json()["version"] == held["version"]
    assert (await post(site, job["id"], "release", **{"If-Match": '"1"'})).status_code == 412
    assert (await post(site, job["id"], "release")).json()["hold"] is False
    answer = await post(site, job["id"], "release")
    assert (answer.status_code, answer.json()["detail"]) == (409, "the job is not held by its owner")
    assert await kinds(site, job["id"]) == ["state", "hold_requested", "release_requested"]


async def test_only_what_has_not_begun_can_be_held_and_only_where_there_is_a_queue(site: Site) -> None:
    for target, expected in (("cluster", 202), ("here", 409)):
        job = await site.submit(target=target, image="/images/a.sif" if target == "cluster" else None)
        await site.move(job["id"], State.STAGING)
        await site.move(job["id"], State.QUEUED)
        assert (await post(site, job["id"], "hold")).status_code == expected
        await site.move(job["id"], State.RUNNING)
        answer = await post(site, job["id"], "hold")
        assert (answer.status_code, "running" in answer.json()["detail"]) == (409, True)
        await site.move(job["id"], State.FINALIZING, State.SUCCEEDED)
        for verb in ("hold", "release", "sync"):
            assert (await post(site, job["id"], verb)).status_code == 409
    for verb in ("hold", "release", "sync"):
        assert (await post(site, "00000000-0000-4000-8000-000000000000", verb)).status_code == 404


async def test_only_a_running_job_can_be_told_to_copy_its_outputs_now(site: Site) -> None:
    job = await site.submit()
    assert (await post(site, job["id"], "sync")).status_code == 409
    await site.move(job["id"], State.STAGING, State.QUEUED, State.RUNNING)
    assert (await post(site, job["id"], "sync")).status_code == 202
    assert "sync_requested" in await kinds(site, job["id"])


async def test_an_ended_job_can_be_told_to_try_again_what_is_missing_of_its_outputs(site: Site) -> None:
    job = await site.submit()
    job_id, store = job["id"], job["stores"][0]
    await site.attempt(job_id, claimed_at=jobs.now())
    await site.move(job_id, State.STAGING, State.QUEUED, State.RUNNING, State.FINALIZING, State.FAILED)
    await site.gateway.database.write(
        lambda c: jobs.set_store(c, job_id, store, state="partial", problem="it was down", tries=9)
    )
    before = (await site.http.get(f"{JOBS}/{job_id}")).json()
    assert (before["outputs"]["problem"], before["outputs"]["rescue_at"]) == ("it was down", None)
    answer = await post(site, job_id, "sync")
    assert (answer.status_code, answer.json()["state"]) == (202, "failed")
    assert answer.json()["outputs"]["stores"][store]["rescue_at"] is not None
    assert (await kinds(site, job_id))[-1] == "sync_requested"
    await site.gateway.database.write(lambda c: jobs.set_store(c, job_id, store, state="rescued"))
    assert (await post(site, job_id, "sync")).status_code == 409


async def plotted(site: Site, folder: Path, data: list[dict[str, Any]] = DATA, **changes: Any) -> str:
    """A running job whose folder on the target is `folder`."""
    job_id: str = (await site.submit(data=data, **changes))["id"]
    (folder / "post").mkdir(parents=True)
    await site.attempt(job_id, job_folder=str(folder))
    await site.move(job_id, State.STAGING, State.QUEUED, State.RUNNING)
    return job_id


async def rows(site: Site, job_id: str, name: str = "drag", **query: Any) -> dict[str, Any]:
    """Read a series."""
    answer = await site.http.get(f"{JOBS}/{job_id}/data/{name}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_series_grows_in_pages_and_is_whole_at_the_end(site: Site, tmp_path: Path) -> None:
    job_id = await plotted(site, tmp_path / "job")
    assert (await rows(site, job_id))["rows"] == []
    file = tmp_path / "job/post/drag.csv"
    file.write_text("t,cd\n0.1,1.5\n0.2,nan\n0.3,1.")
    found = await rows(site, job_id)
    assert found == {
        "name": "drag",
        "columns": [{"name": "t", "label": None, "unit": None}, {"name": "cd", "label": None, "unit": None}],
        "rows": [[0.1, 1.5], [0.2, None]],
        "next": 2,
        "reset": False,
        "ended": False,
    }
    page = await rows(site, job_id, after=1, limit=1)
    assert (page["rows"], page["next"]) == ([[0.2, None]], 2)
    file.write_text("t,cd\n0.1,1.5\n0.2,nan\n0.3,1.25\n0.4,1")
    assert (await rows(site, job_id, after=2))["rows"] == [[0.3, 1.25]]
    await site.move(job_id, State.FINALIZING, State.SUCCEEDED)
    last = await rows(site, job_id, after=3)
    assert (last["rows"], last["next"], last["ended"]) == ([[0.4, 1]], 4, True)
    page = (await site.http.get(f"{JOBS}/{job_id}/data")).json()
    assert [(item["name"], item["label"], item["x"], item["rows"]) for item in page["items"]] == [
        ("drag", "Drag", "t", 4)
    ]


async def test_a_file_that_was_written_anew_is_told_as_such(site: Site, tmp_path: Path) -> None:
    job_id = await plotted(site, tmp_path / "job")
    file = tmp_path / "job/post/drag.csv"
    file.write_text("t,cd\n1,1\n2,2\n")
    assert (await rows(site, job_id))["next"] == 2
    file.write_text("t,cd\n9,9\n")
    found = await rows(site, job_id, after=2)
    assert (found["reset"], found["rows"]) == (True, [[9, 9]])
    assert (await rows(site, job_id, after=found["next"]))["reset"] is False
    file.write_text("t,cd\n7,7\n" + "8,8\n" * 50)  # longer than before, and another one
    again = await rows(site, job_id, after=found["next"])
    assert (again["reset"], len(again["rows"])) == (True, 51)
    whole = await rows(site, job_id)
    assert (whole["reset"], len(whole["rows"])) == (False, 51)


async def test_an_array_in_json_that_is_written_anew_with_more_in_it_only_grows(site: Site, tmp_path: Path) -> None:
    job_id = await plotted(site, tmp_path / "job", [{"name": "drag", "file": "a.json", "columns": [{"name": "v"}]}])
    (tmp_path / "job/a.json").write_text('[{"v": 1}, {"v": 2}]')
    assert (await rows(site, job_id))["rows"] == [[1], [2]]
    (tmp_path / "job/a.json").write_text('[{"v": 1}, {"v": 2}, {"v": 3}]')
    found = await rows(site, job_id, after=2)
    assert (found["reset"], found["rows"]) == (False, [[3]])


async def test_after_the_end_a_series_is_read_where_its_outputs_are(site: Site, tmp_path: Path) -> None:
    outputs = [{"source": "post/**", "destination": "plots/"}]
    job_id = await plotted(site, tmp_path / "job", outputs=outputs)
    await site.store_file(job_id, "plots/drag.csv", b"t,cd\n1,2\n3,4")
    await site.move(job_id, State.FINALIZING, State.SUCCEEDED)
    found = await rows(site, job_id)
    assert (found["rows"], found["ended"]) == ([[1, 2], [3, 4]], True)


async def test_a_link_in_the_jobs_folder_leads_nowhere(site: Site, tmp_path: Path) -> None:
    job_id = await plotted(site, tmp_path / "job")
    (tmp_path / "secret.csv").write_text("1,2\n")
    (tmp_path / "job/post/drag.csv").symlink_to(tmp_path / "secret.csv")
    assert (await rows(site, job_id))["rows"] == []


async def test_a_series_that_is_not_there_is_named_and_so_are_wrong_parameters(site: Site) -> None:
    job = await site.submit(data=DATA)
    answer = await site.http.get(f"{JOBS}/{job['id']}/data/lift")
    assert (answer.status_code, "it has: drag" in answer.json()["detail"]) == (404, True)
    answer = await site.http.get(f"{JOBS}/{job['id']}/data/lift?follow=1")
    assert answer.status_code == 404
    for query in ("after=-1", "limit=0", "limit=x", "offset=1"):
        assert (await site.http.get(f"{JOBS}/{job['id']}/data/drag?{query}")).status_code == 422
    assert (await site.http.get(f"{JOBS}/00000000-0000-4000-8000-000000000000/data")).status_code == 404


async def test_a_followed_series_tells_what_comes_and_ends_with_the_job(site: Site, tmp_path: Path) -> None:
    job_id = await plotted(site, tmp_path / "job")
    file = tmp_path / "job/post/drag.csv"
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(20), site.http.stream("GET", f"{JOBS}/{job_id}/data/drag?follow=1") as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        async for line in answer.aiter_lines():
            if not line.startswith("data: "):
                continue
            seen.append(json.loads(line[6:]))
            if len(seen) == 1:
                file.write_text("t,cd\n1,1\n2,2\n")
            elif len(seen) == 2:
                file.write_text("t,cd\n5,5\n")
            elif len(seen) == 3:
                file.write_text("t,cd\n5,5\n6,6")
                await site.move(job_id, State.FINALIZING, State.SUCCEEDED)
    told = [(found["rows"], found["reset"], found["ended"]) for found in seen]
    assert told == [
        ([], False, False),
        ([[1, 1], [2, 2]], False, False),
        ([[5, 5]], True, False),
        ([[6, 6]], False, True),
    ]


async def test_many_readers_of_a_series_share_one_look(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "FRESH", 60.0)
    job_id = await plotted(site, tmp_path / "job")
    (tmp_path / "job/post/drag.csv").write_text("t,cd\n1,1\n")
    found = await asyncio.gather(*(rows(site, job_id) for _ in range(20)))
    assert all(item["rows"] == [[1, 1]] for item in found)
    (tmp_path / "job/post/drag.csv").unlink()
    assert (await rows(site, job_id))["rows"] == [[1, 1]]


async def test_a_followed_log_that_is_cut_begins_again_and_says_so(site: Site, tmp_path: Path) -> None:
    job_id: str = (await site.submit())["id"]
    await site.attempt(job_id, control_folder=str(tmp_path))
    log = tmp_path / "payload.out"
    log.write_bytes(b"one\ntwo\n")
    await site.move(job_id, State.STAGING, State.QUEUED, State.RUNNING)
    seen = b""
    async with asyncio.timeout(20), site.http.stream("GET", f"{JOBS}/{job_id}/logs/stdout?follow=1") as answer:
        async for piece in answer.aiter_bytes():
            seen += piece
            if seen == b"one\ntwo\n":
                log.write_bytes(b"new\n")
            elif seen.endswith(b"new\n"):
                await site.move(job_id, State.FINALIZING, State.SUCCEEDED)
    assert seen == b"one\ntwo\n" + logs.BEGINS_AGAIN + b"new\n"
