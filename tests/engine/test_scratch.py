"""What the gateway makes of the script's word about its scratch disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.compute.transport.local import LocalSettings, LocalTransport
from gateway.engine.scratch import STAYED, left_on_scratch
from gateway.errors import RemoteCommandFailed


@pytest.fixture
async def transport(tmp_path: Path) -> AsyncIterator[LocalTransport]:
    made = LocalTransport(LocalSettings(kind="local"), env={}, path=None, state_folder=tmp_path / "state")
    yield made
    await made.close()


async def test_no_word_or_no_folder_means_that_nothing_stayed(transport: LocalTransport, tmp_path: Path) -> None:
    assert await left_on_scratch(transport, str(tmp_path)) is None
    assert await left_on_scratch(transport, str(tmp_path / "it's gone")) is None


async def test_it_is_said_where_results_stayed(transport: LocalTransport, tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("n1 /local disk/job.1\n")
    assert await left_on_scratch(transport, str(tmp_path)) == f"{STAYED} /local disk/job.1 on n1"


@pytest.mark.parametrize("content", [b"", b"\xff\x1b[2J\n\n", b"x" * 100_000])
async def test_a_word_that_makes_no_sense_is_a_word_still(
    transport: LocalTransport, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "scratch").write_bytes(content)
    said = await left_on_scratch(transport, str(tmp_path))
    assert said is not None
    assert said.startswith(STAYED)
    assert said.isprintable()
    assert len(said) < 1200


async def test_what_cannot_be_read_is_not_taken_for_no_word(transport: LocalTransport, tmp_path: Path) -> None:
    (tmp_path / "scratch").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RemoteCommandFailed):
        await left_on_scratch(transport, str(tmp_path))
