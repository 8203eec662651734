"""Which jobs are submitted as one array, what its answers mean, and what a task of it does on the node."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import RowMapping as Row

from gateway.compute.arrays import array_folder, array_script
from gateway.compute.scheduler.base import SchedulerFacts, Submission
from gateway.compute.scheduler.pbs import Pbs, PbsSettings
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.compute.transport.base import CommandResult
from gateway.engine.arrays import Arrays, alike, cancel_ids
from gateway.engine.submit import Submitted, Unit, batch_script, read_answers
from gateway.model.specification import Resources

SLURM, PBS = Slurm(SlurmSettings(kind="slurm")), Pbs(PbsSettings(kind="pbs"))
FACTS = SchedulerFacts("slurm", "22.05")
NAME = "gw-0123456789ab"


def row(job: str, **values: Any) -> Row:
    plain = {
        "id": job,
        "sweep": "s",
        "attempt": 1,
        "stores": ["folder"],
        "spec": {"resources": {"walltime": 60}, "image": None, "env": {"N": job}},
        "a_array": None,
        "a_scheduler_id": None,
    }
    return cast(Row, {**plain, **values})


# --- Who goes together


def test_jobs_of_a_sweep_with_other_values_are_alike() -> None:
    assert alike(row("1")) == alike(row("2"))


@pytest.mark.parametrize(
    "change",
    [
        {"sweep": None},
        {"sweep": "t"},
        {"attempt": 2},
        {"stores": ["other"]},
        {"spec": {"resources": {"walltime": 61}, "image": None}},
        {"spec": {"resources": {"walltime": 60}, "image": {"ref": "x"}}},
        {"spec": {"resources": {"walltime": 60}, "image": None, "after_success": ["j"]}},
        {"spec": {"resources": {"walltime": 60}, "image": None, "after_end": ["j"]}},
    ],
)
def test_retries_jobs_that_wait_and_jobs_with_other_needs_do_not_go_with_others(change: dict[str, Any]) -> None:
    assert alike(row("1", **change)) != alike(row("1"))


def test_jobs_wait_for_the_others_of_their_sweep_only_while_these_are_being_staged() -> None:
    arrays = Arrays(SLURM)
    ready = [row(str(number)) for number in range(5)]
    staged = {"4"}
    assert arrays.early(ready, staged, [row("9")], 3) == {"3", "4"}
    assert arrays.early(ready, staged, [], 3) == set()
    assert arrays.early(ready, set(), [row("9")], 3) == set()
    assert arrays.early(ready, staged, [row("9", sweep=None)], 3) == set()
    assert arrays.early(ready, staged, [row("9")], 1) == set()


def test_the_jobs_of_a_sweep_stay_together_in_a_batch() -> None:
    arrays = Arrays(SLURM)
    arrays.alone.add("3")
    ready = [row(str(number), sweep="s" if number < 6 else None) for number in range(9)]
    assert arrays.batches(ready, 2, 4) == [["3", "6"], ["7", "8"], ["0", "1", "2", "4"], ["5"]]
    assert arrays.batches(ready, 5, 1) == [["0", "1", "2", "3", "4"], ["5", "6", "7", "8"]]


def test_an_array_is_cancelled_by_its_own_id_only_where_all_that_is_left_of_it_is() -> None:
    live = [row(str(n), a_array=NAME, a_scheduler_id=f"17_{n}") for n in range(1, 4)]
    live.append(row("9", a_scheduler_id="20"))
    assert cancel_ids(SLURM, live[:2], live) == ["17_1", "17_2"]
    assert cancel_ids(SLURM, live, live) == ["17", "20"]
    subjobs = [row(str(n), a_array=NAME, a_scheduler_id=f"18[{n}].host") for n in range(1, 3)]
    assert cancel_ids(PBS, subjobs, subjobs) == ["18[].host"]
    assert cancel_ids(PBS, subjobs[:1], subjobs) == ["18[1].host"]


# --- The submit command and its answers


class Site:
    """A folder with the attempts of an array, and an `sbatch` that says what it is told to say."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "work" / ".gateway"
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.controls = []
        for number in range(1, 4):
            control = self.root / f"job {number}" / "1"
            control.mkdir(parents=True)
            (control / "job.sh").write_text(f'echo "task {number} as $*"\n')
            self.controls.append(control)
        self.array = Path(array_folder(str(self.controls[0]), NAME))
        tasks = tuple(Submission(f"gw-00000000000{n}", str(c), Resources()) for n, c in enumerate(self.controls))
        self.unit = Unit(tasks, Submission(NAME, str(self.array), Resources(), tasks=3))
        self.answers('echo 17; echo "$*" >>"$0.called"')

    def answers(self, text: str) -> None:
        (self.programs / "sbatch").write_text(f"#!/bin/bash\n{text}\n")
        (self.programs / "sbatch").chmod(0o755)

    @property
    def calls(self) -> int:
        called = self.programs / "sbatch.called"
        return len(called.read_text().splitlines()) if called.exists() else 0

    def submit(self) -> list[Submitted]:
        script = batch_script(SLURM, FACTS, [self.unit])
        environment = {**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["/bin/bash", "-s"], input=script.text.encode(), capture_output=True, env=environment, check=False
        )
        sections = script.parse(CommandResult(done.stdout, done.stderr, done.returncode))
        return list(read_answers(SLURM, FACTS, [self.unit], sections).values())

    def task(self, **environment: str) -> subprocess.CompletedProcess[str]:
        script = self.array / "job.sh"
        return subprocess.run(
            ["/bin/bash", str(script)], env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_every_task_gets_its_own_id_and_the_array_is_submitted_once(site: Site) -> None:
    expected = [Submitted(scheduler_id=f"17_{index}") for index in (1, 2, 3)]
    assert site.submit() == expected
    assert site.submit() == expected
    assert site.calls == 1
    assert (site.array / "index").read_text().splitlines() == [str(control) for control in site.controls]


def test_a_task_becomes_the_script_of_its_own_attempt(site: Site) -> None:
    site.submit()
    done = site.task(SLURM_ARRAY_TASK_ID="2", SLURM_ARRAY_JOB_ID="17", SLURM_JOB_ID="19")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (site.controls[1] / "scheduler.out").read_text() == "task 2 as task 17_2\n"


@pytest.mark.parametrize("variable", ["PBS_ARRAY_INDEX", "PBS_ARRAYID"])
def test_a_task_of_pbs_keeps_the_id_that_pbs_gave_it(site: Site, variable: str) -> None:
    site.submit()
    (site.array / "job.sh").write_text(array_script("pbs", str(site.array), ["#PBS -r y"]))
    done = site.task(**{variable: "3", "PBS_JOBID": "18[3].host"})
    assert (done.returncode, done.stderr) == (0, "")
    assert (site.controls[2] / "scheduler.out").read_text() == "task 3 as task 18[3].host\n"


def test_a_run_that_is_no_task_starts_nothing(site: Site) -> None:
    site.submit()
    done = site.task(SLURM_JOB_ID="19")
    assert done.returncode == 78
    assert "does not say which task" in done.stderr


def test_nothing_is_sent_where_a_control_folder_is_gone_and_the_others_go_alone(site: Site) -> None:
    (site.controls[1] / "job.sh").unlink()
    found = site.submit()
    assert [(answer.gone, answer.alone) for answer in found] == [(False, True), (True, False), (False, True)]
    assert site.calls == 0


def test_nothing_is_sent_again_where_a_task_has_begun(site: Site) -> None:
    (site.controls[0] / "claim").write_text(f"scheduler_id=17_1\ntoken={'0' * 32}\n")
    found = site.submit()
    assert found[0] == Submitted(scheduler_id="17_1")
    assert [(answer.problem, answer.alone) for answer in found[1:]] == [("a task of the array has begun", False)] * 2
    assert site.calls == 0


def test_an_array_that_is_refused_says_nothing_about_its_tasks(site: Site) -> None:
    site.answers('echo "sbatch: error: Invalid job array specification" >&2; exit 1')
    found = site.submit()
    assert all(answer.alone and answer.refused is None for answer in found)
    assert not (site.array / "scheduler_id").exists()


def test_an_array_whose_answer_says_nothing_is_neither_taken_nor_refused(site: Site) -> None:
    site.answers("exit 0")
    assert all(answer == Submitted(problem=answer.problem) and answer.problem for answer in site.submit())


def test_an_array_whose_folder_cannot_be_made_is_not_sent(site: Site) -> None:
    site.array.parent.write_text("in the way")
    found = site.submit()
    assert all((answer.problem or "").startswith("the array's folder could not be made") for answer in found)
    assert site.calls == 0
