"""A list shows what was written before it was asked for, by whatever process, and nobody else's jobs."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from gateway.db import jobs
from gateway.model.states import State
from tests.api.conftest import JOBS, Site

RENAME = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("UPDATE jobs SET name = 'theirs' WHERE id = ?", [sys.argv[2]])
connection.commit()
"""


async def names(site: Site, **query: str) -> list[str]:
    answer = await site.http.get(JOBS, params=query)
    return [item["name"] for item in answer.json()["items"]]


async def test_a_list_shows_every_write_of_this_process_at_once(site: Site) -> None:
    for number in range(5):
        await site.submit(name=f"job {number}")
        assert await names(site) == [f"job {n}" for n in range(number, -1, -1)]
    [first, *_] = (await site.http.get(JOBS)).json()["items"]
    await site.move(first["id"], State.STAGING)
    assert (await site.http.get(JOBS)).json()["items"][0]["state"] == "staging"
    at = jobs.now()
    await site.gateway.database.write(lambda c: jobs.observe(c, [first["id"]], at))
    assert (await site.http.get(JOBS)).json()["items"][0]["observed_at"][:19] == at.isoformat()[:19]
    await site.http.delete(f"{JOBS}/{(await site.submit(name='gone'))['id']}")


async def test_a_list_shows_what_another_process_wrote(site: Site) -> None:
    job = await site.submit(name="mine")
    assert await names(site) == ["mine"]
    command = [sys.executable, "-c", RENAME, str(site.gateway.data / "gateway.db"), job["id"]]
    await asyncio.to_thread(subprocess.run, command, check=True)
    assert await names(site) == ["theirs"]


async def test_many_readers_at_once_each_see_their_own_page(site: Site) -> None:
    for number in range(6):
        await site.submit(name=f"job {number}", tags={"odd": str(number % 2)})
    queries = [{"limit": "2"}, {"limit": "4"}, {"tag": "odd:1"}, {"sort": "created_at"}, {"q": "job 3"}, {}]
    found = await asyncio.gather(*(names(site, **query) for query in queries * 5))
    alone = [await names(site, **query) for query in queries]
    assert found == alone * 5
    assert alone[4] == ["job 3"]


async def test_a_list_that_has_not_changed_is_not_sent_again(site: Site) -> None:
    await site.submit()
    first = await site.http.get(JOBS)
    again = await site.http.get(JOBS, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    await site.submit()
    changed = await site.http.get(JOBS, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


async def test_a_kept_page_is_never_shown_to_somebody_else(site: Site) -> None:
    await site.submit(name="mine")
    assert await names(site) == ["mine"]
    made = await site.http.post("/api/v1/users", json={"name": "zoe", "role": "user"})
    assert made.status_code == 201, made.text
    token = await site.http.post("/api/v1/tokens", json={"person": "zoe", "label": "hers"})
    assert token.status_code == 201, token.text
    hers = {"Authorization": f"Bearer {token.json()['secret']}"}
    for _ in range(2):
        assert await names(site) == ["mine"]
        assert (await site.http.get(JOBS, headers=hers)).json()["items"] == []


async def test_of_a_job_that_runs_it_is_never_said_that_nothing_changed(site: Site) -> None:
    job = await site.submit()
    url = f"{JOBS}/{job['id']}"
    await site.move(job["id"], State.STAGING, State.QUEUED, State.RUNNING)
    before = await site.http.get(url)
    await site.gateway.database.write(lambda c: jobs.set_store(c, job["id"], "disk", count=7))
    again = await site.http.get(url, headers={"If-None-Match": before.headers["ETag"]})
    assert (again.status_code, again.json()["outputs"]["count"]) == (200, 7)
    await site.move(job["id"], State.FINALIZING, State.SUCCEEDED)
    ended = await site.http.get(url, headers={"If-None-Match": before.headers["ETag"]})
    assert ended.json()["state"] == "succeeded"
    same = await site.http.get(url, headers={"If-None-Match": ended.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
