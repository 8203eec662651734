"""Lists of jobs over the API: filters, orders, pages, whose jobs; and requests about many jobs."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from gateway.api.queries import JobsQuery
from gateway.db import jobs
from gateway.db.job_lists import SORTS
from gateway.jobs import bulk
from gateway.model.states import State
from tests.api.conftest import JOBS, Site, specification
from tests.api.somebody import stranger

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


async def ids(site: Site, **query: Any) -> list[str]:
    answer = await site.http.get(JOBS, params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def own(site: Site, job_id: str, **values: Any) -> None:
    await site.gateway.database.write(lambda c: jobs.set_columns(c, job_id, **values))


def test_the_query_knows_every_order() -> None:
    assert set(get_args(JobsQuery.model_fields["sort"].annotation)) == set(SORTS)


async def test_every_filter_of_the_query_reaches_the_list(site: Site) -> None:
    one = await site.submit(name="first", notes="about turbulence")
    two = await site.submit(name="second")
    await own(site, one["id"], case="cavity")
    await own(site, two["id"], sweep=UNKNOWN_ID, sweep_index=0)
    await site.http.post(f"{JOBS}/{one['id']}/cancel")
    ended = (await site.http.get(f"{JOBS}/{one['id']}")).json()["ended_at"]
    assert await ids(site, case="cavity") == [one["id"]]
    assert await ids(site, sweep=UNKNOWN_ID) == [two["id"]]
    assert await ids(site, q="TURBULENCE") == [one["id"]]
    assert await ids(site, ended_after="2026-01-01") == [one["id"]]
    assert await ids(site, ended_before=ended) == []
    assert await ids(site, created_after="2026-01-01T00:00:00Z") == [two["id"], one["id"]]
    assert await ids(site, created_before="2026-01-01T00:00:00+01:00") == []
    assert await ids(site, sort="name", state="accepted,cancelled") == [one["id"], two["id"]]
    assert await ids(site, sort="-ended_at") == [one["id"], two["id"]]
    assert await ids(site, sort="ended_at") == [one["id"], two["id"]]
    assert await ids(site, sort="-sweep_index") == [two["id"], one["id"]]


async def test_a_cursor_goes_on_where_its_page_ended_and_is_good_for_its_order_only(site: Site) -> None:
    made = [(await site.submit(name=f"job {number // 2}"))["id"] for number in range(6)]
    for number, job_id in enumerate(made[:3]):
        await site.http.post(f"{JOBS}/{job_id}/cancel")
        await own(site, job_id, sweep_index=number)
    for sort in ("-created_at", "name", "-ended_at", "sweep_index"):
        whole = await ids(site, sort=sort)
        seen: list[str] = []
        query: dict[str, Any] = {"sort": sort, "limit": 1}
        while True:
            page = (await site.http.get(JOBS, params=query)).json()
            seen += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
            wrong = await site.http.get(JOBS, params={**query, "sort": "-target"})
            assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "?cursor")
        assert seen == whole
        assert sorted(seen) == sorted(made)


async def test_a_filter_that_means_nothing_is_refused_by_its_name(site: Site) -> None:
    for name, value in (
        ("created_after", "yesterday"),
        ("ended_before", "12"),
        ("created_after", "2026-13-01"),
        ("sort", "spec"),
        ("sweep", "x"),
        ("owner", ""),
        ("case", "a/b"),
    ):
        answer = await site.http.get(JOBS, params={name: value})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"?{name}"), value


async def test_only_an_administrator_sees_the_jobs_of_others(site: Site) -> None:
    mine, other = await site.submit(), await site.submit()
    await own(site, other["id"], owner="somebody")
    assert await ids(site) == [mine["id"]]
    assert await ids(site, owner="somebody") == [other["id"]]
    assert await ids(site, owner="*") == [other["id"], mine["id"]]
    assert await ids(site, owner=site.gateway.owner) == [mine["id"]]
    async with stranger(site) as user:
        for asked in ("somebody", "*", site.gateway.owner):
            refused = await user.get(JOBS, params={"owner": asked})
            assert (refused.status_code, refused.json()["type"]) == (403, "urn:science-gateway:problem:forbidden")
            for verb in ("cancel", "delete"):
                refused = await user.post(f"{JOBS}/{verb}", json={"filter": {"owner": asked}})
                assert refused.status_code == 403
        assert (await user.get(JOBS, params={"owner": "stranger"})).json()["items"] == []
        (item,) = (await user.post(f"{JOBS}/cancel", json={"ids": [mine["id"]]})).json()["items"]
        assert (item["done"], item["problem"]["status"]) == (False, 404)
    items, _ = await many(site, "cancel", filter={"owner": "*"})
    assert [item["done"] for item in items] == [True, True]
    items, _ = await many(site, "delete", ids=[other["id"]])
    assert items[0]["done"] is True


async def many(site: Site, verb: str, **body: Any) -> tuple[list[dict[str, Any]], str | None]:
    answer = await site.http.post(f"{JOBS}/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found["items"], found["next_cursor"]


async def test_many_jobs_are_cancelled_and_deleted_each_by_itself(site: Site) -> None:
    made = [(await site.submit())["id"] for _ in range(4)]
    await site.http.post(f"{JOBS}/{made[1]}/cancel")
    items, following = await many(site, "cancel", ids=[*made[:2], UNKNOWN_ID, "x"])
    assert following is None
    assert [item["done"] for item in items] == [True, False, False, False]
    assert [item["problem"] and item["problem"]["status"] for item in items] == [None, 409, 404, 404]
    assert items[1]["problem"]["type"] == "urn:science-gateway:problem:conflict"
    assert (await site.http.get(f"{JOBS}/{made[0]}")).json()["state"] == "cancelled"
    assert (await site.http.get(f"{JOBS}/{made[2]}")).json()["state"] == "accepted"
    items, _ = await many(site, "delete", ids=made[:3])
    assert [item["done"] for item in items] == [True, True, False]
    assert set(await ids(site)) == set(made[2:])
    events = (await site.http.get("/api/v1/events", headers={"Accept": "application/json"})).json()["items"]
    assert [event["data"]["id"] for event in events if event["kind"] == "deleted"] == made[:2]


async def test_a_filter_reaches_only_jobs_for_which_the_request_is_possible(site: Site) -> None:
    made = [(await site.submit(tags={"study": "a"}))["id"] for _ in range(5)]
    kept = (await site.submit(tags={"study": "b"}))["id"]
    await site.http.post(f"{JOBS}/{made[0]}/cancel")
    items, cursor = await many(site, "cancel", filter={"tag": "study:a"}, limit=3)
    assert [(item["id"], item["done"]) for item in items] == [(job_id, True) for job_id in made[1:4]]
    items, cursor = await many(site, "cancel", filter={"tag": "study:a"}, limit=3, cursor=cursor)
    assert ([item["id"] for item in items], cursor) == ([made[4]], None)
    assert await many(site, "cancel", filter={"state": "succeeded"}) == ([], None)
    items, _ = await many(site, "delete", filter={})
    assert [item["id"] for item in items] == made
    assert await ids(site) == [kept]


async def test_cancelling_many_writes_the_wish_of_live_jobs_and_wakes_the_engine(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_CHUNK", 2)
    made = [(await site.submit())["id"] for _ in range(3)]
    for job_id in made:
        await site.attempt(job_id)
        await site.move(job_id, State.STAGING, State.QUEUED, State.RUNNING)
    assert await site.gateway.bell.wait("here", 5) is True
    items, _ = await many(site, "cancel", filter={"state": "running"})
    assert all(item["done"] for item in items)
    for job_id in made:
        job = (await site.http.get(f"{JOBS}/{job_id}")).json()
        assert (job["state"], job["cancel_requested_at"] is not None) == ("running", True)
    assert await site.gateway.bell.wait("here", 5) is True


WITHOUT_MEANING: list[tuple[Any, str]] = [
    ({}, "#"),
    ({"ids": [], "filter": None}, "#/ids"),
    ({"ids": ["a"], "filter": {}}, "#"),
    ({"ids": ["a", "a"]}, "#/ids"),
    ({"ids": ["a"] * (bulk.LIMIT + 1)}, "#/ids"),
    ({"filter": {"sate": "running"}}, "#/filter/sate"),
    ({"filter": {"state": "gone"}}, "#/filter/state"),
    ({"filter": {}, "cursor": "bm9uc2Vuc2U"}, "#/cursor"),
    ({"ids": ["a"], "cursor": "bm9uc2Vuc2U"}, "#/cursor"),
    ({"filter": {}, "limit": 0}, "#/limit"),
    ([], "#"),
    ({"ids": ["\ud800"]}, "#/ids/0"),
]


async def test_a_request_about_many_jobs_that_means_nothing_changes_nothing(site: Site) -> None:
    job = await site.submit()
    for verb in ("cancel", "delete"):
        for body, place in WITHOUT_MEANING:
            answer = await site.http.post(
                f"{JOBS}/{verb}", content=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["pointer"].startswith(place), body
    assert await ids(site) == [job["id"]]
    assert (await site.http.get(f"{JOBS}/{job['id']}")).json()["state"] == "accepted"


async def test_values_and_version_of_a_case_are_shown(site: Site) -> None:
    job = await site.submit()
    digest = "sha256:" + "a" * 64
    await own(site, job["id"], case="cavity", case_version=digest, values={"reynolds": 100.5}, hold=True)
    (shown,) = (await site.http.get(JOBS)).json()["items"]
    assert (shown["case_version"], shown["values"], shown["hold"]) == (digest, {"reynolds": 100.5}, True)
    assert specification()["name"] == shown["name"]
