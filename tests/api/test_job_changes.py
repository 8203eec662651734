"""Drafts, changes by merge patch, reruns and clones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gateway.db import jobs
from gateway.model.states import State
from tests.api.conftest import JOBS, Site, open_site, settings_for, specification
from tests.api.somebody import stranger

MERGE = {"Content-Type": "application/merge-patch+json"}
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


async def draft(site: Site, **changes: Any) -> dict[str, Any]:
    """A new draft."""
    answer = await site.http.post(JOBS, params={"draft": "1"}, json=specification(**changes))
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def patch(site: Site, job_id: str, change: Any, **headers: str) -> Any:
    return await site.http.patch(f"{JOBS}/{job_id}", json=change, headers={**MERGE, **headers})


async def ended(site: Site, job_id: str) -> None:
    await site.attempt(job_id)
    await site.move(job_id, State.STAGING, State.QUEUED, State.RUNNING, State.FINALIZING, State.SUCCEEDED)


async def kinds(site: Site, job_id: str) -> list[str]:
    answer = await site.http.get(f"{JOBS}/{job_id}/events", headers={"Accept": "application/json"})
    return [event["kind"] for event in answer.json()["items"]]


async def test_a_draft_is_made_changed_in_everything_and_submitted_with_its_etag(site: Site) -> None:
    job = await draft(site, tags={"a": "1", "b": "2"}, env={"X": "1"})
    answer = await patch(
        site,
        job["id"],
        {
            "name": "better",
            "target": "cluster",
            "stores": ["archive"],
            "image": "https://example.org/a.sif",
            "env": {"X": None, "Y": "2"},
            "tags": {"a": None},
            "resources": {"walltime": "00:10:00"},
            "notes": "first\nsecond",
        },
        **{"If-Match": '"1"'},
    )
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert answer.headers["ETag"].removeprefix("W/") == f'"{changed["version"]}"'
    assert changed["version"] > 1
    assert (changed["state"], changed["name"], changed["target"]) == ("draft", "better", "cluster")
    assert (changed["tags"], changed["notes"], changed["stores"]) == ({"b": "2"}, "first\nsecond", ["archive"])
    assert list(changed["outputs"]["stores"]) == ["archive"]
    assert changed["spec"]["env"] == {"Y": "2"}
    assert changed["spec"]["resources"]["walltime"] == 600
    stale = await site.http.post(f"{JOBS}/{job['id']}/submit", headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    current = answer.headers["ETag"]
    submitted = await site.http.post(f"{JOBS}/{job['id']}/submit", headers={"If-Match": current})
    assert (submitted.status_code, submitted.json()["state"]) == (202, "accepted")
    assert submitted.json()["spec"] == changed["spec"]
    assert await kinds(site, job["id"]) == ["state", "changed", "state"]
    assert await site.gateway.bell.wait("cluster", 5) is True


async def test_a_draft_that_would_not_be_valid_stays_as_it_is(site: Site) -> None:
    job = await draft(site)
    for change, pointer in (
        ({"target": "nowhere"}, "#/target"),
        ({"command": None}, "#"),
        ({"env": {"A": 1}}, "#/env/A"),
        ({"inputs": [{"path": "../x", "content": ""}]}, "#/inputs/0/path"),
        ({"unknown": 1}, "#/unknown"),
        ({"after_success": [job["id"]]}, "#/after_success/0"),
        ([1], "#"),
        ("text", "#"),
    ):
        answer = await patch(site, job["id"], change)
        assert answer.status_code == 422, change
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert (await site.http.get(f"{JOBS}/{job['id']}")).json() == job


async def test_a_job_that_is_no_draft_changes_in_name_tags_and_notes_only(site: Site) -> None:
    job = await site.submit(tags={"a": "1"})
    answer = await patch(site, job["id"], {"name": "new", "tags": {"b": "2"}, "notes": "n"}, **{"If-Match": 'W/"1"'})
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert (changed["name"], changed["tags"], changed["notes"]) == ("new", {"a": "1", "b": "2"}, "n")
    assert (changed["state"], changed["version"]) == ("accepted", 2)
    spec = {**job["spec"], "name": "new", "tags": {"a": "1", "b": "2"}, "notes": "n"}
    assert changed["spec"] == spec
    same = await patch(site, job["id"], {"name": "new"})
    assert same.json() == changed
    cleared = (await patch(site, job["id"], {"notes": None, "tags": None})).json()
    assert (cleared["notes"], cleared["tags"]) == (None, {})
    for change, pointer in (
        ({"command": ["false"]}, "#/command"),
        ({"state": "succeeded"}, "#/state"),
        ({"name": None}, "#/name"),
        ({"name": "a\nb"}, "#/name"),
        ({"tags": {"a b": "x"}}, "#/tags"),
        ({"notes": 5}, "#/notes"),
    ):
        refused = await patch(site, job["id"], change)
        assert refused.status_code == 422, change
        assert refused.json()["errors"][0]["pointer"].startswith(pointer)
    assert await kinds(site, job["id"]) == ["state", "changed", "changed"]
    rerun = (await site.http.post(f"{JOBS}/{job['id']}/rerun")).json()
    assert rerun["name"] == "new"


async def test_a_patch_with_an_old_etag_changes_nothing_and_plain_json_is_taken_too(site: Site) -> None:
    job = await site.submit()
    url = f"{JOBS}/{job['id']}"
    assert (await site.http.patch(url, json={"notes": "a"})).status_code == 200
    stale = await patch(site, job["id"], {"notes": "b"}, **{"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["type"]) == (412, "urn:science-gateway:problem:precondition-failed")
    assert (await site.http.get(url)).json()["notes"] == "a"
    other = await site.http.patch(url, content=b"{}", headers={"Content-Type": "text/plain"})
    assert other.status_code == 415
    empty = await site.http.patch(url, content=b"", headers=MERGE)
    assert empty.status_code == 400


async def test_patches_at_once_are_all_kept(site: Site) -> None:
    for job in (await site.submit(), await draft(site)):
        answers = await asyncio.gather(*(patch(site, job["id"], {"tags": {f"t{n}": "x"}}) for n in range(3)))
        assert {answer.status_code for answer in answers} == {200}
        found = (await site.http.get(f"{JOBS}/{job['id']}")).json()
        assert found["tags"] == {"t0": "x", "t1": "x", "t2": "x"}


async def test_a_rerun_asks_for_the_same_and_says_what_differs(site: Site) -> None:
    job = await site.submit(env={"RE": "100"}, tags={"a": "1"})
    await ended(site, job["id"])
    url = f"{JOBS}/{job['id']}/rerun"
    same = await site.http.post(url)
    assert same.status_code == 202, same.text
    again = same.json()
    assert same.headers["Location"] == f"{JOBS}/{again['id']}"
    assert (again["rerun_of"], again["state"], again["changes"]) == (job["id"], "accepted", [])
    assert again["id"] != job["id"]
    assert again["spec"] == job["spec"]
    change = {
        "target": "cluster",
        "image": "https://example.org/a.sif",
        "stores": ["archive"],
        "env": {"RE": "200"},
        "tags": {"a": None},
    }
    other = (await site.http.post(url, json=change, headers=MERGE)).json()
    assert (other["target"], other["stores"], other["tags"]) == ("cluster", ["archive"], {})
    found = {item["pointer"]: (item["before"], item["after"]) for item in other["changes"]}
    assert found.pop("#/image")[0] is None
    assert found.pop("#/stores")[0] == []
    assert found == {"#/target": (None, "cluster"), "#/env/RE": ("100", "200"), "#/tags/a": ("1", None)}
    shown = (await site.http.get(f"{JOBS}/{other['id']}")).json()
    assert "changes" not in shown
    assert shown["rerun_of"] == job["id"]
    as_draft = (await site.http.post(url, params={"draft": "1"}, json={})).json()
    assert as_draft["state"] == "draft"


async def test_a_rerun_that_cannot_be_carried_out_makes_no_job(site: Site) -> None:
    job = await site.submit()
    url = f"{JOBS}/{job['id']}/rerun"
    for change, pointer in (({"target": "nowhere"}, "#/target"), ({"command": None}, "#"), ([], "#")):
        answer = await site.http.post(url, json=change)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert len((await site.http.get(JOBS)).json()["items"]) == 1


async def test_a_job_from_before_requests_were_kept_can_run_again(site: Site) -> None:
    job = await site.submit(env={"A": "1"})
    await site.gateway.database.write(lambda c: jobs.set_columns(c, job["id"], request=None))
    again = (await site.http.post(f"{JOBS}/{job['id']}/rerun", json={"env": {"B": "2"}})).json()
    assert again["spec"]["env"] == {"A": "1", "B": "2"}
    assert [item["pointer"] for item in again["changes"]] == ["#/env/B"]


async def test_a_clone_is_a_draft_of_the_same(site: Site) -> None:
    job = await site.submit(tags={"a": "1"}, notes="n")
    answer = await site.http.post(f"{JOBS}/{job['id']}/clone")
    copy = answer.json()
    assert (answer.status_code, copy["state"], copy["rerun_of"]) == (201, "draft", None)
    assert answer.headers["Location"] == f"{JOBS}/{copy['id']}"
    assert (copy["spec"], copy["tags"], copy["notes"]) == (job["spec"], {"a": "1"}, "n")


async def test_a_key_makes_one_rerun_and_one_clone_however_often_it_is_sent(site: Site) -> None:
    job = await site.submit()
    for verb, status in (("rerun", 202), ("clone", 201)):
        url, headers = f"{JOBS}/{job['id']}/{verb}", {"Idempotency-Key": f"key {verb}"}
        answers = await asyncio.gather(*(site.http.post(url, headers=headers) for _ in range(8)))
        assert {answer.status_code for answer in answers} == {status}
        assert len({answer.text for answer in answers}) == 1
        taken = await site.http.post(JOBS, json=specification(), headers=headers)
        assert taken.status_code == 422
    changed = await site.http.post(
        f"{JOBS}/{job['id']}/rerun", json={"name": "x"}, headers={"Idempotency-Key": "key rerun"}
    )
    assert changed.status_code == 422
    assert len((await site.http.get(JOBS)).json()["items"]) == 3


async def test_a_job_shows_what_it_waits_for_and_waits_for_own_jobs_only(site: Site) -> None:
    first, second = await site.submit(), await site.submit()
    waiting = await site.submit(after_success=[first["id"]], after_end=[second["id"]])
    assert (waiting["after_success"], waiting["after_end"]) == ([first["id"]], [second["id"]])
    (listed, *_) = (await site.http.get(JOBS)).json()["items"]
    assert (listed["after_success"], listed["after_end"]) == ([first["id"]], [second["id"]])
    await site.gateway.database.write(lambda c: jobs.set_columns(c, second["id"], owner="somebody"))
    for on_job in (UNKNOWN_ID, second["id"]):
        refused = await site.http.post(JOBS, json=specification(after_end=[first["id"], on_job]))
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/after_end/1")


async def test_a_job_that_others_wait_for_is_not_forgotten(site: Site) -> None:
    first = await draft(site)
    second = await site.submit(after_end=[first["id"]])
    refused = await site.http.delete(f"{JOBS}/{first['id']}")
    assert (refused.status_code, second["id"] in refused.json()["detail"]) == (409, True)
    await site.http.post(f"{JOBS}/{second['id']}/cancel")
    assert (await site.http.delete(f"{JOBS}/{first['id']}")).status_code == 204


async def test_drafts_cannot_wait_for_one_another_in_a_circle(site: Site) -> None:
    first = await draft(site)
    second = await draft(site, after_success=[first["id"]])
    third = await draft(site, after_end=[second["id"]])
    refused = await patch(site, first["id"], {"after_end": [third["id"]]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/after_end")
    freed = await patch(site, second["id"], {"after_success": None})
    assert freed.json()["after_success"] == []
    assert (await patch(site, first["id"], {"after_end": [third["id"]]})).status_code == 200


async def test_verbs_of_a_job_that_is_somebody_elses_or_not_there_are_404(site: Site) -> None:
    job = await site.submit()
    async with stranger(site) as other:
        for job_id in (job["id"], UNKNOWN_ID, "x"):
            for verb in ("rerun", "clone", "submit", "cancel"):
                assert (await other.post(f"{JOBS}/{job_id}/{verb}")).status_code == 404, verb
            assert (await other.patch(f"{JOBS}/{job_id}", json={"notes": "x"})).status_code == 404
    assert (await site.http.get(f"{JOBS}/{job['id']}")).json() == job


async def test_a_dry_run_of_a_job_on_several_nodes_shows_how_its_ranks_start(site: Site) -> None:
    resources = {"nodes": 2, "cpus": 3, "tasks_per_node": 3, "launcher": "srun"}
    body = specification(target="cluster", image={"ref": "https://example.org/a.sqfs"}, resources=resources)
    answer = await site.http.post(JOBS, params={"dry_run": "1"}, json=body)
    assert answer.status_code == 200, answer.text
    lines = answer.json()["preview"]["script"].splitlines()
    assert {"gw_launcher=srun", "gw_nodes=2", "gw_tasks_per_node=3"} <= set(lines)


async def test_a_dry_run_shows_the_script_the_request_and_what_may_go_wrong(site: Site) -> None:
    body = specification(env={"MARK": "it's here"}, resources={"walltime": "00:10:00"})
    answer = await site.http.post(JOBS, params={"dry_run": "1"}, json=body)
    job = answer.json()
    preview = job["preview"]
    assert (answer.status_code, job["id"], job["state"]) == (200, "00000000-0000-0000-0000-000000000000", "draft")
    assert "gw_walltime=600" in preview["script"]
    assert "gw_stores=()" in preview["script"]
    assert preview["script"].startswith("#!/bin/bash\n")
    assert (preview["request"], preview["problems"], preview["estimated_start"]) == (body, [], None)
    unreachable = await site.http.post(
        JOBS, params={"dry_run": "1"}, json=specification(target="cluster", image="https://example.org/a.sif")
    )
    preview = unreachable.json()["preview"]
    assert preview["problems"][0]["pointer"] == "#/target"
    assert "#SBATCH " in preview["script"]
    waiting = await site.http.post(JOBS, params={"dry_run": "1"}, json=specification(after_end=[UNKNOWN_ID]))
    assert waiting.status_code == 422
    assert (await site.http.get(JOBS)).json()["items"] == []


CASE = """\
name: box
label: Box
description: A box.
families:
  - label: Flow
    parameters:
      - {name: re, label: Reynolds number, type: float, default: 100, min: 1, max: 1000}
      - {name: title, label: Title, type: text, default: none}
image: {ref: "https://example.org/a.sif"}
command: [flow, "{re}", "{title}"]
"""


async def test_a_job_from_a_case_changes_and_runs_again_by_its_values(tmp_path: Path) -> None:
    folder = tmp_path / "cases/box"
    folder.mkdir(parents=True)
    (folder / "case.yaml").write_text(CASE)
    settings = settings_for(tmp_path / "data", gateway={"cases": [str(folder.parent)]})
    async with open_site(settings) as site:
        body = {"case": "box", "values": {"re": 200}}
        job = (await site.http.post(JOBS, params={"draft": "1"}, json=body)).json()
        assert (job["case"], job["values"]) == ("box", {"re": 200, "title": "none"})
        patched = await patch(site, job["id"], {"values": {"title": "mine"}})
        assert (patched.status_code, patched.json()["values"]) == (200, {"re": 200, "title": "mine"})
        refused = await patch(site, job["id"], {"values": {"re": 2000}})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/values/re")
        (folder / "case.yaml").write_text(CASE.replace("command: [flow,", "command: [stream,"))
        submitted = (await site.http.post(f"{JOBS}/{job['id']}/submit")).json()
        assert submitted["case_version"] == job["case_version"]
        assert submitted["spec"]["command"][0] == "flow"
        url = f"{JOBS}/{job['id']}/rerun"
        again = (await site.http.post(url, json={"values": {"re": None}})).json()
        assert [(c["pointer"], c["after"]) for c in again["changes"] if "values" in c["pointer"]] == [
            ("#/values/re", 100)
        ]
        assert again["case_version"] == job["case_version"]
        newest = (await site.http.post(url, json={"case_version": None})).json()
        assert newest["spec"]["command"][0] == "stream"
        assert {"#/command/0", "#/case_version"} <= {change["pointer"] for change in newest["changes"]}
        assert [item["id"] for item in (await site.http.get(JOBS, params={"case": "box"})).json()["items"]] == [
            newest["id"],
            again["id"],
            job["id"],
        ]
