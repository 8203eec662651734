"""Jobs with tools through the whole gateway: in a container on Slurm, on the host where the target allows it."""

from __future__ import annotations

from typing import Any

import pytest
from running import RunningGateway
from sections import local_target, ssh_target

from testbed.cluster import Cluster
from testbed.images import TestImage, digest
from testbed.mirror import Mirror
from tests.job_templates.tool_images import PROGRAMS, SHOW, tool_image

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def tools(
    test_image: TestImage, module_mirror: Mirror, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """Two tools as a specification names them: one with its digest, one without."""
    folder = tmp_path_factory.mktemp("tools")
    alpha = tool_image(test_image, folder, "alpha", PROGRAMS, "export DEPLOY_PATH=/opt/alpha/bin")
    beta = tool_image(test_image, folder, "beta", {"show-beta": SHOW})
    first = {"ref": module_mirror.serve("/alpha.sqfs", alpha), "digest": digest(alpha), "name": "alpha/1.0"}
    return [first, {"ref": module_mirror.serve("/beta.sqfs", beta), "commands": ["show-beta"]}]


@pytest.fixture(scope="module")
def gateway(start_gateway, cluster: Cluster) -> RunningGateway:
    host = {"kind": "charliecloud", "allow_host": True, "bind_roots": ["/usr/share"]}
    raw = {
        "targets": {"slurm": ssh_target(cluster, "slurm", "tools"), "here": local_target(runtime=host)},
        "stores": {"folder": {"kind": "directory", "path": "{data}/outputs", "transfer": "relay"}},
    }
    started: RunningGateway = start_gateway(raw)
    return started


def test_a_job_on_slurm_uses_two_images_from_its_own(gateway, tools, image) -> None:
    script = 'show "two words" >said && show-beta >>said && write "a result" 42'
    job_id = gateway.submit(target="slurm", stores=["folder"], image=image, script=script, tools=tools)
    job = gateway.wait(job_id)
    assert (job["state"], job["outputs"]["state"]) == ("succeeded", "complete"), (job, gateway.log(job_id, "stderr"))
    assert job["spec"]["tools"][0]["name"] == "alpha/1.0"
    assert gateway.files(job_id).keys() == {"a result", "said"}
    said = gateway.read(job_id, "said").decode().splitlines()
    wanted = ["show of alpha in /job", "<two words>", "show-beta of beta in /job"]
    assert [line.split(" umask")[0] for line in said] == wanted


def test_a_script_on_the_host_uses_tools_where_the_target_allows_it(gateway, tools) -> None:
    job_id = gateway.submit(target="here", stores=["folder"], script="tell HOME >said", tools=tools[:1])
    job = gateway.wait(job_id)
    assert job["state"] == "succeeded", (job, gateway.log(job_id, "stderr"))
    assert gateway.read(job_id, "said") == b"HOME=/job"


def test_folders_below_the_targets_roots_are_bound_and_the_network_is_away(gateway, image) -> None:
    script = "ls /usr/share/doc/base-files && ls /proc/self/net/dev && grep -c : /proc/net/dev"
    asked = {"stores": ["folder"], "image": image, "script": script, "network": False}
    job_id = gateway.submit(target="here", binds=["/usr/share/doc"], **asked)
    job = gateway.wait(job_id)
    assert job["state"] == "succeeded", (job, gateway.log(job_id, "stderr"))
    assert gateway.log(job_id).decode().split()[-1] == "1"


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"image": None}, "#/image", "may be one of the tools"),
        ({"binds": ["/etc"]}, "#/binds/0", "is not below a folder that jobs may see on this target (none)"),
        ({"binds": ["/usr/share/../etc"]}, "#/binds/0", "without '.', '..'"),
        ({"tools": ["built:x"]}, "#/tools/0", "not an image reference"),
        ({"tools": [{"ref": "/x", "commands": ["../x"]}]}, "#/tools/0/commands/0", "pattern"),
        ({"resources": {"launcher": "srun"}, "tools": ["/x"]}, "#/tools", "do not go with a launcher"),
        ({"network": False, "image": None}, "#/network", "needs an image"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_asked_for(gateway, image, tools, change, pointer, words) -> None:
    body = {"target": "slurm", "stores": ["folder"], "image": image, "script": "show", "tools": tools, **change}
    answer = gateway.http.post("/api/v1/jobs", json=body)
    assert answer.status_code == 422, answer.text
    errors = answer.json()["errors"]
    assert [(e["pointer"], words in e["detail"]) for e in errors] == [(pointer, True)], errors
