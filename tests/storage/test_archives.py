"""Archives that are written piece by piece: every program reads them, and no name leaves the folder."""

from __future__ import annotations

import io
import os
import posixpath
import re
import subprocess
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.archive_names import entry_name, folder_name
from gateway.storage.archives import ArchiveWriter, TarWriter, ZipWriter

WHEN = datetime(2024, 2, 29, 12, 30, 58, tzinfo=UTC)
HOSTILE = st.text(st.sampled_from("ab.%/\\ \n\0é\ud800C:25E"), max_size=12)
FILES = st.lists(st.tuples(st.text(min_size=1, max_size=20), st.binary(max_size=200)), max_size=8)


def decoded(name: str) -> str:
    """What a part of an entry's name stands for."""
    raw = re.sub(rb"%([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), name.encode())
    return raw.decode("utf-8", "surrogatepass").replace("\0\0", "\0")


@given(HOSTILE)
def test_an_entry_is_always_below_its_folder(path: str) -> None:
    name = entry_name("job", path)
    assert posixpath.normpath(name) == name
    assert name.startswith("job/")
    assert not set(name) & set("\\\0\n")
    name.encode()
    parts = [part if part != "%00" else "" for part in name.split("/")[1:]]
    assert "/".join(decoded(part) for part in parts) == path


@given(st.sets(HOSTILE, min_size=2, max_size=6))
def test_two_outputs_never_get_one_name(paths: set[str]) -> None:
    assert len({entry_name("job", path) for path in paths}) == len(paths)


@given(st.text(max_size=300))
def test_the_folder_is_one_plain_name(text: str) -> None:
    name = folder_name(text, "the-id")
    assert name
    assert "/" not in name
    assert name == name.strip(" .")
    assert len(name) <= 100


@pytest.mark.parametrize(
    ("given_name", "folder"),
    [
        ("cavity Re=100", "cavity Re=100"),
        ("../../etc", "_.._etc"),
        ("job", "id"),
        ("..", "id"),
        ("a/b\\c:d", "a_b_c_d"),
    ],
)
def test_the_folder_has_the_name_of_the_job(given_name: str, folder: str) -> None:
    assert folder_name(given_name, "id") == folder


def write(writer: ArchiveWriter, files: list[tuple[str, bytes]]) -> bytes:
    out = []
    for name, data in files:
        out.append(writer.begin(name, len(data), WHEN))
        out += [writer.data(data[at : at + 7]) for at in range(0, len(data), 7)]
        out.append(writer.end())
    out += list(writer.finish())
    writer.close()
    return b"".join(out)


@given(FILES)
def test_python_reads_back_what_a_zip_was_made_of(files: list[tuple[str, bytes]]) -> None:
    entries = [(entry_name(f"f{n}", path), data) for n, (path, data) in enumerate(files)]
    with zipfile.ZipFile(io.BytesIO(write(ZipWriter(), entries))) as found:
        assert found.testzip() is None
        assert [(info.filename, found.read(info)) for info in found.infolist()] == entries
        assert all(info.date_time == (2024, 2, 29, 12, 30, 58) for info in found.infolist())


@given(FILES)
def test_python_reads_back_what_a_tar_was_made_of(files: list[tuple[str, bytes]]) -> None:
    entries = [(entry_name(f"f{n}", path), data) for n, (path, data) in enumerate(files)]
    with tarfile.open(fileobj=io.BytesIO(write(TarWriter(), entries))) as found:
        read = [(member, found.extractfile(member)) for member in found]
        assert [(m.name, stream.read() if stream else None) for m, stream in read] == entries
        assert all(m.mtime == int(WHEN.timestamp()) and m.isfile() for m, _ in read)


@pytest.mark.parametrize("missing", [0, 5, 1000])
def test_a_tar_stays_whole_where_a_file_changed_its_size(missing: int) -> None:
    writer = TarWriter()
    size, data = 1000, b"x" * (1000 - missing) + b"more"
    pieces = [writer.begin("job/a", size, WHEN), writer.data(data), *writer.fill(), writer.end()]
    pieces += [writer.begin("job/b", 1, None), writer.data(b"b"), writer.end(), *writer.finish()]
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as found:
        assert [(member.name, member.size) for member in found] == [("job/a", 1000), ("job/b", 1)]


def test_a_zip_has_room_for_very_large_files_and_very_many() -> None:
    writer = ZipWriter()
    begin = writer.begin("job/large", 0, WHEN)
    writer._offset += 5 * 2**30  # as if so many bytes had been sent
    writer._size = 5 * 2**30
    writer.end()
    for number in range(70_000):
        writer.begin(f"job/{number}", 0, WHEN)
        writer.end()
    tail = b"".join(writer.finish())
    writer.close()
    assert begin.startswith(b"PK\x03\x04")

    start = int.from_bytes(tail[-22 - 20 - 56 + 48 : -22 - 20 - 56 + 56], "little")
    found = zipfile.ZipFile(_At(tail, start))
    assert len(found.infolist()) == 70_001
    assert found.infolist()[0].file_size == 5 * 2**30
    assert found.infolist()[1].header_offset > 5 * 2**30


class _At(io.RawIOBase):
    """Bytes at an offset of a file that has nothing before."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.start, self.at = data, start, 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.start + len(self.data)}[whence]
        return self.at

    def read(self, size: int = -1) -> bytes:
        found = self.data[self.at - self.start :][: size if size >= 0 else None]
        self.at += len(found)
        return found


def test_tar_reads_the_names_that_were_written(tmp_path: Path) -> None:
    files = [("job/a b/é.txt", b"text" * 1000), ("job/empty", b""), ("job/" + "long/" * 60 + "name", b"x")]
    (tmp_path / "made").write_bytes(write(TarWriter(), files))
    subprocess.run(["tar", "-xf", "made"], cwd=tmp_path, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    for name, data in files:
        assert (tmp_path / name).read_bytes() == data
