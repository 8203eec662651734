"""The main job on every target and into every store, with real containers: 14 runs."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient
from running import ENDED, RunningGateway, wait_until
from sections import local_target, ssh_target

from testbed.azurite import Azurite
from testbed.cluster import Cluster
from testbed.seaweed import Seaweed
from testbed.sshd import SshSite

TARGETS = ("local", "vm", "slurm", "pbs")
STORES = ("blobs", "s3", "folder")
RUNS = [*((t, s) for t in TARGETS for s in STORES), ("local-podman", "folder"), ("slurm-podman", "blobs")]
SCRIPT = """
echo "run" >> runs
echo "hello from $(cat /proc/1/comm >/dev/null && echo a container)"
mkdir -p VTK/walls
for step in 1 2 3 4 5 6 7 8; do
  echo "step $step" >> log.solver
  printf '%s' "$step" > "VTK/field_$step.vtk"
  printf '%s' "$step" > "VTK/walls/wall $step.vtk"
  if [ "$step" = 4 ]; then for i in $(seq 600); do [ ! -e seen ] || break; sleep 0.2; done; fi
done
"""
"""Half of it waits until somebody has seen the other half in the store."""
FILES = {f"VTK/field_{n}.vtk": str(n) for n in range(1, 9)}
FILES |= {f"VTK/walls/wall {n}.vtk": str(n) for n in range(1, 9)}
FILES |= {"log.solver": "".join(f"step {n}\n" for n in range(1, 9)), "runs": "run\n"}


@pytest.fixture(scope="module")
def container() -> str:
    return f"jobs-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def gateway(start_gateway, cluster: Cluster, plain_sshd: SshSite, azurite: Azurite, seaweed: Seaweed, container):
    podman = {"runtime": {"kind": "podman"}}
    raw = {
        "targets": {
            "local": local_target(),
            "local-podman": local_target(**podman),
            "vm": ssh_target(plain_sshd, "direct", "vm"),
            "slurm": ssh_target(cluster, "slurm", "slurm"),
            "slurm-podman": ssh_target(cluster, "slurm", "podman", **podman),
            "pbs": ssh_target(cluster, "pbs", "pbs"),
        },
        "stores": {
            "blobs": {
                "kind": "azure",
                "account_url": azurite.account_url,
                "container": container,
                "credential": {"account_key": {"env": "TEST_AZURE_KEY"}},
            },
            "s3": {
                "kind": "rclone",
                "transfer": "push",
                "root": f"{seaweed.bucket}/{container}",
                "remote": {"type": "s3", "provider": "Other", "endpoint": seaweed.endpoint},
                "secrets": {
                    "access_key_id": {"env": "TEST_S3_ID"},
                    "secret_access_key": {"env": "TEST_S3_KEY"},
                },
            },
            "folder": {"kind": "directory", "path": "{data}/outputs", "transfer": "relay"},
        },
    }
    environ = {
        "TEST_AZURE_KEY": azurite.key,
        "TEST_S3_ID": seaweed.access_key,
        "TEST_S3_KEY": seaweed.secret_key,
    }
    return start_gateway(raw, environ)


@pytest.fixture(scope="module")
def jobs(gateway: RunningGateway, image: dict[str, str]) -> dict[tuple[str, str], str]:
    """All runs, submitted at once; each goes on when its first outputs were seen."""
    found = {
        (target, store): gateway.submit(
            name=f"{target} to {store}",
            target=target,
            stores=[store],
            image=image,
            script=SCRIPT,
            exclude=["seen"],
            sync={"interval": 1, "settle": 0, "reserve": 30},
            resources={"walltime": 300, "memory": "200M"},
        )
        for target, store in RUNS
    }
    waiting = dict(found)

    def all_seen() -> bool:
        for (target, store), job_id in list(waiting.items()):
            events = gateway.events(job_id)
            if any(e["kind"] == "outputs" and e["data"].get("new") for e in events):
                workdir = gateway.raw["targets"][target].get("workdir", f"{gateway.data}/work")
                Path(workdir, job_id, "seen").touch()
                del waiting[target, store]
            elif any(e["data"].get("to") in ENDED for e in events if e["kind"] == "state"):
                del waiting[target, store]  # its own test will say what is wrong
        return not waiting

    wait_until(all_seen, 120, "outputs of every job")
    return found


@pytest.mark.parametrize(("target", "store"), RUNS)
def test_the_job_runs_once_and_all_its_outputs_are_proved(
    gateway: RunningGateway, jobs: dict[tuple[str, str], str], target: str, store: str
) -> None:
    job_id = jobs[target, store]
    job = gateway.wait(job_id, 180)
    assert (job["state"], job["exit_code"], job["reason"]) == ("succeeded", 0, None), job
    assert job["outputs"]["state"] == "complete", gateway.events(job_id)[-3:]
    files = gateway.files(job_id)
    assert set(files) == set(FILES)
    for path, text in FILES.items():
        row = files[path]
        assert (row["state"], row["size"]) == ("final", len(text)), path
        assert row["digest"] == "sha256:" + hashlib.sha256(text.encode()).hexdigest(), path
        assert (row["store"], row["job_id"], row["attempt"]) == (store, job_id, 1)
        assert row["name"] == f"{job_id}/{path}"
        assert row["stored_at"]
        assert row["modified_at"]
    assert job["outputs"]["bytes"] == sum(map(len, FILES.values()))
    assert gateway.read(job_id, "log.solver") == FILES["log.solver"].encode()
    assert b"hello from a container" in gateway.log(job_id)
    assert_seen_while_running(gateway.events(job_id))
    assert_manifest(gateway, job_id, store)


def assert_seen_while_running(events: list[dict[str, Any]]) -> None:
    kinds = [(e["kind"], e["data"].get("to"), e["data"].get("new")) for e in events]
    finalizing = kinds.index(("state", "finalizing", None))
    assert any(kind == "outputs" and new for kind, _, new in kinds[:finalizing])
    states = [to for kind, to, _ in kinds if kind == "state"]
    assert states[0] == "accepted"
    assert states[-2:] == ["finalizing", "succeeded"]
    assert states.count("running") == 1


def assert_manifest(gateway: RunningGateway, job_id: str, store: str) -> None:
    response = gateway.http.get(f"/api/v1/jobs/{job_id}/manifest")
    assert response.status_code == 200, response.text
    manifest = response.json()["manifest"]
    assert (manifest["state"], manifest["job"], manifest["store"]) == ("complete", job_id, store)
    assert {file["path"] for file in manifest["files"]} == set(FILES)


def test_blobs_are_named_by_job_and_carry_their_metadata(
    gateway: RunningGateway, jobs: dict[tuple[str, str], str], azurite: Azurite, container: str
) -> None:
    job_id = jobs["pbs", "blobs"]
    job = gateway.wait(job_id, 180)
    client = ContainerClient(azurite.account_url, container, credential=azurite.key)
    names = {blob.name for blob in client.list_blobs(name_starts_with=f"{job_id}/")}
    assert {f"{job_id}/{path}" for path in FILES} <= names
    assert f"{job_id}/.gateway/final.json" in names
    blob = client.get_blob_client(f"{job_id}/VTK/field_3.vtk")
    properties = blob.get_blob_properties()
    assert properties.metadata["job"] == job_id
    assert properties.metadata["owner"] == job["owner"]
    assert properties.metadata["sha256"] == hashlib.sha256(b"3").hexdigest()
    final = json.loads(client.download_blob(f"{job_id}/.gateway/final.json").readall())
    assert final["exit_code"] == 0


def test_a_folder_store_holds_plain_files_by_job(gateway: RunningGateway, jobs: dict[tuple[str, str], str]) -> None:
    job_id = jobs["slurm", "folder"]
    gateway.wait(job_id, 180)
    folder: Path = gateway.data / "outputs" / job_id
    assert (folder / "VTK/walls/wall 3.vtk").read_text() == "3"


def test_outputs_are_browsed_by_prefix(gateway: RunningGateway, jobs: dict[tuple[str, str], str]) -> None:
    job_id = jobs["local", "folder"]
    gateway.wait(job_id, 180)
    top = gateway.http.get("/api/v1/outputs", params={"prefix": f"{job_id}/", "delimiter": "/"}).json()
    assert [folder["prefix"] for folder in top["folders"]] == ["VTK/"]
    assert top["folders"][0]["count"] == 16
    assert [file["path"] for file in top["files"]] == ["log.solver", "runs"]
    below = gateway.http.get(f"/api/v1/jobs/{job_id}/outputs", params={"prefix": "VTK/", "delimiter": "/"}).json()
    assert [(f["prefix"], f["count"], f["bytes"]) for f in below["folders"]] == [("VTK/walls/", 8, 8)]
    assert [file["path"] for file in below["files"]] == [f"VTK/field_{n}.vtk" for n in range(1, 9)]


def test_each_cache_fetched_the_image_once(
    gateway: RunningGateway, jobs: dict[tuple[str, str], str], module_mirror, test_image
) -> None:
    for job_id in jobs.values():
        gateway.wait(job_id, 180)
    caches = 5  # one for each target's image_cache; the two local targets share one
    assert module_mirror.bytes_sent("/test.sqfs") == caches * test_image.squashfs.stat().st_size
