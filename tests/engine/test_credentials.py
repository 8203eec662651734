"""What a node gets to write with: seen by nobody who need not, and of no use once the job is over."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.storage.rclone import find_rclone
from gateway.storage.stores.base import Place
from testbed.azurite import Azurite
from tests.engine.conftest import EngineSite

LOOK_AROUND = r"""
tr '\0' '\n' </proc/self/environ >environment
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' >commands
while [ ! -e done ]; do sleep 0.1; done
"""

pytestmark = pytest.mark.real


@pytest.fixture
async def site(open_site: Callable[..., Any], azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> EngineSite:
    """A gateway that keeps outputs in a blob account, a container for each job."""
    monkeypatch.setenv("TEST_ACCOUNT_KEY", azurite.key)
    credential = {"account_key": {"env": "TEST_ACCOUNT_KEY"}}
    store = {"kind": "azure", "layout": "container", "account_url": azurite.account_url, "credential": credential}
    made: EngineSite = await open_site(stores={"folder": store})
    return made


def late_writer(folder: Path, credentials: str, job_id: str) -> subprocess.CompletedProcess[str]:
    """Write as somebody could who had read the job's credentials in time."""
    given = dict(line.split("=", 1) for line in credentials.splitlines())
    env = {"RCLONE_CONFIG": os.devnull, "PATH": "/usr/bin:/bin", **given}
    argv = [str(find_rclone()), "copyto", str(folder / "late"), f"S0:{job_id}/environment"]
    return subprocess.run(
        [*argv, "--azureblob-no-check-container"], env=env, capture_output=True, text=True, timeout=60
    )


async def test_credentials_show_nowhere_and_end_before_what_they_wrote_is_looked_at(
    site: EngineSite, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await site.start()
    job_id = await site.submit(LOOK_AROUND, sync={"interval": 1, "settle": 0.1, "reserve": 20})
    row = await site.wait(job_id, lambda row: row["a_payload_started_at"])
    control = Path(row["a_control_folder"])
    credentials = (control / "credentials").read_text()
    [signature] = re.findall(r"sig=([^&\s]+)", credentials)
    (tmp_path / "late").write_text(secrets.token_hex())
    assert late_writer(tmp_path, credentials, job_id).returncode == 0  # as long as the job runs
    Path(row["a_job_folder"], "done").touch()
    row = await site.ended(job_id)
    assert (row["state"], (await site.stores(job_id))["folder"]["state"]) == ("succeeded", "complete")
    assert late_writer(tmp_path, credentials, job_id).returncode != 0
    seen = Path(row["a_job_folder"], "environment").read_text() + Path(row["a_job_folder"], "commands").read_text()
    left = "".join(path.read_text(errors="replace") for path in control.rglob("*") if path.is_file())
    script = await site.gateway.jobs.script(job_id, site.gateway.owner)
    store, place = site.gateway.stores["folder"], Place(job_id, site.gateway.owner)
    names = [found.path async for found in store.list(place)]
    kept = "".join([(await read(store, place, name)).decode(errors="replace") for name in names])
    for text in (seen, left, script, kept, caplog.text):
        assert signature not in text
        assert "RCLONE_CONFIG_S0_SAS_URL" not in text
    assert not (control / "credentials").exists()
    found = await store.stat(place, "environment")
    assert found is not None
    assert set(found.metadata) >= {"job", "owner", "sha256", "mtime"}


async def read(store: Any, place: Place, name: str) -> bytes:
    return b"".join([piece async for piece in store.read(place, name)])
