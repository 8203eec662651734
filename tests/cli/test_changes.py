"""Finding, changing and repeating jobs and sweeps from the command line; nothing drives them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.cli.assignments import grid_of, loose, tags_of, typed, values_of
from gateway.cli.exits import UsageMistake
from gateway.model.case import ParameterInfo


def test_jobs_are_listed_by_every_filter_and_order(command: Any, serving: Gateway, specification: Path) -> None:
    for name in ("n", "m", "o"):  # no id begins with one of these
        command("submit", specification, "--name", name, "--tag", f"which={name}")
    names = lambda *arguments: [item["name"] for item in command("jobs", "list", "--json", *arguments).json["items"]]
    assert names() == ["o", "m", "n"]
    assert names("--sort", "name", "--limit", "2") == ["m", "n"]
    assert names("-q", "n") == ["n"]
    assert names("--tag", "which:o", "--state", "accepted", "--target", "here") == ["o"]
    assert names("--created-before", "2020-01-01") == names("--ended-after", "2020-01-01") == names("--case", "x") == []
    assert len(names("--created-after", "2020-01-01T00:00:00Z")) == 3
    assert command("jobs", "--json").out == command("jobs", "list", "--json").out
    assert command("jobs", "show", "@last").out == command("show", "@last").out
    assert command("jobs", "--sort", "colour").status == 5


def test_a_draft_is_made_changed_and_let_run(command: Any, serving: Gateway, specification: Path) -> None:
    job_id = command("submit", specification, "--draft").out.strip()
    said = command("edit", job_id, "resources.cpus=3", "env.A=b", "--notes", "look", "--tag", "study=", "--tag", "x=y")
    assert said.status == 0, said.err
    found = command("show", job_id, "--json").json
    assert (found["state"], found["notes"], found["tags"]) == ("draft", "look", {"x": "y"})
    assert (found["spec"]["resources"]["cpus"], found["spec"]["env"]) == (3, {"A": "b"})
    assert command("start", job_id).status == 0
    assert command("edit", job_id, "resources.cpus=4").status == 5
    assert command("edit", job_id, "--name", "other").status == 0
    assert "name          other" in command("show", job_id).out
    assert command("edit", job_id).status == 2


def test_a_job_is_repeated_with_changes_that_are_told(command: Any, serving: Gateway, specification: Path) -> None:
    first = command("submit", specification).out.strip()
    said = command("rerun", first, "--name", "again")
    assert "#/name: flow -> again" in said.err
    assert command("show", said.out.strip(), "--json").json["rerun_of"] == first
    assert command("rerun", first, "--json", "--name", "again").json["changes"][0]["pointer"] == "#/name"
    assert command("rerun", first, "--set", "a=1").status == 2
    copy = command("clone", first)
    assert command("show", copy.out.strip(), "--json").json["state"] == "draft"


def test_many_jobs_are_cancelled_and_forgotten(command: Any, serving: Gateway, specification: Path) -> None:
    ids = [command("submit", specification, "--name", f"n{n}").out.strip() for n in range(3)]
    assert command("cancel", "-q", "n", "--wait", "--yes").status == 2
    assert command("cancel", ids[0], ids[1][:8], "--json").json["items"][1]["done"]
    assert command("cancel", "--state", "accepted", "--yes").err == f"{ids[2][:8]}: cancel requested\n"
    said = command("cancel", ids[0], ids[1])
    assert said.status == 5
    assert said.err.count("\n") == 2
    assert command("delete", ids[0]).err == f"{ids[0][:8]}: forgotten; its outputs stay\n"
    assert len(command("delete", "--tag", "study:re", "--yes", "--json").json["items"]) == 2
    assert command("jobs").err.startswith("no jobs")
    assert command("delete").status == 2
    assert command("delete", ids[0], "--state", "failed").status == 2


def test_a_dry_run_shows_the_script_and_stores_nothing(command: Any, serving: Gateway, specification: Path) -> None:
    said = command("submit", specification, "--dry-run")
    assert said.status == 0
    assert said.out.startswith("#!/bin/bash\n")
    assert "nothing was submitted" in said.err
    assert command("submit", specification, "--dry-run", "--json").json["preview"]["problems"] == []
    assert command("jobs", "--json").json["items"] == []
    assert command("submit", specification, "--dry-run", "--wait").status == 2


def test_files_that_a_specification_names_are_sent_from_its_own_folder(
    command: Any, serving: Gateway, tmp_path: Path
) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    (folder / "mesh").write_bytes(content := b"mesh\n" * 9)
    body = {"command": ["true"], "inputs": [{"path": "m", "file": "mesh"}, {"path": "n", "file": "mesh"}]}
    (folder / "job.json").write_text(json.dumps(body))
    job = command("submit", folder / "job.json", "--json").json
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert [item["upload"] for item in job["spec"]["inputs"]] == [digest, digest]
    (folder / "mesh").unlink()
    said = command("submit", folder / "job.json")
    assert said.status == 5
    assert "#/inputs/0/file: " in said.err
    assert "No such file" in said.err


def test_events_and_logs_come_as_lines_of_json(command: Any, serving: Gateway, specification: Path) -> None:
    job_id = command("submit", specification).out.strip()
    command("cancel", job_id)
    lines = [json.loads(line) for line in command("events", job_id, "--json").out.splitlines()]
    assert [line["data"]["to"] for line in lines if line["kind"] == "state"] == ["accepted", "cancelled"]
    told = command("events").out.splitlines()
    assert told[0].endswith(f"{job_id[:8]}  accepted")
    followed = command("events", job_id, "-f", "--after", str(lines[0]["sequence"])).out
    assert followed.splitlines()[-1].split("  ")[-1].startswith("cancelled")
    assert command("logs", job_id, "-f", "--json").out == ""


def test_a_sweep_is_submitted_listed_shown_and_cancelled(
    command: Any, serving: Gateway, specification: Path, tmp_path: Path
) -> None:
    made = command("sweep", "submit", specification, "--grid", "/env/A=1,2", "--name", "s", "--limit", "1")
    assert made.status == 0, made.err
    sweep_id = made.out.strip()
    assert command("sweep", "list").out.splitlines()[1].split()[0] == sweep_id[:8]
    shown = command("sweep", "show", sweep_id[:7]).out
    assert "parameters    /env/A" in shown
    assert len([row for row in shown.splitlines() if " here " in row and "flow" not in row]) >= 2
    rows = command("sweep", "table", "@last", "--json").json["items"]
    assert [row["/env/A"] for row in rows] == ["1", "2"]
    assert command("sweep", "table", "@last").out.startswith("index,job_id,/env/A,state,")
    assert command("sweep", "cancel", sweep_id).status == 0
    assert command("sweep", "wait", sweep_id).status == 10

    table = tmp_path / "t.csv"
    table.write_text("/env/A,/env/B\n1,x\n2,y\n3,z\n")
    assert command("sweep", "submit", specification, "--table", table, "--json").json["count"] == 3
    table.write_text("/env/A,/env/B\n1\n")
    said = command("sweep", "submit", specification, "--table", table)
    assert (said.status, "line 2" in said.err) == (2, True)
    assert command("sweep", "submit", specification).status == 2
    assert command("sweep", "show", "ffff").status == 3


def parameter(kind: str, **more: Any) -> ParameterInfo:
    return ParameterInfo.model_validate({"name": "p", "label": "P", "type": kind, "required": False, **more})


@pytest.mark.parametrize(
    ("text", "known", "value"),
    [
        ("5", parameter("int"), 5),
        ("5", parameter("text"), "5"),
        ("1e-3", parameter("float"), 0.001),
        ("true", parameter("bool"), True),
        ("yes", parameter("bool"), "yes"),
        ("[1]", parameter("int"), "[1]"),
        ("2", parameter("choice", choices=[{"value": 2, "label": "two"}]), 2),
        ("b", parameter("choice", choices=[{"value": "b", "label": "B"}]), "b"),
        ("m.stl", parameter("file"), {"file": "m.stl"}),
        ("NaN", parameter("float"), "NaN"),
        ("7", None, 7),
        ("a=b", None, "a=b"),
    ],
)
def test_a_value_is_what_its_parameter_takes(text: str, known: ParameterInfo | None, value: Any) -> None:
    assert typed(text, known) == value
    assert type(typed(text, known)) is type(value)


def test_names_and_values_are_taken_apart() -> None:
    assert values_of(["a=1", "b=x=y"], {}) == {"a": 1, "b": "x=y"}
    assert tags_of(["a=1", "b="]) == {"a": "1", "b": None}
    grid = grid_of(["re=100,200", "/env/A=1,2", 'list=["a,b", 2]', "t=1,x"], {"t": parameter("text")})
    assert grid == {"re": [100, 200], "/env/A": ["1", "2"], "list": ["a,b", 2], "t": ["1", "x"]}
    assert loose("[" * 100_000) == "[" * 100_000
    for wrong in ("novalue", "=x", ""):
        with pytest.raises(UsageMistake, match="NAME=VALUE"):
            values_of([wrong], {})
