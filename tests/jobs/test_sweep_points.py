"""Points of sweeps: every combination once, each in its place, and mistakes put back where they come from."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.errors import FieldError, InvalidRequest
from gateway.jobs.pointers import pointer
from gateway.jobs.sweep_points import (
    NoPlace,
    mistakes_at,
    partly_failed,
    points_of,
    specification_at,
    state_of_sweep,
    target_of,
)
from gateway.jobs.sweep_table import cell_of, csv_lines
from gateway.model.states import ENDED, State
from gateway.model.sweep import MAX_POINTS, SweepRequest, SweepState

NAMES = st.text(st.sampled_from("ab~/é %0"), min_size=1, max_size=5)
KEYS = st.one_of(
    NAMES.filter(lambda name: not name.startswith("/")),
    st.lists(NAMES, min_size=1, max_size=3).map(
        lambda parts: "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
    ),
)
VALUES = st.one_of(st.integers(), st.booleans(), st.text(max_size=5), st.none())
GRIDS = st.dictionaries(KEYS, st.lists(VALUES, min_size=1, max_size=4), min_size=1, max_size=4)
COUNTS = st.dictionaries(st.sampled_from([str(state) for state in State]), st.integers(0, 5))


def sweep(**body: Any) -> SweepRequest:
    return SweepRequest.model_validate({"job": {"case": "x"}, **body})


def at(body: Any, parts: tuple[str, ...]) -> Any:
    for part in parts:
        body = body[int(part)] if isinstance(body, list) else body[part]
    return body


@given(GRIDS)
def test_a_grid_has_every_combination_once_and_in_order(grid: dict[str, list[Any]]) -> None:
    points = points_of(sweep(grid=grid))
    assert [tuple(point.values.values()) for point in points] == list(itertools.product(*grid.values()))
    for point in points:
        for key, (_, named, number) in ((key, place) for key, place in point.places.items()):
            assert named == key
            assert isinstance(number, int)
            assert grid[key][number] is point.values[key]


@given(st.dictionaries(KEYS, st.integers(1, 4000), min_size=1, max_size=4))
def test_too_many_points_are_counted_and_never_made(lengths: dict[str, int]) -> None:
    count = 1
    for length in lengths.values():
        count *= length
    assume(count > MAX_POINTS)
    with pytest.raises(InvalidRequest) as caught:
        points_of(sweep(grid={key: [0] * length for key, length in lengths.items()}))
    assert caught.value.errors[0].pointer == "#/grid"
    assert str(count) in caught.value.errors[0].detail


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_values_stand_where_their_keys_say_and_nothing_else_changes(values: dict[str, Any]) -> None:
    job = {"command": ["echo", "x"], "env": {"A": "1"}, "keep": {"me": [1, {"deep": 2}]}}
    before = copy.deepcopy(job)
    places = [target_of(key) for key in values]
    assume(not any(one != two and one == two[: len(one)] for one in places for two in places))
    assume(len(set(places)) == len(places))
    made = specification_at(job, values)
    assert job == before
    for key, value in values.items():
        assert at(made, target_of(key)) == value
    touched = {place[0] for place in places}
    assert {key: made[key] for key in job if key not in touched} == {k: v for k, v in job.items() if k not in touched}


@pytest.mark.parametrize(
    "key", ["/command/2", "/command/-1", "/command/-", "/command/x", "/name/x", "/command/0/x", "/command/１"]
)
def test_a_pointer_that_leads_nowhere_is_refused(key: str) -> None:
    with pytest.raises(NoPlace) as caught:
        specification_at({"command": ["a", "b"], "name": "n"}, {key: "v"})
    assert caught.value.args[0] == key


@given(GRIDS, st.sampled_from(["", "/0", "/deep/er"]))
def test_a_mistake_goes_back_to_the_value_that_it_comes_from(grid: dict[str, list[Any]], below: str) -> None:
    places = [target_of(key) for key in grid]
    assume(not any(one != two and one == two[: len(one)] for one in places for two in places))
    assume(len(set(places)) == len(places))
    point = points_of(sweep(grid=grid))[-1]
    for key, values in grid.items():
        error = FieldError(pointer(target_of(key)) + below, "is wrong")
        assert list(mistakes_at(point, [error])) == [FieldError(pointer(("grid", key, len(values) - 1)), "is wrong")]


def test_a_mistake_of_the_job_itself_is_the_jobs() -> None:
    point = points_of(sweep(table=[{"reynolds": 5, "/env/RE": "1"}]))[0]
    errors = [FieldError("#/stores/0", "a"), FieldError("#/env/REX", "b"), FieldError("#", "c")]
    assert [error.pointer for error in mistakes_at(point, errors)] == ["#/job/stores/0", "#/job/env/REX", "#/job"]
    errors = [FieldError("#/values/reynolds", "a")]
    assert [error.pointer for error in mistakes_at(point, errors)] == ["#/table/0/reynolds"]


@given(COUNTS)
def test_the_state_of_a_sweep_tells_no_lies(counts: dict[str, int]) -> None:
    state = state_of_sweep(counts)
    there = {State(name) for name, count in counts.items() if count}
    assert (state is SweepState.SUCCEEDED) == (there == {State.SUCCEEDED})
    assert (state is SweepState.EMPTY) == (not there)
    ended = bool(there) and there <= ENDED
    assert (state in (SweepState.ACCEPTED, SweepState.RUNNING)) == (bool(there) and not ended)
    if state in (SweepState.FAILED, SweepState.PARTLY_FAILED):
        assert there & {State.FAILED, State.LOST}
    assert not (partly_failed(counts) and state in (SweepState.SUCCEEDED, SweepState.ACCEPTED, SweepState.CANCELLED))


@given(st.text(max_size=10))
def test_no_text_of_a_table_is_a_formula(text: str) -> None:
    cell = cell_of(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.removeprefix("'") == text or cell == text


def test_numbers_stay_numbers_and_lists_are_json() -> None:
    assert csv_lines([[-1.5, True, None, [1, "a,b"], 'say "x"']]) == b'-1.5,true,,"[1, ""a,b""]","say ""x"""\r\n'
