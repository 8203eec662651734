"""Local files that a specification names are sent once, whole, and by digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mock_gateway import BOTH, run_sync
from scripted_gateway import job, problem

from gateway.client import uploads
from gateway.errors import InvalidRequest

STEADY = settings(derandomize=True, deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
both = pytest.mark.parametrize("run", BOTH)
PIECE = 10


class Uploads:
    """A gateway that takes uploads; `trouble` says what goes wrong with the n-th request that brings bytes."""

    def __init__(self, trouble: tuple[str, ...] = ()) -> None:
        self.trouble = list(trouble)
        self.kept: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        self.submitted: list[dict[str, Any]] = []
        self.brought = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        if path == "jobs":
            self.submitted.append(json.loads(request.content))
            return httpx.Response(202, json=job())
        if request.method == "GET":
            return self.shown(path.removeprefix("uploads/"))
        trouble = self.trouble.pop(0) if self.trouble else ""
        if trouble == "lost before":
            raise httpx.ReadError("reset")
        if request.method == "POST":
            digest, size = request.headers["upload-digest"], int(request.headers["upload-length"])
            self.kept.setdefault(digest, b"")
            self.sizes[digest] = size
            at = 0
        else:
            digest, at = path.removeprefix("uploads/"), int(request.headers["upload-offset"])
            if trouble == "forgotten":
                self.kept.pop(digest, None)
            if digest not in self.kept:
                return httpx.Response(404, json=problem("not-found", 404))
        if at != len(self.kept[digest]) or trouble == "busy":
            return httpx.Response(409, json=problem("conflict", 409))
        self.kept[digest] += request.content[: PIECE // 2 if trouble == "half" else None]
        self.brought += 1
        if trouble in ("lost after", "half"):
            raise httpx.ReadError("reset")
        return self.shown(digest)

    def shown(self, digest: str) -> httpx.Response:
        if digest not in self.kept:
            return httpx.Response(404, json=problem("not-found", 404))
        got, size = len(self.kept[digest]), self.sizes[digest]
        times = dict.fromkeys(("created_at", "expires_at"), "2026-01-01T00:00:00Z")
        known = {"id": digest, "digest": digest, "size": size, "received": got, "complete": got == size}
        return httpx.Response(200, json={**known, **times})


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PIECE", PIECE)
    monkeypatch.setattr("gateway.client.drivers.time.sleep", lambda _: None)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@both
def test_a_local_file_is_sent_and_named_by_its_digest(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "mesh").write_bytes(content := b"0123456789abcdef")
    body = {
        "inputs": [{"path": "a", "content": "x"}, {"path": "m", "file": "mesh", "executable": True}],
        "values": {"n": 1, "start": {"file": str(tmp_path / "mesh")}},
    }
    server = Uploads()
    run(server, lambda gw: gw.submit(body, folder=tmp_path))
    assert server.kept == {digest_of(content): content}
    (sent,) = server.submitted
    assert sent["inputs"][1] == {"path": "m", "executable": True, "upload": digest_of(content)}
    assert sent["values"] == {"n": 1, "start": {"upload": digest_of(content)}}
    assert body["inputs"][1] == {"path": "m", "file": "mesh", "executable": True}


def test_what_the_gateway_has_is_not_sent_again(tmp_path: Path) -> None:
    (tmp_path / "mesh").write_bytes(b"0123456789abcdef")
    server = Uploads()
    for _ in range(2):
        run_sync(server, lambda gw: gw.upload(tmp_path / "mesh"))
    assert server.brought == 2


@pytest.mark.parametrize("name", ["nothing", "."])
def test_a_file_that_cannot_be_read_is_named_with_its_field(tmp_path: Path, name: str) -> None:
    body = {"inputs": [{"path": "m", "file": name}]}
    with pytest.raises(InvalidRequest) as caught:
        run_sync(Uploads(), lambda gw: gw.submit(body, folder=tmp_path))
    assert caught.value.errors[0].pointer == "#/inputs/0/file"


KINDS = ["", "lost before", "lost after", "half", "busy", "forgotten"]
TROUBLE = st.lists(st.sampled_from(KINDS), max_size=3)


@STEADY
@given(st.binary(max_size=45), TROUBLE)
def test_whatever_goes_wrong_on_the_way_the_bytes_that_arrive_are_those_of_the_file(
    tmp_path: Path, content: bytes, trouble: list[str]
) -> None:
    (tmp_path / "mesh").write_bytes(content)
    server = Uploads(tuple(trouble))
    seen: list[uploads.Sent] = []
    assert run_sync(server, lambda gw: gw.upload(tmp_path / "mesh", seen.append)) == digest_of(content)
    assert server.kept[digest_of(content)] == content
    assert seen[-1].received == seen[-1].size == len(content)
