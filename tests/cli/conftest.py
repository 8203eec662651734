"""A gateway that serves without driving, in a thread, and the command line against it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.api.server import announced, listening
from gateway.app import Gateway
from gateway.cli.main import run
from gateway.settings import load

CONFIG = """
[gateway]
listen = "127.0.0.1:0"
data = {data}
default_target = "here"
default_store = "disk"
[targets.here]
poll_interval = 0.2
runtime = {{ kind = "auto", allow_host = true }}
[stores.disk]
kind = "directory"
path = "{{data}}/results"
"""


@dataclass(frozen=True)
class Said:
    """What a command ended with and said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its answer."""
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration in a folder with a hostile name; nothing of the person's own is seen."""
    for name in ("GATEWAY_URL", "GATEWAY_TOKEN", "GATEWAY_TOKEN_FILE", "GATEWAY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "etc"))
    folder = tmp_path / "it's a $(folder)"
    folder.mkdir()
    file = folder / "gateway.toml"
    file.write_text(CONFIG.format(data=json.dumps(str(folder / "data"))))
    return file


@pytest.fixture
def command(config: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``gateway …`` in this process."""

    def call(*arguments: str | Path) -> Said:
        capsys.readouterr()
        status = run(["--config", str(config), *map(str, arguments)])
        said = capsys.readouterr()
        return Said(int(status), said.out, said.err)

    return call


@contextlib.contextmanager
def served(config: Path, *, drive: bool = False) -> Iterator[Gateway]:
    """Run the gateway of `config` behind a real server on loopback."""
    ready, ended = threading.Event(), asyncio.Event()
    opened: list[tuple[Gateway, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        async with Gateway(load(config, {}), drive=drive) as gateway, listening(gateway) as running:
            with announced(gateway, running):
                opened.append((gateway, asyncio.get_running_loop()))
                ready.set()
                await ended.wait()

    def body() -> None:
        try:
            asyncio.run(serve())
        finally:
            ready.set()

    thread = threading.Thread(target=body)
    thread.start()
    ready.wait()
    ((gateway, loop),) = opened
    try:
        yield gateway
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


@pytest.fixture
def serving(config: Path) -> Iterator[Gateway]:
    """The gateway of `config`, behind a real server on loopback."""
    with served(config) as gateway:
        yield gateway


@pytest.fixture
def specification(tmp_path: Path) -> Path:
    """A file with a good specification."""
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"name": "flow", "command": ["true"], "tags": {"study": "re"}}))
    return file
