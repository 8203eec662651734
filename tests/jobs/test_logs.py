"""The command that reads a part of a log, run by bash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import TargetError
from gateway.jobs.logs import LogPiece, parse_answer, read_command


def run(path: Path, offset: int, limit: int) -> subprocess.CompletedProcess[bytes]:
    """Run the command as the target does."""
    script = "set -u\n" + read_command(str(path), offset, limit)
    return subprocess.run(
        ["/bin/bash", "--noprofile", "--norc"], input=script.encode(), capture_output=True, check=False
    )


@settings(max_examples=20, deadline=None)
@given(data=st.binary(max_size=50), offset=st.integers(-60, 60), limit=st.integers(0, 60))
def test_any_part_of_any_log_is_read_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, offset: int, limit: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "a ' $(touch x) log"
    path.write_bytes(data)
    piece = parse_answer(run(path, offset, limit).stdout)
    start = max(0, len(data) + offset) if offset < 0 else min(offset, len(data))
    assert piece == LogPiece(data[start : start + limit], start, len(data))


def test_a_log_that_is_missing_or_a_link_has_a_status_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "link").symlink_to("secret")
    for name in ("missing", "link"):
        found = run(tmp_path / name, 0, 10)
        assert (found.returncode, found.stdout) == (44, b"")


@pytest.mark.parametrize("answer", [b"", b"1 2", b"x y\n", b"1\nabc", b"1 2 3\n", b"-1 5\n"])
def test_an_answer_that_is_not_whole_is_an_error(answer: bytes) -> None:
    with pytest.raises(TargetError):
        parse_answer(answer)
