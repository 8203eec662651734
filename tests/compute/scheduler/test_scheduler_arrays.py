"""Arrays: how they are submitted, seen, found and cancelled. OpenPBS by recordings, Slurm for real."""

from __future__ import annotations

from typing import Any

import pytest
from scheduler_replay import load, replay, summary
from test_scheduler_real import Site, read, site

from gateway.compute.scheduler.base import Phase, Scheduler, SchedulerFacts, Submission
from gateway.compute.scheduler.direct import Direct, DirectSettings
from gateway.compute.scheduler.pbs import Pbs, PbsSettings
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.compute.scheduler.slurm_commands import Query
from gateway.model.specification import Resources

__all__ = ["site"]
NAME = "gw-0123456789ab"
RECORDINGS = load("openpbs-23.06")
OPENPBS, TORQUE, WRAPPED = (SchedulerFacts(dialect) for dialect in ("openpbs", "torque", "slurm-torque"))
SLURM = SchedulerFacts("slurm", "22.05", {"sacct": "no"})
PBS_SCHEDULER, SLURM_SCHEDULER = Pbs(PbsSettings(kind="pbs")), Slurm(SlurmSettings(kind="slurm"))


def array(tasks: int = 400, **more: Any) -> Submission:
    return Submission(NAME, f"/scratch/.gateway/arrays/{NAME}", Resources(), tasks=tasks, **more)


def words(scheduler: Scheduler, facts: SchedulerFacts, submission: Submission) -> str:
    line = scheduler.submit(submission, facts).line()
    return next(part for part in line.split("\n") if part.startswith("(gw_submit "))


# --- What is asked


@pytest.mark.parametrize(
    ("scheduler", "facts", "throttle", "expected", "unwanted"),
    [
        (SLURM_SCHEDULER, SLURM, None, "--array=1-400 ", "%"),
        (SLURM_SCHEDULER, SLURM, 8, "--array=1-400%8 ", "-J"),
        (PBS_SCHEDULER, OPENPBS, 8, " -J 1-400 ", " -r n"),
        (PBS_SCHEDULER, TORQUE, 8, " -t 1-400%8 ", " -r n"),
    ],
)
def test_an_array_is_submitted_with_indices_from_one(
    scheduler: Scheduler, facts: SchedulerFacts, throttle: int | None, expected: str, unwanted: str
) -> None:
    line = words(scheduler, facts, array(throttle=throttle))
    assert expected in line
    assert unwanted not in line


def test_openpbs_takes_an_array_that_may_be_run_again_only() -> None:
    assert "#PBS -r y" in PBS_SCHEDULER.directives(array(), OPENPBS)
    assert "#PBS -r n" in PBS_SCHEDULER.directives(array(0), OPENPBS)


def test_the_tasks_of_openpbs_do_not_write_over_each_others_streams() -> None:
    assert "scheduler.out.^array_index^" in words(PBS_SCHEDULER, OPENPBS, array())


def test_the_limit_is_the_smaller_of_the_settings_and_the_sites() -> None:
    told = SchedulerFacts("slurm", "22.05", {"max_array": "501"})
    assert (SLURM_SCHEDULER.array_limit(SLURM), SLURM_SCHEDULER.array_limit(told)) == (1000, 500)
    assert Slurm(SlurmSettings(kind="slurm", array_limit=20)).array_limit(told) == 20
    assert PBS_SCHEDULER.array_limit(OPENPBS) == 1000


def test_the_torque_commands_of_slurm_and_a_plain_machine_have_no_arrays() -> None:
    assert PBS_SCHEDULER.array_limit(WRAPPED) == 0
    assert Direct(DirectSettings(kind="direct")).array_limit(SchedulerFacts("direct")) == 0


def test_a_task_and_its_array_are_told_from_each_other() -> None:
    assert SLURM_SCHEDULER.task_id("17", 3) == "17_3"
    assert PBS_SCHEDULER.task_id("18[].pbshost", 3) == "18[3].pbshost"
    assert [SLURM_SCHEDULER.array_of(found) for found in ("17_3", "17")] == ["17", None]
    found = [PBS_SCHEDULER.array_of(found) for found in ("18[3].pbshost", "18[].pbshost", "18.pbshost", "18[3]")]
    assert found == ["18[].pbshost", None, None, "18[]"]


def test_pbs_is_not_asked_to_wait_for_a_task() -> None:
    assert PBS_SCHEDULER.can_wait_for("18.pbshost")
    assert not PBS_SCHEDULER.can_wait_for("18[3].pbshost")
    assert SLURM_SCHEDULER.can_wait_for("17_3")


# --- OpenPBS, recorded


def tasks(array_id: str, *indices: int) -> list[str]:
    return [PBS_SCHEDULER.task_id(array_id, index) for index in indices]


def test_openpbs_is_asked_once_for_all_tasks_of_an_array() -> None:
    line = PBS_SCHEDULER.query([*tasks("18[].pbshost", 1, 2, 3), "20.pbshost"], OPENPBS).line()
    assert "qstat -x -t -f -F json '18[].pbshost' 20.pbshost" in line
    assert " -t " not in PBS_SCHEDULER.query(["20.pbshost"], OPENPBS).line()


def test_every_task_of_openpbs_has_its_own_end_whatever_the_array_says() -> None:
    asked = tasks("18[].pbshost", 1, 2, 3, 4)
    answer = replay(PBS_SCHEDULER.query(asked, OPENPBS), RECORDINGS["array_finished_t_json"])
    well = ("ended", 0, None)
    assert summary(answer) == dict(zip(asked, [well, ("ended", 5, "exit_code"), well, well], strict=True))
    assert answer.problems == ()
    (whole,) = replay(PBS_SCHEDULER.query(["18[].pbshost"], OPENPBS), RECORDINGS["array_finished_t_json"]).jobs.values()
    assert (whole.exit_status, whole.reason) == (None, None)


def test_a_task_of_openpbs_that_waits_is_queued_while_others_run() -> None:
    asked = tasks("18[].pbshost", 1, 2, 3, 4)
    answer = replay(PBS_SCHEDULER.query(asked, OPENPBS), RECORDINGS["array_running_t_json"])
    assert [answer.jobs[found].phase for found in asked] == [Phase.RUNNING, Phase.RUNNING, Phase.QUEUED, Phase.QUEUED]


def test_deleted_tasks_of_openpbs_are_over_and_no_success() -> None:
    asked = tasks("19[].pbshost", 1, 4)
    answer = replay(PBS_SCHEDULER.query(asked, OPENPBS), RECORDINGS["array_qdeled_t_json"])
    assert [(job.phase, job.reason) for job in answer.jobs.values()] == [(Phase.ENDED, "terminated")] * 2
    assert all(job.exit_status != 0 for job in answer.jobs.values())


def test_an_array_that_openpbs_does_not_know_has_no_known_task() -> None:
    recording = {"stdout": "{\n}\n", "stderr": "qstat: Unknown Job Id 18[].pbshost\n", "exit_status": 153}
    answer = replay(PBS_SCHEDULER.query(tasks("18[].pbshost", 1, 2), OPENPBS), recording)
    assert (answer.jobs, answer.problems) == ({}, ())


def test_a_task_that_openpbs_leaves_out_without_a_word_is_unanswered() -> None:
    asked = tasks("18[].pbshost", 1, 5)
    answer = replay(PBS_SCHEDULER.query(asked, OPENPBS), RECORDINGS["array_finished_t_json"])
    assert set(answer.jobs) == {asked[0]}
    assert answer.problems == ("job 18[5].pbshost: qstat said nothing readable about it",)


def test_an_array_is_found_by_name_as_one_whatever_qselect_lists() -> None:
    said = f"{NAME} 21[].pbshost\n{NAME} 18[1].pbshost\n{NAME} 18[2].pbshost\n@end\n"
    found = PBS_SCHEDULER.find([NAME], OPENPBS).parse(said, "", 0)
    assert found == {NAME: ("18[].pbshost", "21[].pbshost")}


def test_tasks_are_deleted_by_their_own_ids() -> None:
    assert PBS_SCHEDULER.cancel(["19[4].pbshost"], OPENPBS).line() == "qdel '19[4].pbshost'"
    assert replay(PBS_SCHEDULER.cancel(["19[4]"], OPENPBS), RECORDINGS["array_qdel_sub"]) == {"19[4]": None}


# --- Slurm


def test_slurm_is_asked_once_for_all_tasks_of_an_array() -> None:
    line = Query(("17_1", "17_2", "20"), accounting=False).line()
    assert "squeue -h -r " in line
    assert " -j 17,20 " in line


def test_the_accounts_of_slurm_tell_the_tasks_apart() -> None:
    row = "{:<24}{:<24}{:<16}{:<80}{:<64}".format
    queue = row("17_2", "PENDING", "0:0", "JobArrayTaskLimit", NAME)
    said = f"{queue}\n@squeue 0\n17_1|FAILED|3:0|{NAME}\n17_[2-9]|PENDING|0:0|{NAME}\n\n@sacct 0\n"
    answer = Query(("17_1", "17_2"), accounting=True).parse(said, "", 0)
    assert summary(answer) == {"17_1": ("ended", 3, "exit_code"), "17_2": ("queued", None, None)}


def test_what_scancel_says_of_a_task_is_about_that_task_only() -> None:
    said = "scancel: error: Kill job error on job id 17_3: Access/permission denied\n"
    answer = SLURM_SCHEDULER.cancel(["17_3", "17_4"], SLURM).parse("", said, 1)
    assert answer == {"17_3": said.strip(), "17_4": None}


def stage_array(site: Site, script: str, count: int, **more: Any) -> Submission:
    """Write the script of an array."""
    staged = site.stage(script)
    return Submission(staged.name, staged.control_folder, staged.resources, tasks=count, **more)


@pytest.mark.real
@pytest.mark.parametrize("site", ["slurm"], indirect=True)
def test_the_tasks_of_a_real_array_are_seen_found_and_cancelled_one_by_one(site: Site) -> None:
    script = 'if [ "$SLURM_ARRAY_TASK_ID" = 1 ]; then exit 5; fi; echo "$SLURM_ARRAY_TASK_ID"; sleep 600 & wait'
    submission = stage_array(site, script, 6, throttle=2)
    assert site.scheduler.array_limit(site.facts) == 1000
    array_id = site.submit(submission)
    asked = [site.scheduler.task_id(array_id, index) for index in range(1, 7)]
    assert site.until(asked[0], Phase.ENDED).exit_status == 5
    site.until(asked[2], Phase.RUNNING)
    answer = site.ask(site.scheduler.query(asked, site.facts))
    phases = [answer.jobs[found].phase for found in asked]
    assert phases == [Phase.ENDED, Phase.RUNNING, Phase.RUNNING, Phase.QUEUED, Phase.QUEUED, Phase.QUEUED]
    assert answer.jobs[asked[5]].name == submission.name
    assert site.ask(site.scheduler.find([submission.name], site.facts)) == {submission.name: (array_id,)}
    gone = [asked[1], asked[5]]
    assert site.ask(site.scheduler.cancel(gone, site.facts)) == dict.fromkeys(gone)
    assert site.until(gone[0], Phase.ENDED).reason == "terminated"
    # Slurm forgets a task that it had not taken out of its array yet: nothing shows it, nothing is known of it.
    assert gone[1] not in site.ask(site.scheduler.query(gone, site.facts)).jobs
    assert site.job(asked[4]).phase in (Phase.QUEUED, Phase.RUNNING)
    assert site.ask(site.scheduler.cancel([array_id], site.facts)) == {array_id: None}
    site.until(asked[2], Phase.ENDED)
    assert set(read(submission, "scheduler.out").split()) <= {"2", "3", "4"}
