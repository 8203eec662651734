"""The command that reads a file of a job's folder, run by bash: no link leads it out of there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.jobs.logs import LogPiece, parse_answer
from gateway.jobs.tails import NO_FILE, read_command


def run(folder: Path, path: str, offset: int = 0, limit: int = 1000) -> LogPiece | None:
    """Run the command as the target does."""
    found = subprocess.run(
        ["/bin/bash", "--noprofile", "--norc"],
        input=("set -u\n" + read_command(str(folder), path, offset, limit)).encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert found.stderr == b""
    return None if found.returncode == NO_FILE else parse_answer(found.stdout)


@settings(max_examples=15, deadline=None)
@given(data=st.binary(max_size=50), offset=st.integers(0, 60), limit=st.integers(0, 60))
def test_any_part_of_any_file_is_read_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, offset: int, limit: int
) -> None:
    folder = tmp_path_factory.mktemp("job") / "a ' $(touch x)"
    (folder / "-b/c d").mkdir(parents=True)
    (folder / "-b/c d/-x;y").write_bytes(data)
    start = min(offset, len(data))
    assert run(folder, "-b/c d/-x;y", offset, limit) == LogPiece(data[start : start + limit], start, len(data))


def test_no_link_is_followed_and_nothing_but_a_plain_file_is_opened(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("hunter2")
    job = tmp_path / "job"
    (job / "below").mkdir(parents=True)
    (job / "file").symlink_to(outside / "secret")
    (job / "folder").symlink_to(outside)
    (job / "below/up").symlink_to("..")
    (job / "plain").write_text("1\n")
    os.mkfifo(job / "pipe")
    for path in ("file", "folder/secret", "below/up/plain", "pipe", "below", "missing", "missing/x"):
        assert run(job, path) is None, path
    assert run(tmp_path / "nowhere", "plain") is None
    (tmp_path / "link").symlink_to(job)
    assert run(tmp_path / "link", "plain") == LogPiece(b"1\n", 0, 2)
