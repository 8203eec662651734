"""JSON merge patch and the difference of documents."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jobs.merge_patch import MAX_CHANGES, MAX_TEXT, difference, merge

plain = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.sampled_from(["", "a", "é/~"])
documents = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from("abc/~"), documents, max_size=4)


def has_no_null(value: Any) -> bool:
    """Whether no object in `value` has a member that is null (lists may hold them)."""
    if isinstance(value, dict):
        return all(inner is not None and has_no_null(inner) for inner in value.values())
    return True


RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("document", "patch", "merged"), RFC_7396)
def test_the_examples_of_the_standard_hold(document: Any, patch: Any, merged: Any) -> None:
    assert merge(document, patch) == merged


@given(documents, documents)
def test_a_patch_laid_on_twice_changes_nothing_more_and_nothing_given_is_touched(document: Any, patch: Any) -> None:
    kept = copy.deepcopy((document, patch))
    once = merge(document, patch)
    assert merge(once, patch) == once
    assert (document, patch) == kept


@given(documents)
def test_an_empty_patch_changes_no_object_and_a_document_without_nulls_is_its_own_patch(document: Any) -> None:
    if isinstance(document, dict):
        assert merge(document, {}) == document
    if has_no_null(document):
        assert merge({}, document) == document


@given(objects, objects)
def test_what_a_patch_does_not_name_stays_and_what_it_names_as_null_goes(
    document: dict[str, Any], patch: dict[str, Any]
) -> None:
    merged = merge(document, patch)
    assert {key: merged[key] for key in document if key not in patch} == {
        key: value for key, value in document.items() if key not in patch
    }
    assert not {key for key, value in patch.items() if value is None} & set(merged)
    assert set(merged) <= set(document) | set(patch)


@given(documents, documents)
def test_documents_differ_where_and_only_where_the_difference_says_so(before: Any, after: Any) -> None:
    assert difference(before, before) == []
    there, back = difference(before, after), difference(after, before)
    assert sorted((c.pointer, repr(c.before), repr(c.after)) for c in there) == sorted(
        (c.pointer, repr(c.after), repr(c.before)) for c in back
    )
    if not there:
        assert merge({"x": after}, {}) == {"x": after}
        assert difference({"x": [before]}, {"x": [after]}) == []


def test_a_difference_names_places_and_counts_what_is_missing_as_nothing() -> None:
    before = {"a/b": 1, "list": [1, {"c": 2}], "gone": "x", "none": None, "same": 1}
    after = {"a/b": True, "list": [1, {"c": 3}], "new": [1], "same": 1.0}
    found = [(change.pointer, change.before, change.after) for change in difference(before, after)]
    assert found == [("#/a~1b", 1, True), ("#/list/1/c", 2, 3), ("#/gone", "x", None), ("#/new", None, [1])]
    (changed,) = difference({"list": [1, 2]}, {"list": [1]})
    assert (changed.pointer, changed.before, changed.after) == ("#/list", [1, 2], [1])


def test_a_difference_stays_small_however_large_the_documents_are() -> None:
    (changed,) = difference({"text": "a" * 1000}, {"text": {"inner": "b" * 1000}})
    assert changed.before == "a" * MAX_TEXT + "…"
    assert changed.after == {"inner": "b" * MAX_TEXT + "…"}
    assert len(difference({}, {str(number): number for number in range(1000)})) == MAX_CHANGES
