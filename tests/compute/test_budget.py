"""A site's budget: commands a minute and at once, in equal shares."""

from __future__ import annotations

import asyncio

import pytest

from gateway.compute.transport.budget import Budget
from gateway.settings import BudgetSettings


def test_without_limits_nothing_waits() -> None:
    assert Budget(BudgetSettings()).wait() == 0


async def test_a_command_over_the_share_waits_until_the_minute_is_over() -> None:
    now = [100.0]
    budget = Budget(BudgetSettings(commands_per_minute=4), lambda: now[0])
    budget.shared_by(2, 0)
    for _ in range(2):
        async with budget.command():
            now[0] += 10
    assert (budget.used, budget.wait()) == (2, 40)
    now[0] += 40
    assert (budget.used, budget.wait()) == (1, 0)
    now[0] += 60
    assert budget.used == 0


async def test_connections_are_counted_by_themselves_and_wait_like_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(asyncio, "sleep", sleep)
    budget = Budget(BudgetSettings(connections_per_minute=2), lambda: now[0])
    for _ in range(3):
        await budget.connection()
    assert (slept, budget.connections, budget.used) == ([60.0], 1, 0)


async def test_no_more_commands_are_open_than_the_share() -> None:
    budget, seen, gate = Budget(BudgetSettings(channels=4)), [0], asyncio.Event()
    budget.shared_by(2, 0)

    async def one() -> None:
        async with budget.command():
            seen[0] += 1
            await gate.wait()

    tasks = [asyncio.create_task(one()) for _ in range(5)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert seen == [2]
    gate.set()
    await asyncio.gather(*tasks)
    assert seen == [5]


def test_more_processes_than_the_budget_still_have_one_each() -> None:
    budget = Budget(BudgetSettings(channels=2))
    budget.shared_by(5, 0)
    assert budget.share(2) == 1
