"""A site with csh, noise from every start-up file, no SFTP and two sessions a connection."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from running import RunningGateway
from sections import ssh_target

from testbed.azurite import Azurite
from testbed.sshd import SshSite


@pytest.fixture(scope="module")
def gateway(start_gateway, hostile_site: SshSite, azurite: Azurite) -> RunningGateway:
    stores: dict[str, Any] = {
        "blobs": {
            "kind": "azure",
            "account_url": azurite.account_url,
            "container": f"jobs-{uuid.uuid4().hex[:8]}",
            "credential": {"account_key": {"env": "TEST_AZURE_KEY"}},
        },
        "folder": {"kind": "directory", "path": "{data}/outputs"},
    }
    raw = {"targets": {"site": ssh_target(hostile_site, "direct", "site")}, "stores": stores}
    return start_gateway(raw, {"TEST_AZURE_KEY": azurite.key})


def test_jobs_that_push_run_there_as_anywhere(gateway: RunningGateway, image) -> None:
    ids = [
        gateway.submit(
            stores=["blobs"],
            image=image,
            script=f"echo 'it''s {n}' >\"odd name\"; sleep 2",
            sync={"interval": 1, "settle": 0},
            resources={"walltime": 60},
        )
        for n in range(4)
    ]
    for n, job_id in enumerate(ids):
        job = gateway.wait(job_id)
        assert (job["state"], job["outputs"]["state"]) == ("succeeded", "complete"), job
        assert gateway.read(job_id, "odd name") == f"its {n}\n".encode()


def test_relay_is_refused_in_one_sentence(gateway: RunningGateway, image) -> None:
    job_id = gateway.submit(stores=["folder"], image=image, script="echo ran", resources={"walltime": 60})
    job = gateway.wait(job_id)
    assert (job["state"], job["reason"]) == ("failed", "staging_failed")
    assert "SFTP" in job["message"]
    assert job["message"].count("\n") == 0
    assert job["started_at"] is None
