"""`gateway users`, `gateway tokens`, `gateway audit`, against a real gateway."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.api.server import announced, listening
from gateway.app import Gateway
from gateway.cli.main import run
from gateway.settings import load

CONFIGURATION = """
[gateway]
listen = "127.0.0.1:0"
data = "{data}"
[targets.local]
[stores.local]
kind = "directory"
path = "{{data}}/outputs"
"""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[str]:
    """The configuration of a gateway that runs in a thread of its own."""
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIGURATION.format(data=tmp_path / "data"))
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with Gateway(load(file, {}), drive=False) as gateway, listening(gateway) as running:
            with announced(gateway, running):
                ready.set()
                await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)
    yield str(file)
    done.set()
    thread.join()


def test_people_come_get_tokens_and_go(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    def gateway(*words: str, status: int = 0) -> str:
        assert run(["--config", config, *words]) == status
        return capsys.readouterr().out

    gateway("users", "add", "alice", "--role", "viewer")
    gateway("users", "set-role", "alice", "user")
    gateway("users", "add", "alice", status=5)
    secret = gateway("tokens", "add", "--person", "alice", "--label", "laptop", "--scope", "read", "--days", "3")
    assert secret.startswith("sgw_")
    assert len(secret.splitlines()) == 1
    (token,) = json.loads(gateway("--json", "tokens", "list", "--person", "alice"))["items"]
    assert (token["label"], token["scopes"]) == ("laptop", ["read"])
    assert "good until" in gateway("tokens", "list", "--person", "alice")
    gateway("tokens", "revoke", token["id"])
    assert "revoked" in gateway("tokens", "list", "--person", "alice")
    gateway("tokens", "revoke", "0000", status=2)
    gateway("users", "disable", "alice")
    assert "disabled" in gateway("users", "list")
    gateway("users", "enable", "alice")
    gateway("users", "remove", "alice")
    gateway("users", "remove", "alice", status=3)
    rows = json.loads(gateway("audit", "--json", "--limit", "3"))["items"]
    assert [(row["action"], row["status"]) for row in rows] == [
        ("remove_user", 404),
        ("remove_user", 204),
        ("change_user", 200),
    ]
    assert "add_token" in gateway("audit")
    assert secret.strip() not in gateway("audit", "--json")
