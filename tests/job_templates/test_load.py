"""How a script gets its libraries, and what becomes of an attempt whose libraries are not there or damaged."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gateway.compute.script import library_of, render
from gateway.model.records import parse_final
from tests.job_templates.local_attempt import Attempt


def put_libraries(attempt: Attempt) -> Path:
    """Have the attempt's script load its libraries, and put them there."""
    library = library_of(str(attempt.base / "work" / ".gateway" / "tools"), attempt.request.runtime_libraries)
    path = Path(library.path)
    path.parent.mkdir(parents=True)
    path.write_bytes(library.text.encode())
    attempt.request = dataclasses.replace(attempt.request, library=library)
    return path


def hasten(attempt: Attempt) -> None:
    """Have the script look for its libraries twice only."""
    script = attempt.control / "job.sh"
    script.write_text(script.read_text().replace("{1..20}", "{19..20}"))


def test_a_script_with_its_libraries_elsewhere_is_short_and_runs_as_any_other(attempt: Attempt) -> None:
    whole = len(render(attempt.request))
    put_libraries(attempt)
    attempt.stage("echo hi >out")
    assert (attempt.control / "job.sh").stat().st_size < 6000 < whole
    assert attempt.run() == 0
    assert (attempt.final["outcome"], attempt.final["exit_code"], attempt.final["manifest"]) == ("ended", 0, True)
    assert attempt.stored("out").read_text() == "hi\n"
    assert attempt.log() == ""


def test_the_libraries_of_an_older_gateway_do_for_its_jobs_after_an_upgrade(attempt: Attempt) -> None:
    path = put_libraries(attempt)
    attempt.stage("true", stores=(), transfers=(), rclone=None)
    newer = library_of(str(path.parent), {"other": "gw_other_available() { return 1; }"})
    assert newer.path != str(path)
    Path(newer.path).write_text(newer.text)
    assert attempt.run() == 0


@pytest.mark.parametrize(
    ("scheduler", "variable", "scheduler_id"),
    [("pbs", "PBS_JOBID", "17.server"), ("slurm", "SLURM_JOB_ID", "42"), ("direct", "NOTHING", None)],
)
@pytest.mark.parametrize("damage", ["gone", "torn", "longer"])
def test_without_whole_libraries_the_attempt_ends_and_says_why(
    attempt: Attempt, damage: str, scheduler: str, variable: str, scheduler_id: str | None
) -> None:
    path = put_libraries(attempt)
    attempt.stage("touch ran", scheduler_kind=scheduler)
    text = path.read_bytes()
    path.unlink() if damage == "gone" else path.write_bytes(text[:-9] if damage == "torn" else text + b"\n")
    hasten(attempt)
    assert attempt.run(**{variable: scheduler_id or ""}) == 1
    words = "cannot be read" if damage == "gone" else "are damaged"
    assert attempt.final["message"] == f"the script's libraries {path} {words}"
    claim = dict(line.split("=") for line in (attempt.control / "claim").read_text().splitlines())
    assert {"scheduler_id": attempt.final["scheduler_id"], "token": attempt.final["token"]} == claim
    assert scheduler_id in (None, attempt.final["scheduler_id"])
    assert (attempt.final["outcome"], attempt.final["reason"]) == ("not_started", "node_failed")
    assert not (attempt.folder / "ran").exists()
    assert not (attempt.control / "credentials").exists()
    assert not list(attempt.control.glob(".claim*"))


def test_the_record_of_an_attempt_without_libraries_is_one_that_the_gateway_reads(attempt: Attempt) -> None:
    put_libraries(attempt).unlink()
    attempt.stage("touch ran")
    hasten(attempt)
    attempt.run()
    read = parse_final((attempt.control / "final.json").read_bytes())
    assert (read.reason, read.exit_code, read.claimed_at is None) == ("node_failed", None, False)


def test_an_attempt_that_is_claimed_is_not_touched_by_a_script_without_libraries(attempt: Attempt) -> None:
    put_libraries(attempt).unlink()
    attempt.stage("touch ran")
    claim = f"scheduler_id=18.server\ntoken={'a' * 32}\n"
    (attempt.control / "claim").write_text(claim)
    hasten(attempt)
    assert attempt.run() == 75
    assert (attempt.control / "claim").read_text() == claim
    assert not (attempt.control / "final.json").exists()


def test_a_syncer_without_libraries_leaves_the_attempt_to_its_script(attempt: Attempt) -> None:
    put_libraries(attempt).unlink()
    attempt.stage("touch ran")
    script = attempt.control / "job.sh"
    script.write_text(script.read_text().replace('gw_load "$@"', "gw_load syncer").replace("{1..20}", "{19..20}"))
    assert attempt.run() == 74
    assert not (attempt.control / "claim").exists()
