"""Tables are compared number by number, everything else word by word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.comparison import FileComparison, Tolerance, compare_numbers, summed

LOOSE = Tolerance(rtol=1e-6)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("t,v\n0,1.0\n", "t,v\n0,1.0000001\n"),
        ("1.0 2.0\n", "1.0   2.00000001\n"),
        ("(1 2 3)\n", "(1 2 3.0)\n"),
        ("nan inf\n", "NaN Infinity\n"),
        ("a;1e3\n", "a;1000\n"),
        ("", ""),
    ],
)
def test_numbers_within_the_tolerance_are_close(first: str, second: str) -> None:
    assert compare_numbers(first.encode(), second.encode(), LOOSE).problem is None


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("0,1.0\n", "0,1.1\n", "line 1: 1.0, and 1.1"),
        ("x\n1\n", "x\n1\n2\n", "2 lines, and 3"),
        ("1 2\n", "1 2 3\n", "line 1 has 2 words, and 3"),
        ("ok 1\n", "failed 1\n", "line 1: 'ok', and 'failed'"),
        ("nan\n", "1\n", "line 1: 'nan', and '1'"),
        ("inf\n", "-inf\n", "line 1: 'inf', and '-inf'"),
        ("0\n", "1e-300\n", "line 1: 0, and 1e-300"),
    ],
)
def test_what_lies_further_apart_is_told_with_its_line(first: str, second: str, said: str) -> None:
    assert compare_numbers(first.encode(), second.encode(), LOOSE).problem == said


def test_an_absolute_tolerance_is_for_numbers_near_zero() -> None:
    assert compare_numbers(b"0\n", b"1e-9\n", Tolerance(atol=1e-6)).problem is None


@pytest.mark.parametrize("data", [b"\0\1", b"\xff\xfe"])
def test_bytes_that_are_no_text_are_different(data: bytes) -> None:
    assert "no text" in str(compare_numbers(data, b"1", LOOSE).problem)


def test_the_largest_deviation_is_told() -> None:
    assert compare_numbers(b"1 2\n", b"1.5 2\n", Tolerance(rtol=1)).deviation == pytest.approx(1 / 3)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_two_files_can_be_compared(first: bytes, second: bytes) -> None:
    compare_numbers(first, second, LOOSE)


def test_what_differs_comes_first() -> None:
    rows = [FileComparison(path="a", status="same"), FileComparison(path="b", status="only_first")]
    found = summed("x", "y", rows, None, 0)
    assert ([item.path for item in found.files], found.alike) == (["b", "a"], False)
    assert found.counts == {"same": 1, "only_first": 1}
