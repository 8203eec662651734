"""Crates over HTTP: a job as one, and what would be run again."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from gateway.crates.reading import parse_run
from gateway.jobs import run_facts
from gateway.jobs.crate_requests import make_request
from gateway.model.crate import CrateOrder, RunRecord
from gateway.model.specification import JobSpecification
from gateway.model.states import State
from tests.api.conftest import Site

DIGEST = "sha256:" + "a" * 64


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def ended(site: Site, **changes: Any) -> str:
    """A job that has ended, with two outputs."""
    job = await site.submit(**changes)
    row = {"digest": f"sha256:{sha(b'x,y')}", "content_type": "text/csv"}
    await site.store_file(job["id"], "a b/t.csv", b"x,y", row=row)
    await site.store_file(job["id"], "ro-crate-metadata.json", b"{}")
    await site.attempt(job["id"], script="#!/bin/bash\n")
    await site.move(job["id"], State.STAGING, State.QUEUED, State.RUNNING, State.FINALIZING, State.SUCCEEDED)
    return str(job["id"])


async def plan(site: Site, **order: Any) -> dict[str, Any]:
    answer = await site.http.post("/api/v1/crates/plan", json=order)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def run_of(**changes: Any) -> dict[str, Any]:
    """What a crate from elsewhere says was run."""
    specification = JobSpecification.model_validate({"command": ["true"], **changes}).model_dump(mode="json")
    return {"job": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "specification": specification, "request": changes}


async def test_a_job_is_a_crate_of_its_outputs_and_its_record(site: Site) -> None:
    job_id = await ended(site, env={"RE": "100"}, tags={"study": "re"})
    answer = await site.http.get(f"/api/v1/jobs/{job_id}/crate")
    assert answer.headers["Content-Type"] == "application/ld+json"
    entities = {item["@id"]: item for item in answer.json()["@graph"]}
    assert entities["a%20b/t.csv"]["sha256"] == sha(b"x,y")
    assert entities["a%20b/t.csv"]["encodingFormat"] == "text/csv"
    assert {"@id": ".gateway/run.json"} in entities["./"]["hasPart"]
    assert entities[f"#run-{job_id}"]["environment"] == {"@id": "#env-RE"}


async def test_the_zip_file_has_the_metadata_at_its_root_and_every_file_that_it_names(site: Site) -> None:
    job_id = await ended(site)
    answer = await site.http.get(f"/api/v1/jobs/{job_id}/crate", params={"format": "zip"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert found.testzip() is None
        names = found.namelist()
        metadata = json.loads(found.read("ro-crate-metadata.json"))
        assert found.read("ro-crate-metadata.jso%6E") == b"{}"
        run = parse_run(found.read(".gateway/run.json"))
    assert len(names) == len(set(names))
    files = {item["@id"] for item in metadata["@graph"] if item["@type"] == "File"}
    assert files == {"a%20b/t.csv", "ro-crate-metadata.jso%256E", ".gateway/run.json", ".gateway/specification.json"}
    assert run.job == job_id


async def test_a_job_that_has_not_ended_has_no_crate(site: Site) -> None:
    job = await site.submit()
    answer = await site.http.get(f"/api/v1/jobs/{job['id']}/crate")
    assert answer.status_code == 409
    assert "has not ended" in answer.json()["detail"]


async def test_what_was_carried_out_is_asked_for_again_without_what_belongs_to_the_old_site(site: Site) -> None:
    image = {"ref": "https://mirror.example.org/x.sif", "digest": DIGEST}
    run = run_of(image=image, target="old", stores=["old"], resources={"queue": "long", "cpus": 2}, env={"RE": "100"})
    run["image"] = image
    found = await plan(site, run=run, target="cluster", changes={"name": "again"})
    assert (found["how"], found["target"], found["missing"], found["needed"]) == ("specification", "cluster", [], [])
    request = found["request"]
    assert (request["image"]["digest"], request["env"], request["name"]) == (DIGEST, {"RE": "100"}, "again")
    assert "queue" not in request["resources"]
    assert request["resources"]["cpus"] == 2
    assert found["notes"] == ["left out, because other sites have others: queue"]
    answer = await site.http.post("/api/v1/crates/run", json={"run": run, "target": "cluster"})
    assert answer.status_code == 202
    assert answer.json()["tags"] == {"from-crate": run["job"]}


async def test_an_image_without_a_digest_is_refused_unless_any_will_do(site: Site) -> None:
    run = run_of(image="https://mirror.example.org/x.sif")
    run["image"] = {"ref": "https://mirror.example.org/x.sif"}
    found = await plan(site, run=run)
    assert found["missing"] == ["the crate does not know the digest of its image: any other could be taken for it"]
    assert (await plan(site, run=run, any_image=True))["missing"] == []
    refused = await site.http.post("/api/v1/crates/run", json={"run": run})
    assert refused.status_code == 422
    assert refused.json()["type"].endswith(":crate")


async def test_files_that_are_not_here_are_named_and_then_taken_by_their_digests(site: Site) -> None:
    data = b"mesh"
    digest = f"sha256:{sha(data)}"
    run = run_of(inputs=[{"path": "mesh.bin", "upload": digest}])
    run["inputs"] = [{"path": "mesh.bin", "source": "upload", "digest": digest, "size": 4}]
    (needed,) = (await plan(site, run=run))["needed"]
    assert (needed["path"], needed["digest"], needed["kept"]) == ("mesh.bin", digest, None)
    refused = await site.http.post("/api/v1/crates/run", json={"run": run})
    assert refused.status_code == 422
    assert digest in refused.json()["detail"]
    assert (await site.http.post("/api/v1/uploads", content=data)).status_code in (200, 201)
    assert (await plan(site, run=run))["needed"] == []
    job = (await site.http.post("/api/v1/crates/run", json={"run": run})).json()
    assert job["spec"]["inputs"][0]["upload"] == digest


async def test_an_input_from_a_url_is_fetched_again_unless_the_url_was_signed(site: Site) -> None:
    url = "https://files.example.org/a.bin"
    run = run_of(inputs=[{"path": "a.bin", "url": url}])
    run["inputs"] = [{"path": "a.bin", "source": "url", "digest": DIGEST, "reference": url}]
    found = await plan(site, run=run)
    assert (found["needed"], found["missing"]) == ([], [])
    assert found["request"]["inputs"] == [{"path": "a.bin", "executable": False, "url": url, "digest": DIGEST}]
    run["inputs"][0]["signed"] = True
    (needed,) = (await plan(site, run=run))["needed"]
    assert needed["digest"] == DIGEST


async def test_files_among_the_values_of_a_case_are_named_by_their_digests(site: Site) -> None:
    run = RunRecord.model_validate(
        {
            **run_of(),
            "case": "mesh",
            "case_version": DIGEST,
            "values": {"n": 4, "mesh": {"upload": DIGEST}},
            "request": {"case": "mesh", "values": {"n": 3}, "target": "old", "after_success": ["x"]},
            "inputs": [{"path": "m", "source": "upload", "digest": DIGEST, "size": 9, "kept": ".gateway/inputs/m"}],
        }
    )
    made = make_request(run, CrateOrder(run=run), set(), by_case=True)
    assert made.request["values"] == {"n": 4, "mesh": {"upload": DIGEST}}
    assert set(made.request) == {"case", "case_version", "values", "tags"}
    assert [item.kept for item in made.needed.values()] == [".gateway/inputs/m"]
    assert make_request(run, CrateOrder(run=run), {DIGEST}, by_case=True).needed == {}


async def test_of_very_many_outputs_the_top_level_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_facts, "MAX_FILES", 3)
    job_id = await ended(site)
    for number in range(5):
        await site.store_file(job_id, f"VTK/{number}", b"12")
    found = (await site.http.get(f"/api/v1/jobs/{job_id}/crate")).json()
    entities = {item["@id"]: item for item in found["@graph"]}
    assert entities["VTK/"]["description"] == "5 files, 10 bytes"
    assert {"@id": "VTK/"} in entities[f"#run-{job_id}"]["result"]
    assert "VTK/0" not in entities


async def test_what_was_secret_must_be_given_anew(site: Site) -> None:
    run = run_of(env={"API_TOKEN": "(hidden)"})
    run["hidden"] = ["#/env/API_TOKEN"]
    (missing,) = (await plan(site, run=run))["missing"]
    assert missing.startswith("#/env/API_TOKEN was secret")
    assert (await plan(site, run=run, changes={"env": {"API_TOKEN": "new"}}))["missing"] == []


async def test_a_case_that_is_known_here_is_asked_for_in_its_version(site: Site) -> None:
    names = [item.name for item in (await site.gateway.cases.list()).items]
    assert "cavity" in names
    case = next(item for item in (await site.gateway.cases.list()).items if item.name == "cavity")
    run = run_of()
    run |= {"case": "cavity", "case_version": case.version, "values": {"reynolds": 100}, "request": {"case": "cavity"}}
    run["image"] = {"ref": "built:cavity", "digest": DIGEST}
    found = await plan(site, run=run)
    assert found["how"] == "case"
    assert found["request"]["values"] == {"reynolds": 100}
    assert found["request"]["case_version"] == case.version
    assert "gateway cases build cavity" in found["missing"][0]
    run["case_version"] = DIGEST
    found = await plan(site, run=run)
    assert found["how"] == "specification"
    assert "not here in that version" in found["notes"][0]


@pytest.mark.parametrize("url", ["http://127.0.0.1/crate.zip", "file:///etc/passwd", "http://169.254.169.254/x"])
async def test_urls_go_only_where_peoples_urls_may_go(site: Site, url: str) -> None:
    answer = await site.http.post("/api/v1/crates/plan", json={"url": url})
    assert answer.status_code in (422, 502)
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"run": {}, "url": "https://x.example"},
        {"run": {"job": "x"}},
        {"run": {**run_of(), "inputs": [{"path": "../x", "source": "url"}]}},
    ],
)
async def test_what_is_no_crate_is_refused(site: Site, body: dict[str, Any]) -> None:
    assert (await site.http.post("/api/v1/crates/plan", json=body)).status_code == 422
