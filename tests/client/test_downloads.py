"""Fetching outputs: whole, resumed, checked, and never outside their folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from scripted_gateway import Answering, scripted

from gateway.client import Gateway
from gateway.errors import GatewayError
from gateway.model.job import OutputFile

CONTENT = bytes(range(256)) * 40


def output(path: str = "VTK/a b.vtk", content: bytes = CONTENT, **values: object) -> OutputFile:
    known = {
        "path": path,
        "name": f"id/{path}",
        "job_id": "id",
        "store": "s",
        "attempt": 1,
        "size": len(content),
        "digest": "sha256:" + hashlib.sha256(content).hexdigest(),
        "state": "final",
        "url": "/api/v1/jobs/id/outputs/file",
    }
    return OutputFile.model_validate({**known, **values})


def whole(answering: Answering) -> None:
    answering.send(200, CONTENT)


def cut(answering: Answering) -> None:
    answering.send(200, CONTENT[:5000], promised=len(CONTENT))


def rest(answering: Answering) -> None:
    first = int(answering.asked.headers["range"].removeprefix("bytes=").rstrip("-"))
    answering.send(206, CONTENT[first:])


def test_an_output_lands_below_the_folder_under_its_own_path(tmp_path: Path) -> None:
    with scripted(whole) as server, Gateway(server.url, "t") as gateway:
        place = gateway.download(output(), tmp_path / "to")
    assert place == tmp_path / "to/VTK/a b.vtk"
    assert place.read_bytes() == CONTENT
    assert [p.name for p in place.parent.iterdir()] == ["a b.vtk"]


def test_a_relative_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with scripted(whole) as server, Gateway(server.url, "t") as gateway:
        assert gateway.download(output("a"), Path()).read_bytes() == CONTENT
    assert (tmp_path / "a").is_file()


def test_a_connection_that_breaks_is_resumed_where_it_stopped(tmp_path: Path) -> None:
    with scripted(cut, rest) as server, Gateway(server.url, "t") as gateway:
        assert gateway.download(output(), tmp_path).read_bytes() == CONTENT
    assert "range" not in server.asked[0].headers
    assert server.asked[1].headers["range"] == "bytes=5000-"


def test_a_later_try_goes_on_where_an_earlier_one_gave_up(tmp_path: Path) -> None:
    refuse = lambda a: a.send(503, b"")
    with scripted(cut, refuse) as server, Gateway(server.url, "t") as gateway, pytest.raises(GatewayError):
        gateway.download(output(), tmp_path)
    assert not (tmp_path / "VTK/a b.vtk").exists()
    with scripted(rest) as server, Gateway(server.url, "t") as gateway:
        assert gateway.download(output(), tmp_path).read_bytes() == CONTENT
    assert server.asked[0].headers["range"] == "bytes=5000-"


def test_a_server_that_knows_no_ranges_starts_over(tmp_path: Path) -> None:
    with scripted(cut, whole) as server, Gateway(server.url, "t") as gateway:
        assert gateway.download(output(), tmp_path).read_bytes() == CONTENT


def test_another_version_of_an_output_is_not_glued_to_the_old_one(tmp_path: Path) -> None:
    refuse = lambda a: a.send(503, b"")
    old = output(digest=None, modified_at="2026-01-01T00:00:00Z")
    with scripted(cut, refuse) as server, Gateway(server.url, "t") as gateway, pytest.raises(GatewayError):
        gateway.download(old, tmp_path)
    with scripted(whole) as server, Gateway(server.url, "t") as gateway:
        gateway.download(output(digest=None, modified_at="2026-01-01T00:00:01Z"), tmp_path)
    assert "range" not in server.asked[0].headers


def test_wrong_bytes_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    wrong = lambda a: a.send(200, b"x" * len(CONTENT))
    with scripted(wrong) as server, pytest.raises(GatewayError, match="digest"):
        Gateway(server.url, "t").download(output(), tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_an_existing_file_is_replaced_only_by_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with scripted(lambda a: a.send(200, b"short")) as server, pytest.raises(GatewayError, match="5 bytes came"):
        Gateway(server.url, "t").download(output("a"), tmp_path)
    assert (tmp_path / "a").read_text() == "old"


def test_an_empty_output_needs_no_request(tmp_path: Path) -> None:
    with scripted(whole) as server, Gateway(server.url, "t") as gateway:
        assert gateway.download(output("empty", b""), tmp_path).read_bytes() == b""
    assert server.asked == []


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/x", "a/../../x", "a//b", "./a", "", "a/", "..", "a\0b", "a\nb", ".gateway/x", "x" * 300],
)
def test_a_name_that_would_leave_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "to"
    folder.mkdir()
    with scripted(whole) as server, pytest.raises(GatewayError, match="outside"):
        Gateway(server.url, "t").download(output(path), folder)
    assert server.asked == []
    assert list(tmp_path.rglob("*")) == [folder]


def test_a_symbolic_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "to"
    outside.mkdir()
    folder.mkdir()
    (folder / "VTK").symlink_to(outside)
    with scripted(whole) as server, pytest.raises(GatewayError, match="symbolic link"):
        Gateway(server.url, "t").download(output(), folder)
    assert list(outside.iterdir()) == []


def test_the_token_never_goes_to_another_host(tmp_path: Path) -> None:
    with scripted(whole) as other, scripted(whole) as server, pytest.raises(GatewayError, match="not an address"):
        Gateway(server.url, "t").download(output(url=f"{other.url}/x"), tmp_path)
    assert other.asked == []
