"""A case's folder: what may lie in it, and its version."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cases import folder as folder_module
from gateway.cases.folder import CaseFile, pack, read_folder, signature, unpack, version_of, write_folder
from gateway.cases.mistakes import CaseInvalid
from gateway.model.specification import path_problem

NAMES = st.text(alphabet="abAB._-ü ", min_size=1, max_size=8).filter(lambda name: path_problem(name) is None)
FILES = st.dictionaries(NAMES, st.builds(CaseFile, st.binary(max_size=50), st.booleans()), max_size=5)


def mistakes(place: Path) -> list[str]:
    with pytest.raises(CaseInvalid) as caught:
        read_folder(place)
    return [str(mistake) for mistake in caught.value.mistakes]


@given(FILES)
def test_what_was_packed_is_unpacked_the_same(files: dict[str, CaseFile]) -> None:
    assert unpack("x", pack(files)) == files
    assert pack(files) == pack(dict(reversed(files.items())))


@given(FILES, FILES)
def test_two_folders_have_the_same_version_only_where_their_files_are_the_same(
    one: dict[str, CaseFile], other: dict[str, CaseFile]
) -> None:
    assert (version_of(one) == version_of(other)) == (one == other)


def test_a_folder_is_read_as_it_was_written_and_copies_have_the_same_version(tmp_path: Path) -> None:
    files = {"case.yaml": CaseFile(b"x"), "a/b/run.sh": CaseFile(b"\0\xff", executable=True)}
    write_folder(files, tmp_path / "one")
    assert read_folder(tmp_path / "one") == files
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    os.utime(tmp_path / "two/case.yaml", (0, 0))
    assert version_of(read_folder(tmp_path / "two")) == version_of(files)


def test_hidden_files_and_caches_are_no_part_of_a_case(tmp_path: Path) -> None:
    for name in (".git/config", ".swp", "a/__pycache__/x.pyc", "case.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert list(read_folder(tmp_path)) == ["case.yaml"]


def test_links_and_odd_files_are_refused_by_name_and_never_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "new\nline").write_text("")
    (tmp_path / "fine").write_text("")
    found = mistakes(tmp_path)
    assert len(found) == 4
    assert any(text.startswith("secret: is a symbolic link") for text in found)
    assert any(text.startswith("folder: is a symbolic link") for text in found)
    assert "pipe: is not a regular file" in found
    assert any("control characters" in text for text in found)


def test_a_folder_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (tmp_path / f"f{number}").write_bytes(b"x" * 10)
    monkeypatch.setattr(folder_module, "MAX_BYTES", 35)
    assert mistakes(tmp_path) == ["f3: is too large: a case's files may have 35 bytes together"]
    monkeypatch.setattr(folder_module, "MAX_FILES", 3)
    assert mistakes(tmp_path) == ["the folder has more than 3 files"]


def test_the_signature_changes_with_every_change_that_could_matter(tmp_path: Path) -> None:
    file = tmp_path / "a/x"
    file.parent.mkdir()
    file.write_text("1")
    seen = {signature(tmp_path)}
    for change in (
        lambda: file.write_text("22"),
        lambda: file.chmod(0o755),
        lambda: os.utime(file, (1, 1)),
        lambda: (tmp_path / "y").write_text(""),
        lambda: file.rename(tmp_path / "a/z"),
    ):
        change()
        assert signature(tmp_path) not in seen
        seen.add(signature(tmp_path))


def test_a_kept_version_that_is_no_tar_of_plain_files_is_refused(tmp_path: Path) -> None:
    good = pack({"a": CaseFile(b"x" * 1000)})
    for content in (b"", b"x", good[:-20], good[:30]):
        with pytest.raises(CaseInvalid, match=r"case x has mistakes|cannot be read"):
            unpack("x", content)
