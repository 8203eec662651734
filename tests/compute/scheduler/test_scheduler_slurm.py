"""Every recorded command of Slurm 22.05 is replayed through its parser; ``sacct`` by lines as its manual gives them."""

from __future__ import annotations

from typing import Any

import pytest
from scheduler_replay import bash, load, replay, summary

from gateway.compute.scheduler.base import Command, SchedulerFacts, Submission
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.errors import SchedulerError, SubmissionRejected
from gateway.model.specification import Resources

RECORDINGS = load("slurm-22.05")
SLURM = Slurm(SlurmSettings(kind="slurm"))
FACTS = SchedulerFacts("slurm", "22.05.8", {"sacct": "no"})
ACCOUNTS = SchedulerFacts("slurm", "22.05.8", {"sacct": "yes"})
SUBMIT = SLURM.submit(Submission("gw-0123456789ab", "/c", Resources()), FACTS)

JOBS = {
    "begin": ("7", "queued", None, None),
    "cancelled_queued": ("10", "ended", None, "terminated"),
    "cancelled_running": ("4", "ended", 143, "terminated"),
    "dependency": ("8", "held", None, None),
    "dependency_broken": ("9", "ended", None, "dependency_failed"),
    "finished_exit3": ("2", "ended", 3, "exit_code"),
    "finished_killed": ("3", "ended", 137, "signalled"),
    "finished_ok": ("1", "ended", 0, None),
    "held": ("6", "held", None, None),
    "queued": ("10", "queued", None, None),
    "running": ("4", "running", None, None),
    "walltime": ("5", "ended", 143, "walltime"),
}
NOT_KNOWN = ("empty_unknown", "unknown", "unknown_two")
SUBMITTED = {
    "submit": "1",
    "submit_exit3": "2",
    "submit_killed": "3",
    "submit_running": "4",
    "submit_walltime": "5",
    "submit_held": "6",
    "submit_begin": "7",
    "submit_dependency": "8",
    "submit_dependency_broken": "9",
    "submit_queued": "10",
}
REJECTED = {
    "rejected_cpus": "More processors requested than permitted",
    "rejected_gpus": "Invalid generic resource",
    "rejected_memory": "Memory specification can not be satisfied",
    "rejected_no_file": "Unable to open file",
    "rejected_option": "unrecognized option",
    "rejected_queue": "Invalid partition name specified",
    "rejected_walltime": "Requested time limit is invalid",
}
CANCELLED = {
    "cancel_finished": ("1", None),
    "cancel_other_user": ("4", "scancel: error: Kill job error on job id 4: Access/permission denied"),
    "cancel_queued": ("10", None),
    "cancel_running": ("4", None),
    "cancel_unknown": ("999999", None),
}
OTHERS = ("detect", "find", "mixed", "no_folder", "down_query", "down_submit", "down_cancel", "down_find")


def test_no_recording_is_left_out() -> None:
    used = [*JOBS, *NOT_KNOWN, *SUBMITTED, *REJECTED, *CANCELLED, *OTHERS]
    assert sorted(used) == sorted(RECORDINGS)


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_the_phase_exit_status_and_reason_that_slurm_showed(name: str) -> None:
    scheduler_id, *expected = JOBS[name]
    answer = replay(SLURM.query([scheduler_id], FACTS), RECORDINGS[name])
    assert summary(answer) == {scheduler_id: tuple(expected)}
    assert answer.problems == ()
    assert answer.jobs[scheduler_id].name == f"gw-{int(scheduler_id):012x}"


def test_slurms_own_reason_is_the_comment() -> None:
    answer = replay(SLURM.query(["9"], FACTS), RECORDINGS["dependency_broken"])
    assert answer.jobs["9"].comment == "DependencyNeverSatisfied"


@pytest.mark.parametrize("name", NOT_KNOWN)
def test_a_job_that_slurm_does_not_know_is_absent_and_no_problem(name: str) -> None:
    answer = replay(SLURM.query(["999998", "999999"], FACTS), RECORDINGS[name])
    assert (answer.jobs, answer.problems) == ({}, ())


def test_known_jobs_are_seen_beside_an_unknown_one() -> None:
    answer = replay(SLURM.query(["1", "4", "999999"], FACTS), RECORDINGS["mixed"])
    assert summary(answer) == {"1": ("ended", 0, None), "4": ("running", None, None)}


def test_a_controller_that_is_down_says_nothing_about_any_job() -> None:
    commands: dict[str, Command[Any]] = {
        "down_query": SLURM.query(["4", "10"], FACTS),
        "down_cancel": SLURM.cancel(["4"], FACTS),
        "down_find": SLURM.find(["gw-000000000001"], FACTS),
    }
    for name, command in commands.items():
        with pytest.raises(SchedulerError, match="Unable to contact slurm controller"):
            replay(command, RECORDINGS[name])


def test_one_failed_call_among_several_is_not_taken_for_an_unknown_id() -> None:
    stderr = "slurm_load_jobs error: Invalid job id specified\nslurm_load_jobs error: Zero Bytes were transmitted\n"
    with pytest.raises(SchedulerError, match="Zero Bytes"):
        SLURM.query(["4", "10"], FACTS).parse("\n@squeue 1\n\n@squeue 1\n", stderr, 1)


@pytest.mark.parametrize("name", SUBMITTED)
def test_sbatch_tells_the_id(name: str) -> None:
    assert replay(SUBMIT, RECORDINGS[name]) == SUBMITTED[name]


def test_the_name_of_the_cluster_is_not_part_of_the_id() -> None:
    assert SUBMIT.parse("sbatch: lua: welcome\n17;east\n", "", 0) == "17"


@pytest.mark.parametrize("name", REJECTED)
def test_a_refused_job_is_rejected_with_slurms_words(name: str) -> None:
    with pytest.raises(SubmissionRejected, match=REJECTED[name]):
        replay(SUBMIT, RECORDINGS[name])


@pytest.mark.parametrize("name", ["down_submit", "no_folder"])
def test_a_submission_that_reached_nobody_is_not_a_rejection(name: str) -> None:
    with pytest.raises(SchedulerError) as caught:
        replay(SUBMIT, RECORDINGS[name])
    assert not isinstance(caught.value, SubmissionRejected)


@pytest.mark.parametrize(
    "words",
    ["Socket timed out on send/recv operation", "Slurm temporarily unable to accept job, sleeping and retrying"],
)
def test_a_submission_whose_answer_was_lost_is_not_a_rejection(words: str) -> None:
    with pytest.raises(SchedulerError) as caught:
        SUBMIT.parse("\n", f"sbatch: error: Batch job submission failed: {words}\n", 1)
    assert not isinstance(caught.value, SubmissionRejected)


@pytest.mark.parametrize(("stderr", "status"), [("", 1), ("", 137), ("Killed", 137), ("bash: sbatch: not found", 127)])
def test_an_end_without_slurms_words_is_not_a_rejection(stderr: str, status: int) -> None:
    with pytest.raises(SchedulerError) as caught:
        SUBMIT.parse("", stderr, status)
    assert not isinstance(caught.value, SubmissionRejected)


@pytest.mark.parametrize("name", CANCELLED)
def test_scancel_is_understood(name: str) -> None:
    asked, words = CANCELLED[name]
    assert replay(SLURM.cancel([asked], FACTS), RECORDINGS[name]) == {asked: words}


def test_jobs_are_found_by_name() -> None:
    names = ["gw-000000000001", "gw-000000000004", "gw-00000000ffff"]
    found = replay(SLURM.find(names, FACTS), RECORDINGS["find"])
    assert found == {"gw-000000000001": ("1",), "gw-000000000004": ("4",)}


def test_what_the_accounts_know_of_a_name_comes_first_when_it_is_older() -> None:
    stdout = "12|gw-000000000001\n9|gw-000000000001\n12|gw-000000000001\n@end\n"
    assert SLURM.find(["gw-000000000001"], ACCOUNTS).parse(stdout, "", 0) == {"gw-000000000001": ("9", "12")}


def test_the_version_is_told_and_whether_accounts_are_kept() -> None:
    assert replay(SLURM.detect(), RECORDINGS["detect"]) == FACTS
    assert SLURM.detect().parse("slurm 24.05.1\nsacct yes\n", "", 0).notes == {"sacct": "yes"}
    with pytest.raises(SchedulerError, match="no squeue"):
        SLURM.detect().parse("missing squeue\nslurm 24.05.1\n", "", 0)


@pytest.mark.parametrize(
    ("state", "exit_code", "expected"),
    [
        ("COMPLETED", "0:0", ("ended", 0, None)),
        ("COMPLETED", "1:0", ("ended", None, None)),
        ("FAILED", "3:0", ("ended", 3, "exit_code")),
        ("FAILED", "0:9", ("ended", 137, "signalled")),
        ("FAILED", "0:0", ("ended", None, "exit_code")),
        ("CANCELLED by 1000", "0:0", ("ended", None, "terminated")),
        ("TIMEOUT", "0:0", ("ended", None, "walltime")),
        ("OUT_OF_MEMORY", "0:125", ("ended", 253, "out_of_memory")),
        ("NODE_FAIL", "1:0", ("ended", 1, "node_failed")),
        ("BOOT_FAIL", "0:0", ("ended", None, "node_failed")),
        ("PREEMPTED", "0:0", ("ended", None, "terminated")),
        ("DEADLINE", "0:0", ("ended", None, "terminated")),
        ("RUNNING", "0:0", ("running", None, None)),
        ("PENDING", "0:0", ("queued", None, None)),
        ("COMPLETING", "0:0", ("ending", None, None)),
    ],
)
def test_a_job_that_squeue_has_forgotten_is_seen_in_the_accounts(
    state: str, exit_code: str, expected: tuple[str, int | None, str | None]
) -> None:
    stdout = f"\n@squeue 0\n17|{state}|{exit_code}|gw-000000000001\n\n@sacct 0\n"
    answer = SLURM.query(["17", "18"], ACCOUNTS).parse(stdout, "", 0)
    assert summary(answer) == {"17": expected}
    assert answer.problems == ()


@pytest.mark.parametrize("line", ["17|EXPLODED|0:0|x", "17||0:0|x", "17|FAILED|x|x"])
def test_a_state_that_is_none_of_slurms_is_a_problem_and_not_an_end(line: str) -> None:
    answer = SLURM.query(["17"], ACCOUNTS).parse(f"\n@squeue 0\n{line}\n\n@sacct 0\n", "", 0)
    assert answer.jobs == {}
    assert "17" in answer.problems[0]


def test_where_the_accounts_fail_an_absent_job_is_a_problem_and_the_others_are_seen() -> None:
    text = RECORDINGS["running"]["stdout"] + "\n@sacct 1\n"
    answer = SLURM.query(["4", "17"], ACCOUNTS).parse(text, "sacct: error: Connection refused\n", 0)
    assert summary(answer) == {"4": ("running", None, None)}
    assert "sacct" in answer.problems[0]


def test_words_of_squeues_own_leave_an_absent_job_unanswered_although_its_status_is_0() -> None:
    answer = SLURM.query(["17"], FACTS).parse("slurm_load_jobs error: try again\n@squeue 0\n", "", 0)
    assert answer.jobs == {}
    assert "try again" in answer.problems[0]


def test_a_line_that_was_cut_off_is_a_problem() -> None:
    answer = SLURM.query(["4"], FACTS).parse(RECORDINGS["running"]["stdout"][:40] + "\n@squeue 0\n", "", 0)
    assert answer.jobs == {}
    assert answer.problems != ()


def test_an_answer_that_was_cut_off_is_an_error() -> None:
    text = RECORDINGS["mixed"]["stdout"]
    for length in range(0, len(text) - 1, 5):
        with pytest.raises(SchedulerError):
            SLURM.query(["1", "4"], FACTS).parse(text[:length], "", 0)


def test_the_accounts_are_asked_only_for_jobs_that_squeue_does_not_show() -> None:
    line = RECORDINGS["running"]["stdout"].split("\n")[0]
    stub = f"squeue() {{ printf '%s\\n' '{line}'; }}\nsacct() {{ printf 'asked %s\\n' \"$*\"; }}\n"
    stdout, _, _ = bash(stub + SLURM.query(["4", "44", "17"], ACCOUNTS).line())
    assert "-j 44,17\n" in stdout
    stdout, _, _ = bash(stub + SLURM.query(["4"], ACCOUNTS).line())
    assert "asked" not in stdout


def test_five_thousand_ids_go_in_one_call() -> None:
    ids = [str(number) for number in range(5000)]
    assert SLURM.query(ids, FACTS).line().count("squeue -h") == 1
    assert SLURM.query([*ids, "5000"], FACTS).line().count("squeue -h") == 2
