"""What the gateway's own copies from a target may take."""

from __future__ import annotations

from gateway.compute.relay_turns import RelayTurns
from gateway.settings import RelaySettings


def test_each_copy_gets_an_equal_part_of_the_bandwidth() -> None:
    settings = RelaySettings.model_validate({"at_once": 4, "bandwidth": "40M"})
    assert RelayTurns(settings).bandwidth == f"{10 * 1024**2}B"
    assert RelayTurns(RelaySettings()).bandwidth is None
    assert RelayTurns(RelaySettings(at_once=64, bandwidth=1)).bandwidth == "1B"


async def test_no_more_copies_run_at_the_same_time_than_allowed() -> None:
    turns = RelayTurns(RelaySettings(at_once=2))
    async with turns.turn, turns.turn:
        assert turns.turn.locked()
    assert not turns.turn.locked()
