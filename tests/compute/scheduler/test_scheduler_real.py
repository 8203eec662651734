"""Submitting, seeing, finding and cancelling on a real Slurm, by its own commands and by the Torque ones."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from scheduler_replay import ask, bash, summary

from gateway.compute.scheduler.base import Command, Phase, Scheduler, SchedulerFacts, SchedulerJob, Submission
from gateway.compute.scheduler.pbs import Pbs, PbsSettings
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.errors import SchedulerError, SubmissionRejected
from gateway.model.specification import Resources
from testbed.cluster import Cluster

T = TypeVar("T")

pytestmark = pytest.mark.real

SCHEDULERS: dict[str, Scheduler] = {
    "slurm": Slurm(SlurmSettings(kind="slurm", options=("nice",))),
    "pbs": Pbs(PbsSettings(kind="pbs")),
}


@dataclass
class Site:
    """One scheduler of the cluster, as one of its people sees it."""

    cluster: Cluster
    scheduler: Scheduler
    facts: SchedulerFacts = field(default_factory=lambda: SchedulerFacts(""))

    def ask(self, command: Command[T]) -> T:
        return ask(command, env=self.cluster.env, user=self.cluster.users[0])

    def stage(self, script: str, **resources: Any) -> Submission:
        account = self.cluster.accounts[0]
        control = account.home / f"control-{os.urandom(4).hex()}"
        control.mkdir()
        submission = Submission(f"gw-{os.urandom(6).hex()}", str(control), Resources(walltime=120, **resources))
        lines = ["#!/bin/bash", *self.scheduler.directives(submission, self.facts), script, ""]
        (control / "job.sh").write_text("\n".join(lines))
        if os.geteuid() == 0:
            for path in (control, control / "job.sh"):
                shutil.chown(path, account.name)
        return submission

    def submit(self, submission: Submission) -> str:
        return self.ask(self.scheduler.submit(submission, self.facts))

    def job(self, scheduler_id: str) -> SchedulerJob:
        answer = self.ask(self.scheduler.query([scheduler_id], self.facts))
        assert answer.problems == ()
        return answer.jobs[scheduler_id]

    def until(self, scheduler_id: str, phase: Phase) -> SchedulerJob:
        until = time.monotonic() + 60
        while (job := self.job(scheduler_id)).phase is not phase:
            assert time.monotonic() < until, job
            time.sleep(0.1)
        return job


@pytest.fixture(params=list(SCHEDULERS))
def site(cluster: Cluster, request: pytest.FixtureRequest) -> Site:
    made = Site(cluster, SCHEDULERS[request.param])
    made.facts = made.ask(made.scheduler.detect())
    return made


def read(submission: Submission, name: str) -> str:
    path = Path(submission.control_folder) / name
    return path.read_text() if path.exists() else ""


def shown(site: Site, exit_status: int | None, reason: str | None) -> tuple[str, int | None, str | None]:
    """What the scheduler shows of an ended job: the Torque commands tell the phase only."""
    return ("ended", exit_status, reason) if site.facts.dialect == "slurm" else ("ended", None, None)


def test_the_dialect_is_found(site: Site) -> None:
    expected = {"slurm": "slurm", "pbs": "slurm-torque"}[site.scheduler.kind]
    assert site.facts.dialect == expected
    assert site.facts.version


def test_a_job_runs_under_the_id_that_submission_printed_and_its_streams_are_caught(site: Site) -> None:
    submission = site.stage('echo "${PBS_JOBID-none} $SLURM_JOB_ID"; echo words >&2; exit 3')
    scheduler_id = site.submit(submission)
    assert read(submission, "scheduler_id") == f"{scheduler_id}\n"
    site.until(scheduler_id, Phase.ENDED)
    answer = site.ask(site.scheduler.query([scheduler_id], site.facts))
    assert summary(answer) == {scheduler_id: shown(site, 3, "exit_code")}
    assert answer.jobs[scheduler_id].name == submission.name
    assert read(submission, "scheduler.out").split()[1] == scheduler_id
    if site.scheduler.kind == "pbs":
        assert read(submission, "scheduler.out").split()[0] == scheduler_id
    assert read(submission, "scheduler.err") == "words\n"


def test_success_and_an_unknown_id_are_told_apart(site: Site) -> None:
    scheduler_id = site.submit(site.stage("exit 0"))
    site.until(scheduler_id, Phase.ENDED)
    answer = site.ask(site.scheduler.query([scheduler_id, "999999"], site.facts))
    assert summary(answer) == {scheduler_id: shown(site, 0, None)}
    assert answer.problems == ()
    assert site.ask(site.scheduler.query(["999999"], site.facts)).jobs == {}


def test_a_submission_sent_twice_is_one_job(site: Site) -> None:
    submission = site.stage("sleep 600 & wait")
    scheduler_id = site.submit(submission)
    assert site.submit(submission) == scheduler_id
    names = [submission.name, "gw-00000000ffff"]
    assert site.ask(site.scheduler.find(names, site.facts)) == {submission.name: (scheduler_id,)}
    site.ask(site.scheduler.cancel([scheduler_id], site.facts))


def test_a_job_whose_id_was_lost_is_found_by_name_with_all_its_twins(site: Site) -> None:
    submission = site.stage("sleep 600 & wait")
    first = site.submit(submission)
    (Path(submission.control_folder) / "scheduler_id").unlink()
    second = site.submit(submission)
    assert site.ask(site.scheduler.find([submission.name], site.facts)) == {submission.name: (first, second)}
    assert site.ask(site.scheduler.cancel([first, second], site.facts)) == {first: None, second: None}
    site.until(second, Phase.ENDED)
    assert site.ask(site.scheduler.find([submission.name], site.facts)) == {submission.name: (first, second)}


def until_said(submission: Submission, word: str) -> str:
    """What the job has printed when `word` is in it: the scheduler shows an end while the node still works on it."""
    until = time.monotonic() + 20
    while word not in (said := read(submission, "scheduler.out")) and time.monotonic() < until:
        time.sleep(0.05)
    return said


def test_cancelling_ends_a_running_job_by_term_first(site: Site) -> None:
    submission = site.stage("trap 'echo term; exit 7' TERM; echo ready; sleep 600 & wait")
    scheduler_id = site.submit(submission)
    site.until(scheduler_id, Phase.RUNNING)
    assert until_said(submission, "ready") == "ready\n"
    assert site.ask(site.scheduler.cancel([scheduler_id, "999999"], site.facts)) == {scheduler_id: None, "999999": None}
    job = site.until(scheduler_id, Phase.ENDED)
    assert job.exit_status != 0
    assert job.reason == ("terminated" if site.facts.dialect == "slurm" else None)
    assert until_said(submission, "term") == "ready\nterm\n"
    assert site.ask(site.scheduler.cancel([scheduler_id], site.facts)) == {scheduler_id: None}


def test_the_resources_that_were_asked_for_are_the_jobs(site: Site) -> None:
    words = 'echo "$SLURM_JOB_NUM_NODES $SLURM_TASKS_PER_NODE $SLURM_CPUS_ON_NODE"'
    tasks = {"cpus": 2, "tasks_per_node": 2}
    submission = site.stage(words, nodes=2, memory="100M", queue="batch", **tasks)
    scheduler_id = site.submit(submission)
    site.until(scheduler_id, Phase.ENDED)
    assert read(submission, "scheduler.out") == "2 2(x2) 2\n"
    seen = site.cluster.job(scheduler_id)
    expected = {"MinMemoryNode": "100M", "TimeLimit": "00:02:00", "Partition": "batch", "Requeue": "0"}
    assert {key: seen[key] for key in expected} == expected
    assert seen["JobName"] == submission.name


def test_what_the_site_cannot_give_is_rejected_in_its_words_and_publishes_no_id(site: Site) -> None:
    requests: list[Mapping[str, Any]] = [{"queue": "nosuch"}, {"cpus": 1000}, {"memory": "900G"}]
    for request in requests:
        submission = site.stage("exit 0", **request)
        with pytest.raises(SubmissionRejected, match="sbatch"):
            site.submit(submission)
        assert not (Path(submission.control_folder) / "scheduler_id").exists()


def test_a_thousand_ids_are_asked_for_at_once(site: Site) -> None:
    scheduler_id = site.submit(site.stage("sleep 600 & wait"))
    ids = [scheduler_id, *(str(number) for number in range(900_000, 901_100))]
    answer = site.ask(site.scheduler.query(ids, site.facts))
    assert (set(answer.jobs), answer.problems) == ({scheduler_id}, ())
    site.ask(site.scheduler.cancel([scheduler_id], site.facts))


def outcome(site: Site, command: Command[Any]) -> object:
    try:
        return site.ask(command)
    except SchedulerError as error:
        return type(error)


def test_without_a_scheduler_nothing_is_known_and_nothing_is_rejected() -> None:
    with Cluster() as cluster:
        sites = [Site(cluster, scheduler) for scheduler in SCHEDULERS.values()]
        for site in sites:
            site.facts = site.ask(site.scheduler.detect())
        running = sites[0].submit(sites[0].stage("sleep 600 & wait"))
        asked: list[tuple[Site, Command[Any]]] = []
        for site in sites:
            scheduler, facts = site.scheduler, site.facts
            asked.append((site, scheduler.submit(site.stage("exit 0"), facts)))
            asked.append((site, scheduler.query([running], facts)))
            asked.append((site, scheduler.cancel([running], facts)))
            asked.append((site, scheduler.find(["gw-000000000001"], facts)))
        cluster.stop_slurmctld()
        # Each waits some seconds for an answer: all at once.
        with ThreadPoolExecutor(len(asked)) as pool:
            outcomes = list(pool.map(lambda pair: outcome(*pair), asked))
    assert outcomes == [SchedulerError] * len(asked)


def test_a_plain_machine_has_neither(site: Site) -> None:
    line = f"PATH=/nonexistent\n{site.scheduler.detect().line()}"
    with pytest.raises(SchedulerError, match="the target has no"):
        site.scheduler.detect().parse(*bash(line))
