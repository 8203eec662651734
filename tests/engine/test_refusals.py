"""A scheduler's no is believed only where nothing of the job is found."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.compute.scheduler.base import SchedulerFacts, Submission
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.compute.target import Target
from gateway.compute.transport.base import CommandResult
from gateway.engine.refusals import confirm
from gateway.engine.submit import Submitted, Unit
from gateway.model.specification import Resources

NAMES = ("gw-000000000001", "gw-000000000002")
ARRAY = "gw-0000000000aa"
FACTS = SchedulerFacts("slurm", "22.05")
NO = Submitted(refused="error: no such thing")
ALONE = Submitted(problem="error: no arrays", alone=True)


class Queue:
    """A target whose squeue says what a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.commands = folder, 0
        for name in NAMES:
            (folder / name).mkdir()

    def target(self, *lines: str, status: int = 0) -> Target:
        """Return it with a queue of these lines."""
        squeue = self.folder / "squeue"
        squeue.write_text(f"#!/bin/bash\nprintf '%s\\n' {' '.join(repr(line) for line in lines)}\nexit {status}\n")
        squeue.chmod(0o755)
        found = SimpleNamespace(name="t", scheduler=Slurm(SlurmSettings(kind="slurm")), transport=self)
        return cast(Target, found)

    async def run(self, script: str, **_: Any) -> CommandResult:
        """Run a command here."""
        self.commands += 1
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin"}
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, env=environment)
        return CommandResult(done.stdout, done.stderr, done.returncode)

    def alone(self) -> list[Unit]:
        """Two attempts, each by itself."""
        return [Unit((Submission(name, str(self.folder / name), Resources(walltime=60)),)) for name in NAMES]

    def array(self) -> list[Unit]:
        """Both as one array."""
        submissions = tuple(unit.submissions[0] for unit in self.alone())
        return [Unit(submissions, Submission(ARRAY, str(self.folder), Resources(walltime=60), tasks=2))]


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


async def test_what_was_not_refused_costs_no_command(queue: Queue) -> None:
    answers = {NAMES[0]: Submitted(scheduler_id="7"), NAMES[1]: Submitted(problem="no answer")}
    assert await confirm(queue.target(), queue.alone(), answers, FACTS, 5) == answers
    assert queue.commands == 0


async def test_a_refused_job_that_is_in_the_queue_was_taken(queue: Queue) -> None:
    target = queue.target(f"17|{NAMES[1]}")
    found = await confirm(target, queue.alone(), dict.fromkeys(NAMES, NO), FACTS, 5)
    assert found == {NAMES[0]: NO, NAMES[1]: Submitted(scheduler_id="17")}
    assert queue.commands == 1


async def test_a_refused_job_that_has_claimed_its_attempt_was_taken(queue: Queue) -> None:
    (queue.folder / NAMES[0] / "claim").write_text("scheduler_id=5\ntoken=x\n")
    found = await confirm(queue.target(), queue.alone()[:1], {NAMES[0]: NO}, FACTS, 5)
    assert found == {NAMES[0]: Submitted(scheduler_id="5")}


async def test_where_the_queue_cannot_be_seen_a_refusal_says_nothing(queue: Queue) -> None:
    found = await confirm(queue.target(status=1), queue.alone()[:1], {NAMES[0]: NO}, FACTS, 5)
    assert (found[NAMES[0]].refused, found[NAMES[0]].scheduler_id) == (None, None)


async def test_a_refused_array_that_is_in_the_queue_was_taken(queue: Queue) -> None:
    target = queue.target(f"9|{ARRAY}")
    found = await confirm(target, queue.array(), dict.fromkeys(NAMES, ALONE), FACTS, 5)
    assert [found[name].scheduler_id for name in NAMES] == ["9_1", "9_2"]
    assert await confirm(queue.target(), queue.array(), dict.fromkeys(NAMES, ALONE), FACTS, 5) == dict.fromkeys(
        NAMES, ALONE
    )
