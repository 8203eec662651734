"""Cursors of lists of jobs."""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.db.job_lists import SORTS, PlaceInList, Sort
from gateway.errors import InvalidRequest
from gateway.jobs.lists import read_cursor, write_cursor

moments = st.integers(0, 10**15).map(lambda number: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=number))
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "created_at": moments,
    "started_at": st.none() | moments,
    "ended_at": st.none() | moments,
    "name": texts,
    "state": texts,
    "target": texts,
    "case": st.none() | texts,
    "sweep_index": st.none() | st.integers(0, 10**6),
}


@given(st.data(), st.sampled_from(SORTS), st.sampled_from(SORTS), moments, st.uuids().map(str))
def test_a_cursor_leads_back_to_its_place_and_is_refused_for_every_other_order(
    data: st.DataObject, name: str, other: str, created_at: datetime, job_id: str
) -> None:
    sort = Sort.parse(name)
    place = PlaceInList(data.draw(VALUES[sort.column]), created_at, job_id)
    cursor = write_cursor(sort, place)
    assert read_cursor(cursor, sort) == place
    if other != name:
        with pytest.raises(InvalidRequest):
            read_cursor(cursor, Sort.parse(other))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=6,
)


def made(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@given(
    st.sampled_from(SORTS),
    st.text()
    | anything.map(made)
    | st.tuples(st.sampled_from([f"jobs {name}" for name in SORTS]), anything, anything, anything).map(made),
)
def test_what_is_no_cursor_is_refused_or_names_a_place_that_a_database_takes(name: str, cursor: str) -> None:
    with contextlib.suppress(InvalidRequest):
        place = read_cursor(cursor, Sort.parse(name), "#/cursor")
        _check(place)


def _check(place: PlaceInList) -> None:
    assert "\0" not in place.id
    place.id.encode()
    assert not isinstance(place.value, int) or abs(place.value) < 2**64


@pytest.mark.parametrize(
    "value",
    [
        ["jobs -name", "\ud800", 0, "x"],
        ["jobs -name", "\0", 0, "x"],
        ["jobs -name", "a", 2**70, "x"],
        ["jobs -name", "a", 0, "\udfff"],
        ["jobs -name", "a", True, "x"],
        ["jobs -name", None, 0, "x"],
    ],
)
def test_a_made_up_cursor_never_reaches_the_database(value: list[Any]) -> None:
    with pytest.raises(InvalidRequest):
        read_cursor(made(value), Sort("name"))
