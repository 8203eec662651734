"""`gateway retention …`, against a real gateway that runs a job, and then lets go of its outputs."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.api.server import announced, listening
from gateway.app import Gateway
from gateway.cli.main import run
from gateway.settings import load
from tests.engine.conftest import bring_rclone

CONFIGURATION = """
[gateway]
listen = "127.0.0.1:0"
data = "{data}"
[targets.local]
poll_interval = 0.2
runtime = {{ kind = "auto", allow_host = true }}
[stores.local]
kind = "directory"
path = "{{data}}/outputs"
[retention]
owners = true
[[retention.rules]]
name = "scratch"
after_days = 0
keep = ["*.vtk"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[str]:
    """The configuration of a gateway that runs in a thread of its own."""
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIGURATION.format(data=tmp_path / "data"))
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with Gateway(load(file, {})) as gateway, listening(gateway) as running:
            await bring_rclone(gateway.targets["local"])
            with announced(gateway, running):
                ready.set()
                await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)
    yield str(file)
    done.set()
    thread.join()


def test_outputs_are_held_then_go_and_the_folder_goes_with_them(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def gateway(*words: str, status: int = 0) -> str:
        assert run(["--config", config, *words]) == status, capsys.readouterr().err
        return capsys.readouterr().out

    def until(condition: Any, *words: str) -> Any:
        end = time.monotonic() + 60
        while not condition(found := json.loads(gateway("--json", *words))):
            assert time.monotonic() < end, found
            time.sleep(0.1)
        return found

    specification = {"image": None, "script": "echo 1 >a.vtk; echo 22 >b.log", "sync": {"interval": None}}
    (tmp_path / "job.json").write_text(json.dumps(specification))
    job_id = json.loads(gateway("--json", "submit", str(tmp_path / "job.json")))["id"]
    until(lambda job: job["state"] == "succeeded", "show", job_id)
    gateway("retention", "hold", job_id, "--why", "look at it")
    assert "held by" in gateway("retention", "plan")
    assert json.loads(gateway("--json", "retention", "run", "--yes")) == {"works": 0, "blocked": 1}
    gateway("retention", "release", job_id)
    gateway("retention", "release", job_id, status=5)
    gateway("retention", "set", job_id, "--after-days", "100", "--keep", "*.vtk")
    assert "own rule: delete after 100 days, keeping *.vtk" in gateway("retention", "show", job_id)
    gateway("retention", "unset", job_id)
    [item] = json.loads(gateway("--json", "retention", "plan", "--job", job_id))["items"]
    assert (item["rule"], item["count"], item["bytes"], item["blocked"]) == ("scratch", 1, 3, None)
    gateway("retention", "run", status=2)
    gateway("retention", "run", "--yes", "--rule", "scratch")
    found = until(lambda found: all(work["done_at"] for work in found["works"]), "retention", "show", job_id)
    assert [(work["count"], work["bytes"]) for work in found["works"]] == [(1, 3)]
    assert "scratch" in gateway("retention", "list")
    assert [file["path"] for file in json.loads(gateway("--json", "outputs", job_id))["files"]] == ["a.vtk"]
    gateway("retention", "clean", job_id, "--yes")
    assert "stays" not in gateway("retention", "show", job_id)
