"""The process: `serve`, the data folder's lock, server.json, the configuration's check."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import app
from gateway.api.server import announced, listening, token_path
from gateway.app import Gateway
from gateway.errors import ConfigurationError
from gateway.jobs.configured import check_configuration, parse_listen
from gateway.jobs.driving_lock import DrivingLock
from gateway.settings import load, parse
from tests.api.conftest import JOBS, open_site, settings_for, specification

SERVE = """
import asyncio, sys
from pathlib import Path
from gateway.api.server import serve
from gateway.settings import load
asyncio.run(serve(load(Path(sys.argv[1]), {}), drive=False))
"""


def configuration(data: Path) -> str:
    """A gateway.toml."""
    return f"""
[gateway]
listen = "127.0.0.1:0"
data = "{data}"
[targets.local]
runtime = {{ kind = "auto", allow_host = true }}
[stores.local]
kind = "directory"
path = "{{data}}/outputs"
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_says_where_it_listens_and_ends_cleanly_at_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "gateway.toml").write_text(configuration(tmp_path / "data"))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SERVE,
        str(tmp_path / "gateway.toml"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        server = json.loads((tmp_path / "data/server.json").read_text())
        assert server == {
            "url": server["url"],
            "pid": process.pid,
            "token_file": str(tmp_path / "data/token"),
        }
        assert server["url"] in line
        assert server["token_file"] in line
        token = Path(server["token_file"]).read_text().strip()
        assert token not in line
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=server["url"], headers=headers, trust_env=False) as http:
            job = (await http.post(JOBS, json=specification())).json()
            async with http.stream("GET", f"{JOBS}/{job['id']}/events") as stream:
                async for text in stream.aiter_lines():
                    if text.startswith("event: state"):
                        break
                process.send_signal(number)
                out, err = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, out, err) == (0, b"", b"")
    assert not (tmp_path / "data/server.json").exists()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data/token").stat().st_mode) == 0o600


async def test_what_was_stored_before_a_restart_is_there_after_it(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    async with open_site(settings) as site:
        answer = await site.http.post(JOBS, json=specification(), headers={"Idempotency-Key": "k"})
        before = (site.token, answer.json())
    async with open_site(settings) as site:
        answer = await site.http.post(JOBS, json=specification(), headers={"Idempotency-Key": "k"})
        assert (site.token, answer.json()) == before


class StillEngine:
    """An engine that only says whether it runs."""

    running = 0

    def __init__(self, **_: Any) -> None:
        pass

    async def start(self) -> None:
        StillEngine.running += 1

    async def stop(self) -> None:
        StillEngine.running -= 1


async def test_one_gateway_drives_a_data_folder_and_the_next_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.engine.engine.Engine", StillEngine)
    monkeypatch.setattr(app, "TAKE_OVER_INTERVAL", 0.01)
    settings = settings_for(tmp_path / "data")
    async with Gateway(settings) as first:
        async with Gateway(settings) as second:
            await asyncio.sleep(0.05)
            assert (first.driving, second.driving, StillEngine.running) == (True, False, 1)
        async with Gateway(settings) as third:
            await first._stop_driving()
            for _ in range(500):
                if third.driving:
                    break
                await asyncio.sleep(0.01)
            assert (first.driving, third.driving, StillEngine.running) == (False, True, 1)
    assert StillEngine.running == 0


def test_a_lock_is_held_by_one_and_can_be_taken_again(tmp_path: Path) -> None:
    one, two = DrivingLock(tmp_path), DrivingLock(tmp_path)
    assert (one.take(), one.take(), two.take()) == (True, True, False)
    one.release()
    assert (two.take(), one.take()) == (True, False)
    two.release()


async def test_a_gateway_that_does_not_drive_leaves_the_first_ones_address_alone(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    file = tmp_path / "data/server.json"
    async with (
        Gateway(settings, drive=False) as one,
        Gateway(settings, drive=False) as two,
        listening(one) as first,
        listening(two) as second,
    ):
        with announced(one, first):
            with announced(two, second):
                assert json.loads(file.read_text())["url"] == first.url
            assert json.loads(file.read_text())["url"] == first.url
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert not file.exists()


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:8480", ("127.0.0.1", 8480)),
        ("[::1]:0", ("::1", 0)),
        (":80", ("", 80)),
        ("gw.example.org:1", ("gw.example.org", 1)),
    ],
)
def test_an_address_to_listen_on_is_read(listen: str, expected: tuple[str, int]) -> None:
    assert parse_listen(listen) == expected


@pytest.mark.parametrize("listen", ["", "8480", "a:b", "127.0.0.1:99999", "::1:80", "a b:80", "127.0.0.1:80\n"])
def test_an_address_that_is_none_is_a_mistake(listen: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_listen(listen)


async def test_a_port_that_is_taken_is_told_in_one_sentence(tmp_path: Path) -> None:
    async with open_site(settings_for(tmp_path / "one")) as site:
        port = httpx.URL(site.running.url).port
        settings = settings_for(tmp_path / "two", gateway={"listen": f"127.0.0.1:{port}"})
        async with Gateway(settings, drive=False) as gateway:
            with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port} cannot be used"):
                async with listening(gateway):
                    raise AssertionError


def test_the_built_in_configuration_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    settings = load(None, {"XDG_CONFIG_HOME": str(tmp_path)})
    assert check_configuration(settings) == []
    assert token_path(settings).name == "token"


def test_every_mistake_of_a_configuration_is_named_with_its_key(tmp_path: Path) -> None:
    settings = parse(
        {
            "gateway": {"data": str(tmp_path), "listen": "nonsense", "database": "nosuch://x", "cases": ["/no/such"]},
            "targets": {
                "a": {"transport": {"kind": "pigeon"}, "scheduler": {"kind": "pbs", "qeue": "x"}, "workdir": "work"},
                "b": {"transport": {"kind": "local"}, "runtime": {"kind": "auto", "binds": ["x"]}, "workdir": "w"},
                "c": {"transport": {"kind": "local"}, "image_cache": "/a/../b"},
            },
            "stores": {
                "none": {"path": "x"},
                "disk": {"kind": "directory", "path": "/x", "target": "elsewhere", "colour": "red"},
                "there": {"kind": "directory", "path": "/x", "target": "elsewhere"},
                "blobs": {
                    "kind": "azure",
                    "account_url": "https://a.blob.core.windows.net",
                    "container": "jobs",
                    "credential": {"account_key": {"env": "NO_SUCH_SECRET"}},
                },
            },
        }
    )
    found = {mistake.pointer: mistake.detail for mistake in check_configuration(settings)}
    expected = {
        "gateway.listen",
        "gateway.database",
        "gateway.cases.0",
        "targets.a.transport.kind",
        "targets.a.scheduler.qeue",
        "targets.b.runtime.binds.0",
        "targets.c.image_cache",
        "stores.none.kind",
        "stores.disk.colour",
        "stores.there.target",
        "stores.blobs.credential.account_key",
    }
    assert set(found) == expected
    assert "NO_SUCH_SECRET" in found["stores.blobs.credential.account_key"]


def test_a_database_that_cannot_be_used_is_told_before_it_is_opened(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, gateway={"database": "oracle+nosuch://x"})
    assert [mistake.pointer for mistake in check_configuration(settings)] == ["gateway.database"]
    assert list(tmp_path.iterdir()) == []
