"""Where a mistake stands in a request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from gateway.errors import InvalidRequest
from gateway.jobs import cursors
from gateway.jobs.pointers import find_bad_text, invalid_request, pointer, strip_tags


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Home(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    number: int | list[int] = 1
    names: dict[str, int] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"pet": {"kind": "cat", "lives": "x"}}, {"#/pet/lives"}),
        ({"pet": {"kind": "cat"}}, {"#/pet/lives"}),
        ({"pet": {"kind": "dog", "tricks": ["a", 5]}}, {"#/pet/tricks/1"}),
        ({"pet": {"kind": "fox"}}, {"#/pet"}),
        ({}, {"#/pet"}),
        ({"pet": {"kind": "cat", "lives": 1}, "number": "x"}, {"#/number"}),
        ({"pet": {"kind": "cat", "lives": 1}, "number": [1, "x"]}, {"#/number", "#/number/1"}),
        ({"pet": {"kind": "cat", "lives": 1}, "names": {"a/b~c d": "x"}}, {"#/names/a~1b~0c%20d"}),
    ],
)
def test_names_of_branches_are_no_part_of_a_pointer(body: dict[str, Any], expected: set[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Home.model_validate(body)
    assert {error.pointer for error in invalid_request(caught.value, body).errors} == expected


@given(st.lists(st.one_of(st.text(max_size=20), st.integers(0, 99)), max_size=5))
def test_a_pointer_is_always_plain_text_of_one_line(parts: list[str | int]) -> None:
    found = pointer(parts)
    assert found.startswith("#")
    assert found.count("/") == len(parts)
    assert found.isascii()
    assert found.isprintable()


@given(st.lists(st.one_of(st.text(max_size=5), st.integers(-2, 3)), max_size=4), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_any_location_in_any_body_can_be_shown(location: list[str | int], body: Any) -> None:
    assert len(strip_tags(location, body)) <= len(location)


def test_text_that_is_not_unicode_is_found_wherever_it_is() -> None:
    assert find_bad_text({"a": ["ok", {"b": "\ud800"}]}) == ("a", 1, "b")
    assert find_bad_text({"a": {"\udfff": 1}}) == ("a",)
    assert find_bad_text({"a": ["ok", 1, None, {"b": "💾"}]}) is None


storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@given(st.lists(st.one_of(storable, st.integers(-(2**60), 2**60)), max_size=4))
def test_a_cursor_brings_back_what_was_put_in(values: list[str | int]) -> None:
    cursor = cursors.encode("kind", *values)
    assert cursors.decode(cursor, "kind", *(type(value) for value in values)) == tuple(values)
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=60))
def test_any_text_as_a_cursor_is_refused_or_read(text: str) -> None:
    with pytest.raises(InvalidRequest):
        cursors.decode(text, "kind", int, str)


@pytest.mark.parametrize("moment", [-1, 10**18, "x"])
def test_a_cursors_moment_must_be_one(moment: int | str) -> None:
    with pytest.raises(InvalidRequest):
        cursors.decode_moment(moment)
