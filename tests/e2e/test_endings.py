"""How jobs end: each truthfully, with its reason, and with the outputs that reached a file system."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest
from running import RunningGateway, wait_until
from sections import local_target, ssh_target

from testbed.cluster import Cluster
from testbed.mirror import Fault, Mirror

FAST = {"interval": 1, "settle": 0, "reserve": 60}


@pytest.fixture(scope="module")
def slurm(cluster: Cluster) -> dict[str, Any]:
    return ssh_target(cluster, "slurm", "slurm")


@pytest.fixture(scope="module")
def pbs(cluster: Cluster) -> dict[str, Any]:
    return ssh_target(cluster, "pbs", "pbs")


@pytest.fixture(scope="module")
def gateway(start_gateway, slurm: dict[str, Any], pbs: dict[str, Any], cluster: Cluster) -> RunningGateway:
    stores = {
        "folder": {"kind": "directory", "path": "{data}/outputs"},
        "project": {"kind": "directory", "path": f"{cluster.home}/project", "target": "slurm"},
        "project-pbs": {"kind": "directory", "path": f"{cluster.home}/project", "target": "pbs"},
    }
    return start_gateway({"targets": {"local": local_target(), "slurm": slurm, "pbs": pbs}, "stores": stores})


WHERE = [("local", "folder"), ("slurm", "project"), ("pbs", "project-pbs")]
everywhere = pytest.mark.parametrize(("target", "store"), WHERE)


def submit(gateway: RunningGateway, image: dict[str, str], target: str, store: str, script: str, **more: Any) -> str:
    body = {"sync": FAST, "resources": {"walltime": 300}, **more}
    return gateway.submit(target=target, stores=[store], image=image, script=script, **body)


@everywhere
def test_a_payload_that_exits_3_fails_with_its_code_and_keeps_its_outputs(gateway, image, target, store) -> None:
    job = gateway.wait(submit(gateway, image, target, store, "echo kept >result; exit 3"))
    assert (job["state"], job["reason"], job["exit_code"]) == ("failed", "exit_code", 3)
    assert job["outputs"]["state"] == "complete"
    assert gateway.read(job["id"], "result") == b"kept\n"


def test_a_payload_that_is_killed_fails_as_signalled(gateway, image) -> None:
    job = gateway.wait(submit(gateway, image, "local", "folder", "echo kept >result; kill -KILL $$"))
    assert (job["state"], job["reason"], job["exit_code"]) == ("failed", "signalled", 137)
    assert gateway.read(job["id"], "result") == b"kept\n"


@everywhere
def test_at_the_walltime_every_line_until_the_deadline_is_kept(gateway, image, target, store) -> None:
    script = "n=0; while :; do n=$((n+1)); echo $n >>lines; echo $n >last.new; mv last.new last; sleep 0.2; done"
    job_id = submit(gateway, image, target, store, script, resources={"walltime": 28}, sync={**FAST, "reserve": 14})
    job = gateway.wait(job_id)
    assert (job["state"], job["reason"]) == ("failed", "walltime")
    assert job["outputs"]["state"] == "complete"
    lines = [int(line) for line in gateway.read(job_id, "lines").split()]
    last = int(gateway.read(job_id, "last"))
    assert lines == list(range(1, len(lines) + 1))
    assert len(lines) >= 15
    assert last in (lines[-1], lines[-1] - 1)


@pytest.mark.parametrize(("target", "store"), WHERE[1:])
def test_a_job_cancelled_in_the_queue_never_runs(gateway, image, cluster, target, store) -> None:
    whole = {"walltime": 300, "nodes": 2, "cpus": 4}
    first = submit(gateway, image, target, store, "sleep 60", resources=whole)
    gateway.wait_state(first, "running")
    second = submit(gateway, image, target, store, "echo ran >result", resources=whole)
    gateway.wait_state(second, "queued")
    gateway.cancel(second)
    job = gateway.wait(second)
    gateway.cancel(first)
    assert (job["state"], job["reason"], job["started_at"]) == ("cancelled", "cancelled_by_user", None)
    assert job["outputs"]["count"] == 0
    assert gateway.wait(first)["state"] == "cancelled"


@everywhere
def test_a_job_cancelled_while_it_runs_keeps_its_outputs(gateway, image, target, store) -> None:
    script = "trap 'echo stopping >stopped; exit 9' TERM; echo kept >result; while :; do sleep 0.1; done"
    job_id = submit(gateway, image, target, store, script)
    wait_until(lambda: "result" in gateway.files(job_id), what="the first output")
    gateway.cancel(job_id)
    job = gateway.wait(job_id)
    assert (job["state"], job["reason"]) == ("cancelled", "cancelled_by_user")
    assert job["outputs"]["state"] == "complete"
    assert gateway.read(job_id, "result") == b"kept\n"
    assert gateway.read(job_id, "stopped") == b"stopping\n"


def test_a_job_cancelled_while_it_pulls_leaves_nothing_in_the_cache(
    gateway, image, module_mirror: Mirror, test_image
) -> None:
    content = test_image.squashfs.read_bytes() + b"\0"
    url = module_mirror.serve("/stalls.sqfs", content, Fault(stall=100_000))
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    job_id = submit(gateway, {"ref": url, "digest": digest}, "local", "folder", "echo ran >result")
    wait_until(lambda: module_mirror.begun("/stalls.sqfs"), what="the pull")
    gateway.cancel(job_id)
    job = gateway.wait(job_id)
    assert (job["state"], job["reason"]) == ("cancelled", "cancelled_by_user")
    assert job["outputs"]["count"] == 0
    cache = gateway.data / "images"
    assert [path.name for path in cache.glob(f"{digest[7:]}*")] == []


def test_a_wrong_digest_is_a_clear_failure_and_nothing_is_cached(gateway, image) -> None:
    wrong = "sha256:" + "0" * 64
    job = gateway.wait(submit(gateway, {**image, "digest": wrong}, "local", "folder", "echo ran >result"))
    assert (job["state"], job["reason"], job["exit_code"]) == ("failed", "image_pull_failed", None)
    assert "/test.sqfs" in job["message"]
    assert job["outputs"]["count"] == 0
    assert list((gateway.data / "images").glob("0000*")) == []


def test_a_mirror_that_is_dead_is_named_in_the_message(gateway) -> None:
    dead = {"ref": "http://127.0.0.1:9/gone.sif", "digest": "sha256:" + "1" * 64}
    job = gateway.wait(submit(gateway, dead, "local", "folder", "true"))
    assert job["reason"] == "image_pull_failed"
    assert "127.0.0.1:9/gone.sif" in job["message"]


def test_a_queue_that_does_not_exist_is_the_schedulers_no(gateway, image) -> None:
    job_id = submit(gateway, image, "slurm", "project", "true", resources={"walltime": 60, "queue": "nosuch"})
    job = gateway.wait(job_id)
    assert (job["state"], job["reason"]) == ("failed", "scheduler_rejected")
    assert "nosuch" in job["message"] or "partition" in job["message"].lower()


def test_a_job_ended_by_the_scheduler_is_not_called_cancelled(gateway, image, cluster) -> None:
    job_id = submit(gateway, image, "slurm", "project", "echo kept >result; while :; do sleep 0.1; done")
    wait_until(lambda: "result" in gateway.files(job_id), what="the first output")
    cluster.command("scancel", gateway.job(job_id)["scheduler_id"])
    job = gateway.wait(job_id)
    assert (job["state"], job["exit_code"]) != ("succeeded", 0)
    assert job["state"] == "failed"
    assert gateway.read(job_id, "result") == b"kept\n"


def test_nothing_is_left_running_of_a_cancelled_job(gateway, image) -> None:
    job_id = submit(gateway, image, "local", "folder", "setsid sleep 4242 & sleep 4242")
    gateway.wait_state(job_id, "running")
    wait_until(lambda: _sleepers() == 2, 20, "both processes")
    gateway.cancel(job_id)
    gateway.wait(job_id)
    wait_until(lambda: _sleepers() == 0, 20, "their end")


def _sleepers() -> int:
    found = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        found += words[-2:-1] == [b"4242"] and words[0].endswith(b"sleep")
    return found


def test_the_end_is_told_once(gateway, image) -> None:
    job_id = submit(gateway, image, "local", "folder", "true")
    gateway.wait(job_id)
    time.sleep(1)
    ends = [e for e in gateway.events(job_id) if e["kind"] == "state" and e["data"]["to"] in ("succeeded", "failed")]
    assert len(ends) == 1
