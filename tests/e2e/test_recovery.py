"""Nothing twice, nothing lost: kills, lost answers, doubled submissions, stores that go away."""

from __future__ import annotations

import re
import signal
import uuid
from typing import Any

import pytest
from running import RunningGateway, wait_until
from sections import local_target, ssh_target

from testbed.azurite import Azurite
from testbed.cluster import Cluster

FAST = {"interval": 1, "settle": 0, "reserve": 60}
COUNTED = "echo run >>runs; n=0; while [ $n -lt 30 ]; do n=$((n+1)); echo $n >>lines; sleep 0.2; done"


@pytest.fixture(scope="module")
def slurm(cluster: Cluster) -> dict[str, Any]:
    return ssh_target(cluster, "slurm", "slurm")


@pytest.fixture(scope="module")
def gateway(start_gateway, slurm: dict[str, Any]) -> RunningGateway:
    stores = {"folder": {"kind": "directory", "path": "{data}/outputs"}}
    return start_gateway({"targets": {"local": local_target(), "slurm": slurm}, "stores": stores})


def assert_ran_once(gateway: RunningGateway, job: dict[str, Any]) -> None:
    assert (job["state"], job["exit_code"]) == ("succeeded", 0), job
    assert gateway.read(job["id"], "runs") == b"run\n"
    assert gateway.read(job["id"], "lines").split() == [str(n).encode() for n in range(1, 31)]
    assert job["outputs"]["state"] == "complete"


@pytest.mark.parametrize("target", ["local", "slurm"])
def test_a_gateway_killed_while_a_job_runs_goes_on_where_it_was(gateway, image, target) -> None:
    job_id = gateway.submit(target=target, image=image, script=COUNTED, sync=FAST, resources={"walltime": 120})
    gateway.wait_state(job_id, "running")
    gateway.end(signal.SIGKILL)
    gateway.start()
    job = gateway.wait(job_id)
    assert_ran_once(gateway, job)
    sequences = [event["sequence"] for event in gateway.events(job_id)]
    assert sequences == sorted(set(sequences))


@pytest.mark.parametrize("target", ["local", "slurm"])
def test_a_gateway_killed_right_after_it_accepted_a_job_still_runs_it_once(gateway, image, target) -> None:
    ids = []
    for _ in range(3):
        ids.append(gateway.submit(target=target, image=image, script=COUNTED, sync=FAST, resources={"walltime": 120}))
        gateway.end(signal.SIGKILL)
        gateway.start()
    for job_id in ids:
        assert_ran_once(gateway, gateway.wait(job_id, 150))


def test_a_job_that_ended_while_no_gateway_ran_is_settled_at_the_next_start(gateway, image, slurm, cluster) -> None:
    job_id = gateway.submit(target="slurm", image=image, script=COUNTED, sync=FAST, resources={"walltime": 120})
    gateway.wait_state(job_id, "running")
    assert gateway.end(signal.SIGTERM) == 0
    final = f"{slurm['workdir']}/.gateway/{job_id}/1/final.json"
    wait_until(lambda: cluster.run(f"test -e {final}").returncode == 0, 60, "the final record")
    gateway.start()
    assert_ran_once(gateway, gateway.wait(job_id))


def test_the_same_submission_sent_twice_runs_once_and_the_second_yields(gateway, image, slurm, cluster) -> None:
    job_id = gateway.submit(target="slurm", image=image, script=COUNTED, sync=FAST, resources={"walltime": 120})
    gateway.wait_state(job_id, "running")
    control = f"{slurm['workdir']}/.gateway/{job_id}/1"
    second = cluster.check(f"cd {control} && sbatch --parsable job.sh").strip()
    wait_until(lambda: cluster.job(second).get("JobState") == "COMPLETED", 60, "the second's end")
    assert cluster.job(second)["ExitCode"] == "0:0"
    assert_ran_once(gateway, gateway.wait(job_id))


def _losing(cluster: Cluster, command: str, name: str) -> str:
    """Make a folder with a `command` that does its work, and whose answer is lost once: its connection is cut."""
    folder = f"{cluster.home}/{name}"
    cluster.check(f"mkdir -p {folder}")
    real = cluster.check(f"command -v {command}").strip()
    script = f"""#!/bin/bash
case " $* " in *" --version "*) exec {real} "$@" ;; esac
echo called >>{folder}/calls
answer=$({real} "$@")
status=$?
if mkdir {folder}/lost 2>/dev/null; then
  pid=$$
  while read -r parent name < <(ps -o ppid=,comm= -p "$pid") && [ "$parent" -gt 1 ]; do
    case $name in sshd*) kill -KILL "$pid"; break ;; esac
    pid=$parent
  done
  sleep 1
fi
printf '%s\\n' "$answer"
exit "$status"
"""
    cluster.check(f"cat >{folder}/{command} <<'END_OF_WRAPPER'\n{script}END_OF_WRAPPER\nchmod 755 {folder}/{command}")
    return folder


@pytest.mark.parametrize(("scheduler", "command"), [("pbs", "qsub"), ("slurm", "sbatch")])
def test_when_the_answer_of_a_submission_is_lost_the_job_runs_once(
    start_gateway, image, cluster, scheduler, command
) -> None:
    folder = _losing(cluster, command, f"losing-{scheduler}")
    target = ssh_target(cluster, scheduler, f"lost-{scheduler}", path=folder)
    stores = {"folder": {"kind": "directory", "path": "{data}/outputs"}}
    gateway = start_gateway({"targets": {"t": target}, "stores": stores})
    job_id = gateway.submit(image=image, script=COUNTED, sync=FAST, resources={"walltime": 120})
    job = gateway.wait(job_id, 150)
    assert_ran_once(gateway, job)
    assert cluster.check(f"cat {folder}/calls").split() == ["called"]
    assert cluster.run(f"test -d {folder}/lost").returncode == 0


def test_a_store_that_is_down_for_a_while_has_everything_in_the_end(start_gateway, image, own_azurite: Azurite) -> None:
    stores = {
        "blobs": {
            "kind": "azure",
            "account_url": own_azurite.account_url,
            "container": f"jobs-{uuid.uuid4().hex[:8]}",
            "credential": {"account_key": {"env": "TEST_OWN_AZURE_KEY"}},
        }
    }
    environ = {"TEST_OWN_AZURE_KEY": own_azurite.key}
    gateway = start_gateway({"targets": {"local": local_target()}, "stores": stores}, environ)
    script = "echo run >>runs; n=0; while [ $n -lt 60 ]; do n=$((n+1)); echo $n >part_$n; sleep 0.2; done"
    job_id = gateway.submit(image=image, script=script, sync=FAST, resources={"walltime": 300})
    wait_until(lambda: len(gateway.files(job_id)) >= 3, what="the first outputs")
    own_azurite.down()
    wait_until(lambda: re.search(rb'"exit_status":[1-9]', gateway.log(job_id, "sync")), 60, "a failed pass")
    own_azurite.up()
    job = gateway.wait(job_id, 150)
    assert job["state"] == "succeeded"
    assert job["outputs"]["state"] == "complete"
    assert set(gateway.files(job_id)) == {"runs", *(f"part_{n}" for n in range(1, 61))}
    assert gateway.read(job_id, "part_60") == b"60\n"


def test_twelve_jobs_on_one_cold_cache_fetch_the_image_once(start_gateway, module_mirror, test_image, cluster) -> None:
    content = test_image.squashfs.read_bytes()
    url = module_mirror.serve("/cold.sqfs", content)
    stores = {"folder": {"kind": "directory", "path": "{data}/outputs"}}
    target = ssh_target(cluster, "slurm", "cold")
    gateway = start_gateway({"targets": {"t": target}, "stores": stores})
    image = {"ref": url, "digest": test_image.squashfs_digest}
    ids = [
        gateway.submit(
            name=f"job {n}",
            image=image,
            script=f"echo {n} >result",
            sync={"interval": None},
            resources={"walltime": 120, "memory": "100M"},
        )
        for n in range(12)
    ]
    for n, job_id in enumerate(ids):
        job = gateway.wait(job_id, 150)
        assert (job["state"], job["outputs"]["state"]) == ("succeeded", "complete"), job
        assert gateway.read(job_id, "result") == f"{n}\n".encode()
    assert module_mirror.bytes_sent("/cold.sqfs") == len(content)
