"""The verbs of a job on a real cluster: hold, release, wait for another, progress, data, a pass now, save and stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from running import RunningGateway, wait_until
from sections import local_target, ssh_target

from testbed.cluster import Cluster

SOLVER = """
echo settled >mesh; i=0
while [ "$i" -lt 600 ] && [ ! -e stop ] && [ ! -e done ]; do
  i=$((i + 1)); echo "Time = $i"; echo "$i,$((i * 2))" >>drag.csv; echo "$i" >count; sleep 0.1
done
echo saved >state
"""
SERIES = [{"name": "drag", "file": "drag.csv", "columns": [{"name": "t"}, {"name": "cd", "unit": "1"}]}]


@pytest.fixture(scope="module")
def gateway(start_gateway, cluster: Cluster):
    raw = {
        "targets": {
            "slurm": ssh_target(cluster, "slurm", "slurm"),
            "pbs": ssh_target(cluster, "pbs", "pbs"),
            "podman": local_target(runtime={"kind": "podman"}),
        },
        "stores": {"folder": {"kind": "directory", "path": "{data}/outputs", "transfer": "relay"}},
    }
    return start_gateway(raw)


@pytest.fixture
def submit(gateway: RunningGateway, image: dict[str, str]):
    """Submit a job with the test image."""

    def submit(script: str, target: str, **body: Any) -> str:
        plain = {
            "target": target,
            "stores": ["folder"],
            "image": image,
            "script": script,
            "resources": {"walltime": 120, "memory": "64M"},
            "sync": {"interval": None, "settle": 0, "reserve": 40},
        }
        return gateway.submit(**{**plain, **body})

    return submit


def verb(gateway: RunningGateway, job_id: str, name: str) -> None:
    """Ask for something."""
    answer = gateway.http.post(f"/api/v1/jobs/{job_id}/{name}")
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("target", ["slurm", "pbs"])
def test_jobs_wait_for_others_in_the_schedulers_own_queue_and_are_held_and_released_there(
    gateway: RunningGateway, submit, cluster: Cluster, target: str
) -> None:
    script = "while [ ! -e go ]; do sleep 0.1; done; exit 3"
    first = submit(script, target)
    waits = gateway.wait_state(first, "running")
    second = submit("echo second", target, after_end=[first])
    third = submit("echo third", target, after_success=[first])
    shown = [gateway.wait_state(job_id, "held", "queued") for job_id in (second, third)]
    assert [cluster.job(job["scheduler_id"])["Dependency"].split(":")[0] for job in shown] == ["afterany", "afterok"]
    assert waits["scheduler_id"] in cluster.job(shown[0]["scheduler_id"])["Dependency"]
    verb(gateway, second, "hold")
    wait_until(lambda: cluster.job(shown[0]["scheduler_id"])["Priority"] == "0", what="the hold")
    text = gateway.http.get(f"/api/v1/jobs/{first}/script").text
    folder = next(line.partition("=")[2] for line in text.splitlines() if line.startswith("gw_folder="))
    Path(folder, "go").touch()
    assert gateway.wait(first)["exit_code"] == 3
    ended = gateway.wait(third)
    assert (ended["state"], ended["reason"], ended["exit_code"]) == ("cancelled", "dependency_failed", None)
    assert "did not succeed" in ended["message"]
    held = gateway.job(second)
    assert (held["state"], held["hold"]) == ("held", True)
    verb(gateway, second, "release")
    assert gateway.wait(second)["state"] == "succeeded"


@pytest.mark.parametrize("target", ["slurm", "podman"])
def test_a_running_job_tells_its_progress_and_data_copies_them_when_asked_and_saves_before_it_stops(
    gateway: RunningGateway, submit, target: str
) -> None:
    by_file = {"file": "payload.out", "pattern": "^Time = ([0-9]+)", "max": 600, "unit": "s"}
    by_command = {"command": ["cat", "count"], "max": 600, "unit": "s"}
    body = {"data": SERIES, "save_and_stop": {"command": ["touch", "stop"]}}
    jobs = [submit(SOLVER, target, progress=rule, **body) for rule in (by_file, by_command)]
    for job_id in jobs:
        job = wait_until(lambda job_id=job_id: (found := gateway.job(job_id))["progress"] and found, what="progress")
        assert (job["progress"]["max"], job["progress"]["unit"]) == (600.0, "s")
        assert 1 <= job["progress"]["value"] <= 600
    job_id = jobs[0]
    data = gateway.http.get(f"/api/v1/jobs/{job_id}/data/drag").json()
    assert data["columns"][1] == {"name": "cd", "label": None, "unit": "1"}
    assert data["rows"][:2] == [[1, 2], [2, 4]]
    verb(gateway, job_id, "sync")
    wait_until(lambda: "mesh" in gateway.files(job_id), what="the pass")
    for job_id in jobs:
        gateway.cancel(job_id)
    for job_id in jobs:
        ended = gateway.wait(job_id)
        assert (ended["state"], ended["exit_code"]) == ("cancelled", 0), json.dumps(ended)
        assert gateway.read(job_id, "state") == b"saved\n"
        kinds = [event["kind"] for event in gateway.events(job_id)]
        assert "progress" in kinds
    rows = gateway.http.get(f"/api/v1/jobs/{jobs[0]}/data/drag", params={"limit": 100_000}).json()
    assert rows["ended"]
    assert rows["rows"] == [[n, 2 * n] for n in range(1, len(rows["rows"]) + 1)]
