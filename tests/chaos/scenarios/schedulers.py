"""Faults of the scheduler: gone, hung, talking rubbish, running a job again, losing its node."""

from __future__ import annotations

import time

from testbed.cluster import Cluster
from tests.chaos.registry import scenario
from tests.chaos.scene import Scene
from tests.chaos.sound import assert_sound, states
from tests.e2e.running import wait_until

RUBBISH = {
    "prints nothing": "exit 0",
    "prints half of a line": "printf '12'; exit 0",
    "prints a web page": "echo '<html><body>504 Gateway Time-out</body></html>'; exit 0",
    "prints bytes": "head -c 4096 /dev/urandom; exit 0",
    "fails with an odd word": "echo 'slurm_load_jobs error: Zero Bytes were transmitted or received' >&2; exit 1",
}


@scenario(
    "slurmctld is stopped while a job runs",
    "The scheduler's daemon is stopped for 8 s; the payload ends meanwhile.",
)
def stopped_while_running(scene: Scene) -> str:
    cluster: Cluster = scene.keep(Cluster(nodes=1))
    scene.start(site=cluster)
    job_id = scene.submit()
    scene.running(job_id)
    cluster.stop_slurmctld()
    scene.release()
    time.sleep(8)
    cluster.start_slurmctld()
    assert_sound(scene, job_id)
    seen = states(scene.gateway, job_id)
    assert "lost" not in seen
    return f"It went {' → '.join(seen)}."


@scenario(
    "slurmctld is stopped when a job is submitted",
    "The scheduler's daemon is stopped for a minute, from before the job on.",
)
def stopped_at_submission(scene: Scene) -> str:
    cluster: Cluster = scene.keep(Cluster(nodes=1))
    scene.start(site=cluster, timing={"submit_timeout": 30.0, "poll_timeout": 20.0})
    cluster.stop_slurmctld()
    job_id = scene.submit(script=scene.payload(wait=False))
    time.sleep(60)
    assert scene.gateway.job(job_id)["state"] in ("accepted", "staging"), scene.gateway.job(job_id)
    cluster.start_slurmctld()
    assert_sound(scene, job_id)
    return f"It waited, and went {' → '.join(states(scene.gateway, job_id))}."


@scenario(
    "slurmctld is killed right after it accepted a job",
    "SIGKILL when sbatch has its answer; started again with the state it had saved.",
)
def killed_after_submission(scene: Scene) -> str:
    cluster: Cluster = scene.keep(Cluster(nodes=1))
    scene.start(site=cluster)
    job_id = scene.submit()
    scene.gateway.wait_state(job_id, "queued", "running")
    cluster.keeper.stop("slurmctld", number=9)
    time.sleep(1)
    cluster.start_slurmctld()
    scene.running(job_id)
    scene.release()
    assert_sound(scene, job_id)
    return f"It went {' → '.join(states(scene.gateway, job_id))}."


@scenario(
    "a node dies with the job on it",
    "slurmd and every process of the job are killed; the scheduler finds the node down.",
)
def node_killed(scene: Scene) -> str:
    cluster: Cluster = scene.keep(Cluster(nodes=1))
    scene.start(site=cluster)
    job_id = scene.submit()
    scene.running(job_id)
    cluster.keeper.stop("n1", number=9)
    wait_until(lambda: not kill_job(scene), 20, "the end of its processes")
    cluster.command("scontrol", "update", "nodename=n1", "state=down", "reason=chaos")
    job = assert_sound(scene, job_id, state=("failed",), outputs=("complete", "rescued", "partial"))
    assert job["reason"] in ("node_failed", "terminated"), job
    return f"failed, {job['reason']}; outputs {job['outputs']['state']}."


def kill_job(scene: Scene) -> list[str]:
    """Kill what still runs of the target's jobs; return what that was."""
    left = [line for line in scene.scheduler_jobs() if line.startswith("process ")]
    for line in left:
        scene.site.run(f"kill -KILL {line.split()[1].rstrip(':')}")
    return left


@scenario(
    "the scheduler runs a job again",
    "scontrol requeue while the payload waits, though the job was submitted with --no-requeue.",
)
def requeued(scene: Scene) -> str:
    job_id = scene.submit()
    scene.running(job_id)
    scheduler_id = scene.gateway.job(job_id)["scheduler_id"]
    scene.cluster.command("scontrol", "update", f"jobid={scheduler_id}", "requeue=1")
    answer = scene.cluster.command("scontrol", "requeue", scheduler_id)
    assert answer.returncode == 0, answer.stderr
    scene.gateway.wait_state(job_id, "queued")
    # Slurm lets a job wait for two minutes before it runs again.
    begin = ("scontrol", "update", f"jobid={scheduler_id}", "starttime=now")
    wait_until(lambda: scene.cluster.command(*begin).returncode == 0)
    wait_until(lambda: len(scene.begun(job_id)) == 2, 60, "the second run")
    scene.release()
    job = assert_sound(scene, job_id, runs=2)
    return f"The payload began twice, as the scheduler wanted, under one id; outputs {job['outputs']['state']}."


@scenario("squeue hangs", "squeue does not answer for 12 s, longer than the gateway waits.")
def query_hangs(scene: Scene) -> str:
    scene.wrap("squeue", 'if [ -e "$flag" ]; then sleep 12; fi')
    job_id = scene.submit()
    scene.running(job_id)
    scene.fault()
    scene.gateway.wait_state(job_id, "unknown")
    scene.fault(False)
    scene.gateway.wait_state(job_id, "running")
    scene.release()
    assert_sound(scene, job_id)
    return f"It went {' → '.join(states(scene.gateway, job_id))}."


def rubbish(fault: str, words: str) -> None:
    """Add the scenario of one kind of rubbish."""

    @scenario(
        f"squeue {fault} for a while",
        "For 5 s each answer about a running job is this; the payload goes on.",
        quick=fault == "prints nothing",
    )
    def play(scene: Scene) -> str:
        scene.wrap("squeue", f'if [ -e "$flag" ]; then {words}; fi')
        job_id = scene.submit()
        scene.running(job_id)
        scene.fault()
        time.sleep(5)
        seen = states(scene.gateway, job_id)
        assert "lost" not in seen
        assert seen[-1] in ("running", "unknown"), seen
        board = scene.target()["state"]
        scene.fault(False)
        scene.release()
        assert_sound(scene, job_id)
        return f"The board said {board}; it went {' → '.join(states(scene.gateway, job_id))}."


for fault, words in RUBBISH.items():
    rubbish(fault, words)


@scenario("scancel fails at first", "scancel answers with an error three times to the cancel of a job that waits.")
def cancel_fails(scene: Scene) -> str:
    scene.use("later").wrap("scancel", 'if [ -e "$flag" ]; then echo "scancel: error: Kill job error" >&2; exit 1; fi')
    job_id = scene.submit()
    scene.gateway.wait_state(job_id, "queued")
    scene.fault()
    scene.gateway.cancel(job_id)
    time.sleep(3)
    assert scene.gateway.job(job_id)["state"] == "queued"
    scene.fault(False)
    assert_sound(scene, job_id, state=("cancelled",), runs=0, outputs=("none",))
    return "Cancelled with the next try."


@scenario(
    "the scheduler has been taken away",
    "squeue, sbatch and scancel are not there for a new connection, then they are again.",
    quick=True,
)
def no_scheduler(scene: Scene) -> str:
    for command in ("squeue", "sbatch", "scancel"):
        scene.wrap(command, 'if [ -e "$flag" ]; then echo "bash: command not found" >&2; exit 127; fi')
    job_id = scene.submit()
    scene.running(job_id)
    scene.fault()
    scene.wait_target("failed")
    scene.fault(False)
    scene.wait_target("ok")
    scene.release()
    assert_sound(scene, job_id)
    return f"The board said failed; it went {' → '.join(states(scene.gateway, job_id))}."


@scenario(
    "somebody cancels the job at the scheduler",
    "scancel by hand while the payload runs; the gateway was not asked.",
    quick=True,
)
def cancelled_by_hand(scene: Scene) -> str:
    job_id = scene.submit()
    scene.running(job_id)
    scene.cluster.command("scancel", scene.gateway.job(job_id)["scheduler_id"])
    job = assert_sound(scene, job_id, state=("failed", "cancelled"))
    return f"{job['state']}, {job['reason']}; outputs {job['outputs']['state']}."
