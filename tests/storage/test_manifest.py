from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.manifest import Comparison, Manifest, ManifestFile, PlannedTransfer, compare, parse_manifest
from gateway.storage.stores.base import StoredObject

ROW = {"Path": "a.vtk", "Size": 3, "ModTime": "2026-01-02T03:04:05.123456789+01:00", "Hashes": {"sha256": "AB" * 32}}


def text(*rows: dict[str, Any], **change: Any) -> bytes:
    transfer = {"store": "blobs", "source": "VTK", "destination": "out", "exit_status": 0, "files": list(rows)}
    top = {"version": 1, "job": "j", "attempt": 1, "token": "t", "at": "2026-01-02T03:04:05Z"}
    return json.dumps({**top, "transfers": [transfer], **change}).encode()


def test_files_land_below_their_transfers_destination() -> None:
    manifest = parse_manifest(text(ROW, {"Path": "d/b", "Size": 0}))
    files = manifest.files("blobs")
    assert list(files) == ["out/a.vtk", "out/d/b"]
    assert files["out/a.vtk"].digest == "sha256:" + "ab" * 32
    assert files["out/a.vtk"].modified_at is not None
    assert files["out/d/b"].digest is None
    assert manifest.files("other") == {}
    assert (manifest.exit_status("blobs"), manifest.exit_status("other")) == (0, None)


def test_the_plan_decides_where_files_land_whatever_the_node_says() -> None:
    transfer = {"store": "blobs", "source": "VTK", "destination": "S0:c/job/../x", "exit_status": 0, "files": [ROW]}
    data = text(transfers=[transfer])
    manifest = parse_manifest(data, [PlannedTransfer("blobs", "VTK", "here")])
    assert list(manifest.files("blobs")) == ["here/a.vtk"]
    for plan in ([], [PlannedTransfer("other", "VTK", "")], [PlannedTransfer("blobs", "", "")]):
        with pytest.raises(ValueError, match="planned"):
            parse_manifest(data, plan)
    with pytest.raises(ValueError, match="not a path"):
        parse_manifest(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"null",
        text(ROW, version=2),
        text(ROW, attempt=True),
        text(ROW, attempt=-1),
        text(ROW, token=None),
        text(ROW, job="x" * 1000),
        text(ROW, at="yesterday"),
        text(ROW, at="2026-01-02T03:04:05"),
        text(ROW, transfers=None),
        text(ROW, transfers=[[]]),
        text(ROW, ROW),
        text({**ROW, "Path": "../x"}),
        text({**ROW, "Path": "/x"}),
        text({**ROW, "Path": ""}),
        text({**ROW, "Path": "a\nb"}),
        text({**ROW, "Path": "x" * 5000}),
        text({**ROW, "Size": -1}),
        text({**ROW, "Size": 1.5}),
        text({**ROW, "Size": 2**70}),
        text({**ROW, "Hashes": {"sha256": "xyz"}}),
        text(
            transfers=[
                {
                    "store": "s",
                    "source": "",
                    "destination": "",
                    "exit_status": 0,
                    "files": [{"Path": ".gateway/x", "Size": 1}],
                }
            ]
        ),
    ],
)
def test_a_manifest_that_is_not_one_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_manifest(data)


def test_size_and_number_are_bounded() -> None:
    data = text(ROW, {"Path": "b", "Size": 1})
    parse_manifest(data, max_files=2)
    with pytest.raises(ValueError, match="more than 1 files"):
        parse_manifest(data, max_files=1)
    with pytest.raises(ValueError, match="more than 10"):
        parse_manifest(data, max_bytes=10)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["version", "job", "attempt", "token", "at", "transfers"]))
def test_any_json_is_a_manifest_or_refused(value: Any, key: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(parse_manifest(text(ROW, **{key: value})), Manifest)


@given(JSON, st.sampled_from(["Path", "Size", "ModTime", "Hashes"]))
def test_any_row_is_a_file_or_refused(value: Any, key: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(parse_manifest(text({**ROW, key: value})), Manifest)


SIZES = st.dictionaries(st.text(alphabet="ab/‛F\ufffd", min_size=1, max_size=4), st.integers(0, 3), max_size=8)


@given(SIZES, SIZES)
def test_every_claimed_file_is_matched_missing_or_of_wrong_size(
    claimed: dict[str, int], stored: dict[str, int]
) -> None:
    files = {path: ManifestFile(path, size) for path, size in claimed.items()}
    found = compare(files, {path: StoredObject(path, size) for path, size in stored.items()})
    sorts = [*found.matched, *found.missing, *found.wrong_size]
    assert sorted(sorts) == sorted(claimed)
    assert set(found.extra) <= set(stored)
    assert not set(found.extra) & set(claimed)
    assert found.complete == (not found.missing and not found.wrong_size)
    for path, size in claimed.items():
        if stored.get(path) == size:
            assert path in found.matched


@given(SIZES)
def test_a_store_that_holds_exactly_what_was_claimed_is_complete(sizes: dict[str, int]) -> None:
    files = {path: ManifestFile(path, size) for path, size in sizes.items()}
    found = compare(files, {path: StoredObject(path, size) for path, size in sizes.items()})
    assert (found.complete, found.extra) == (True, ())


def test_each_kind_of_difference_is_told_apart() -> None:
    files = {name: ManifestFile(name, 1) for name in ("same", "gone", "short", "in\ufffdvalid")}
    stored = {name: StoredObject(name, 1) for name in ("same", "more", "in‛FFvalid", ".gateway/manifest.json")}
    stored["short"] = StoredObject("short", 0)
    assert compare(files, stored) == Comparison(("in\ufffdvalid", "same"), ("gone",), ("short",), ("more",))
