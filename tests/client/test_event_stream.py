"""Parsing of server-sent events."""

from __future__ import annotations

import pytest

from gateway.client.event_stream import read_events

GOOD = 'data: {"sequence": 7, "at": "2026-01-01T00:00:00Z", "kind": "note", "data": {"a": 1}}'


def test_an_event_that_names_itself_is_taken_as_it_is() -> None:
    (found,) = read_events([GOOD, ""])
    assert (found.sequence, found.kind, found.data) == (7, "note", {"a": 1})


def test_an_event_is_put_together_from_its_fields() -> None:
    (found,) = read_events(["id: 9", "event:pull", 'data: {"at": "2026-01-01T00:00:00Z", "bytes": 3}', ""], "job")
    assert (found.sequence, found.kind, found.job_id, found.data) == (9, "pull", "job", {"bytes": 3})


def test_data_over_several_lines_is_joined() -> None:
    (found,) = read_events(["id: 1", "data: {", 'data: "a": 1}', ""])
    assert found.data == {"a": 1}


@pytest.mark.parametrize(
    "lines",
    [
        [": heartbeat", ""],
        ["", "", ""],
        ["id: 3", ""],
        ["data: {", ""],
        ["data: [1]", ""],
        ["data: null", ""],
        ["id: x", "data: {}", ""],
        ["retry: 5", "", "event: x"],
    ],
)
def test_what_is_no_event_is_passed_over_and_the_next_one_is_read(lines: list[str]) -> None:
    assert [found.sequence for found in read_events([*lines, "", GOOD, ""])] == [7]


def test_an_event_that_the_end_cut_off_is_not_delivered() -> None:
    assert list(read_events([GOOD])) == []
