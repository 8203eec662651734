"""The storm's plan, and the plans of gateways that fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.engine import steps
from gateway.engine.steps import Step
from testbed.failpoints import Failing, Fault, arm, fault, pending
from tests.chaos.blows import Victim, blows
from tests.chaos.storm import Kind, orders, strikes


def test_the_same_seed_gives_the_same_storm_and_another_one_another() -> None:
    assert strikes(4, 40) == strikes(4, 40) != strikes(5, 40)
    assert orders(4, 40) == orders(4, 40) != orders(5, 40)


def test_every_kind_of_fault_comes_and_the_orders_are_so_many_jobs() -> None:
    assert {strike.kind for strike in strikes(4, len(Kind))} == set(Kind)
    assert sum(order.jobs for order in orders(4, 500)) == 500


def test_a_fault_comes_at_its_step_and_time_and_only_once(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    failing = Failing(plan)
    failing(Step.BEGUN)
    arm(plan, fault(Step.STAGED, 2, "raise"), fault(Step.BEGUN, do="raise"))
    for step in (Step.BEGUN, Step.STAGED, Step.BEGUN):
        failing(step)
    with pytest.raises(Fault):
        failing(Step.STAGED)
    assert pending(plan) == [fault(Step.BEGUN, do="raise")]
    with pytest.raises(Fault):
        failing(Step.BEGUN)
    assert pending(plan) == []
    failing(Step.BEGUN)


def test_a_gateway_as_it_is_does_nothing_at_its_steps() -> None:
    assert [steps.reached(step) for step in Step] == [None] * len(Step)
    assert len({step.meaning for step in Step}) == len(Step)


def test_every_kind_of_victim_is_struck_and_the_same_seed_strikes_the_same() -> None:
    assert blows(4, 20) == blows(4, 20) != blows(5, 20)
    assert {victim: sum(blow.victim is victim for blow in blows(4, 20)) for victim in Victim} == dict.fromkeys(
        Victim, 5
    )


def test_a_victim_is_known_by_its_command_line() -> None:
    script, syncer = "/bin/bash /var/spool/job7/slurm_script", "bash /w/.gateway/j/1/job.sh syncer"
    words = {1: script, 2: syncer, 3: "/w/tools/rclone-1/rclone copy /w/j S0:b/j", 4: "sleep 1"}
    assert [victim.among(words) for victim in Victim] == [[1], [3], [2], [1, 2, 3, 4]]
