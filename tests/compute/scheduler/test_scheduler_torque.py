"""Every recorded command of Debian's Torque commands for Slurm is replayed; Torque's own text by an example."""

from __future__ import annotations

from typing import Any

import pytest
from scheduler_replay import load, replay, summary

from gateway.compute.scheduler.base import Command, SchedulerFacts, Submission
from gateway.compute.scheduler.pbs import Pbs, PbsSettings
from gateway.errors import SchedulerError, SubmissionRejected
from gateway.model.specification import Resources

RECORDINGS = load("slurm-torque-22.05")
PBS = Pbs(PbsSettings(kind="pbs"))
FACTS = SchedulerFacts("slurm-torque", "22.05.8")
TORQUE = SchedulerFacts("torque", "6.1.3")
SUBMISSION = Submission("gw-0123456789ab", "/c", Resources())

ENDED = ("ended", None, None)
JOBS = {
    "begin": ("7", ("queued", None, None)),
    "cancelled_queued": ("10", ENDED),
    "cancelled_running": ("4", ENDED),
    "dependency": ("8", ("queued", None, None)),
    "dependency_broken": ("9", ENDED),
    "finished_exit3": ("2", ENDED),
    "finished_killed": ("3", ENDED),
    "finished_ok": ("1", ENDED),
    "held": ("6", ("held", None, None)),
    "queued": ("10", ("queued", None, None)),
    "running": ("4", ("running", None, None)),
    "walltime": ("5", ENDED),
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
    "rejected_option": "invalid option -- 'Z'",
    "rejected_queue": "Invalid partition name specified",
    "rejected_walltime": "Requested time limit is invalid",
}
CANCELLED: dict[str, dict[str, str | None]] = {
    "cancel_finished": {"1": None, "2": None},
    "cancel_other_user": {"4": "qdel: Kill job error on job id 4: Access/permission denied"},
    "cancel_queued": {"10": None},
    "cancel_running": {"4": None},
    "cancel_unknown": {"999999": None},
}
OTHERS = ("detect", "find", "mixed", "no_folder", "down_query", "down_submit", "down_cancel", "down_find")


def test_no_recording_is_left_out() -> None:
    used = [*JOBS, *NOT_KNOWN, *SUBMITTED, *REJECTED, *CANCELLED, *OTHERS]
    assert sorted(used) == sorted(RECORDINGS)


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_the_phase_that_the_wrappers_showed_and_never_an_exit_status(name: str) -> None:
    scheduler_id, expected = JOBS[name]
    answer = replay(PBS.query([scheduler_id], FACTS), RECORDINGS[name])
    assert summary(answer) == {scheduler_id: expected}
    assert answer.problems == ()
    assert answer.jobs[scheduler_id].name == f"gw-{int(scheduler_id):012x}"


@pytest.mark.parametrize("name", NOT_KNOWN)
def test_a_job_that_the_wrappers_pass_over_in_silence_is_not_known(name: str) -> None:
    answer = replay(PBS.query(["999998", "999999"], FACTS), RECORDINGS[name])
    assert (answer.jobs, answer.problems) == ({}, ())


def test_known_jobs_are_seen_beside_an_unknown_one() -> None:
    answer = replay(PBS.query(["1", "4", "999999"], FACTS), RECORDINGS["mixed"])
    assert summary(answer) == {"1": ENDED, "4": ("running", None, None)}
    assert answer.problems == ()


def test_a_controller_that_is_down_says_nothing_about_any_job() -> None:
    commands: dict[str, Command[Any]] = {
        "down_query": PBS.query(["4", "10"], FACTS),
        "down_cancel": PBS.cancel(["4"], FACTS),
        "down_find": PBS.find(["gw-000000000001"], FACTS),
    }
    for name, command in commands.items():
        with pytest.raises(SchedulerError):
            replay(command, RECORDINGS[name])


@pytest.mark.parametrize("name", SUBMITTED)
def test_qsub_tells_the_id(name: str) -> None:
    assert replay(PBS.submit(SUBMISSION, FACTS), RECORDINGS[name]) == SUBMITTED[name]


@pytest.mark.parametrize("name", REJECTED)
def test_a_refused_job_is_rejected_with_slurms_own_words_only(name: str) -> None:
    with pytest.raises(SubmissionRejected, match=f"^sbatch: .*{REJECTED[name]}") as caught:
        replay(PBS.submit(SUBMISSION, FACTS), RECORDINGS[name])
    assert "The command was" not in str(caught.value)


@pytest.mark.parametrize("name", ["down_submit", "no_folder"])
def test_a_submission_that_reached_nobody_is_not_a_rejection(name: str) -> None:
    with pytest.raises(SchedulerError) as caught:
        replay(PBS.submit(SUBMISSION, FACTS), RECORDINGS[name])
    assert not isinstance(caught.value, SubmissionRejected)


def test_an_id_counts_although_the_wrapper_failed_after_it() -> None:
    assert PBS.submit(SUBMISSION, FACTS).parse("17\n", "Problem loading slurm.\n", 2) == "17"


@pytest.mark.parametrize("name", CANCELLED)
def test_qdel_is_understood(name: str) -> None:
    assert replay(PBS.cancel(list(CANCELLED[name]), FACTS), RECORDINGS[name]) == CANCELLED[name]


def test_own_jobs_are_found_by_name_in_the_list_of_all() -> None:
    names = ["gw-000000000001", "gw-000000000004", "gw-00000000ffff"]
    recording = RECORDINGS["find"]
    found = replay(PBS.find(names, FACTS), recording)
    assert found == {"gw-000000000001": ("1",), "gw-000000000004": ("4",)}
    foreign = {**recording, "stdout": "bob" + recording["stdout"].removeprefix("alice")}
    assert replay(PBS.find(names, FACTS), foreign) == {}


def test_the_wrappers_are_told_from_pbs() -> None:
    assert replay(PBS.detect(), RECORDINGS["detect"]) == FACTS


def test_a_state_that_the_wrappers_do_not_know_is_a_problem_and_not_an_end() -> None:
    recording = RECORDINGS["running"]
    text = recording["stdout"].replace("job_state = R", "job_state = U?")
    answer = PBS.query(["4"], FACTS).parse(text, "", 0)
    assert answer.jobs == {}
    assert answer.problems != ()


def test_a_wrappers_answer_that_was_cut_off_says_nothing_about_absent_jobs() -> None:
    text = RECORDINGS["mixed"]["stdout"]
    for length in range(len(text) - 1):
        try:
            answer = PBS.query(["1", "4"], FACTS).parse(text[:length], "", 0)
        except SchedulerError:
            continue
        assert summary(answer).items() <= {"1": ENDED, "4": ("running", None, None)}.items()
        assert len(answer.jobs) == 2 or answer.problems


TEXT = """\
Job Id: 41.head
    Job_Name = gw-000000000001
    Job_Owner = alice@head
    job_state = {state}
    queue = batch
    Variable_List = PBS_O_QUEUE=batch,PBS_O_HOME=/home/alice,
\tPBS_O_PATH=/usr/bin:/bin,
\tjob_state = C
{more}    Walltime.Remaining = 0

"""


@pytest.mark.parametrize(
    ("state", "more", "expected"),
    [
        ("Q", "", ("queued", None, None)),
        ("H", "", ("held", None, None)),
        ("W", "", ("queued", None, None)),
        ("R", "", ("running", None, None)),
        ("S", "", ("running", None, None)),
        ("E", "    exit_status = 0\n", ("ending", 0, None)),
        ("C", "    exit_status = 0\n", ("ended", 0, None)),
        ("C", "    exit_status = 3\n", ("ended", 3, "exit_code")),
        ("C", "    exit_status = 271\n", ("ended", 271, "terminated")),
        ("C", "    exit_status = 265\n", ("ended", 265, "terminated")),
        ("C", "    exit_status = -11\n", ("ended", -11, "walltime")),
        ("C", "    exit_status = -10\n", ("ended", -10, "out_of_memory")),
        ("C", "    exit_status = -3\n", ("ended", -3, "node_failed")),
        ("C", "", ("ended", None, None)),
    ],
)
def test_torques_text_is_read(state: str, more: str, expected: tuple[str, int | None, str | None]) -> None:
    answer = PBS.query(["41.head"], TORQUE).parse(TEXT.format(state=state, more=more), "", 0)
    assert summary(answer) == {"41.head": expected}


def test_torque_says_which_jobs_it_does_not_know() -> None:
    stderr = "qstat: Unknown Job Id Error 42.head\n"
    answer = PBS.query(["41.head", "42.head"], TORQUE).parse(TEXT.format(state="R", more=""), stderr, 153)
    assert summary(answer) == {"41.head": ("running", None, None)}
    assert answer.problems == ()
    answer = PBS.query(["41.head", "43.head"], TORQUE).parse(TEXT.format(state="R", more=""), stderr, 153)
    assert "43.head" in answer.problems[0]


def test_torque_forgives_cancelling_what_is_over() -> None:
    stderr = "qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE 41.head\n"
    assert PBS.cancel(["41.head"], TORQUE).parse("", stderr, 170) == {"41.head": None}
