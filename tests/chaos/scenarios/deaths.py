"""Processes on the node are killed: the script, the syncer, everything; and the gateway, in the middle of an array."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.engine.steps import Step
from testbed.failpoints import fault
from tests.chaos.failing import FailingGateway
from tests.chaos.registry import scenario
from tests.chaos.scenarios.kills import ended
from tests.chaos.scene import Scene
from tests.chaos.sound import assert_sound
from tests.e2e.running import wait_until

TASKS = 6
DIED = {"state": ("failed",), "outputs": ("rescued", "complete")}
RETRY = {"attempts": 2, "reasons": ["node_failed", "signalled"]}


def processes(scene: Scene, job_id: str) -> dict[int, str]:
    """Return the job's processes on its node, with their command lines. Other clusters may have the same job ids."""
    base = str(scene.berth.base).encode()
    scheduler_id = str(scene.gateway.job(job_id)["scheduler_id"])
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environ = (entry / "environ").read_bytes()
            if f"SLURM_JOB_ID={scheduler_id}\0".encode() in environ and base in environ:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(entry.name)] = words.decode(errors="replace")
    return found


def kill(scene: Scene, job_id: str, wanted: Callable[[str], bool]) -> int:
    """Kill those processes of a job whose command line is wanted; return how many there were."""
    chosen = [pid for pid, words in processes(scene, job_id).items() if wanted(words)]
    for pid in chosen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert chosen, processes(scene, job_id)
    return len(chosen)


def is_syncer(words: str) -> bool:
    """Say whether a command line is the syncer's."""
    return " syncer" in words and "job.sh" in words


def is_script(words: str) -> bool:
    """Say whether a command line is that of the batch script itself."""
    return "slurm_script" in words


@scenario("the job's script is killed", "SIGKILL to the script while the payload runs", quick=True)
def _(scene: Scene) -> str:
    job_id = scene.submit()
    scene.running(job_id)
    kill(scene, job_id, is_script)
    return ended(scene, job_id, **DIED)


@scenario("the job's syncer is killed", "SIGKILL to the syncer while the payload runs, which then goes on to its end")
def _(scene: Scene) -> str:
    FailingGateway(scene)
    job_id = scene.submit(stores=["project"])
    scene.running(job_id)
    wait_until(lambda: any(map(is_syncer, processes(scene, job_id).values())), 20, "the syncer")
    kill(scene, job_id, is_syncer)
    time.sleep(1)
    scene.release()
    return ended(scene, job_id)


@scenario("everything of the job is killed", "SIGKILL to all processes of the job on its node, at once")
def _(scene: Scene) -> str:
    job_id = scene.submit()
    scene.running(job_id)
    kill(scene, job_id, lambda _words: True)
    return ended(scene, job_id, **DIED)


@scenario(
    "everything of the first attempt is killed, and a second one follows",
    "SIGKILL to all processes of the job; its specification wants another attempt",
)
def _(scene: Scene) -> str:
    job_id = scene.submit(retry=RETRY)
    scene.running(job_id)
    kill(scene, job_id, lambda _words: True)
    wait_until(lambda: len(scene.begun(job_id)) == 2, 60, "the second attempt")
    scene.release()
    return ended(scene, job_id, runs=2)


@scenario(
    "the job's script is killed while no gateway runs",
    "SIGKILL to the gateway, then to the script; then a new start of the gateway",
)
def _(scene: Scene) -> str:
    failing = FailingGateway(scene)
    job_id = scene.submit(stores=["folder"])
    scene.running(job_id)
    found = processes(scene, job_id)
    failing.kill()
    for pid, words in found.items():
        if is_script(words):
            os.kill(pid, signal.SIGKILL)
    time.sleep(2)
    failing.gateway.start()
    return ended(scene, job_id, **DIED)


@scenario(
    "without a scheduler, the gateway is killed while a job runs",
    "SIGKILL; the job ends while no gateway runs; then a new start",
)
def _(scene: Scene) -> str:
    failing = FailingGateway(scene, scheduler="direct")
    job_id = scene.submit(stores=["project"])
    scene.running(job_id)
    failing.kill()
    scene.release()
    time.sleep(2)
    failing.gateway.start()
    return ended(scene, job_id)


def array(scene: Scene, *lines: str, **job: Any) -> str:
    """Submit a sweep that becomes an array, while the gateway is killed as planned."""
    failing = FailingGateway(scene, *lines)
    request = {
        **{"target": "t", "image": None, "stores": ["project"], "script": scene.payload(wait=False, **job)},
        "sync": {"interval": None, "settle": 0, "reserve": 20},
        "resources": {"walltime": 300, "memory": "100M"},
    }
    table = [{"/env/N": str(number)} for number in range(TASKS)]
    answer = scene.gateway.http.post("/api/v1/sweeps", json={"job": request, "table": table})
    assert answer.status_code == 202, answer.text
    failing.outlive()
    found = scene.gateway.http.get("/api/v1/jobs", params={"sweep": answer.json()["id"]}).json()["items"]
    assert len(found) == TASKS
    jobs = [assert_sound(scene, job["id"]) for job in found]
    arrays = {str(job["scheduler_id"]).partition("_")[0] for job in jobs}
    return f"{TASKS} tasks `succeeded`, each began once, in {len(arrays)} array"


@scenario(
    "the gateway is killed when an array was submitted", "SIGKILL when the scheduler has answered; then a new start"
)
def _(scene: Scene) -> str:
    return array(scene, fault(Step.SUBMIT_ANSWERED))


@scenario(
    "the gateway is killed before an array is sent", "SIGKILL when it is noted that it will be sent; then a new start"
)
def _(scene: Scene) -> str:
    return array(scene, fault(Step.SUBMIT_NOTED))


@scenario(
    "the gateway is killed twice while an array is written down",
    "SIGKILL in the transaction that stores the tasks' ids, and in the one that stores what was found of them",
)
def _(scene: Scene) -> str:
    return array(scene, fault(Step.QUEUING), fault(Step.ADOPTING))


@scenario(
    "a program of the payload's goes on when the script and its first attempt are killed",
    "SIGKILL to the script; what the payload has started in a session of its own must not outlive the attempt",
)
def _(scene: Scene) -> str:
    script = scene.payload(wait=False, more="setsid sleep 3600 & sleep 3600")
    job_id = scene.submit(script=script)
    scene.running(job_id)
    wait_until(lambda: "last" not in scene.left_by_payload(job_id) and scene.begun(job_id), 20, "the payload")
    kill(scene, job_id, is_script)
    seen = ended(scene, job_id, **DIED)
    wait_until(lambda: not processes(scene, job_id), 20, f"the end of {processes(scene, job_id)}")
    return seen
