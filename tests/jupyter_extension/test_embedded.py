"""A gateway in the Jupyter server's own process."""

from __future__ import annotations

import asyncio
import getpass
import json
import signal
import socket
import sys
import threading
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway import __version__, app
from gateway.api.server import announced, listening
from gateway.app import Gateway
from gateway.client import AsyncGateway
from gateway.client.discovery import find_gateway
from gateway.settings import Settings, load
from science_gateway_jupyter import embedded as embedded_module
from science_gateway_jupyter.configuration import Configuration
from science_gateway_jupyter.embedded import EmbeddedGateway
from science_gateway_jupyter.errors import GatewayFailed
from tests.databases import lay_database
from tests.jupyter_extension.serving import API, ROOT, Served, jupyter, write_configuration


async def test_a_job_runs_in_the_jupyter_servers_own_gateway(embedded: Served) -> None:
    answer = await embedded.http.post(f"{API}/jobs", json={"script": "echo hello", "name": "hi"})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert job["owner"] == getpass.getuser()
    assert answer.headers["Location"] == f"{API}/jobs/{job['id']}"
    page = await embedded.page()
    await page.send({"open": 1, "path": f"/api/v1/jobs/{job['id']}/events"})
    seen = []
    while "succeeded" not in seen:
        message = await page.next_of(1)
        if message["event"]["event"] == "state":
            seen.append(message["event"]["data"]["data"]["to"])
    await page.send({"open": 2, "path": f"/api/v1/jobs/{job['id']}/logs/stdout?follow=true"})
    assert await page.next_of(2) == {"stream": 2, "text": "hello\n", "offset": 6}
    assert await page.next_of(2) == {"stream": 2, "end": True}
    page.socket.close()


async def test_the_status_says_who_drives_and_where(embedded: Served) -> None:
    status = await embedded.status()
    found = find_gateway(embedded_data(embedded))
    assert found is not None
    assert status == {
        "mode": "embedded",
        "state": "ready",
        "message": None,
        "hint": None,
        "url": found.url,
        "lease": "held",
        "person": getpass.getuser(),
        "role": "admin",
        "version": __version__,
        "can_add_targets": True,
    }
    upstream = await embedded.shared.mode.upstream()
    assert upstream.token == found.token
    assert upstream.token not in (await embedded.http.get(f"{ROOT}/status")).text


async def test_a_token_is_not_for_a_gateway_of_ones_own(embedded: Served) -> None:
    for answer in (
        await embedded.http.put(f"{ROOT}/token", json={"token": "a-token-of-somebody"}),
        await embedded.http.delete(f"{ROOT}/token"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:science-gateway:problem:conflict")


async def test_kernels_find_it_in_its_data_folder(embedded: Served) -> None:
    found = find_gateway()
    assert found is not None
    assert found.url == (await embedded.status())["url"]


async def test_without_a_configuration_it_runs_here_in_the_persons_own_data_folder(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "somebody's work"
    folder.mkdir()
    (folder / "gateway.toml").write_text("[gateway]\ndata = '/nowhere'\n")
    monkeypatch.chdir(folder)
    lay_database(own_home / ".local/share/science-gateway")
    async with jupyter(folder, {}) as served:
        await served.shared.mode.check()
        targets = (await served.http.get(f"{API}/targets")).json()["items"]
    assert [target["name"] for target in targets] == ["local"]
    assert not (own_home / ".local/share/science-gateway/server.json").exists()


async def test_a_configuration_that_is_wrong_is_told_and_taken_up_when_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "TRY_AGAIN", 0.1)
    config = write_configuration(tmp_path)
    good = config.read_text()
    config.write_text(good.replace("[targets.here]", "[targets.here]\ncolour = 1"))
    async with jupyter(tmp_path, {"config_file": str(config)}) as served:
        with pytest.raises(GatewayFailed):
            await served.shared.mode.check()
        status = await served.status()
        assert (status["state"], status["can_add_targets"]) == ("failed", False)
        assert "mistakes" in status["message"]
        answer = await served.http.get(f"{API}/jobs")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json()["type"] == "urn:science-gateway:problem:gateway-failed"
        config.write_text(good)
        while (await served.status())["state"] != "ready":
            await asyncio.sleep(0.05)
        assert (await served.http.get(f"{API}/jobs")).status_code == 200


async def test_a_request_waits_for_a_gateway_that_is_starting_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_start = threading.Event()
    load = Configuration.load

    def slowly(self: Configuration, port: int = 0) -> Settings:
        may_start.wait()
        return load(self, port)

    monkeypatch.setattr(Configuration, "load", slowly)
    monkeypatch.setattr(embedded_module, "PATIENCE", 0.2)
    config = write_configuration(tmp_path)
    async with jupyter(tmp_path, {"config_file": str(config)}) as served:
        try:
            assert (await served.status())["state"] == "starting"
            answer = await served.http.get(f"{API}/jobs")
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:science-gateway:problem:gateway-starting")
            monkeypatch.setattr(embedded_module, "PATIENCE", 30)
            asking = asyncio.create_task(served.http.get(f"{API}/jobs"))
        finally:
            may_start.set()
        assert (await asking).status_code == 200


async def test_a_second_server_of_the_same_person_serves_and_takes_over_when_the_first_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "TAKE_OVER_INTERVAL", 0.1)
    config = write_configuration(tmp_path)
    port = free_port()
    config.write_text(config.read_text().replace("[gateway]", f'[gateway]\nlisten = "127.0.0.1:{port}"'))
    first = Gateway(load(config, {}))
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(first)
        running = await opened.enter_async_context(listening(first))
        opened.enter_context(announced(first, running))
        async with jupyter(tmp_path, {"config_file": str(config)}) as second:
            await second.shared.mode.check()
            status = await second.status()
            assert (status["state"], status["lease"], status["can_add_targets"]) == ("ready", "elsewhere", False)
            assert status["url"] != running.url
            assert (await second.http.get(f"{API}/jobs")).status_code == 200
            refused = await second.http.post(f"{ROOT}/targets/look", json={"host": "alice@127.0.0.1"})
            assert refused.status_code == 409
            assert json.loads((tmp_path / "data/server.json").read_text())["url"] == running.url
            await opened.aclose()
            while (status := await second.status())["lease"] != "held":
                await asyncio.sleep(0.05)
            server = tmp_path / "data/server.json"
            while not server.exists():
                await asyncio.sleep(0.05)
            assert json.loads(server.read_text())["url"] == status["url"]
        assert not server.exists()


async def test_the_gateway_comes_back_at_the_same_address_after_a_change(embedded: Served) -> None:
    before = await embedded.status()
    page = await embedded.page()
    assert (await embedded.http.post(f"{API}/jobs?draft=true", json={"script": "true"})).status_code == 202
    await page.send({"open": 1, "path": "/api/v1/events"})
    assert "event" in await page.next_of(1)
    mode = embedded.shared.mode
    assert isinstance(mode, EmbeddedGateway)
    await mode.restart()
    assert await embedded.status() == before
    assert await page.closed() == 1013
    assert (await embedded.http.get(f"{API}/jobs")).status_code == 200


SERVER = """
import sys
from jupyter_server.serverapp import ServerApp
ServerApp.launch_instance(sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_job_goes_on_when_jupyter_ends_and_is_picked_up_at_the_next_start(
    tmp_path: Path, number: signal.Signals
) -> None:
    config = write_configuration(tmp_path)
    go_on = tmp_path / "go-on"
    script = f"echo begun; until [ -e {go_on} ]; do sleep 0.1; done; echo done"
    arguments = [
        "--ServerApp.open_browser=False", "--allow-root", f"--ServerApp.root_dir={tmp_path}", "--ServerApp.port=0",
        "--ServerApp.jpserver_extensions={'science_gateway_jupyter': True}", f"--ScienceGateway.config_file={config}",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        while (found := find_gateway(tmp_path / "data")) is None:
            await asyncio.sleep(0.1)
        async with AsyncGateway(url=found.url, token=found.token) as client:
            job = await client.submit(script=script)
            while job.state != "running":
                await asyncio.sleep(0.1)
                await job.refresh()
    finally:
        process.send_signal(number)
        await process.wait()
    if number == signal.SIGTERM:
        assert process.returncode == 0
        assert not (tmp_path / "data/server.json").exists()
    go_on.touch()
    async with jupyter(tmp_path, {"config_file": str(config)}) as served:
        while (answer := (await served.http.get(f"{API}/jobs/{job.id}")).json())["state"] != "succeeded":
            await asyncio.sleep(0.2)
        assert answer["attempt"] == 1
        log = await served.http.get(f"{API}/jobs/{job.id}/logs/stdout")
    assert log.text == "begun\ndone\n"


def embedded_data(served: Served) -> Path:
    """Return the data folder."""
    mode = served.shared.mode
    assert isinstance(mode, EmbeddedGateway)
    assert mode.gateway is not None
    return mode.gateway.data


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
