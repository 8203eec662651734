"""Finding a running gateway."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gateway.client import Gateway, GatewayNotRunning, find_gateway


def announce(data: Path, **values: object) -> None:
    (data / "token").write_text("secret\n")
    known = {"url": "http://127.0.0.1:1/", "pid": os.getpid(), "token_file": str(data / "token")}
    (data / "server.json").write_text(json.dumps({**known, **values}))


def test_a_running_gateway_is_found_with_its_token(tmp_path: Path) -> None:
    announce(tmp_path)
    found = find_gateway(tmp_path, environ={})
    assert found is not None
    assert (found.url, found.token) == ("http://127.0.0.1:1", "secret")
    assert "secret" not in repr(found)


def test_a_gateway_that_died_is_not_found(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    announce(tmp_path, pid=child.pid)
    assert find_gateway(tmp_path, environ={}) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"url": 1}', '{"url": "x", "pid": "y", "token_file": "z"}'])
def test_a_broken_announcement_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    assert find_gateway(tmp_path, environ={}) is None


def test_a_token_that_cannot_be_read_leaves_the_url(tmp_path: Path) -> None:
    announce(tmp_path, token_file=str(tmp_path / "gone"))
    found = find_gateway(tmp_path, environ={})
    assert found is not None
    assert found.token is None


def test_the_environment_comes_first(tmp_path: Path) -> None:
    announce(tmp_path)
    (tmp_path / "other").write_text("filed")
    url = {"GATEWAY_URL": "http://h:1/"}
    assert vars(find_gateway(tmp_path, {**url, "GATEWAY_TOKEN": "t"})) == {"url": "http://h:1", "token": "t"}
    filed = find_gateway(tmp_path, {**url, "GATEWAY_TOKEN_FILE": str(tmp_path / "other")})
    assert filed is not None
    assert filed.token == "filed"


def test_no_gateway_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_URL", raising=False)
    with pytest.raises(GatewayNotRunning, match="gateway serve"):
        Gateway(data=tmp_path)
