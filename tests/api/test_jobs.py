"""Jobs over the API, literally as the contract says."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from gateway.model.job import StoreOutputs
from gateway.model.states import State
from tests.api.conftest import JOBS, Site, specification
from tests.api.somebody import stranger

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


async def test_a_submitted_job_is_answered_with_every_key_of_the_contract(site: Site) -> None:
    answer = await site.http.post(
        JOBS,
        json={
            "name": "cavity Re=100",
            "target": "cluster",
            "stores": ["disk", {"store": "archive", "path": "re-scan/100", "outputs": [{"source": "**/*.vtk"}]}],
            "image": {"ref": "https://mirror.example.org/c.sif", "digest": "sha256:" + "a" * 64, "mirrors": []},
            "command": ["cavity", "--reynolds", "100"],
            "env": {"OMP_NUM_THREADS": "1"},
            "inputs": [{"path": "system/controlDict", "content": "x"}],
            "outputs": [{"source": "VTK/**", "destination": "VTK/"}, {"source": "log.*", "follow": True}],
            "exclude": ["**/core.*"],
            "resources": {"memory": "512M", "walltime": "00:10:00"},
            "sync": {"interval": None},
            "tags": {"study": "re-scan"},
        },
    )
    assert answer.status_code == 202
    job = answer.json()
    job_id = job["id"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", job_id)
    assert answer.headers["Location"] == f"{JOBS}/{job_id}"
    assert answer.headers["ETag"].removeprefix("W/") == '"1"'
    assert MOMENT.match(job.pop("created_at"))
    spec = job.pop("spec")
    empty = StoreOutputs().model_dump(mode="json")
    assert [empty[key] for key in ("state", "count", "bytes", "backlog", "lag")] == ["none", 0, 0, None, None]
    base = f"{JOBS}/{job_id}"
    assert job == {
        "id": job_id,
        "version": 1,
        "name": "cavity Re=100",
        "state": "accepted",
        "last_state": None,
        "reason": None,
        "message": None,
        "owner": site.gateway.owner,
        "project": None,
        "case": None,
        "case_version": None,
        "values": {},
        "sweep": None,
        "sweep_index": None,
        "rerun_of": None,
        "after_success": [],
        "after_end": [],
        "hold": False,
        "notes": None,
        "tags": {"study": "re-scan"},
        "target": "cluster",
        "stores": ["disk", "archive"],
        "scheduler_id": None,
        "attempt": 1,
        "queued_at": None,
        "started_at": None,
        "ended_at": None,
        "observed_at": None,
        "cancel_requested_at": None,
        "exit_code": None,
        "progress": None,
        "outputs": {**empty, "stores": {"disk": empty, "archive": empty}},
        "links": {
            "self": base,
            "events": f"{base}/events",
            "outputs": f"{base}/outputs",
            "logs": f"{base}/logs",
            "script": f"{base}/script",
        },
    }
    assert spec["resources"]["memory"] == 512 * 1024 * 1024
    assert spec["resources"]["walltime"] == 600
    assert spec["sync"]["interval"] is None
    again = (await site.http.get(base)).json()
    again.pop("created_at")
    assert again == {**job, "spec": spec}


async def test_a_list_leaves_the_specification_out(site: Site) -> None:
    job = await site.submit()
    answer = (await site.http.get(JOBS)).json()
    job.pop("spec")
    assert answer == {"items": [job], "next_cursor": None}


async def test_the_same_key_gives_the_same_job_and_another_body_is_refused(site: Site) -> None:
    headers = {"Idempotency-Key": "try 1"}
    first = await site.http.post(JOBS, json=specification(), headers=headers)
    reordered = b'{ "command":["true"],\n"name" : "flow"}'
    second = await site.http.post(JOBS, content=reordered, headers={**headers, "Content-Type": "application/json"})
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    other = await site.http.post(JOBS, json=specification(name="another"), headers=headers)
    assert other.status_code == 422
    assert other.json()["type"] == "urn:science-gateway:problem:validation"
    as_draft = await site.http.post(JOBS, params={"draft": "1"}, json=specification(), headers=headers)
    assert as_draft.status_code == 422
    assert len((await site.http.get(JOBS)).json()["items"]) == 1


async def test_twenty_requests_at_once_with_one_key_make_one_job(site: Site) -> None:
    headers = {"Idempotency-Key": "race"}
    answers = await asyncio.gather(*(site.http.post(JOBS, json=specification(), headers=headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await site.http.get(JOBS)).json()["items"]) == 1


async def test_a_key_used_for_a_refused_body_is_free_again(site: Site) -> None:
    headers = {"Idempotency-Key": "k"}
    refused = await site.http.post(JOBS, json=specification(target="nowhere"), headers=headers)
    assert refused.status_code == 422
    assert (await site.http.post(JOBS, json=specification(), headers=headers)).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9", "tab\there"])
async def test_a_key_that_is_not_plain_text_is_refused(site: Site, key: str) -> None:
    answer = await site.http.post(JOBS, json=specification(), headers={b"Idempotency-Key": key.encode()})
    assert answer.status_code == 422, answer.text
    assert (await site.http.get(JOBS)).json()["items"] == []


async def test_a_dry_run_stores_nothing(site: Site) -> None:
    answer = await site.http.post(JOBS, params={"dry_run": "1"}, json=specification())
    assert (answer.status_code, answer.json()["state"]) == (200, "draft")
    assert (await site.http.get(JOBS)).json()["items"] == []
    refused = await site.http.post(JOBS, params={"dry_run": "1"}, json=specification(target="nowhere"))
    assert refused.status_code == 422


async def test_a_draft_waits_until_it_is_submitted(site: Site) -> None:
    draft = (await site.http.post(JOBS, params={"draft": "1"}, json=specification())).json()
    assert draft["state"] == "draft"
    accepted = await site.http.post(f"{JOBS}/{draft['id']}/submit")
    assert (accepted.status_code, accepted.json()["state"]) == (202, "accepted")
    assert (await site.http.post(f"{JOBS}/{draft['id']}/submit")).status_code == 409


async def test_a_job_that_nothing_was_done_about_is_cancelled_at_once(site: Site) -> None:
    job = await site.submit()
    answer = await site.http.post(f"{JOBS}/{job['id']}/cancel")
    cancelled = answer.json()
    assert (answer.status_code, cancelled["state"], cancelled["reason"]) == (202, "cancelled", "cancelled_by_user")
    assert MOMENT.match(cancelled["cancel_requested_at"])
    assert (await site.http.post(f"{JOBS}/{job['id']}/cancel")).status_code == 409


async def test_cancelling_a_live_job_writes_the_wish_once(site: Site) -> None:
    job = await site.submit()
    await site.attempt(job["id"])
    await site.move(job["id"], State.STAGING, State.QUEUED, State.RUNNING)
    first = await site.http.post(f"{JOBS}/{job['id']}/cancel")
    second = await site.http.post(f"{JOBS}/{job['id']}/cancel")
    assert (first.status_code, first.json()["state"]) == (202, "running")
    assert second.json() == first.json()
    events = (await site.http.get(f"{JOBS}/{job['id']}/events", headers={"Accept": "application/json"})).json()
    assert [event["kind"] for event in events["items"]].count("cancel_requested") == 1
    assert await site.gateway.bell.wait("here", 5) is True


async def test_only_an_unknown_job_can_be_abandoned(site: Site) -> None:
    job = await site.submit()
    assert (await site.http.post(f"{JOBS}/{job['id']}/abandon")).status_code == 409
    await site.move(job["id"], State.STAGING, State.QUEUED, State.UNKNOWN)
    shown = (await site.http.get(f"{JOBS}/{job['id']}")).json()
    assert (shown["state"], shown["last_state"]) == ("unknown", "queued")
    answer = await site.http.post(f"{JOBS}/{job['id']}/abandon")
    assert (answer.status_code, answer.json()["state"], answer.json()["reason"]) == (202, "lost", "abandoned")


async def test_only_an_ended_job_can_be_deleted(site: Site) -> None:
    job = await site.submit()
    await site.store_file(job["id"], "a.txt", b"a")
    refused = await site.http.delete(f"{JOBS}/{job['id']}")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:science-gateway:problem:conflict")
    await site.http.post(f"{JOBS}/{job['id']}/cancel")
    deleted = await site.http.delete(f"{JOBS}/{job['id']}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await site.http.get(f"{JOBS}/{job['id']}")).status_code == 404


async def test_the_script_can_be_read_once_the_job_is_staged(site: Site) -> None:
    job = await site.submit()
    assert (await site.http.get(f"{JOBS}/{job['id']}/script")).status_code == 409
    await site.attempt(job["id"], script="#!/bin/bash\necho ü\n")
    answer = await site.http.get(f"{JOBS}/{job['id']}/script")
    assert (answer.text, answer.headers["Content-Type"]) == ("#!/bin/bash\necho ü\n", "text/plain; charset=utf-8")


async def test_attempts_do_not_show_the_run_token(site: Site) -> None:
    job = await site.submit()
    await site.attempt(job["id"], scheduler_id="17", token="a" * 32, final={"record": {"token": "b", "exit_code": 0}})
    answer = await site.http.get(f"{JOBS}/{job['id']}/attempts")
    (attempt,) = answer.json()["items"]
    assert (attempt["number"], attempt["scheduler_id"], attempt["final"]) == (1, "17", {"exit_code": 0})
    assert "a" * 32 not in answer.text


async def test_a_changed_job_has_another_etag(site: Site) -> None:
    job = await site.submit()
    url = f"{JOBS}/{job['id']}"
    assert (await site.http.get(url, headers={"If-None-Match": '"1"'})).status_code == 304
    await site.attempt(job["id"])
    await site.move(job["id"], State.STAGING)
    assert (await site.http.get(url, headers={"If-None-Match": '"1"'})).headers["ETag"] == '"2"'
    stale = await site.http.post(f"{url}/cancel", headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["type"]) == (412, "urn:science-gateway:problem:precondition-failed")
    assert (await site.http.post(f"{url}/cancel", headers={"If-Match": '"2"'})).status_code == 202


@pytest.mark.parametrize("job_id", [UNKNOWN_ID, "x", "00000000", UNKNOWN_ID.upper() + "x", "%2e%2e", "a%00b"])
async def test_what_is_not_there_is_404_everywhere(site: Site, job_id: str) -> None:
    for tail in ("", "/script", "/attempts", "/manifest", "/outputs", "/outputs/a", "/events", "/logs/stdout"):
        answer = await site.http.get(f"{JOBS}/{job_id}{tail}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:science-gateway:problem:not-found"), tail
    for action in ("cancel", "abandon", "submit"):
        assert (await site.http.post(f"{JOBS}/{job_id}/{action}")).status_code == 404


async def test_another_persons_job_is_not_there(site: Site) -> None:
    job = await site.submit()
    async with stranger(site) as other:
        assert (await other.get(f"{JOBS}/{job['id']}")).status_code == 404
        assert (await other.post(f"{JOBS}/{job['id']}/cancel")).status_code == 404
        assert (await other.delete(f"{JOBS}/{job['id']}")).status_code == 404
        assert (await other.get(f"{JOBS}/{job['id']}/logs/stdout")).status_code == 404
        assert (await other.get(JOBS)).json()["items"] == []


async def test_lists_are_narrowed_by_state_target_tag_and_text(site: Site) -> None:
    one = await site.submit(name="Re=100 first", tags={"study": "re-scan", "a.b": "1"})
    two = await site.submit(name="second", target="cluster", image="https://example.org/a.sif")
    await site.move(two["id"], State.STAGING)

    async def found(**query: Any) -> list[str]:
        answer = await site.http.get(JOBS, params=query)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert await found() == [two["id"], one["id"]]
    assert await found(sort="created_at") == [one["id"], two["id"]]
    assert await found(state="staging,running") == [two["id"]]
    assert await found(target="cluster") == [two["id"]]
    assert await found(tag="study:re-scan") == [one["id"]]
    assert await found(tag="a.b:1") == [one["id"]]
    assert await found(tag="study") == [one["id"]]
    assert await found(tag="study:") == []
    assert await found(q="re=100") == [one["id"]]
    assert await found(q="%") == []
    assert await found(q=two["id"][:9]) == [two["id"]]
