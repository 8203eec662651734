"""Reading ``sync.json``: once for each one that was written, and never what is torn or forged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.compute.records import RecordRequest, RecordUpdate, parse_records, records_section
from gateway.compute.transport.local import LocalTransport
from gateway.model.records import MAX_SYNC, Unsent, parse_sync

TOKEN = "0123456789abcdef" * 2
BLOBS = {"store": "blobs", "backlog_bytes": 123, "backlog_files": 4, "oldest": "2026-01-01T00:00:00Z", "exit_status": 0}
SYNC: dict[str, Any] = {"version": 1, "token": TOKEN, "at": "2026-01-01T00:01:30Z", "pass": 12, "stores": [BLOBS]}


def lay(control: Path, content: str) -> None:
    """Publish a record as the syncer does."""
    control.mkdir(parents=True, exist_ok=True)
    (control / "sync.json.part").write_text(content)
    (control / "sync.json.part").rename(control / "sync.json")


async def look(local: LocalTransport, request: RecordRequest) -> tuple[RecordUpdate, bytes]:
    stdout = (await local.run(records_section([request]))).stdout
    return parse_records(stdout, [request])[request.control_folder], stdout


async def test_a_record_is_read_once_and_the_next_one_again(local: LocalTransport, tmp_path: Path) -> None:
    control = tmp_path / "j" / "1"
    lay(control, json.dumps(SYNC))
    first, _ = await look(local, RecordRequest(str(control)))
    assert first.sync is not None
    assert (first.sync.token, first.sync.stores) == (TOKEN, (Unsent("blobs", 123, 4, 90.0),))
    known = RecordRequest(str(control), synced=first.synced)
    again, stdout = await look(local, known)
    assert (again.sync, stdout) == (None, b"end\n")
    lay(control, json.dumps({**SYNC, "stores": [{**BLOBS, "backlog_bytes": 7}]}))
    changed, _ = await look(local, known)
    assert changed.sync is not None
    assert changed.sync.stores[0].bytes == 7


async def test_a_record_that_cannot_be_believed_is_not_read_again_and_again(
    local: LocalTransport, tmp_path: Path
) -> None:
    control = tmp_path / "j" / "1"
    for content in ("{torn", "[]", json.dumps({**SYNC, "x": "y" * MAX_SYNC})):
        lay(control, content)
        found, _ = await look(local, RecordRequest(str(control)))
        assert found.sync is None
        assert (await look(local, RecordRequest(str(control), synced=found.synced)))[1] == b"end\n"


async def test_a_link_is_no_record(local: LocalTransport, tmp_path: Path) -> None:
    control = tmp_path / "j" / "1"
    control.mkdir(parents=True)
    (tmp_path / "secret").write_text(json.dumps(SYNC))
    (control / "sync.json").symlink_to(tmp_path / "secret")
    assert (await look(local, RecordRequest(str(control))))[1] == b"end\n"


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"token": "x"},
        {"at": "yesterday"},
        {"at": "2026-13-01T00:00:00Z"},
        {"at": None},
        {"stores": {}},
        {"stores": ["blobs"]},
        {"stores": [BLOBS] * 65},
        {"stores": [{**BLOBS, "store": 1}]},
        {"stores": [{**BLOBS, "store": "x" * 65}]},
        {"stores": [{**BLOBS, "backlog_bytes": -1}]},
        {"stores": [{**BLOBS, "backlog_bytes": True}]},
        {"stores": [{**BLOBS, "backlog_files": 1.5}]},
        {"stores": [{**BLOBS, "backlog_bytes": 2**70}]},
        {"stores": [{**BLOBS, "oldest": 5}]},
    ],
)
def test_a_record_with_a_wrong_value_does_not_count(change: dict[str, Any]) -> None:
    assert parse_sync(json.dumps({**SYNC, **change}).encode()) is None


def test_what_is_newer_than_the_record_has_not_waited() -> None:
    found = parse_sync(json.dumps({**SYNC, "stores": [{**BLOBS, "oldest": "2030-01-01T00:00:00.123456789Z"}]}).encode())
    assert found is not None
    assert found.stores[0].lag == 0.0


def test_what_the_node_does_not_know_is_not_known() -> None:
    found = parse_sync(json.dumps({**SYNC, "stores": [{"store": "blobs", "oldest": None}]}).encode())
    assert found is not None
    assert found.stores == (Unsent("blobs", None, None, None),)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
        lambda value: json.dumps({**SYNC, "stores": value}).encode()
    )
)
def test_no_content_makes_the_reader_crash(content: bytes) -> None:
    parse_sync(content)
