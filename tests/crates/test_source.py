"""Crates come from strangers: nothing outside of one is read, and nothing larger than asked for."""

from __future__ import annotations

import json
import os
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gateway.crates import source
from gateway.crates.reading import read_kept, read_metadata, read_run
from gateway.crates.source import CrateSource, FolderSource, ZipSource, open_crate
from gateway.errors import CrateError
from gateway.model.crate import RunInput

JOB = "12345678-1234-1234-1234-123456789012"
DIGEST = "sha256:" + "a" * 64
RUN = {"job": JOB, "specification": {"command": ["true"]}, "image": {"ref": "https://m.example/x", "digest": DIGEST}}


def metadata(*entities: dict[str, Any], about: str = "https://w3id.org/ro/crate/1.1") -> bytes:
    graph = [
        {"@id": "ro-crate-metadata.json", "conformsTo": {"@id": about}},
        {"@id": "./", "@type": "Dataset"},
        {"@id": ".gateway/run.json", "@type": "File"},
        *entities,
    ]
    return json.dumps({"@context": [], "@graph": graph}).encode()


def zipped(folder: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    file = folder / "crate.zip"
    with zipfile.ZipFile(file, "w", method) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return file


def laid(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder


WHOLE = {"ro-crate-metadata.json": metadata(), ".gateway/run.json": json.dumps(RUN).encode()}


@pytest.mark.parametrize("root", ["", "flow/"])
def test_a_crate_is_a_folder_or_a_zip_file_with_one(tmp_path: Path, root: str) -> None:
    file = zipped(tmp_path, {root + name: data for name, data in WHOLE.items()})
    folder = laid(tmp_path / "laid", WHOLE)
    for place in (file, folder, folder / "ro-crate-metadata.json"):
        with open_crate(place) as found:
            assert read_run(found).job == JOB


def test_a_stores_folder_of_a_job_is_a_crate_too(tmp_path: Path) -> None:
    moved = {".gateway/ro-crate-metadata.json": metadata(), ".gateway/run.json": WHOLE[".gateway/run.json"]}
    assert read_run(FolderSource(laid(tmp_path, moved))).job == JOB
    with open_crate(tmp_path / ".gateway/ro-crate-metadata.json") as found:
        assert read_run(found).job == JOB


@pytest.mark.parametrize("path", ["../up", "/etc/passwd", "a/../../b", "a//b", "./a", "a\\..\\b", "a\0b", "", "a/"])
def test_no_path_leads_out_of_a_crate(tmp_path: Path, path: str) -> None:
    (tmp_path / "up").write_bytes(b"x")
    found: list[CrateSource] = [FolderSource(tmp_path), ZipSource(zipped(tmp_path, {path or "x": b"x"}))]
    for one in found:
        with pytest.raises(CrateError, match="not a path inside"):
            one.find(path, 10)


def test_links_and_pipes_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "crate"
    (folder / "inner").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    found = FolderSource(folder)
    for path in ("link", "up/secret", "pipe", "inner"):
        with pytest.raises(CrateError):
            found.read(path, 100)
    assert found.find("nothing/there", 100) is None


def test_a_file_that_unpacks_to_more_than_asked_for_is_refused(tmp_path: Path) -> None:
    file = zipped(tmp_path, {"bomb": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    with ZipSource(file) as found, pytest.raises(CrateError, match="more than 1000 bytes"):
        found.read("bomb", 1000)
    data = bytearray(file.read_bytes())
    place = data.index(b"PK\1\2") + 24
    data[place : place + 4] = struct.pack("<I", 10)  # the list of entries says that it is small
    (tmp_path / "lying.zip").write_bytes(data)
    with ZipSource(tmp_path / "lying.zip") as found, pytest.raises(CrateError):
        found.read("bomb", 1000)


def test_odd_entries_of_a_zip_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "crate.zip"
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("twice", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("twice", b"2")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, b"/etc/passwd")
        made.writestr(zipfile.ZipInfo("packed"), b"x", zipfile.ZIP_BZIP2)
    with ZipSource(file) as found:
        for name in ("twice", "link", "packed"):
            with pytest.raises(CrateError):
                found.read(name, 100)


def test_a_long_list_of_entries_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_ENTRIES", 10)
    with pytest.raises(CrateError, match="11 entries"):
        ZipSource(zipped(tmp_path, {f"f{n}": b"" for n in range(11)}))


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\3\4" + bytes(100), b"not a zip", bytes(5000)])
def test_what_is_no_zip_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(CrateError):
        open_crate(tmp_path / "x.zip")


def test_a_zip_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    data = zipped(tmp_path, {**WHOLE, "out": os.urandom(1000)}).read_bytes()
    for end in range(0, len(data), 97):
        (tmp_path / "cut.zip").write_bytes(data[:end])
        with pytest.raises(CrateError):
            open_crate(tmp_path / "cut.zip").close()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"@graph": 1}',
        b'{"@graph": [1]}',
        b'{"@graph": [{"@id": 1}]}',
        b'{"@graph": [{"@id": "ro-crate-metadata.json"}]}',
        metadata(about="https://example.org/other"),
        b"\xff",
        b'{"@graph": NaN}',
    ],
)
def test_metadata_that_is_no_crates_is_refused(data: bytes) -> None:
    with pytest.raises(CrateError):
        read_metadata(data)


@pytest.mark.parametrize(
    "run",
    [
        {},
        {**RUN, "job": "../../x"},
        {**RUN, "inputs": [{"path": "../x", "source": "url"}]},
        {**RUN, "inputs": [{"path": "x", "source": "url", "kept": "../../etc/passwd"}]},
        {**RUN, "inputs": [{"path": "x", "source": "program"}]},
        {**RUN, "image": {"ref": "x\ny"}},
        {**RUN, "case_version": "latest"},
        {**RUN, "version": 2},
        {**RUN, "specification": []},
    ],
)
def test_a_run_that_no_gateway_wrote_is_refused(tmp_path: Path, run: dict[str, Any]) -> None:
    with pytest.raises(CrateError):
        read_run(FolderSource(laid(tmp_path, {**WHOLE, ".gateway/run.json": json.dumps(run).encode()})))


def test_a_crate_whose_image_is_not_the_runs_contradicts_itself(tmp_path: Path) -> None:
    image = {"@id": "#image", "@type": "ContainerImage", "sha256": "b" * 64}
    with pytest.raises(CrateError, match="contradicts itself"):
        read_run(FolderSource(laid(tmp_path, {**WHOLE, "ro-crate-metadata.json": metadata(image)})))


def test_a_crate_of_something_else_says_that_it_is_no_run(tmp_path: Path) -> None:
    other = json.dumps({"@graph": json.loads(metadata())["@graph"][:2]}).encode()
    with pytest.raises(CrateError, match=r"no \.gateway/run\.json"):
        read_run(FolderSource(laid(tmp_path, {"ro-crate-metadata.json": other})))


def test_an_input_that_was_changed_is_refused(tmp_path: Path) -> None:
    item = RunInput(path="a", source="upload", digest=DIGEST, kept=".gateway/inputs/a")
    with pytest.raises(CrateError, match="its digest is another"):
        read_kept(FolderSource(laid(tmp_path, {".gateway/inputs/a": b"x"})), item)
    escaping = RunInput(path="a", source="upload", digest=DIGEST, kept=".gateway/inputs/../../../etc/passwd")
    with pytest.raises(CrateError, match="not a path inside"):
        read_kept(FolderSource(tmp_path), escaping)
