"""The commands against a gateway that serves; nothing drives its jobs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import gateway
from gateway.app import Gateway
from gateway.cli.main import global_first


def test_a_submitted_job_is_named_listed_and_shown(command: Any, serving: Gateway, specification: Path) -> None:
    said = command("submit", specification)
    job_id = said.out.strip()
    assert said.status == 0
    assert len(job_id) == 36
    assert f"gateway watch {job_id[:8]}" in said.err
    listed = command("jobs").out.splitlines()
    assert listed[1].split()[:4] == [job_id[:8], "accepted", "flow", "here"]
    shown = command("show", job_id[:6]).out
    assert f"id            {job_id}" in shown
    assert "tags          study:re" in shown
    assert command("show", "@last").out == shown


def test_json_is_the_answer_of_the_api(command: Any, serving: Gateway, specification: Path) -> None:
    job = command("submit", specification, "--json").json
    assert command("show", job["id"], "--json").json["spec"]["command"] == ["true"]
    assert [item["id"] for item in command("jobs", "--json").json["items"]] == [job["id"]]
    assert command("targets", "--json").json["items"][0]["name"] == "here"
    assert command("version", "--json").json == {"version": gateway.__version__}


def test_options_of_the_command_line_come_before_the_file(command: Any, serving: Gateway, specification: Path) -> None:
    job = command("submit", specification, "--name", "mine", "--json").json
    assert job["name"] == "mine"
    assert command("submit", specification, "--target", "nowhere").status == 5


def test_the_same_key_gives_the_same_job(command: Any, serving: Gateway, specification: Path) -> None:
    first, second = (command("submit", specification, "--key", "k").out for _ in range(2))
    assert first == second
    assert command("submit", specification, "--key", "k", "--name", "other").status == 5


def test_jobs_are_filtered(command: Any, serving: Gateway, specification: Path) -> None:
    command("submit", specification)
    assert len(command("jobs", "--tag", "study:re", "--json").json["items"]) == 1
    assert command("jobs", "--tag", "study:other", "--json").json["items"] == []
    assert command("jobs", "--state", "failed").err == "no jobs like that\n"


def test_a_cancelled_job_is_told_and_cannot_be_cancelled_again(
    command: Any, serving: Gateway, specification: Path
) -> None:
    job_id = command("submit", specification).out.strip()
    assert command("cancel", job_id).status == 0
    assert command("show", job_id, "--json").json["state"] == "cancelled"
    said = command("cancel", job_id)
    assert said.status == 5
    assert f"see: gateway show {job_id[:8]}" in said.err


def test_a_refused_specification_names_each_field_on_a_line(command: Any, serving: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text(json.dumps({"command": ["x"], "resources": {"walltime": "soon"}, "colour": 1}))
    said = command("submit", file)
    assert said.status == 5
    assert "#/resources/walltime: " in said.err
    assert "#/colour: " in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["show", "ffffffff"], 3, "there is no job 'ffffffff'"),
        (["logs", "@last"], 3, "there is no job yet"),
        (["outputs", "00000000-0000-4000-8000-000000000000"], 3, ""),
        (["logs", "@last", "--stream", "secrets"], 2, "there is no log 'secrets'"),
        (["submit", "/nowhere.json"], 2, "cannot be read"),
        (["submit"], 2, "Missing"),
        (["jobs", "--colour"], 2, "No such option"),
        (["jobs", "--limit", "many"], 2, ""),
        (["explode"], 2, "explode"),
        (["target"], 2, "Missing command"),
        (["target", "check", "nowhere"], 3, "configured: here"),
        (["manifest", "00000000-0000-4000-8000-000000000000"], 3, ""),
    ],
)
def test_a_mistake_is_told_in_two_lines_with_its_status(
    command: Any, serving: Gateway, arguments: list[str], status: int, words: str
) -> None:
    said = command(*arguments)
    assert said.status == status
    assert words in said.err
    assert said.err.startswith("gateway: ")
    assert len(said.err.splitlines()) <= 2
    assert said.out == ""


@pytest.mark.parametrize(
    "arguments",
    [["jobs"], ["show", "x"], ["targets"], ["logs", "x"], ["cancel", "x"], ["watch", "x"], ["outputs", "x"]],
)
def test_without_a_running_gateway_a_command_says_how_to_start_one(command: Any, arguments: list[str]) -> None:
    said = command(*arguments)
    assert said.status == 4
    assert said.err == "gateway: no gateway is running\n  start one with: gateway serve\n"


def test_a_wrong_token_is_refused(
    command: Any, serving: Gateway, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = json.loads((config.parent / "data/server.json").read_text())["url"]
    monkeypatch.setenv("GATEWAY_URL", url)
    monkeypatch.setenv("GATEWAY_TOKEN", "wrong")
    assert command("jobs").status == 5


def test_remote_text_cannot_steer_the_terminal(command: Any, serving: Gateway, specification: Path) -> None:
    job_id = command("submit", specification).out.strip()

    async def spoil() -> None:
        from gateway.db import jobs

        hostile = "\x1b[2J\x1b]0;owned\x07[red]gone[/red]\nnext"
        await serving.database.write(lambda c: jobs.set_columns(c, job_id, message=hostile))

    thread = threading.Thread(target=lambda: asyncio.run(spoil()))
    thread.start()
    thread.join()
    shown = command("show", job_id).out
    assert "message       [red]gone[/red] next\n" in shown
    for arguments in (["jobs"], ["show", job_id], ["show", job_id, "--json"]):
        assert "\x1b" not in command(*arguments).out


def test_the_configuration_is_checked_shown_and_found(command: Any, config: Path) -> None:
    assert command("config", "check").out == f"{config} is good\n"
    assert command("config", "path").out == f"{config}\n"
    assert command("config", "show").json["gateway"]["default_target"] == "here"


def test_every_mistake_of_the_configuration_is_named(command: Any, config: Path) -> None:
    config.write_text(
        config.read_text() + '[stores.b]\nkind = "directory"\ncolour = 1\n[targets.t]\npoll_interval = "x"\n'
    )
    said = command("config", "check")
    assert said.status == 2
    assert "targets.t.poll_interval" in said.err
    assert all(line.startswith("  ") for line in said.err.splitlines()[1:])


def test_a_configuration_that_is_not_there_is_named(command: Any) -> None:
    said = command("jobs", "--config=/nowhere.toml")
    assert said.status == 2
    assert "/nowhere.toml does not exist" in said.err


def test_help_is_shown_without_any_command(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from gateway.cli.main import run

    assert run([]) == 0
    shown = capsys.readouterr().out
    assert "submit" in shown
    assert "10 the job failed" in " ".join(shown.split())


def test_a_file_that_cannot_be_written_is_named_with_the_reason(
    command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = tmp_path / "missing" / "file"

    def fail(*_: object, **__: object) -> None:
        missing.write_text("")

    monkeypatch.setattr("gateway.cli.session.load", fail)
    said = command("jobs")
    assert said.status == 2
    assert said.err == f"gateway: {missing}: No such file or directory\n"


def test_an_unexpected_error_is_one_sentence_without_a_trace(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the moon is full")

    monkeypatch.setattr("gateway.cli.session.load", fail)
    said = command("jobs")
    assert said.status == 1
    assert said.err.startswith("gateway: unexpected error: RuntimeError: the moon is full\n")
    assert "Traceback" not in said.err
    assert "Traceback" in command("jobs", "--debug").err


@pytest.mark.parametrize("buffered", ["", "1"])
def test_whoever_stops_reading_our_output_gets_no_complaint(config: Path, buffered: str) -> None:
    program = [sys.executable, "-m", "gateway.cli.main", "--config", str(config), "config", "show"]
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONUNBUFFERED": buffered}
    ended = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, check=False, env=environment)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["jobs", "--json"], ["--json", "jobs"]),
        (["show", "x", "--config", "f", "--debug"], ["--config", "f", "--debug", "show", "x"]),
        (["show", "--config=f", "x"], ["--config=f", "show", "x"]),
        (["show", "--", "--json"], ["show", "--", "--json"]),
        (["jobs", "--config"], ["--config", "jobs"]),
    ],
)
def test_the_options_of_every_command_may_stand_anywhere(given: list[str], wanted: list[str]) -> None:
    assert global_first(given) == wanted
