"""Holding, releasing, waiting for others and asking for the start: on a real Slurm, by both families of commands."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from scheduler_replay import ask
from test_scheduler_real import Site, read, site

from gateway.compute.scheduler.base import Phase, SchedulerFacts, Submission
from gateway.compute.scheduler.direct import Direct, DirectSettings
from gateway.compute.scheduler.pbs import Pbs, PbsSettings
from gateway.compute.scheduler.pbs_commands import OPENPBS
from gateway.compute.scheduler.queue_commands import Each, TryOut, dependency
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.errors import SchedulerError, SubmissionRejected
from gateway.model.specification import Resources

__all__ = ["site"]
NAME = "gw-0123456789ab"


def submission(**after: Any) -> Submission:
    """A submission that waits for others."""
    return Submission(NAME, "/c", Resources(), **after)


@pytest.mark.real
def test_a_held_job_stays_in_the_queue_until_it_is_released(site: Site) -> None:
    blocker = site.submit(site.stage("sleep 600 & wait", nodes=2, cpus=4))
    scheduler_id = site.submit(site.stage("exit 0"))
    held = site.ask(site.scheduler.hold([scheduler_id, "999999"], site.facts))
    assert held[scheduler_id] is None
    assert held["999999"]
    assert site.job(scheduler_id).phase is Phase.HELD
    site.ask(site.scheduler.cancel([blocker], site.facts))
    site.until(blocker, Phase.ENDED)
    assert site.job(scheduler_id).phase is Phase.HELD
    assert site.ask(site.scheduler.release([scheduler_id], site.facts)) == {scheduler_id: None}
    site.until(scheduler_id, Phase.ENDED)


@pytest.mark.real
def test_jobs_that_wait_for_others_start_only_after_them(site: Site) -> None:
    gate = site.cluster.accounts[0].home / f"gate-{os.urandom(4).hex()}"
    first = site.submit(site.stage(f"while [ ! -e {gate} ]; do sleep 0.05; done; exit 3"))
    after_end = site.stage("echo ran")
    after_success = site.stage("echo ran")
    third = site.submit(Submission(after_end.name, after_end.control_folder, after_end.resources, after_end=(first,)))
    second = site.submit(
        Submission(after_success.name, after_success.control_folder, after_success.resources, after_success=(first,))
    )
    assert site.job(third).phase in (Phase.QUEUED, Phase.HELD)
    gate.touch()
    site.until(third, Phase.ENDED)
    assert site.job(first).phase is Phase.ENDED
    # Some sites let it wait for ever; here the scheduler itself ends what can never start.
    site.until(second, Phase.ENDED)
    assert read(after_end, "scheduler.out") == "ran\n"
    assert read(after_success, "scheduler.out") == ""


@pytest.mark.real
def test_slurm_tells_when_it_would_start_a_job_and_why_it_would_not(site: Site) -> None:
    command = site.scheduler.estimate(Submission(NAME, "/c", Resources(walltime=60)))
    if site.scheduler.kind == "pbs":
        assert command is None
        return
    assert command is not None
    start = ask(command, env=site.cluster.env, user=site.cluster.users[0])
    assert start is not None
    assert abs(start - datetime.now(UTC)) < timedelta(days=2)
    command = site.scheduler.estimate(Submission(NAME, "/c", Resources(walltime=60, queue="nosuch")))
    assert command is not None
    with pytest.raises(SubmissionRejected, match="partition"):
        ask(command, env=site.cluster.env, user=site.cluster.users[0])


def test_what_a_job_waits_for_stands_on_the_command_line_of_its_submission() -> None:
    waits = submission(after_success=("17.server", "18.server"), after_end=("19.server",))
    pbs = Pbs(PbsSettings(kind="pbs")).submit(waits, SchedulerFacts(OPENPBS)).line()
    assert "-W depend=afterok:17.server:18.server,afterany:19.server" in pbs
    slurm = Slurm(SlurmSettings(kind="slurm")).submit(submission(after_end=("19",)), SchedulerFacts("slurm")).line()
    assert "--dependency=afterany:19" in slurm
    assert dependency(submission()) is None


@pytest.mark.parametrize("scheduler_id", ["", "1;reboot", "1,after:2", "1:2", "-x", "$(id)", "1\n2"])
def test_an_id_that_no_scheduler_gave_never_reaches_one(scheduler_id: str) -> None:
    with pytest.raises(ValueError, match="not the id"):
        dependency(submission(after_success=(scheduler_id,)))


def test_each_job_has_its_own_answer_to_a_hold() -> None:
    command = Each(("qhold", "-h", "u"), ("1.s", "2.s", "3.s"))
    answer = command.parse("1.s 0 \n2.s 168 qhold: Request invalid for state of job 2.s\n@end\n", "", 0)
    assert answer == {"1.s": None, "2.s": "qhold: Request invalid for state of job 2.s", "3.s": "no answer"}
    for broken in (("1.s 0 \n", "", 0), ("", "gone", 255), ("", "", 127)):
        with pytest.raises(SchedulerError):
            command.parse(*broken)


def test_what_slurm_says_about_a_start_is_read_or_left_alone() -> None:
    command = TryOut(())
    said = "sbatch: Job 7 to start at 2026-11-21T10:11:12 using 1 processors on nodes n1 in partition batch\n"
    assert command.parse("", said, 0) == datetime(2026, 11, 21, 10, 11, 12, tzinfo=UTC)
    assert command.parse("", "sbatch: hello\n", 0) is None
    assert command.parse("", said.replace("10:11:12", "99:99:99"), 0) is None
    with pytest.raises(SubmissionRejected, match="invalid partition"):
        command.parse("", "allocation failure: invalid partition specified: nosuch\n", 1)
    with pytest.raises(SchedulerError):
        command.parse("", "sbatch: error: Unable to contact slurm controller (connect failure)\n", 1)


def test_a_plain_machine_has_no_queue() -> None:
    direct = Direct(DirectSettings(kind="direct"))
    assert not direct.has_queue
    assert direct.estimate(submission()) is None
    with pytest.raises(NotImplementedError):
        direct.hold([f"{os.getpid()}.1.00000000"], SchedulerFacts("direct"))
