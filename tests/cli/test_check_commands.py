"""Finding, verifying and reconciling outputs from the command line."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.client import Gateway as Client
from gateway.db import jobs, outputs
from gateway.model.states import State
from gateway.storage.manifest import ManifestFile
from gateway.storage.signing import load_or_create_key, signed_manifest
from tests.cli.conftest import Command

FILES = {"VTK/a.vtk": b"a" * 2048, "VTK/b.vtk": b"b", "log.txt": b"one\n"}


@pytest.fixture
def job_id(serving: Gateway, command: Command, specification: Path) -> str:
    """A job that succeeded, with signed outputs."""
    found: str = command("submit", str(specification), "--json").json["id"]
    files = [ManifestFile(p, len(d), jobs.now(), f"sha256:{hashlib.sha256(d).hexdigest()}") for p, d in FILES.items()]
    rows = [outputs.OutputRow(f.path, f.size, "final", 1, f.modified_at, "text/plain", f.digest) for f in files]

    def end(connection: Any) -> None:
        outputs.upsert(connection, found, "disk", rows)
        for state in (State.STAGING, State.QUEUED, State.FINALIZING, State.SUCCEEDED):
            jobs.change_state(connection, found, state)
        jobs.set_store(connection, found, "disk", state="complete")

    serving.database.write_here(end)
    for path, data in FILES.items():
        put(serving, found, path, data)
    told: dict[str, Any] = {"job": found, "attempt": 1, "store": "disk", "state": "complete", "at": jobs.now()}
    text = signed_manifest(load_or_create_key(serving.data), **told, files=files)
    put(serving, found, ".gateway/manifest.json", text)
    return found


def put(serving: Gateway, job_id: str, path: str, data: bytes) -> None:
    place = serving.data / "results" / job_id / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)


def test_outputs_are_found_in_one_job_and_in_all(command: Command, job_id: str) -> None:
    found = command("outputs", "find", "**/*.vtk")
    assert [row.split()[-1] for row in found.out.splitlines()] == [f"{job_id}/VTK/a.vtk", f"{job_id}/VTK/b.vtk"]
    large = command("outputs", "find", "--min-size", "1K", "--tag", "study:re", "--json").json["items"]
    assert [item["path"] for item in large] == ["VTK/a.vtk"]
    one = command("outputs", "find", "*.txt", "--job", "@last", "--type", "text/*", "--limit", "1", "--json")
    assert [item["path"] for item in one.json["items"]] == ["log.txt"]
    assert (command("outputs", "find", "--state", "failed").err, command("outputs", "find", "[").status) == (
        "no outputs like that\n",
        5,
    )
    assert command("outputs", "find", "--min-size", "huge").status == 2


def test_verifying_says_what_is_wrong_and_ends_with_its_own_status(
    command: Command, serving: Gateway, job_id: str
) -> None:
    assert command("outputs", "verify", job_id, "--last").status == 3
    good = command("outputs", "verify", job_id)
    assert (good.status, good.out.splitlines()[0]) == (0, "disk: verified, 3 files read again, 3 ok")
    assert "signed with" in good.out
    assert "verified" in command("show", job_id).out
    put(serving, job_id, "VTK/b.vtk", b"B")
    put(serving, job_id, "evil\x1b[31m.sh", b"?")
    bad = command("outputs", "verify", job_id)
    assert bad.status == 11
    assert "\x1b" not in bad.out
    assert [row.split()[0] for row in bad.out.splitlines()[:2]] == ["tampered", "extra"]
    again = command("outputs", "verify", job_id, "--last", "--json")
    (told,) = again.json["items"]
    assert (again.status, told["verdict"], len(told["findings"])) == (11, "failed", 2)
    assert command("outputs", "verify", job_id, "--sample", "0").status == 11


def test_reconciling_tells_each_job_and_the_sums(command: Command, serving: Gateway, job_id: str) -> None:
    put(serving, job_id, "new", b"12")
    put(serving, "strange", "x", b"12")
    dry = command("outputs", "reconcile", "--dry-run")
    assert dry.out.splitlines() == [
        f"{job_id}: would be 1 added, 0 removed, 0 changed",
        "  new",
        "strange: unknown: its name is not that of a job",
        "disk: dry run, 6 objects, 1 job compared, 1 added, 0 removed, 0 changed",
    ]
    told = command("outputs", "reconcile", "--store", "disk", "--job", "@last", "--json").json["items"]
    assert [(line["kind"], line["added"], line["done"]) for line in told] == [("job", 1, True), ("done", 1, True)]
    assert command("outputs", "reconcile", "--store", "none").status == 3


def test_the_client_has_the_same(serving: Gateway, command: Command, job_id: str) -> None:
    with Client(data=serving.data) as client:
        seen: list[Any] = []
        assert client.verify_outputs(job_id, on_progress=seen.append).verdict == "verified"
        assert seen[-1].files_checked == 3
        assert client.verification(job_id).verdict == "verified"
        assert [key.origin for key in client.signing_keys()] == ["gateway"]
        assert [file.path for file in client.find_outputs("*.txt", job_id=job_id)] == ["log.txt"]
        assert [line.kind for line in client.reconcile("disk")][-1] == "done"
