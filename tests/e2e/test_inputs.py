"""Inputs by URL, end to end: the payload reads the very bytes, or the job says why not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from running import RunningGateway, wait_until
from sections import local_target, ssh_target

from testbed.mirror import Fault, Mirror
from testbed.sshd import SshSite

DATA = bytes(range(256)) * 4096
DIGEST = "sha256:" + hashlib.sha256(DATA).hexdigest()
FAST = {"interval": 1, "settle": 0}


@pytest.fixture(scope="module")
def gateway(start_gateway, plain_sshd: SshSite) -> RunningGateway:
    raw = {
        "targets": {"local": local_target(), "machine": ssh_target(plain_sshd, "direct", "inputs")},
        "stores": {"folder": {"kind": "directory", "path": "{data}/outputs"}},
    }
    return start_gateway(raw, {"GATEWAY__GATEWAY__ALLOW_URLS": '["127.0.0.1"]'})


@pytest.fixture
def files() -> Iterator[Mirror]:
    with Mirror() as made:
        yield made


def submit(gateway: RunningGateway, image: dict[str, str], *inputs: dict[str, Any], **more: Any) -> str:
    body = {"target": "local", "image": image, "script": "sha256sum mesh/*; ls -l run", **more}
    return gateway.submit(inputs=list(inputs), stores=["folder"], sync=FAST, resources={"walltime": 120}, **body)


def kept(gateway: RunningGateway) -> list[str]:
    return sorted(path.name for path in (gateway.data / "inputs").iterdir())


@pytest.mark.parametrize("target", ["local", "machine"])
def test_a_payload_reads_the_bytes_behind_the_url(
    gateway: RunningGateway, image: dict[str, str], files: Mirror, target: str
) -> None:
    url = files.serve("/mesh.bin", DATA)
    job = gateway.wait(
        submit(
            gateway,
            image,
            {"path": "mesh/proven", "url": url, "digest": DIGEST},
            {"path": "mesh/plain", "url": url},
            {"path": "run", "url": files.serve("/run", b"#!/bin/sh\n"), "executable": True},
            target=target,
        )
    )
    assert (job["state"], job["message"]) == ("succeeded", None)
    log = gateway.log(job["id"]).decode()
    value = DIGEST.removeprefix("sha256:")
    assert log.startswith(f"{value}  mesh/plain\n{value}  mesh/proven\n-rwx")
    assert gateway.read(job["id"], "mesh/proven") == DATA
    assert kept(gateway) == []


def test_a_wrong_digest_fails_the_job_before_it_is_submitted(
    gateway: RunningGateway, image: dict[str, str], files: Mirror
) -> None:
    wrong = "sha256:" + "0" * 64
    url = files.serve("/mesh.bin", DATA)
    job = gateway.wait(submit(gateway, image, {"path": "mesh/a", "url": url, "digest": wrong}))
    assert (job["state"], job["reason"], job["scheduler_id"]) == ("failed", "staging_failed", None)
    assert job["message"] == f"input mesh/a: 127.0.0.1: the file's digest is {DIGEST}, not {wrong}"
    assert files.count("/mesh.bin") == 1
    assert kept(gateway) == []


def test_a_server_that_fails_for_a_moment_is_asked_again(
    gateway: RunningGateway, image: dict[str, str], files: Mirror
) -> None:
    url = files.serve("/mesh.bin", DATA, Fault(status=503))
    job = gateway.wait(submit(gateway, image, {"path": "mesh/a", "url": url}))
    assert (job["state"], job["reason"]) == ("failed", "staging_failed")
    assert job["message"] == "input mesh/a: 127.0.0.1: the server answered with status 503"
    assert files.count("/mesh.bin") == 3


def test_a_slow_download_holds_up_no_other_job_and_ends_with_its_own(
    gateway: RunningGateway, image: dict[str, str], files: Mirror
) -> None:
    url = files.serve("/slow", DATA, Fault(stall=1000))
    slow = submit(gateway, image, {"path": "mesh/a", "url": url})
    wait_until(lambda: files.begun("/slow"), 30, "the download")
    other = gateway.wait(submit(gateway, image, {"path": "mesh/a", "content": "x"}, script="cat mesh/a"))
    assert other["state"] == "succeeded"
    assert gateway.job(slow)["state"] == "staging"
    gateway.cancel(slow)
    job = gateway.wait(slow)
    assert (job["state"], job["reason"]) == ("cancelled", "cancelled_by_user")
    wait_until(lambda: not kept(gateway), 30, "the removal of the half-fetched file")
    files.fail("/slow", None)


def test_addresses_inside_are_refused_at_once(gateway: RunningGateway, image: dict[str, str]) -> None:
    urls = [
        "https://example.org/ok",
        "http://169.254.169.254/latest/",
        "http://u:p@example.org/x",
        "file:///etc/passwd",
    ]
    body = {
        "target": "local",
        "image": image,
        "command": ["true"],
        "inputs": [{"path": f"f{n}", "url": url} for n, url in enumerate(urls)],
    }
    answer = gateway.http.post("/api/v1/jobs", json=body, params={"dry_run": 1})
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == [f"#/inputs/{n}/url" for n in (1, 2, 3)]
