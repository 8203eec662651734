"""What has to be true of a job whatever was broken while it was on its way."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tests.chaos.proof import PROVED, Files, assert_outputs_are_true, problems
from tests.e2e.running import ENDED, RunningGateway, wait_until

if TYPE_CHECKING:
    from tests.chaos.scene import Scene

__all__ = ["PROVED", "SUCCEEDED", "assert_sound", "problems", "states"]

SUCCEEDED = ("succeeded",)


def assert_sound(
    scene: Scene,
    job_id: str,
    *,
    gateway: RunningGateway | None = None,
    state: Collection[str] = SUCCEEDED,
    runs: int = 1,
    outputs: Collection[str] = ("complete", "rescued"),
    seconds: float = 90,
    kept: Collection[str] = (),
    left: Files | None = None,
) -> dict[str, Any]:
    """Wait for a job's end and look at it from outside; return it.

    Parameters
    ----------
    state
        In which it may have ended.
    runs
        How often its payload has begun, over all attempts, by its own account.
    outputs
        What may be said of the outputs of each store.
    kept, left
        See `assert_outputs_are_true`.
    """
    gateway = gateway or scene.gateway
    job = gateway.wait(job_id, seconds)
    assert job["state"] in state, (job["state"], job["reason"], job["message"])
    _one_end(gateway.events(job_id))
    begun = scene.begun(job_id)
    assert len(begun) == runs, f"the payload began {len(begun)} times: {begun}"
    assert len(set(begun)) == len(begun), f"an attempt's payload began twice: {begun}"
    if job["state"] == "succeeded":
        assert job["exit_code"] == 0
        assert runs >= 1
    assert_outputs_are_true(scene, gateway, job, outputs, runs=runs, kept=kept, left=left)
    wait_until(lambda: not scene.scheduler_jobs(job_id), 40, f"the end of {scene.scheduler_jobs(job_id)}")
    return job


def _one_end(events: list[dict[str, Any]]) -> None:
    """One ended state by the events; only `lost` may be taken back."""
    sequences = [event["sequence"] for event in events]
    assert sequences == sorted(set(sequences))
    ends = [event["data"]["to"] for event in events if event["kind"] == "state" and event["data"]["to"] in ENDED]
    assert ends
    assert [end for end in ends[:-1] if end != "lost"] == [], ends


def states(gateway: RunningGateway, job_id: str) -> list[str]:
    """Return the states that a job was in, in order."""
    return [event["data"]["to"] for event in gateway.events(job_id) if event["kind"] == "state"]
