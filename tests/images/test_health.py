"""Mirrors of images: found alive, wrong or dead by reading parts of the very file, and put in a target's order."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from catalogued import image_bytes

from gateway.images.entry import PIECE, ImageEntry, Mirror, Pieces
from gateway.images.health import NO_RANGES, host_of, in_order, look_at
from gateway.urls import UrlOpener
from testbed.mirror import Fault
from testbed.mirror import Mirror as Server

CONTENT = image_bytes()


def _entry(content: bytes = CONTENT, *, known: bool = True) -> ImageEntry:
    parts = [content[at : at + PIECE] for at in range(0, len(content), PIECE)]
    hashes = b"".join(hashlib.sha256(part).digest() for part in parts)
    return ImageEntry(
        id="x", digest=None, names=("a/1",), size=len(content) if known else None, media_type=None,
        pieces=Pieces(hashes) if known else None, sources=(), mirrors=(), categories=(), commands=(),
        created_at=datetime.now(UTC),
    )  # fmt: skip


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


@pytest.fixture
def urls() -> Iterator[UrlOpener]:
    found = UrlOpener(["127.0.0.1"], idle_timeout=60)
    yield found
    found.close()


async def test_a_mirror_that_has_the_image_is_alive_by_its_first_its_middle_and_its_last_piece(
    server: Server, urls: UrlOpener
) -> None:
    seen = await look_at(urls, server.serve("/x", CONTENT), _entry())
    assert (seen.state, seen.problem) == ("alive", None)
    assert seen.rate_bytes_per_s is not None
    last = len(CONTENT) - 1
    assert [request.range for request in server.requests] == [
        f"bytes=0-{PIECE - 1}", f"bytes={PIECE}-{2 * PIECE - 1}", f"bytes={2 * PIECE}-{last}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CONTENT[:-1], "bytes, the image"),
        (CONTENT + b"x", "bytes, the image"),
        (CONTENT[:PIECE], "bytes, the image"),
        (CONTENT[:-1] + b"x", "are not the image's"),
        (CONTENT[: PIECE + 9] + b"x" + CONTENT[PIECE + 10 :], "are not the image's"),
        (b"<html>" + CONTENT[6:], "a web page"),
    ],
    ids=["shorter", "longer", "one piece", "another end", "another middle", "a page of the same length"],
)
async def test_a_mirror_that_has_something_else_is_wrong(
    server: Server, urls: UrlOpener, content: bytes, words: str
) -> None:
    seen = await look_at(urls, server.serve("/x", content), _entry())
    assert seen.state == "wrong"
    assert words in (seen.problem or "")


async def test_a_mirror_that_does_not_answer_as_it_should_is_dead_and_says_why(server: Server, urls: UrlOpener) -> None:
    for fault, words in (
        (Fault(status=404), "404"),
        (Fault(status=503), "503"),
        (Fault(truncate=1000), "ended too early"),
    ):
        seen = await look_at(urls, server.serve("/x", CONTENT, fault), _entry())
        assert seen.state == "dead"
        assert words in (seen.problem or "")
    url = server.serve("/x", CONTENT, Fault(stall=10))
    seen = await look_at(urls, url, _entry(), patience=0.5)
    assert seen.state == "dead"
    assert "bytes came in 0.5 s" in (seen.problem or "")
    server.stop()
    assert (await look_at(urls, url, _entry())).state == "dead"
    server.start()


async def test_a_mirror_that_serves_whole_files_only_is_alive_and_said_to_be_so(
    server: Server, urls: UrlOpener
) -> None:
    seen = await look_at(urls, server.serve("/x", CONTENT, Fault(no_ranges=True)), _entry())
    assert (seen.state, seen.problem) == ("alive", NO_RANGES)
    wrong = await look_at(urls, server.serve("/x", CONTENT[1:], Fault(no_ranges=True)), _entry())
    assert wrong.state == "wrong"


async def test_of_an_image_that_nobody_has_read_only_the_beginning_is_looked_at(
    server: Server, urls: UrlOpener
) -> None:
    seen = await look_at(urls, server.serve("/x", CONTENT), _entry(known=False))
    assert seen.state == "alive"
    assert server.bytes_sent("/x") == 64 * 1024
    seen = await look_at(urls, server.serve("/y", b"<html>" + b" " * 70_000), _entry(known=False))
    assert (seen.state, seen.problem) == ("wrong", "what came is a web page")


async def test_addresses_that_the_gateway_must_not_reach_are_not_reached(server: Server) -> None:
    url = server.serve("/x", CONTENT)
    closed = UrlOpener([])
    seen = await look_at(closed, url, _entry())
    closed.close()
    assert (seen.state, server.begun("/x")) == ("dead", 0)


async def test_a_path_of_the_targets_is_for_them_to_read(urls: UrlOpener) -> None:
    assert (await look_at(urls, "file:///cvmfs/x.sif", _entry())).state == "unknown"


def test_a_target_tries_its_own_files_then_what_was_fast_then_what_is_near_and_never_what_is_wrong() -> None:
    unknown = Mirror("https://a.example/x", region="us")
    dead = Mirror("https://b.example/x", state="dead", region="eu")
    near = Mirror("https://c.example/x", region="eu")
    slow, fast = Mirror("https://d.example/x", region="eu"), Mirror("https://e.example:8443/x", region="us")
    wrong, file = Mirror("https://f.example/x", state="wrong"), Mirror("/data/x.sif")
    rates = {"d.example": 1e3, "e.example:8443": 1e6, "b.example": 1e9}
    mirrors = [unknown, dead, near, slow, fast, wrong, file]
    assert in_order(mirrors, rates, "eu") == (file, fast, slow, near, unknown, dead)
    assert in_order(mirrors, {}, None) == (file, unknown, near, slow, fast, dead)


def test_pieces_are_as_many_as_the_size_wants() -> None:
    pieces = _entry().pieces
    assert pieces is not None
    assert len(pieces) == len(list(pieces)) == 3
    assert pieces[2] == hashlib.sha256(CONTENT[2 * PIECE :]).hexdigest()
    assert pieces.fits(len(CONTENT))
    assert not pieces.fits(2 * PIECE)
    assert not dataclasses.replace(pieces, hashes=pieces.hashes[:-1]).fits(len(CONTENT))
    with pytest.raises(IndexError):
        pieces[3]


def test_a_host_is_told_with_its_port_and_never_with_a_login() -> None:
    assert host_of("https://me:secret@One.example:8443/x?y") == "one.example:8443"
    assert [host_of(text) for text in ("/x", "file:///x", "http://[::1", "docker://x/y")] == [None] * 4
