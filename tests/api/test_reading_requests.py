"""Whatever a request says, it is read or refused with a problem that names the place: nothing else comes out."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.api.conditional import chosen_range, has_etag, not_modified
from gateway.api.messages import MAX_DEPTH, Malformed, parse_json
from gateway.api.routes import ROUTES, Route
from gateway.api.tornado_adapter import read_query
from gateway.errors import FieldError, InvalidRequest, RangeNotSatisfiable

TEXTS = st.text(max_size=30)
FIELDS = sorted({name for route in ROUTES for name in route.query.model_fields})
VALUES = (
    TEXTS | st.integers().map(str) | st.sampled_from(["", "1", "true", "running,queued", "2026-01-01T00:00:00Z", "nan"])
)
PAIRS = st.lists(st.tuples(st.sampled_from(FIELDS) | TEXTS, VALUES), max_size=6)
WIRE = PAIRS.map(lambda pairs: urlencode(pairs, errors="surrogatepass")) | TEXTS | st.text("%&=+;0afF?", max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(route=st.sampled_from(ROUTES), text=WIRE)
@example(route=ROUTES[0], text="a=%ff")
@example(route=ROUTES[0], text="&".join(f"a{number}=1" for number in range(200)))
def test_a_query_is_read_or_refused_with_the_parameters_name(route: Route, text: str) -> None:
    refused: tuple[FieldError, ...] | None = None
    try:
        found = read_query(route, text)
    except InvalidRequest as error:
        refused = error.errors
    if refused is None:
        assert isinstance(found, route.query)
        hash(found)
    else:
        assert refused
        assert all(item.pointer.startswith("?") and item.pointer.isascii() and item.detail for item in refused)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.query.model_fields], ids=lambda route: route.name)
def test_a_parameter_that_stands_twice_or_is_unknown_is_refused(route: Route) -> None:
    name = next(iter(route.query.model_fields))
    for text, place in ((f"{name}=1&{name}=1", f"?{name}"), ("no_such_thing=1", "?no_such_thing")):
        with pytest.raises(InvalidRequest) as caught:
            read_query(route, text)
        assert place in [item.pointer for item in caught.value.errors]


@given(st.binary(max_size=60) | TEXTS.map(str.encode) | st.text('{}[]":,0.eE-tfn \\u', max_size=30).map(str.encode))
def test_a_body_is_json_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        json.dumps(parse_json(data), allow_nan=False)


@given(JSON)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@given(st.integers(1, 300), st.booleans())
def test_the_depth_of_a_body_is_bounded(depth: int, lists: bool) -> None:
    data = ("[" * depth + "]" * depth) if lists else ('{"a":' * depth + "1" + "}" * depth)
    if depth <= MAX_DEPTH - 1:
        parse_json(data.encode())
    elif depth > MAX_DEPTH:
        with pytest.raises(Malformed):
            parse_json(data.encode())


@given(
    size=st.integers(0, 1000),
    text=st.one_of(
        st.builds(
            lambda a, b: f"bytes={a}-{b}", st.integers(0, 1200) | st.just(""), st.integers(0, 1200) | st.just("")
        ),
        TEXTS.map("bytes={}".format),
        TEXTS,
    ),
)
def test_a_range_lies_within_the_file_or_is_not_there(size: int, text: str) -> None:
    try:
        part = chosen_range({"range": text}, size, '"e"')
    except RangeNotSatisfiable:
        return
    if part is not None:
        assert 0 <= part.first <= part.last < size
        assert len(range(size)[part.first : part.last + 1]) == part.length
        assert part.content_range(size) == f"bytes {part.first}-{part.last}/{size}"


@given(first=st.integers(0, 50), length=st.integers(1, 50), after=st.integers(0, 50))
def test_a_range_is_exactly_what_was_asked_for(first: int, length: int, after: int) -> None:
    last, size = first + length - 1, first + length + after
    part = chosen_range({"range": f"bytes={first}-{last}", "if-range": '"e"'}, size, '"e"')
    assert part is not None
    assert (part.first, part.last) == (first, last)
    assert chosen_range({"range": f"bytes={first}-{last}", "if-range": '"other"'}, size, '"e"') is None
    tail = chosen_range({"range": f"bytes=-{length}"}, size, '"e"')
    assert tail is not None
    assert (tail.first, tail.last) == (size - length, size - 1)


TAGS = st.text("abc123", min_size=1, max_size=4).map('"{}"'.format)


@given(tags=st.lists(st.tuples(st.booleans(), TAGS), max_size=4), mine=TAGS, weak=st.booleans())
def test_an_etag_is_found_in_a_list_weak_or_not(tags: list[tuple[bool, str]], mine: str, weak: bool) -> None:
    header = ", ".join(f"{'W/' * is_weak}{tag}" for is_weak, tag in tags)
    etag = f"W/{mine}" if weak else mine
    assert has_etag({"if-none-match": header}, etag) == (mine in [tag for _, tag in tags])
    assert has_etag({"if-none-match": "*"}, etag)
    assert not has_etag({}, etag)


@given(
    st.dictionaries(
        st.sampled_from(["if-none-match", "if-modified-since"]), TEXTS | st.just("Sat, 01 Jan 2000 00:00:00 GMT")
    )
)
def test_conditions_of_any_text_are_answered(headers: dict[str, str]) -> None:
    assert not_modified(headers, '"e"', None) in (True, False)


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    for word in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
        with pytest.raises(Malformed):
            parse_json(word)
