from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StoreError
from gateway.storage.names import clean_path, comparable, from_azure, from_disk, to_azure, to_disk
from gateway.storage.rclone import NAMES, Rclone

NAME_BYTES = st.lists(
    st.one_of(
        st.sampled_from(
            [b"\n", b"\x7f", b"\xff", b"\\", b".", b"A", b"F", b"0", "␊".encode(), "‛".encode(), "／".encode()]
        ),
        st.binary(min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=8,
).map(b"".join)


@given(NAME_BYTES)
def test_every_name_on_disk_has_one_standard_form_and_comes_back(name: bytes) -> None:
    if b"/" in name or b"\0" in name:
        name = name.replace(b"/", b"_").replace(b"\0", b"_")
    standard = from_disk(name)
    assert to_disk(standard) == name
    if name not in (b".", b".."):
        assert clean_path(standard) == standard


@given(st.text(alphabet="a\\＼.．‛/é", min_size=1, max_size=12))
def test_every_path_has_one_blob_name_and_comes_back(on_disk: str) -> None:
    path = from_disk(on_disk.encode())
    blob = to_azure(path)
    assert "\\" not in blob
    assert not any(part.endswith(".") for part in blob.split("/"))
    assert from_azure(blob) == path


async def test_names_are_those_that_rclone_lists(tmp_path: Path) -> None:
    names = [b"a\nb", b"tab\t", b"del\x7f", b"in\xffvalid", "␊pic".encode(), "‛".encode(), "‛‛FF".encode()]
    names += ["full／width".encode(), b"back\\slash", "é".encode(), "e\u0301".encode(), b" x ", b"[1]*?"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_text("x")
    listed = await Rclone().run(["lsjson", *NAMES, str(tmp_path)])
    assert {row["Path"] for row in json.loads(listed.stdout)} == {comparable(from_disk(name)) for name in names}


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", ".", "a/..", "../a", "a\nb", "a\0", "\ud800", "a" * 5000])
def test_a_path_that_is_not_plainly_below_is_refused(path: str) -> None:
    with pytest.raises(StoreError):
        clean_path(path)
