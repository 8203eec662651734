"""Images of the catalogue: brought to a machine before they are needed, and named by jobs."""

from __future__ import annotations

import httpx
from running import RunningGateway, wait_until
from sections import ssh_target

from testbed.images import TestImage
from testbed.mirror import Fault, Mirror
from testbed.sshd import SshSite


def test_a_named_image_is_prefetched_once_and_its_jobs_find_it_there(
    start_gateway, plain_sshd: SshSite, test_image: TestImage, module_mirror: Mirror
) -> None:
    raw = {
        "targets": {"vm": ssh_target(plain_sshd, "direct", "catalogue")},
        "stores": {"folder": {"kind": "directory", "path": "{data}/outputs"}},
    }
    gateway: RunningGateway = start_gateway(raw, {"GATEWAY__GATEWAY__ALLOW_URLS": '["127.0.0.1"]'})
    good = module_mirror.serve("/named.sqfs", test_image.squashfs)
    bad = module_mirror.serve("/wrong.sqfs", test_image.squashfs, Fault(corrupt=True))
    api: httpx.Client = gateway.http
    made = api.post("/api/v1/images", json={"names": ["test/1"], "mirrors": [bad, good]})
    assert made.status_code == 201, made.text
    wait_until(lambda: api.get("/api/v1/images/test%2F1").json()["work"]["state"] == "done")
    known = api.get("/api/v1/images/test%2F1").json()
    assert known["digest"] == test_image.squashfs_digest
    read = module_mirror.bytes_sent("/named.sqfs")

    prefetched = gateway.wait(api.post("/api/v1/images/test%2F1/prefetch").json()["id"])
    assert (prefetched["state"], prefetched["exit_code"]) == ("succeeded", 0), prefetched["message"]
    size = test_image.squashfs.stat().st_size
    assert module_mirror.bytes_sent("/named.sqfs") == read + size
    job = gateway.wait(
        gateway.submit(image="test/1", script="echo hello >said", sync={"interval": None}, resources={"walltime": 120})
    )
    assert (job["state"], job["spec"]["image"]["digest"]) == ("succeeded", known["digest"]), job["message"]
    pulls = [event["data"] for event in gateway.events(job["id"]) if event["kind"] == "pull"]
    assert {"bytes": size, "total": size, "cached": True} in pulls
    assert module_mirror.bytes_sent("/named.sqfs") == read + size
