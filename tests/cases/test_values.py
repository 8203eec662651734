"""What values a case's parameters take, and how they are completed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cases.schema import json_schema
from gateway.cases.values import ValueRefused, check_value, complete, text_of
from gateway.errors import InvalidRequest
from tests.cases.written import definition, parameter, tank

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


TANK = tank().definition
SCHEMA = jsonschema.Draft7Validator(json_schema(TANK))


def refused(values: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        complete(tank().definition, values)
    return {error.pointer: error.detail for error in caught.value.errors}


def test_what_is_not_given_has_its_default() -> None:
    assert complete(tank().definition, {"cells": 4}) == {
        "speed": 0.5,
        "cells": 4,
        "model": "k",
        "heated": False,
        "heat": None,
        "title": "plain",
        "mesh": None,
    }


@pytest.mark.parametrize(
    ("given_", "pointer", "word"),
    [
        ({"speed": "1"}, "#/values/speed", "without quotes"),
        ({"speed": True}, "#/values/speed", "number"),
        ({"speed": 2.1}, "#/values/speed", "at most 2"),
        ({"speed": -0.1}, "#/values/speed", "at least 0"),
        ({"speed": 0.55}, "#/values/speed", "multiple of 0.1"),
        ({"speed": 10**400}, "#/values/speed", "number"),
        ({"speed": float("inf")}, "#/values/speed", "number"),
        ({"speed": None}, "#/values/speed", "number"),
        ({"cells": 2.5}, "#/values/cells", "whole number"),
        ({"cells": False}, "#/values/cells", "whole number"),
        ({"cells": 2**70}, "#/values/cells", "63 bits"),
        ({"model": "K"}, "#/values/model", "one of: k, w, 3"),
        ({"model": "3"}, "#/values/model", "one of"),
        ({"model": ["k"]}, "#/values/model", "one of"),
        ({"heated": 1}, "#/values/heated", "true or false"),
        ({"title": 1}, "#/values/title", "text"),
        ({"title": "a\0b"}, "#/values/title", "NUL"),
        ({"title": "x" * 1001}, "#/values/title", "1000"),
        ({"mesh": "sha256:x"}, "#/values/mesh", "object"),
        ({"mesh": {}}, "#/values/mesh", "object"),
        ({"mesh": {"upload": "x"}}, "#/values/mesh", "upload"),
        ({"mesh": {"content": "a", "url": "https://h.example/x"}}, "#/values/mesh", "exactly one"),
        ({"mesh": {"content": "a", "path": "/etc/passwd"}}, "#/values/mesh", "object"),
        ({"heat": 3}, "#/values/heat", "only where heated is true"),
        ({"heated": True}, "#/values/heat", "is needed"),
        ({"nosuch": 1}, "#/values/nosuch", "not a parameter"),
        ({"a/b~ü": 1}, "#/values/a~1b~0%C3%BC", "not a parameter"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_parameter(given_: dict[str, Any], pointer: str, word: str) -> None:
    found = refused(given_)
    assert list(found) == [pointer]
    assert word in found[pointer]


def test_all_wrong_values_are_named_at_once() -> None:
    assert set(refused({"speed": 9, "cells": 1, "x": 0})) == {"#/values/speed", "#/values/cells", "#/values/x"}


def test_a_set_that_is_kept_may_be_a_part_but_holds_nothing_wrong() -> None:
    assert complete(tank().definition, {"cells": 4.0, "heat": 3}, partial=True) == {"cells": 4, "heat": 3}
    with pytest.raises(InvalidRequest):
        complete(tank().definition, {"cells": 1}, partial=True)


def test_a_condition_on_a_parameter_that_is_not_in_use_does_not_hold() -> None:
    found = definition(
        {"name": "a", "type": "bool", "default": False},
        {"name": "b", "type": "bool", "default": True, "enabled_if": {"a": True}},
        {"name": "c", "type": "int", "default": 1, "enabled_if": {"b": [True]}},
    )
    assert complete(found, {"a": True, "c": 2}) == {"a": True, "b": True, "c": 2}
    with pytest.raises(InvalidRequest):
        complete(found, {"c": 2})


def test_without_a_default_a_value_must_be_given() -> None:
    found = definition({"name": "n", "type": "int"})
    assert complete(found, {"n": 1}) == {"n": 1}
    with pytest.raises(InvalidRequest, match="#/values/n: is needed"):
        complete(found, {})


def test_a_text_of_one_line_takes_no_others_and_matches_its_pattern_whole() -> None:
    one = parameter(type="text", pattern="[a-z]+")
    assert check_value(one, "abc") == "abc"
    for text in ("abc1", "", "a\nb", "abc\n"):
        with pytest.raises(ValueRefused):
            check_value(one, text)


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_every_decimal_that_is_a_multiple_of_the_step_is_taken(count: int, digits: int) -> None:
    step = float(Decimal(1).scaleb(-digits))
    value = float(Decimal(count).scaleb(-digits))
    assert check_value(parameter(step=step), value) == value
    with pytest.raises(ValueRefused):
        check_value(parameter(step=step), float(Decimal(10 * count + 5).scaleb(-digits - 1)))


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53))
def test_a_number_in_a_text_reads_back_as_the_same_number(value: float) -> None:
    kept = check_value(parameter(), value)
    assert float(text_of(kept)) == float(value)
    assert json.loads(json.dumps(kept)) == kept


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(["speed", "cells", "model", "heated", "heat", "title", "mesh", "x"]), JSON))
def test_any_values_are_completed_or_refused_by_name_and_completing_again_changes_nothing(
    values: dict[str, Any],
) -> None:
    case = TANK
    try:
        found = complete(case, values)
    except InvalidRequest as error:
        assert {item.pointer[:9] for item in error.errors} == {"#/values/"}  # noqa: PT017
        return
    assert complete(case, {name: value for name, value in found.items() if value is not None}) == found
    # The schema never refuses what the server takes.
    SCHEMA.validate(values)


def test_the_schema_is_one_of_draft_07_with_hints_for_forms() -> None:
    schema = json_schema(tank().definition)
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    speed = schema["properties"]["speed"]
    assert (speed["minimum"], speed["maximum"], speed["default"], speed["x-step"]) == (0, 2, 0.5, 0.1)
    assert "multipleOf" not in speed
    assert schema["properties"]["model"]["enum"] == ["k", "w", 3]
    assert schema["properties"]["heat"]["x-enabled-if"] == {"heated": [True]}
    assert schema["additionalProperties"] is False
    assert schema["required"] == []
