"""The bell between those who write intents and the engine."""

from __future__ import annotations

import asyncio

import pytest

from gateway.jobs.bell import Bell


async def test_a_ring_is_kept_until_somebody_waits() -> None:
    bell = Bell()
    bell.ring("here")
    bell.ring("here")
    assert await bell.wait("here", 60)
    assert not await bell.wait("here", 0.01)


async def test_a_ring_of_another_target_wakes_nobody() -> None:
    bell = Bell()
    bell.ring("there")
    assert not await bell.wait("here", 0.01)


async def test_whoever_is_cancelled_while_the_bell_rings_ends() -> None:
    """The loop of a target would go on for ever otherwise, and the engine could not stop."""
    bell = Bell()
    waiting = asyncio.create_task(bell.wait("here", 60))
    await asyncio.sleep(0)
    bell.ring("here")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
