"""Every recorded command of OpenPBS 23.06 is replayed through its parser."""

from __future__ import annotations

from typing import Any

import pytest
from scheduler_replay import load, replay, summary

from gateway.compute.scheduler.base import SchedulerFacts, Submission
from gateway.compute.scheduler.pbs import Pbs, PbsSettings
from gateway.compute.scheduler.pbs_commands import Query
from gateway.errors import SchedulerError, SubmissionRejected
from gateway.model.specification import Resources

RECORDINGS = load("openpbs-23.06")
FACTS = SchedulerFacts("openpbs", "23.06.06")
PBS = Pbs(PbsSettings(kind="pbs"))
SUBMIT = PBS.submit(Submission("gw-0123456789ab", "/scratch/c", Resources()), FACTS)

JOBS = {
    "after_qdel_queued_qstat_x": ("ended", None, "terminated"),
    "array_finished_json": ("ended", None, None),
    "array_finished_t_json": ("ended", None, None),
    "array_qdeled_t_json": ("ended", 1, "terminated"),
    "array_running_json": ("running", None, None),
    "array_running_t_json": ("running", None, None),
    "array_sub_qstat": ("queued", None, None),
    "badshell_json": ("ended", 254, "exit_code"),
    "depend_failed_json": ("ended", None, "dependency_failed"),
    "depend_held_json": ("held", None, None),
    "depend_unknown_json": ("ended", None, "dependency_failed"),
    "finished_exit255_json": ("ended", 255, "exit_code"),
    "finished_exit3_json": ("ended", 3, "exit_code"),
    "finished_notfound_json": ("ended", 127, "exit_code"),
    "finished_ok_json": ("ended", 0, None),
    "finished_sig15_json": ("ended", 143, "signalled"),
    "finished_sig9_json": ("ended", 137, "signalled"),
    "held_json": ("held", None, None),
    "otheruser_qstat": ("running", None, None),
    "qdel_running_after_x": ("running", None, None),
    "qdel_running_final_json": ("ended", 271, "terminated"),
    "qdel_running_immediately": ("running", None, None),
    "queued_json": ("queued", None, None),
    "running_json": ("running", None, None),
    "stageout_fail_final_json": ("ended", 0, None),
    "stageout_fail_json": ("ending", 0, None),
    "suspended_json": ("running", None, None),
    "waiting_json": ("queued", None, None),
    "walltime_json": ("ended", -29, "walltime"),
    "walltime_trap_json": ("ended", -29, "walltime"),
}
NOT_KNOWN = (
    "after_qdel_queued_qstat",
    "array_unknown_sub",
    "finished_after_qdel_x",
    "finished_qstat_noX",
    "mixed_ids_noX",
    "nohist_finished",
    "nohist_finished_x",
    "qstat_empty_json",
    "unknown_qstat_json",
    "unknown_qstat_json_fq",
    "unknown_qstat_x_json",
)
NO_ANSWER = ("down_qstat_json", "malformed_qstat", "malformed_qstat2")
SUBMITTED = {
    "array_zero": "20[].pbshost",
    "depend_on_finished_failed_afterok": "28.pbshost",
    "depend_on_finished_failed_any": "29.pbshost",
    "depend_on_finished_ok": "27.pbshost",
    "depend_on_unknown": "30.pbshost",
    "empty_script": "37.pbshost",
    "err_res": "33.pbshost",
    "nohist_depend": "575.pbshost",
    "root_qsub": "56.pbshost",
}
REJECTED = {
    "array_bad": "illegal -J value",
    "array_list": "illegal -J value",
    "array_one": "illegal -J value",
    "crlf": "script contains cr, lf",
    "err_longname": "Job name is too long",
    "err_name": "illegal -N value",
    "err_nofile": "No such file or directory",
    "err_opt": "invalid option",
    "err_queue": "Unknown queue",
    "err_resname": "Unknown resource",
    "err_select_nodes": "Cannot be used with select",
    "err_selectres": "Unknown resource",
    "err_walltime": "Illegal attribute or resource value",
}
CANCELLED = {
    "array_qdel_all": None,
    "array_qdel_sub": None,
    "finished_qdel": None,
    "finished_qdel_x": None,
    "nohist_qdel": None,
    "otheruser_qdel": "qdel: Unauthorized Request  55.pbshost",
    "qdel_queued": None,
    "qdel_running": None,
    "unknown_qdel": None,
}
CANCEL_WITHOUT_ANSWER = ("down_qdel", "malformed_qdel")
TWO_IDS = ("mixed_ids",)
FORMS_NOT_USED = (
    "array_qstat",
    "array_qstat_t",
    "down_qstat_plain",
    "finished_qstat_plain_noX",
    "otherserver_qstat",
    "qalter_finished",
    "qrls",
    "qstat_a",
    "qstat_default",
    "qstat_s",
    "unknown_qstat_plain",
)


def ids_of(recording: dict[str, Any]) -> list[str]:
    words = recording["command"].split()
    return [word for word in words[words.index(words[-1]) - 1 :] if word[0].isdigit()] or [words[-1]]


def test_no_recording_is_left_out() -> None:
    used = [*JOBS, *NOT_KNOWN, *NO_ANSWER, *SUBMITTED, "down_qsub", *REJECTED, *CANCELLED, *CANCEL_WITHOUT_ANSWER]
    assert sorted([*used, *TWO_IDS, *FORMS_NOT_USED]) == sorted(RECORDINGS)
    assert len(RECORDINGS) == 90


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_the_phase_exit_status_and_reason_that_were_measured(name: str) -> None:
    asked = ids_of(RECORDINGS[name])
    answer = replay(PBS.query(asked, FACTS), RECORDINGS[name])
    assert summary(answer) == {asked[0]: JOBS[name]}
    assert answer.problems == ()


@pytest.mark.parametrize("name", NOT_KNOWN)
def test_a_job_that_the_server_does_not_know_is_absent_and_no_problem(name: str) -> None:
    asked = [word for word in ids_of(RECORDINGS[name]) if word[0].isdigit()]
    answer = replay(PBS.query(asked, FACTS), RECORDINGS[name])
    assert (answer.jobs, answer.problems) == ({}, ())


@pytest.mark.parametrize("name", NO_ANSWER)
def test_a_query_that_failed_says_nothing_about_any_job(name: str) -> None:
    with pytest.raises(SchedulerError):
        replay(PBS.query(ids_of(RECORDINGS[name]), FACTS), RECORDINGS[name])


def test_a_known_job_is_seen_beside_an_unknown_one() -> None:
    answer = replay(PBS.query(["3.pbshost", "999999"], FACTS), RECORDINGS["mixed_ids"])
    assert summary(answer) == {"3.pbshost": ("ended", 0, None)}
    assert answer.problems == ()


def test_an_id_that_the_answer_passes_over_in_silence_is_a_problem_and_not_unknown() -> None:
    answer = replay(PBS.query(["3.pbshost", "4.pbshost"], FACTS), RECORDINGS["finished_ok_json"])
    assert list(answer.jobs) == ["3.pbshost"]
    assert "4.pbshost" in answer.problems[0]


def test_jobs_that_were_not_asked_for_are_left_out() -> None:
    assert replay(PBS.query([], FACTS), RECORDINGS["running_json"]).jobs == {}


def test_a_job_is_found_by_its_number_where_the_server_shows_another_form_of_its_name() -> None:
    answer = replay(PBS.query(["3.pbshost.example.org"], FACTS), RECORDINGS["finished_ok_json"])
    assert summary(answer) == {"3.pbshost.example.org": ("ended", 0, None)}


def test_name_and_comment_come_with_the_job() -> None:
    job = replay(PBS.query(["2.pbshost"], FACTS), RECORDINGS["queued_json"]).jobs["2.pbshost"]
    assert (job.name, job.comment) == ("waits", "Not Running: Not enough free nodes available")


@pytest.mark.parametrize("name", SUBMITTED)
def test_qsub_tells_the_id(name: str) -> None:
    assert replay(SUBMIT, RECORDINGS[name]) == SUBMITTED[name]


@pytest.mark.parametrize("name", REJECTED)
def test_a_refused_job_is_rejected_with_the_servers_words(name: str) -> None:
    with pytest.raises(SubmissionRejected, match=REJECTED[name]):
        replay(SUBMIT, RECORDINGS[name])


def test_a_submission_that_found_no_server_is_not_a_rejection() -> None:
    with pytest.raises(SchedulerError) as caught:
        replay(SUBMIT, RECORDINGS["down_qsub"])
    assert not isinstance(caught.value, SubmissionRejected)


@pytest.mark.parametrize("name", CANCELLED)
def test_qdel_is_understood(name: str) -> None:
    asked = RECORDINGS[name]["command"].split()[-1]
    assert replay(PBS.cancel([asked], FACTS), RECORDINGS[name]) == {asked: CANCELLED[name]}


@pytest.mark.parametrize("name", CANCEL_WITHOUT_ANSWER)
def test_a_cancellation_that_reached_nobody_is_an_error(name: str) -> None:
    with pytest.raises(SchedulerError):
        replay(PBS.cancel(["567.pbshost"], FACTS), RECORDINGS[name])


def test_of_several_cancellations_only_the_refused_one_has_words() -> None:
    stderr = "qdel: Unauthorized Request  55.pbshost\nqdel: Unknown Job Id 56.pbshost\n"
    answer = PBS.cancel(["54.pbshost", "55.pbshost", "56.pbshost"], FACTS).parse("", stderr, 153)
    assert answer == {
        "54.pbshost": None,
        "55.pbshost": "qdel: Unauthorized Request  55.pbshost",
        "56.pbshost": None,
    }


def test_many_ids_go_in_several_calls_and_come_back_as_one_answer() -> None:
    ids = [f"{number}.pbshost" for number in range(1500)]
    command = PBS.query(ids, FACTS)
    assert command.line().count("printf '\\n@qstat") == 2
    first, second = RECORDINGS["finished_ok_json"]["stdout"], RECORDINGS["running_json"]["stdout"]
    answer = command.parse(f"{first}\n@qstat 153\n{second}\n@qstat 0\n", "", 0)
    assert set(answer.jobs) == {"3.pbshost", "1.pbshost"}


def test_qselect_finds_jobs_by_name_oldest_first() -> None:
    names = ["gw-00000000000a", "gw-00000000000b", "gw-00000000000c"]
    lines = ["gw-00000000000a 12.pbshost", "gw-00000000000a 9.pbshost", "gw-00000000000b 10.pbshost", "@end", ""]
    found = PBS.find(names, FACTS).parse("\n".join(lines), "", 0)
    assert found == {"gw-00000000000a": ("9.pbshost", "12.pbshost"), "gw-00000000000b": ("10.pbshost",)}


@pytest.mark.parametrize(("stdout", "status"), [("", 255), ("gw-00000000000a 9.pbshost\n", 0), ("@end\n", 1)])
def test_a_search_that_was_cut_off_or_failed_finds_nothing_and_says_so(stdout: str, status: int) -> None:
    with pytest.raises(SchedulerError):
        PBS.find(["gw-00000000000a"], FACTS).parse(stdout, "", status)


@pytest.mark.parametrize(
    ("stdout", "dialect", "notes"),
    [
        ("pbs_version = 23.06.06\n", "openpbs", {}),
        ("pbs_version = PBSPro_13.1.2.160576\n", "openpbs", {"json": "no"}),
        ("pbs_version = 2022.1.1.20220926110806\n", "openpbs", {}),
        ("Version: 6.1.3\nCommit: 6ac6c7c\n", "torque", {}),
        ("slurm qsub\nslurm qstat\nUnknown option: version\nslurm-wlm 22.05.8\n", "slurm-torque", {}),
    ],
)
def test_the_dialect_is_told_by_version_and_program(stdout: str, dialect: str, notes: dict[str, str]) -> None:
    facts = PBS.detect().parse(stdout, "", 0)
    assert (facts.dialect, facts.notes) == (dialect, notes)


def test_a_target_without_qsub_is_an_error_with_a_hint() -> None:
    with pytest.raises(SchedulerError, match=r"qsub, qstat, qdel.*path"):
        PBS.detect().parse("missing qsub\nmissing qstat\nmissing qdel\n", "", 0)


def test_the_text_form_is_asked_where_the_server_is_too_old_for_json() -> None:
    old = SchedulerFacts("openpbs", "13.1", {"json": "no"})
    command = PBS.query(["7.pbshost"], old)
    assert isinstance(command, Query)
    assert "json" not in command.line()
    text = "Job Id: 7.pbshost\n    Job_Name = x\n    job_state = F\n    substate = 92\n    Exit_status = 0\n\n"
    assert summary(command.parse(text, "", 0)) == {"7.pbshost": ("ended", 0, None)}
