"""Images of a registry behind a login run on machines and clusters, and a tag that moves changes nothing."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import RunningGateway, wait_until
from sections import ssh_target

from testbed.cluster import Cluster
from testbed.images import TestImage
from testbed.registry import DockerRegistry
from testbed.sshd import SshSite
from tests.images.oci_layers import Layer


@pytest.fixture(scope="module")
def registry() -> Iterator[DockerRegistry]:
    with DockerRegistry("token") as made:
        yield made


def layer_of(folder: Path) -> bytes:
    """Return a folder as a layer."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
        tar.add(folder, arcname=".")
    return stream.getvalue()


def test_layers_and_sif_artefacts_of_a_private_registry_run_and_a_moving_tag_changes_nothing(
    start_gateway,
    cluster: Cluster,
    plain_sshd: SshSite,
    test_image: TestImage,
    registry: DockerRegistry,
    tmp_path: Path,
) -> None:
    base = layer_of(test_image.rootfs)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = {"architecture": machine, "config": {"Env": ["PATH=/opt/tool/bin:/bin:/usr/bin", "TOOL_HOME=/opt/it's"]}}
    upper = Layer().file(".wh.opt").file("opt/tool/bin/tool", '#!/bin/sh\necho "$TOOL_HOME first"\n', 0o755)
    first = registry.push("tools/layers", "latest", [base, upper.packed()], config=config)
    registry.push_index("tools/layers", "1", {machine: first, "s390x": first})
    registry.push_sif("tools/sif", "1", test_image.sif.read_bytes())
    assert registry.tokens is not None
    (tmp_path / "secret").write_text(registry.password)
    login = {"username": registry.username, "password": {"file": str(tmp_path / "secret")}, "plain_http": True}
    raw = {
        "targets": {"vm": ssh_target(plain_sshd, "direct", "vm"), "slurm": ssh_target(cluster, "slurm", "slurm")},
        "stores": {"folder": {"kind": "directory", "path": "{data}/outputs"}},
        "registries": {registry.host: {**login, "token_servers": [registry.tokens.host]}},
    }
    gateway: RunningGateway = start_gateway(raw)
    body = {"sync": {"interval": None}, "resources": {"walltime": 600}}
    layers = {"image": f"docker://{registry.host}/tools/layers:1", "script": "tool >said"}
    held = gateway.submit(**body, **layers, target="slurm")

    def resolved() -> str | None:
        job = gateway.job(held)
        assert job["state"] != "failed", job["message"]
        found: str | None = job["spec"]["image"]["manifest_digest"]
        return found

    assert wait_until(resolved, 120, "the tag's resolution") == first.digest
    changed = Layer().file("opt/tool/bin/tool", "#!/bin/sh\necho second\n", 0o755)
    second = registry.push("tools/layers", "1", [base, changed.packed()], config=config)
    jobs = {
        "slurm": held,
        "vm": gateway.submit(**body, **layers, target="vm"),
        "sif": gateway.submit(
            **body, image=f"oras://{registry.host}/tools/sif:1", script="echo sif >said", target="vm"
        ),
    }
    ended = {name: gateway.wait(job_id) for name, job_id in jobs.items()}
    assert {name: job["state"] for name, job in ended.items()} == dict.fromkeys(jobs, "succeeded"), ended
    said = {name: gateway.read(job_id, "said").decode().strip() for name, job_id in jobs.items()}
    assert said == {"slurm": "/opt/it's first", "vm": "second", "sif": "sif"}
    images = {name: job["spec"]["image"] for name, job in ended.items()}
    assert images["vm"]["manifest_digest"] == second.digest
    assert images["sif"]["digest"] == test_image.sif_digest
    everything = json.dumps([gateway.events(job_id) for job_id in jobs.values()]) + json.dumps(ended)
    assert registry.password not in everything
