"""The tar that staging sends: whatever is read of it at once, it is one; and it is torn where a file fails."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.compute.tar_stream import TarMember, TarStream

NAMES = st.text(st.sampled_from("ab é\\'\"\n"), min_size=1, max_size=150).map(lambda text: f"0/{text}")
MEMBERS = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=2000)), max_size=5, unique_by=lambda m: m[0])


@given(MEMBERS, st.integers(1, 5000))
def test_what_is_read_in_pieces_is_a_tar(members: list[tuple[str, bytes | None]], count: int) -> None:
    stream = TarStream([TarMember(name, content, 0o700) for name, content in members])
    data = b"".join(iter(lambda: stream.read(count), b""))
    assert len(data) <= stream.size + tarfile.RECORDSIZE + 2000
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = [(m.name, file.read() if (file := tar.extractfile(m)) else None, m.mode) for m in tar]
    assert found == [(name, content, 0o700) for name, content in members]
    assert stream.sizes == [len(content or b"") for _, content in members]


@pytest.mark.parametrize("change", ["shorter", "gone"])
def test_a_file_that_fails_tears_the_stream_and_is_told(tmp_path: Path, change: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 5000)
    stream = TarStream([TarMember("a", b"1", 0o644), TarMember("b", file, 0o644), TarMember("c", b"2", 0o644)])
    if change == "gone":
        file.unlink()
    else:
        file.write_bytes(b"x" * 100)
    data = stream.read()
    assert stream.problem is not None
    with pytest.raises(tarfile.ReadError), tarfile.open(fileobj=io.BytesIO(data), mode="r|") as tar:
        tar.extractall(tmp_path / "out", filter="data")


def test_a_file_that_is_not_there_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TarStream([TarMember("a", tmp_path / "none", 0o644)])


def test_a_reader_that_stops_leaves_nothing_open(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 5_000_000)
    stream = TarStream([TarMember("b", file, 0o644)])
    assert len(stream.read(1000)) == 1000
    stream.close()
    assert stream.read(10_000_000) != b""
    assert stream.read() == b""
