"""Images that the gateway built reach machines and clusters before the jobs that use them."""

from __future__ import annotations

import shutil

from running import RunningGateway
from sections import ssh_target

from testbed.cluster import Cluster
from testbed.images import TestImage
from testbed.sshd import SshSite


def test_a_built_image_is_delivered_once_and_runs_on_a_machine_and_on_a_cluster(
    start_gateway, cluster: Cluster, plain_sshd: SshSite, test_image: TestImage
) -> None:
    targets = {"vm": ssh_target(plain_sshd, "direct", "vm"), "slurm": ssh_target(cluster, "slurm", "slurm")}
    raw = {"targets": targets, "stores": {"folder": {"kind": "directory", "path": "{data}/outputs"}}}
    gateway: RunningGateway = start_gateway(raw)
    kept = gateway.data / "built-images"
    kept.mkdir()
    shutil.copy(test_image.squashfs, kept / f"{test_image.squashfs_digest.removeprefix('sha256:')}.sqfs")
    body = {
        "image": {"ref": "built:test", "digest": test_image.squashfs_digest},
        "script": "cat /proc/1/comm >where",
        "sync": {"interval": None},
        "resources": {"walltime": 120},
    }
    ids = {target: [gateway.submit(**body, target=target) for _ in range(2)] for target in targets}

    for jobs in ids.values():
        ended = [gateway.wait(job_id) for job_id in jobs]
        problems = [(job["reason"], job["message"]) for job in ended]
        assert [(job["state"], job["outputs"]["state"]) for job in ended] == [("succeeded", "complete")] * 2, problems
        pulls = [event["data"] for event in gateway.events(jobs[0]) if event["kind"] == "pull"]
        size = test_image.squashfs.stat().st_size
        assert {"bytes": size, "total": size, "source": "the gateway"} in pulls
        assert {"bytes": size, "total": size, "cached": True} in pulls
