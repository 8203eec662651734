"""What has to be true of a job whatever was broken while it was on its way."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tests.e2e.running import ENDED, RunningGateway, wait_until

if TYPE_CHECKING:
    from tests.chaos.scene import Scene

SUCCEEDED = ("succeeded",)
PROVED = {"complete", "rescued"}


def assert_sound(
    scene: Scene,
    job_id: str,
    *,
    gateway: RunningGateway | None = None,
    state: Collection[str] = SUCCEEDED,
    runs: int = 1,
    outputs: Collection[str] = ("complete", "rescued"),
    seconds: float = 90,
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
    _outputs_are_as_said(scene, gateway, job, outputs, runs)
    wait_until(lambda: not scene.scheduler_jobs(job_id), 40, f"the end of {scene.scheduler_jobs(job_id)}")
    return job


def _one_end(events: list[dict[str, Any]]) -> None:
    """One ended state by the events; only `lost` may be taken back."""
    sequences = [event["sequence"] for event in events]
    assert sequences == sorted(set(sequences))
    ends = [event["data"]["to"] for event in events if event["kind"] == "state" and event["data"]["to"] in ENDED]
    assert ends
    assert [end for end in ends[:-1] if end != "lost"] == [], ends


def _outputs_are_as_said(
    scene: Scene, gateway: RunningGateway, job: dict[str, Any], allowed: Collection[str], runs: int
) -> None:
    """Compare what the gateway says with what the store has, and that with what the payload left."""
    left = scene.left_by_payload(job["id"])
    for store, summary in job["outputs"]["stores"].items():
        assert summary["state"] in allowed, f"{store}: {summary}, {problems(gateway, job['id'])}"
        stored = scene.stored(gateway, store, job["id"])
        shown = gateway.files(job["id"], store)
        if summary["state"] in PROVED:
            assert stored == left, f"{store} has {sorted(stored)}, the payload left {sorted(left)}"
            assert {path: file["size"] for path, file in shown.items()} == {p: len(b) for p, b in left.items()}
            manifest = json.loads(scene.stored(gateway, store, job["id"], hidden=True)[".gateway/manifest.json"])
            assert manifest["manifest"]["state"] == summary["state"], manifest
        else:
            said = problems(gateway, job["id"]).get(store)
            assert said or not left or runs == 0, f"{store} is {summary['state']}, and nobody says why"
            finals = {path: file["size"] for path, file in shown.items() if file["state"] == "final"}
            assert finals.items() <= {path: len(content) for path, content in stored.items()}.items()


def problems(gateway: RunningGateway, job_id: str) -> dict[str, str | None]:
    """Return what was said last of each store."""
    said = [event["data"] for event in gateway.events(job_id) if event["kind"] == "outputs"]
    return {data["store"]: data.get("problem") for data in said if "store" in data}


def states(gateway: RunningGateway, job_id: str) -> list[str]:
    """Return the states that a job was in, in order."""
    return [event["data"]["to"] for event in gateway.events(job_id) if event["kind"] == "state"]
