"""Jupyter servers of the test's own: nothing of the person who runs the tests is seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.jupyter_extension.raw_gateway import TOKEN, RawGateway, raw_gateway
from tests.jupyter_extension.serving import Served, jupyter, write_configuration


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without any configuration."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("GATEWAY_URL", "GATEWAY_TOKEN", "GATEWAY_TOKEN_FILE", "GATEWAY_CONFIG", "GATEWAY_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SCIENCE_GATEWAY_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
        monkeypatch.setenv(f"JUPYTER_{name}", str(home / "jupyter" / name))
    monkeypatch.delenv("JUPYTER_PATH", raising=False)
    return home


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Served]:
    """A Jupyter server with a gateway of its own."""
    config = write_configuration(tmp_path)
    async with jupyter(tmp_path, {"config_file": str(config)}) as served:
        await served.shared.mode.check()
        yield served


@pytest.fixture
async def elsewhere() -> AsyncIterator[RawGateway]:
    """What listens where the shared gateway should."""
    async with raw_gateway() as opened:
        yield opened


@pytest.fixture
async def remote(tmp_path: Path, elsewhere: RawGateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A Jupyter server in front of `elsewhere`, with a token that it takes."""
    monkeypatch.setenv("SCIENCE_GATEWAY_TOKEN", TOKEN)
    async with jupyter(tmp_path, {"url": elsewhere.url, "data": str(tmp_path / "data")}) as served:
        yield served
