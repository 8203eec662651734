"""Inputs by upload, from another job and from a folder of the cluster, end to end on the batch cluster; and a sweep."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from running import RunningGateway, wait_until
from sections import ssh_target

from testbed.cluster import Cluster

DATA = os.urandom(3_000_000)
DIGEST = "sha256:" + hashlib.sha256(DATA).hexdigest()
FAST = {"interval": 1, "settle": 0}


@pytest.fixture(scope="module")
def public(cluster: Cluster) -> Path:
    """A folder of the cluster that inputs may come from."""
    folder = Path(cluster.home) / "public"
    (folder / "atlas").mkdir(parents=True, exist_ok=True)
    (folder / "atlas/map").write_text("the map\n")
    if not (folder / "atlas/passwd").is_symlink():
        (folder / "atlas/passwd").symlink_to("/etc/passwd")
        (folder / "etc").symlink_to("/etc")
    return folder


@pytest.fixture(scope="module")
def gateway(start_gateway, cluster: Cluster, public: Path) -> RunningGateway:
    raw = {
        "targets": {"cluster": ssh_target(cluster, "pbs", "stored", input_roots=[str(public)])},
        "stores": {"folder": {"kind": "directory", "path": "{data}/outputs"}},
    }
    return start_gateway(raw)


def request(image: dict[str, str], script: str, *inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    resources = {"walltime": 120}
    return {"image": image, "script": script, "inputs": list(inputs), "sync": FAST, "resources": resources, **more}


def test_a_job_reads_uploads_outputs_of_another_and_files_of_the_cluster(
    gateway: RunningGateway, image: dict[str, str], public: Path
) -> None:
    headers = {"Upload-Digest": DIGEST, "Upload-Length": str(len(DATA))}
    begun = gateway.http.post("/api/v1/uploads", content=DATA[:1_000_000], headers=headers).json()
    rest = {"Upload-Offset": str(begun["received"])}
    done = gateway.http.patch(f"/api/v1/uploads/{begun['id']}", content=DATA[begun["received"] :], headers=rest)
    assert done.json()["complete"], done.text
    script = "sleep 2; mkdir VTK; sha256sum mesh.bin >VTK/last"
    first = gateway.submit(**request(image, script, {"path": "mesh.bin", "upload": DIGEST}))
    second = gateway.submit(
        **request(
            image,
            "cat in/start in/atlas/map; cat in/atlas/passwd | head -c 5; test -w in/atlas",
            {"path": "in/start", "job": first, "output": "VTK/last"},
            {"path": "in/atlas", "target_path": f"{public}/atlas"},
            after_success=[first],
        )
    )
    assert gateway.wait(first)["state"] == "succeeded"
    job = gateway.wait(second)
    assert (job["state"], job["message"]) == ("succeeded", None)
    lines = gateway.log(second).decode().splitlines()
    assert lines[:2] == [f"{DIGEST.removeprefix('sha256:')}  mesh.bin", "the map"]
    assert gateway.read(first, "mesh.bin") == DATA
    assert not list((gateway.data / "inputs").iterdir())


def test_a_path_whose_link_leads_out_fails_before_anything_runs(
    gateway: RunningGateway, image: dict[str, str], public: Path
) -> None:
    job = gateway.wait(gateway.submit(**request(image, "true", {"path": "x", "target_path": f"{public}/etc/passwd"})))
    assert (job["state"], job["reason"], job["scheduler_id"]) == ("failed", "staging_failed", None)
    assert "leads out of the folders that inputs may come from" in job["message"]


def test_a_sweep_runs_no_more_jobs_at_once_than_it_may(gateway: RunningGateway, image: dict[str, str]) -> None:
    body = {"job": request(image, 'echo "$RE" >out; sleep 1'), "grid": {"/env/RE": ["1", "2", "3", "4"]}, "limit": 2}
    answer = gateway.http.post("/api/v1/sweeps", json=body)
    assert answer.status_code == 202, answer.text
    url = answer.json()["links"]["self"]
    most = 0

    def ended() -> dict[str, Any] | None:
        nonlocal most
        found: dict[str, Any] = gateway.http.get(url).json()
        over = {"accepted", "succeeded", "failed", "cancelled", "lost"}
        most = max(most, sum(count for state, count in found["counts"].items() if state not in over))
        return found if found["state"] not in ("accepted", "running") else None

    found = wait_until(ended, 90, "the end of the sweep")
    assert (found["state"], found["counts"]) == ("succeeded", {"succeeded": 4})
    assert most == 2
    table = gateway.http.get(found["links"]["table"]).json()["items"]
    outputs = [gateway.read(row["job_id"], "out").decode().strip() for row in table]
    assert outputs == [row["values"]["/env/RE"] for row in table] == ["1", "2", "3", "4"]
