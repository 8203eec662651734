"""JupyterLabs for the browser tests: their settings, their gateways' own APIs, the browser's flags."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import yaml
from steps import wait_for_end

from testbed.images import TestImage
from testbed.lab import Lab

CASES = Path(__file__).parent / "cases"
OUTSIDE = "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"
"""Chromium finds no host but this machine."""
FLAGS = (
    f"--host-resolver-rules={OUTSIDE}",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
)
SIZE = {"width": 1360, "height": 860}


def write_settings(folder: Path, image: TestImage, extra: str = "") -> str:
    """Return the configuration of a gateway with one target (this machine), one store and the case `lid`."""
    case = folder / "cases/lid"
    if not case.exists():
        shutil.copytree(CASES / "lid", case)
        content = yaml.safe_load((case / "case.yaml").read_text())
        content["image"] = {"ref": f"file://{image.squashfs}", "digest": image.squashfs_digest}
        (case / "case.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return f"""
[gateway]
data = "{folder}/data"
cases = ["{folder}/cases"]

[targets.here]
poll_interval = 0.3
[targets.here.transport]
kind = "local"
[targets.here.scheduler]
kind = "direct"
[targets.here.runtime]
kind = "charliecloud"
allow_host = true

[stores.results]
kind = "directory"
path = "{folder}/results"
{extra}"""


def gateway_of(lab: Lab) -> httpx.Client:
    """Return a client of a Lab's embedded gateway, with the gateway's own token."""
    found = lab.gateway()
    token = Path(found["token_file"]).read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=found["url"], headers=headers, timeout=60, trust_env=False)


def end_jobs(api: httpx.Client) -> None:
    """Cancel what a test has left: jobs outlive Jupyter, and stand in the way of the next test's."""
    live = "accepted,staging,queued,held,running,finalizing,unknown"
    jobs = api.get("/api/v1/jobs", params={"state": live, "limit": 100}).json()["items"]
    for job in jobs:
        api.post(f"/api/v1/jobs/{job['id']}/cancel")
    for job in jobs:
        wait_for_end(api, job["id"])
