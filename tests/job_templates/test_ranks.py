"""Payloads of many processes, with a launcher of the test's own in place of mpirun."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.job_templates.local_attempt import PATIENCE, Attempt, processes_about, until

MPIRUN = """#!/bin/bash
[[ $1 == -n ]] || exit 9
count=$2
shift 2
trap 'kill -KILL "${pids[@]}"; exit 143' TERM
for ((rank = 0; rank < count; rank++)); do
  MPI_RANK=$rank PMI_RANK=$rank "$@" &
  pids+=($!)
done
status=0
for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
exit "$status"
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """PATH with a launcher."""
    program = tmp_path / "bin" / "mpirun"
    program.parent.mkdir()
    program.write_text(MPIRUN)
    program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


THREE = {"launcher": "mpirun", "tasks_per_node": 3}


def test_each_rank_is_a_payload_of_its_own_in_the_one_folder(attempt: Attempt, path: str) -> None:
    attempt.stage("echo said $PMI_RANK; echo $NAME >out.$PMI_RANK", env={"NAME": "a b"}, **THREE)
    assert attempt.run(PATH=path) == 0
    assert [attempt.stored(f"out.{n}").read_text() for n in range(3)] == ["a b\n"] * 3
    assert sorted((attempt.control / "payload.out").read_text().splitlines()) == [f"said {n}" for n in range(3)]
    assert (attempt.final["outcome"], attempt.final["runtime"]) == ("ended", "host")


def test_the_exit_code_of_a_rank_is_the_jobs(attempt: Attempt, path: str) -> None:
    attempt.stage("[ $PMI_RANK != 1 ] || exit 7", **THREE)
    assert attempt.run(PATH=path) == 7
    assert attempt.final["reason"] == "exit_code"


def test_the_word_stop_ends_all_ranks_gracefully(attempt: Attempt, path: str) -> None:
    attempt.stage(
        "trap 'echo bye >bye.$PMI_RANK; exit 0' TERM; touch up.$PMI_RANK; sleep 300 & wait", grace=15.0, **THREE
    )
    script = attempt.start(PATH=path)
    until(lambda: all((attempt.folder / f"up.{n}").exists() for n in range(3)), "all ranks are up")
    attempt.say("stop")
    script.wait(PATIENCE)
    assert (attempt.final["outcome"], attempt.final["reason"]) == ("stopped", "cancelled_by_user")
    assert all(attempt.stored(f"bye.{n}").exists() for n in range(3))
    assert not processes_about(attempt.job)


def test_ranks_that_do_not_listen_are_forced(attempt: Attempt, path: str) -> None:
    attempt.stage("trap '' TERM; touch up.$PMI_RANK; while :; do sleep 0.1; done", grace=1.0, **THREE)
    script = attempt.start(PATH=path)
    until(lambda: all((attempt.folder / f"up.{n}").exists() for n in range(3)), "all ranks are up")
    attempt.say("stop")
    script.wait(PATIENCE)
    until(lambda: not processes_about(attempt.job), "nothing is left")


def test_a_launcher_that_is_not_there_is_named(attempt: Attempt, path: str) -> None:
    attempt.stage("true", preamble='command() { [[ $2 != mpirun ]] && builtin command "$@"; }', **THREE)
    assert attempt.run(PATH=path) == 1
    assert attempt.final["reason"] == "runtime_missing"
    assert "mpirun" in attempt.final["message"]
