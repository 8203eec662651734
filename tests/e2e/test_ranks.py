"""Payloads of many processes on two nodes: srun outside, a container for each rank inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from running import RunningGateway, wait_until
from sections import local_target, ssh_target

from testbed.cluster import Cluster

FAST = {"interval": 1, "settle": 0, "reserve": 60}
FOUR = {"nodes": 2, "cpus": 2, "tasks_per_node": 2, "walltime": 120, "launcher": "srun"}
PREAMBLE = """\
export SLURM_MPI_TYPE=pmi2
gw_image_cache=$gw_image_cache/$SLURMD_NODENAME # as if it were on each node's own disk
mkdir -p "$gw_image_cache"
"""
MEET = """\
say() { printf '%s\\n' "$1" >&"$PMI_FD"; IFS= read -r answer <&"$PMI_FD"; echo "$answer" >>answers.$PMI_RANK; }
say 'cmd=init pmi_version=1 pmi_subversion=1'
touch here.$PMI_RANK
say 'cmd=barrier_in'
ls here.* >seen.$PMI_RANK
say 'cmd=finalize'
"""
"""What the libraries of MPI say to srun first: they would also find each other by it."""


@pytest.fixture(scope="module")
def slurm(cluster: Cluster) -> dict[str, Any]:
    section = ssh_target(cluster, "slurm", "ranks")
    section["scheduler"]["preamble"] = PREAMBLE
    return section


@pytest.fixture(scope="module")
def gateway(start_gateway, slurm: dict[str, Any], cluster: Cluster) -> RunningGateway:
    store = {"kind": "directory", "path": f"{cluster.home}/ranks", "target": "slurm"}
    folder = {"kind": "directory", "path": "{data}/outputs"}
    targets = {"slurm": slurm, "local": local_target()}
    return start_gateway({"targets": targets, "stores": {"project": store, "folder": folder}})


def submit(gateway: RunningGateway, image: dict[str, str] | None, script: str, **more: Any) -> str:
    body = {"target": "slurm", "stores": ["project"], "sync": FAST, "resources": FOUR, **more}
    return gateway.submit(image=image, script=script, **body)


def test_four_ranks_on_two_nodes_share_one_folder_and_each_node_pulls_for_itself(gateway, image, slurm) -> None:
    script = (
        'echo said by $SLURM_PROCID; pwd >place; echo "$SLURM_PROCID $SLURM_NTASKS $SLURM_NODEID" >rank.$SLURM_PROCID'
    )
    job = gateway.wait(submit(gateway, image, script))
    assert (job["state"], job["exit_code"]) == ("succeeded", 0), job
    ranks = [gateway.read(job["id"], f"rank.{n}").decode().split() for n in range(4)]
    assert ranks == [["0", "4", "0"], ["1", "4", "0"], ["2", "4", "1"], ["3", "4", "1"]]
    assert gateway.read(job["id"], "place") == b"/job\n"
    out = gateway.http.get(f"/api/v1/jobs/{job['id']}/logs/stdout").text
    assert sorted(out.splitlines()) == [f"said by {n}" for n in range(4)]
    caches = Path(slurm["image_cache"])
    digest = image["digest"].removeprefix("sha256:")
    assert sorted(path.parent.name for path in caches.glob(f"*/{digest}.sqfs")) == ["n1", "n2"]


def test_ranks_meet_by_the_wire_that_mpi_uses(gateway, image) -> None:
    job = gateway.wait(submit(gateway, image, MEET))
    assert job["state"] == "succeeded", job
    for rank in range(4):
        answers = gateway.read(job["id"], f"answers.{rank}").decode().splitlines()
        assert [line.split()[0] for line in answers] == ["cmd=response_to_init", "cmd=barrier_out", "cmd=finalize_ack"]
        assert gateway.read(job["id"], f"seen.{rank}").decode().split() == [f"here.{n}" for n in range(4)]


def test_a_rank_that_fails_ends_the_others_and_the_job_has_its_exit_code(gateway, image) -> None:
    job = gateway.wait(submit(gateway, image, "if [ $SLURM_PROCID = 3 ]; then exit 5; fi; sleep 600"), seconds=60)
    assert job["state"] == "failed"
    assert job["exit_code"] not in (0, None)


def test_a_cancelled_job_ends_all_its_ranks_and_lets_them_say_goodbye(gateway, image) -> None:
    script = "trap 'echo bye >bye.$SLURM_PROCID; exit 0' TERM; touch up.$SLURM_PROCID; while :; do sleep 0.1; done"
    job_id = submit(gateway, image, script)
    names = {f"up.{n}" for n in range(4)}
    wait_until(lambda: names <= set(gateway.files(job_id)), what="all ranks")
    gateway.cancel(job_id)
    job = gateway.wait(job_id)
    assert (job["state"], job["reason"]) == ("cancelled", "cancelled_by_user")
    assert {f"bye.{n}" for n in range(4)} <= set(gateway.files(job_id))
    wait_until(lambda: not _about(job_id), 20, "the end of every process")


def test_an_image_that_a_node_cannot_get_keeps_the_payload_from_starting(gateway, image, slurm) -> None:
    broken = Path(slurm["image_cache"]) / "n2"
    job_id = submit(gateway, {**image, "digest": "sha256:" + "2" * 64}, "touch ran")
    job = gateway.wait(job_id)
    assert (job["state"], job["reason"]) == ("failed", "image_pull_failed")
    assert "ran" not in gateway.files(job_id)
    assert broken.is_dir()


def test_a_plain_machine_has_no_srun(gateway, image) -> None:
    body = {
        "target": "local",
        "stores": ["folder"],
        "image": image,
        "script": "true",
        "resources": {"launcher": "srun"},
    }
    response = gateway.http.post("/api/v1/jobs", json=body)
    assert response.status_code == 422
    assert json.loads(response.text)["errors"][0]["pointer"] == "#/resources/launcher"


def _about(job_id: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if job_id in text:
            found.append(text)
    return found
