"""The start that a scheduler expects: told where it says one, silent where nobody can know."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.compute.estimate import Estimate, estimate, estimated_start
from gateway.compute.scheduler.direct import Direct, DirectSettings
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.compute.transport.base import CommandResult
from gateway.errors import TargetUnreachable
from gateway.model.specification import JobSpecification

SPECIFICATION = JobSpecification.model_validate({"command": ["true"], "resources": {"walltime": 60}})
START = b"sbatch: Job 7 to start at 2026-11-21T10:11:12 using 1 processors on nodes n1 in partition batch\n"


def target(answer: CommandResult | Exception, scheduler: Any = None) -> Any:
    """A target that gives one answer."""

    async def run(script: str, **_: Any) -> CommandResult:
        assert "--test-only" in script
        assert "#SBATCH --time=00:01:00" in script
        if isinstance(answer, Exception):
            raise answer
        return answer

    found = scheduler or Slurm(SlurmSettings(kind="slurm"))
    return SimpleNamespace(name="t", scheduler=found, transport=SimpleNamespace(run=run))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (CommandResult(b"", START, 0), Estimate(datetime(2026, 11, 21, 10, 11, 12, tzinfo=UTC))),
        (CommandResult(b"", b"allocation failure: Invalid qos\n", 1), Estimate(refusal="Invalid qos")),
        (CommandResult(b"", b"", 127), Estimate()),
        (CommandResult(b"\xff", b"\xff", 0), Estimate()),
        (TargetUnreachable("gone"), Estimate()),
    ],
)
async def test_an_estimate_is_a_start_a_refusal_or_nothing(answer: Any, expected: Estimate) -> None:
    assert await estimate(target(answer), SPECIFICATION) == expected
    assert await estimated_start(target(answer), SPECIFICATION) == expected.start


async def test_a_target_without_a_queue_is_not_asked() -> None:
    direct = target(AssertionError(), Direct(DirectSettings(kind="direct")))
    assert await estimate(direct, SPECIFICATION) == Estimate()
