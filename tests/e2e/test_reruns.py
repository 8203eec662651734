"""A job that its scheduler runs a second time under the same id: one attempt, one end, the records of both runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from running import RunningGateway, wait_until
from sections import ssh_target

from testbed.cluster import Cluster

FAST = {"interval": 1, "settle": 0, "reserve": 60}
COUNT = "echo run >>runs; [ $(wc -l <runs) = 2 ] || sleep 600; echo done >result"


@pytest.fixture(scope="module")
def slurm(cluster: Cluster) -> dict[str, Any]:
    return ssh_target(cluster, "slurm", "reruns")


@pytest.fixture(scope="module")
def gateway(start_gateway, slurm: dict[str, Any], cluster: Cluster) -> RunningGateway:
    store = {"kind": "directory", "path": f"{cluster.home}/reruns", "target": "slurm"}
    return start_gateway({"targets": {"slurm": slurm}, "stores": {"project": store}})


def test_a_job_that_slurm_requeues_goes_back_to_the_queue_and_ends_once(gateway, image, slurm, cluster) -> None:
    job_id = gateway.submit(
        target="slurm", stores=["project"], image=image, script=COUNT, sync=FAST, resources={"walltime": 300}
    )
    wait_until(lambda: "runs" in gateway.files(job_id), what="the first run")
    scheduler_id = gateway.job(job_id)["scheduler_id"]
    assert cluster.command("scontrol", "update", f"jobid={scheduler_id}", "requeue=1").returncode == 0
    done = cluster.command("scontrol", "requeue", scheduler_id)
    assert done.returncode == 0, done.stderr
    control = Path(slurm["workdir"]) / ".gateway" / job_id / "1"
    gateway.wait_state(job_id, "queued", seconds=30)
    # Slurm lets a job wait for two minutes before it runs again.
    wait_until(lambda: cluster.command("scontrol", "update", f"jobid={scheduler_id}", "starttime=now").returncode == 0)
    wait_until((control / "run-1").is_dir, 60, "the second run")
    job = gateway.wait(job_id)
    assert (job["state"], job["attempt"], job["scheduler_id"]) == ("succeeded", 1, scheduler_id), job
    assert gateway.read(job_id, "runs") == b"run\nrun\n"
    assert gateway.read(job_id, "result") == b"done\n"
    ends = [e for e in gateway.events(job_id) if e["kind"] == "state" and e["data"]["to"] in ("succeeded", "failed")]
    assert len(ends) == 1
    assert not (control / "credentials").exists()
    (attempt,) = gateway.http.get(f"/api/v1/jobs/{job_id}/attempts").json()["items"]
    assert attempt["state"] == "succeeded"
