"""POSIX extended regular expressions: what is taken, bash takes too."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.model.expressions import expression_problem
from gateway.model.specification import DataSeries, JobSpecification, ProgressRule

SIGNS = ["a", "0", ".", "^", "$", "|", "*", "+", "?", "(", ")", "[", "]", "{2}", "{1,3}", "{", "}", "-", "[^", "[]"]
SETS = ["[a-z]", "[0-9.e+-]", "[:digit:]", "[[:digit:]]", "[z-a]"]
PIECES = st.sampled_from([*SIGNS, *SETS, "\\.", "\\(", "\\d", "\\", "(?:", "(x)", " "])
# Status 2 of [[ =~ ]]: no expression.
BASH = 'while IFS= read -r re; do [[ abc =~ $re ]]; printf "%s\\n" "$?"; done'


@settings(max_examples=25)
@given(st.lists(st.lists(PIECES, max_size=8).map("".join), min_size=40, max_size=40))
def test_what_is_taken_is_an_expression_for_bash(texts: list[str]) -> None:
    taken = [text for text in texts if any(expression_problem(text, groups=n) is None for n in range(5))]
    given_ = "".join(f"{text}\n" for text in taken)
    said = subprocess.run(["bash", "-c", BASH], input=given_, capture_output=True, text=True, check=False)
    assert "2" not in said.stdout.split(), taken


@pytest.mark.parametrize(
    "text",
    [
        r"^Time = ([0-9.e+-]+)$",
        "(a|b)*c{2,5}",
        r"step\.([[:digit:]]+) of",
        "[]a](x)",
        "[^]a-](x)",
        "[a-]([\\\\])",
        r"\{(x)\}",
    ],
)
def test_expressions_that_every_node_reads_alike_are_taken(text: str) -> None:
    assert expression_problem(text) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("a", "exactly one group"),
        ("(a)(b)", "exactly one group"),
        (r"(\d+)", "[0-9]"),
        (r"(\w)", "not POSIX"),
        (r"(a)\1", "not POSIX"),
        ("(?:a)", "not POSIX"),
        ("(a+?)", "after a repeat"),
        ("(a", "not closed"),
        ("[a(b)", "not closed"),
        ("a)(b)", "has no"),
        ("()", "nothing to match"),
        ("(a)|", "nothing to match"),
        ("(*a)", "repeats nothing"),
        ("^*(a)", "cannot repeat"),
        ("(a{9999})", "number of repeats"),
        ("(a{65})", "up to 64"),
        ("(a{3,2})", "range"),
        ("([[:nosuch:]])", "no such class"),
        (r"([\d])", "backslash"),
        ("([z-a])", "range"),
        ("(a)\n", "one line"),
        ("(ü)", "ASCII"),
        ("(a)" + "b" * 500, "500"),
        ("(" * 20 + "a" + ")" * 20, "deeply"),
    ],
)
def test_others_are_refused_with_the_reason(text: str, word: str) -> None:
    assert word in (expression_problem(text) or "")


@given(st.text(max_size=30))
def test_any_text_is_taken_or_refused_with_a_reason(text: str) -> None:
    assert expression_problem(text) is None or expression_problem(text)


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"file": "log"},
        {"pattern": "(a)"},
        {"file": "log", "pattern": "(a)", "command": ["x"]},
        {"command": []},
        {"command": ["x"], "min": 1},
        {"command": ["x"], "max": float("inf")},
        {"file": "/log", "pattern": "(a)"},
        {"file": "log", "pattern": "(\\d)"},
    ],
)
def test_a_rule_of_progress_says_in_one_way_where_its_value_comes_from(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ProgressRule.model_validate(rule)


@pytest.mark.parametrize(
    "series",
    [
        {"name": "a/b", "file": "x"},
        {"name": "a", "file": "../x"},
        {"name": "a", "file": "x/"},
        {"name": "a", "file": "x", "x": "t", "columns": [{"name": "u"}]},
        {"name": "a", "file": "x", "columns": [{"name": "u"}, {"name": "u"}]},
    ],
)
def test_a_data_series_that_contradicts_itself_is_refused(series: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DataSeries.model_validate(series)


@pytest.mark.parametrize(
    "body",
    [
        {"values": {"a": 1}, "command": ["x"]},
        {"case_version": "sha256:" + "0" * 64, "command": ["x"]},
        {"case": "a/b"},
        {"case": "a", "command": ["x"], "script": "y"},
        {"command": ["x"], "data": [{"name": "a", "file": "x"}, {"name": "a", "file": "y"}]},
        {"command": ["x"], "after_end": ["x"]},
        {"command": ["x"], "notes": "a\0"},
        {"command": ["x"], "image": {"ref": "built:x"}},
        {"command": ["x"], "image": {"ref": "built:../x", "digest": "sha256:" + "0" * 64}},
    ],
)
def test_what_goes_with_a_case_needs_one(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        JobSpecification.model_validate(body)


def test_a_case_alone_is_a_request_and_a_built_image_an_image() -> None:
    assert JobSpecification.model_validate({"case": "tank"}).command is None
    built = {"ref": "built:tank", "digest": "sha256:" + "0" * 64}
    found = JobSpecification.model_validate({"command": ["x"], "image": built})
    assert found.image is not None
    assert found.image.is_built
