"""Sweeps over HTTP: checked point by point, stored at once, counted, cancelled, run again, read as a table."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from gateway.model.states import State
from tests.api.conftest import Site, specification

SWEEPS = "/api/v1/sweeps"
GRID = {"/env/RE": ["100", "200"], "/command/1": ["a", "b", "c"]}


def request(**changes: Any) -> dict[str, Any]:
    """A sweep of six points."""
    return {"job": specification(command=["echo", "x"]), "grid": GRID, **changes}


async def create(site: Site, **changes: Any) -> dict[str, Any]:
    answer = await site.http.post(SWEEPS, json=request(**changes))
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def jobs_of(site: Site, sweep_id: str) -> list[dict[str, Any]]:
    """The whole jobs of a sweep, by their index."""
    answer = await site.http.get("/api/v1/jobs", params={"sweep": sweep_id, "limit": 100})
    found = [(await site.http.get(job["links"]["self"])).json() for job in answer.json()["items"]]
    return sorted(found, key=lambda job: job["sweep_index"])


async def end(site: Site, sweep_id: str, *states: State) -> None:
    """End the first jobs of a sweep in these states."""
    for job, state in zip(await jobs_of(site, sweep_id), states, strict=False):
        await site.move(job["id"], State.STAGING, State.RUNNING, State.FINALIZING, state)


async def errors(site: Site, **changes: Any) -> list[tuple[str, str]]:
    answer = await site.http.post(SWEEPS, json=request(**changes))
    assert answer.status_code == 422, answer.text
    assert (await site.http.get(SWEEPS)).json()["items"] == []
    assert (await site.http.get("/api/v1/jobs")).json()["items"] == []
    return [(error["pointer"], error["detail"]) for error in answer.json()["errors"]]


async def test_a_grid_makes_a_job_of_every_combination(site: Site) -> None:
    found = await create(site, name="scan", limit=2)
    assert (found["name"], found["count"], found["limit"], found["state"]) == ("scan", 6, 2, "accepted")
    assert (found["counts"], found["parameters"]) == ({"accepted": 6}, list(GRID))
    jobs = await jobs_of(site, found["id"])
    assert [job["spec"]["env"]["RE"] + job["spec"]["command"][1] for job in jobs] == [
        f"{re}{letter}" for re in ("100", "200") for letter in "abc"
    ]
    assert [job["name"] for job in jobs] == [f"scan #{number}" for number in range(6)]
    assert {job["sweep"] for job in jobs} == {found["id"]}
    assert jobs[5]["values"] == {"/env/RE": "200", "/command/1": "c"}
    assert (await site.http.get(found["links"]["self"])).json() == found
    assert (await site.http.get(SWEEPS)).json()["items"] == [found]


async def test_a_table_makes_a_job_of_every_row(site: Site) -> None:
    rows = [{"/env/A": "1", "/name": "one"}, {"/resources/walltime": 77}]
    found = await create(site, grid=None, table=rows)
    one, two = await jobs_of(site, found["id"])
    assert (one["name"], one["spec"]["env"]) == ("one", {"A": "1"})
    assert (two["name"], two["spec"]["resources"]["walltime"]) == ("flow #1", 77)
    assert found["parameters"] == ["/env/A", "/name", "/resources/walltime"]


async def test_mistakes_name_the_point_and_nothing_is_stored(site: Site) -> None:
    assert await errors(site, grid={"/env/RE": ["1", 2, "3"]}) == [
        ("#/grid/~1env~1RE/1", "Input should be a valid string")
    ]
    assert [at for at, _ in await errors(site, grid=None, table=[{"/resources/cpus": 1}, {"/resources/cpus": 0}])] == [
        "#/table/1/~1resources~1cpus"
    ]
    assert await errors(site, job=specification(command=["", "x"])) == [
        ("#/job/command", "the program's name is empty")
    ]
    assert await errors(site, grid={"/command/7": ["x"]}) == [
        ("#/grid/~1command~17/0", "leads nowhere: the list has 2 items, and no item '7'")
    ]
    (place, detail) = (await errors(site, grid={"reynolds": [1]}))[0]
    assert place == "#/grid/reynolds/0"
    assert "has no case" in detail
    assert (await errors(site, grid={"/env/A": ["x"] * 101, "/env/B": ["y"] * 100}))[0] == (
        "#/grid",
        "has 10100 points: at most 10000 are possible",
    )


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"table": [{}]}, "#"),
        ({"grid": None}, "#"),
        ({"grid": {}}, "#/grid"),
        ({"grid": {"/env/A": []}}, "#/grid/~1env~1A"),
        ({"limit": 0}, "#/limit"),
        ({"job": "x"}, "#/job"),
        ({"more": 1}, "#/more"),
    ],
)
async def test_requests_that_are_no_sweep_are_refused(site: Site, changes: dict[str, Any], place: str) -> None:
    assert place in [at for at, _ in await errors(site, **changes)]


async def test_the_same_key_gives_the_same_sweep(site: Site) -> None:
    headers = {"Idempotency-Key": "once"}
    first = (await site.http.post(SWEEPS, json=request(), headers=headers)).json()
    second = (await site.http.post(SWEEPS, json=request(), headers=headers)).json()
    assert first["id"] == second["id"]
    assert len((await site.http.get(SWEEPS)).json()["items"]) == 1
    other = await site.http.post(SWEEPS, json=request(limit=1), headers=headers)
    assert other.status_code == 422
    job = await site.http.post("/api/v1/jobs", json=specification(), headers=headers)
    assert job.status_code == 422


async def test_the_state_follows_from_the_jobs(site: Site) -> None:
    found = await create(site)
    await end(site, found["id"], State.SUCCEEDED, State.FAILED)
    shown = (await site.http.get(found["links"]["self"])).json()
    assert (shown["state"], shown["partly_failed"]) == ("running", True)
    assert shown["counts"] == {"accepted": 4, "succeeded": 1, "failed": 1}


async def test_cancelling_ends_all_that_has_not_ended(site: Site) -> None:
    found = await create(site)
    await end(site, found["id"], State.SUCCEEDED)
    answer = await site.http.post(f"{SWEEPS}/{found['id']}/cancel", headers={"If-Match": '"7"'})
    assert answer.status_code == 412
    answer = await site.http.post(f"{SWEEPS}/{found['id']}/cancel", headers={"If-Match": '"1"'})
    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["state"], shown["counts"]) == ("cancelled", {"succeeded": 1, "cancelled": 5})
    assert shown["cancel_requested_at"]
    assert (await site.http.post(f"{SWEEPS}/{found['id']}/cancel")).status_code == 202


async def test_only_what_failed_runs_again(site: Site) -> None:
    found = await create(site, limit=3)
    url = f"{SWEEPS}/{found['id']}"
    assert (await site.http.post(f"{url}/rerun", params={"failed": 1})).status_code == 409
    good = State.SUCCEEDED
    await end(site, found["id"], good, State.FAILED, good, State.CANCELLED, good, good)
    before = await jobs_of(site, found["id"])
    answer = await site.http.post(f"{url}/rerun", params={"failed": 1})
    assert answer.status_code == 202, answer.text
    again = answer.json()
    assert (again["rerun_of"], again["count"], again["limit"]) == (found["id"], 2, 3)
    jobs = await jobs_of(site, again["id"])
    assert [job["values"] for job in jobs] == [before[1]["values"], before[3]["values"]]
    assert [job["rerun_of"] for job in jobs] == [before[1]["id"], before[3]["id"]]
    whole = (await site.http.post(f"{url}/rerun")).json()
    assert whole["count"] == 6


async def test_a_sweep_is_forgotten_with_its_jobs_once_all_have_ended(site: Site) -> None:
    found = await create(site)
    url = f"{SWEEPS}/{found['id']}"
    refused = await site.http.delete(url)
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "6 jobs of the sweep have not ended: cancel it first",
    )
    await site.http.post(f"{url}/cancel")
    assert (await site.http.delete(url)).status_code == 204
    assert (await site.http.get(url)).status_code == 404
    assert (await site.http.get("/api/v1/jobs")).json()["items"] == []


async def test_the_table_has_values_and_results(site: Site) -> None:
    hostile = '=HYPERLINK("http://evil.example")'
    rows = [{"/env/A": hostile, "/resources/cpus": 2}, {"/env/A": "-1"}, {"/env/A": "plain"}]
    found = await create(site, grid=None, table=rows)
    jobs = await jobs_of(site, found["id"])
    await site.move(jobs[0]["id"], State.STAGING, State.RUNNING, State.FINALIZING, State.SUCCEEDED, exit_code=0)
    answer = await site.http.get(found["links"]["table"], params={"limit": 2})
    page = answer.json()
    assert [item["job_id"] for item in page["items"]] == [job["id"] for job in jobs[:2]]
    assert (page["items"][0]["values"], page["items"][0]["exit_code"]) == (rows[0], 0)
    rest = await site.http.get(found["links"]["table"], params={"limit": 2, "cursor": page["next_cursor"]})
    assert [item["index"] for item in rest.json()["items"]] == [2]
    answer = await site.http.get(found["links"]["table"], params={"format": "csv"})
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["/env/A"] for line in lines] == [f"'{hostile}", "'-1", "plain"]
    assert [line["/resources/cpus"] for line in lines] == ["2", "", ""]
    assert [line["state"] for line in lines] == ["succeeded", "accepted", "accepted"]


async def test_sweeps_of_others_are_not_there(site: Site) -> None:
    found = await create(site)
    sweeps = site.gateway.sweeps
    for call in (sweeps.get, sweeps.cancel, sweeps.delete, sweeps.rerun):
        with pytest.raises(Exception, match="there is no sweep"):
            await call(found["id"], "other")
    assert (await sweeps.list("other", limit=10)).items == []


async def test_the_list_has_pages_newest_first(site: Site) -> None:
    ids = [(await create(site, name=str(number)))["id"] for number in range(3)]
    first = (await site.http.get(SWEEPS, params={"limit": 2})).json()
    second = (await site.http.get(SWEEPS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert first["items"][0]["counts"] == {"accepted": 6}
