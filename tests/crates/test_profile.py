"""A crate is one by the rules of RO-Crate and of Process Run Crate, as their validator reads them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import rocrate
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

from gateway.crates.graph import (
    CrateFile,
    CrateFolder,
    Machine,
    Parameter,
    RunFacts,
    crate_json,
    crate_of,
)
from gateway.crates.reading import read_run
from gateway.crates.record import FetchedInput, RecordFile, Told, run_files
from gateway.crates.source import FolderSource
from gateway.model.crate import RunRecord
from gateway.model.job import Job, Links
from gateway.model.specification import JobSpecification
from gateway.model.states import State

JOB = "12345678-1234-1234-1234-123456789012"
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
SPECIFICATION = {
    "name": "flow, Re = 100",
    "case": "cavity",
    "case_version": DIGEST,
    "values": {"reynolds": 100, "scheme": "upwind", "points": [1, 2]},
    "command": ["cavity", "--re", "100"],
    "env": {"OMP_NUM_THREADS": "1", "B": "2"},
    "image": {"ref": "https://mirror.example.org/cavity.sif", "digest": DIGEST},
    "inputs": [
        {"path": "system/control dict", "content": "re 100\n"},
        {"path": "ü#1%.bin", "upload": DIGEST},
        {"path": "far.bin", "upload": "sha256:" + "b" * 64},
        {"path": "atlas", "target_path": "/data/atlas"},
    ],
}


def ran(**changes: Any) -> tuple[RunRecord, list[RecordFile]]:
    """What was run, and its files."""
    specification = JobSpecification.model_validate({**SPECIFICATION, **changes})
    row = {"id": JOB, "name": specification.name, "attempt": 1, "target": "here", "request": None}
    row |= {"case": specification.case, "case_version": specification.case_version, "values": specification.values}
    fetched = {"ü#1%.bin": FetchedInput(3, DIGEST, b"\0\1\2")}
    return run_files(Told(row, specification, fetched))


def facts(run: RunRecord, files: list[RecordFile], state: State = State.SUCCEEDED, **changes: Any) -> RunFacts:
    """A whole run."""
    links = Links(self="", events="", outputs="", logs="", script="")
    job = Job(
        id=JOB, version=1, name=run.name, state=state, owner="alice", target="here", created_at=AT, links=links,
        tags={"study": "re"},
    )  # fmt: skip
    known: dict[str, Any] = {
        "message": None,
        "started_at": AT,
        "ended_at": AT,
        "case_label": "Lid-driven cavity",
        "case_description": "A flow in a box.",
        "parameters": {"reynolds": Parameter("Reynolds number", "1", "Inertia over friction.")},
        "outputs": [CrateFile("VTK/a b.vtk", 3, "text/plain; charset=utf-8", "sha256:" + "c" * 64, AT)],
        "folders": [CrateFolder("many/", 1000, 5)],
        "records": [CrateFile(file.path, len(file.content), file.content_type, file.digest) for file in files],
    }
    return RunFacts(run, job, state, machine=Machine("here", "slurm", "charliecloud", "n1"), **{**known, **changes})


def entities(found: dict[str, Any]) -> dict[str, Any]:
    return {item["@id"]: item for item in found["@graph"]}


def write(folder: Path, files: list[RecordFile], text: bytes) -> Path:
    """Lay a crate with the outputs of `facts`."""
    laid = {file.path: file.content for file in files} | {"VTK/a b.vtk": b"abc", "many/f": b"12345"}
    for path, data in {**laid, "ro-crate-metadata.json": text}.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder


@pytest.fixture
def validate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Path], list[str]]:
    """Return what a crate breaks of the profile. The context comes from the library; nothing else is asked for."""
    context = (Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_bytes()

    def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        if request.url != CONTEXT:
            raise requests.ConnectionError(f"{request.url} is not to be asked for")
        headers = {"Content-Type": "application/ld+json"}
        body = HTTPResponse(io.BytesIO(context), headers, 200, preload_content=False, decode_content=False)
        return adapter.build_response(request, body)

    monkeypatch.setattr(HTTPAdapter, "send", send)

    def validated(folder: Path) -> list[str]:
        from rocrate_validator import services
        from rocrate_validator.models import Severity

        settings = services.ValidationSettings(
            rocrate_uri=str(folder),
            profile_identifier="process-run-crate",
            requirement_severity=Severity.REQUIRED,
            skip_availability_check=True,
            cache_path=str(tmp_path / "cache"),
        )
        return [f"{item.check.identifier}: {item.message}" for item in services.validate(settings).get_issues()]

    return validated


def test_a_crate_is_valid_by_its_profile_and_one_without_an_instrument_is_not(
    tmp_path: Path, validate: Callable[[Path], list[str]]
) -> None:
    run, files = ran()
    text = crate_json(facts(run, files))
    folder = write(tmp_path / "good", files, text)
    assert validate(folder) == []
    assert read_run(FolderSource(folder)) == run
    broken = json.loads(text)
    del next(item for item in broken["@graph"] if item["@type"] == "CreateAction")["instrument"]
    assert validate(write(tmp_path / "bad", files, json.dumps(broken).encode()))


def test_the_action_names_what_ran_with_what_where_and_what_came_of_it() -> None:
    run, files = ran()
    found = entities(crate_of(facts(run, files)))
    action = found[f"#run-{JOB}"]
    assert (action["startTime"], action["endTime"]) == ("2026-01-01T12:00:00+00:00",) * 2
    assert found[action["instrument"]["@id"]]["version"] == DIGEST
    image = found[action["containerImage"]["@id"]]
    assert (image["sha256"], image["registry"]) == ("a" * 64, "mirror.example.org")
    assert found[action["agent"]["@id"]]["name"] == "alice"
    assert found[action["location"]["@id"]]["description"] == "jobs by slurm, containers by charliecloud"
    objects = {item["@id"] for item in action["object"]}
    assert "#value-reynolds" in objects
    assert "#input-far.bin" in objects
    value = found["#value-reynolds"]
    assert (value["name"], value["value"], value["unitText"]) == ("Reynolds number", 100, "1")
    assert {item["@id"] for item in action["result"]} == {"VTK/a%20b.vtk", "many/"}
    output = found["VTK/a%20b.vtk"]
    assert (output["contentSize"], output["sha256"], output["encodingFormat"]) == ("3", "c" * 64, "text/plain")


def test_a_run_that_failed_says_why() -> None:
    run, files = ran()
    found = entities(crate_of(facts(run, files, State.FAILED, message="exit code 3")))
    action = found[f"#run-{JOB}"]
    assert (action["actionStatus"], action["error"]) == ("http://schema.org/FailedActionStatus", "exit code 3")


def test_a_command_without_a_case_is_the_instrument_itself() -> None:
    run, files = ran(case=None, case_version=None, values={})
    found = entities(crate_of(facts(run, files)))
    assert found["#command"]["name"] == "cavity --re 100"
