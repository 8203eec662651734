"""The commands about crates and comparisons: what they tell, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.model.specification import JobSpecification
from tests.cli.conftest import Command

JOB = "12345678-1234-1234-1234-123456789012"
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    """The folder of a crate of one command, with an input that is not in it."""
    inputs = [{"path": "mesh.bin", "upload": DIGEST}]
    specification = JobSpecification.model_validate({"command": ["true"], "inputs": inputs, "name": "flow"})
    run: dict[str, Any] = {
        "job": JOB,
        "name": "flow",
        "specification": specification.model_dump(mode="json"),
        "inputs": [{"path": "mesh.bin", "source": "upload", "digest": DIGEST, "size": 4}],
    }

    graph = [
        {"@id": "ro-crate-metadata.json", "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"}},
        {"@id": "./"},
        {"@id": ".gateway/run.json"},
    ]
    folder = tmp_path / "crate"
    (folder / ".gateway").mkdir(parents=True)
    (folder / "ro-crate-metadata.json").write_text(json.dumps({"@graph": graph}))
    (folder / ".gateway/run.json").write_text(json.dumps(run))
    return folder


def test_a_dry_run_tells_what_a_crate_would_run(command: Command, serving: Gateway, crate: Path) -> None:
    said = command("rerun", "--from-crate", crate, "--dry-run")
    assert said.status == 0
    assert said.out == ""
    assert said.err.splitlines() == [
        "runs what was carried out again, of job 12345678 (flow), on here",
        f"  input: mesh.bin {DIGEST}",
        f"  to upload: mesh.bin {DIGEST} (NOT in the crate: give it with --file)",
    ]
    plan = command("rerun", "--from-crate", crate, "--dry-run", "--json", "--name", "again").json
    assert plan["request"]["name"] == "again"


def test_an_input_that_nobody_has_is_named(command: Command, serving: Gateway, crate: Path) -> None:
    said = command("rerun", "--from-crate", crate)
    assert said.status == 5
    assert f"the input 'mesh.bin' ({DIGEST}) is missing" in said.err


@pytest.mark.parametrize("place", ["nothing-there", "https://127.0.0.1:1/crate.zip"])
def test_a_place_without_a_crate_is_refused(command: Command, serving: Gateway, place: str) -> None:
    assert command("rerun", "--from-crate", place).status in (4, 5)


@pytest.mark.parametrize(
    "words",
    [
        ("rerun",),
        ("rerun", "abc", "--from-crate", "x"),
        ("rerun", "--from-crate", "x", "--draft"),
        ("rerun", "abc", "--dry-run"),
        ("rerun", "abc", "--file", "x"),
        ("outputs", "compare", "abc"),
        ("outputs", "compare", "abc", "def", "--rtol", "-1"),
    ],
)
def test_what_does_not_go_together_is_a_mistake_of_usage(command: Command, words: tuple[str, ...]) -> None:
    assert command(*words).status == 2


def test_jobs_that_have_not_ended_are_not_compared(command: Command, serving: Gateway, specification: Path) -> None:
    job_id = command("submit", specification).out.strip()
    for words in (("outputs", "compare", job_id, job_id), ("reproduce", job_id), ("crate", job_id)):
        said = command(*words)
        assert said.status == 5
        assert "has not ended" in said.err
