"""Tables that grow: the same rows whatever the pieces, and nothing that breaks the reader."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.jobs import series_parser
from gateway.jobs.series_parser import Parser, format_of, parser_for, read_cell
from gateway.model.specification import DataSeries

FORMATS = ["csv", "json", "whitespace"]
numbers = st.one_of(
    st.integers(-(10**12), 10**12), st.floats(allow_nan=False, allow_infinity=False).map(lambda v: v + 0.0)
)
tables = st.lists(st.lists(numbers, min_size=2, max_size=2), max_size=8)


def made(format_: str, *columns: str) -> Parser:
    """A parser at a file's beginning."""
    wanted = [{"name": name} for name in columns]
    return parser_for(DataSeries.model_validate({"name": "s", "file": "f", "format": format_, "columns": wanted}))


def grown(parser: Parser, data: bytes, cuts: list[int]) -> list[list[Any]]:
    """Feed a file that grows at `cuts`, as its reader does."""
    rows: list[list[Any]] = []
    offset = 0
    for end in sorted({min(cut, len(data)) for cut in cuts}):
        found, used = parser.feed(data[offset:end])
        rows += found
        offset += used
        assert offset <= end
    found, _ = parser.feed(data[offset:], last=True)
    return rows + found


def written(format_: str, table: list[list[Any]]) -> list[bytes]:
    """Ways to write a table."""
    if format_ == "json":
        objects = [{"a": row[0], "b": row[1]} for row in table]
        lines = "".join(json.dumps(item) + "\n" for item in objects)
        return [lines.encode(), json.dumps(objects).encode(), json.dumps(objects, indent=2).encode()]
    separator = "," if format_ == "csv" else "  "
    lines = "".join(separator.join(map(repr, row)) + "\n" for row in table)
    heads = ["a,b\n"] if format_ == "csv" else ["# a b\n", "a b\n"]
    return [(head + lines).encode() for head in heads] + [("\ufeff" + heads[0] + lines).encode()]


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=30, deadline=None)
@given(table=tables, cuts=st.lists(st.integers(0, 400), max_size=12))
def test_a_table_is_the_same_in_whatever_pieces_it_comes(format_: str, table: list[list[Any]], cuts: list[int]):
    for data in written(format_, table):
        parser = made(format_)
        assert grown(parser, data, cuts) == table
        if table:
            assert parser.names == ("a", "b")
        assert grown(made(format_, "b", "c"), data, cuts) == [[row[1], None] for row in table]


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=6))
@example(data=b"[" * 300, cuts=[])
@example(data=b'{"a":' * 50 + b"1", cuts=[7])
@example(data=b"1e999\n-Infinity\n[NaN]\n", cuts=[3])
def test_whatever_bytes_come_the_rows_are_cells_that_json_can_carry(format_: str, data: bytes, cuts: list[int]):
    for row in grown(made(format_), data, cuts):
        for cell in row:
            assert cell is None or isinstance(cell, int | str) or math.isfinite(cell)
            json.dumps(cell, allow_nan=False)


def test_very_deep_json_is_passed_over():
    data = b"[" * 100_000 + b"\n" + b'{"a": 5}\n'
    assert grown(made("json"), b'{"a": 1}\n' + data, [])[0] == [1]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("12", 12),
        (" -1.5e3 ", -1500.0),
        (".5", 0.5),
        ("1D-3", 0.001),
        ("nan", None),
        ("-Inf", None),
        ("", None),
        ("1e999", None),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("walls", "walls"),
        ("٣", "٣"),
        ("1" * 16, float("1" * 16)),
    ],
)
def test_a_cell_is_a_number_or_nothing_or_text(text: str, cell: object):
    assert read_cell(text) == cell


def test_a_torn_last_line_waits_and_a_line_that_never_ends_does_not_hold_the_rest_up(monkeypatch):
    parser = made("csv")
    assert parser.feed(b"t,v\n1,2\n3,4") == ([[1, 2]], 8)
    assert parser.feed(b"3,45\n") == ([[3, 45]], 5)
    monkeypatch.setattr(series_parser, "LONGEST", 100)
    assert parser.feed(b"7" * 200) == ([], 200)


def test_separators_quotes_and_vectors_are_understood():
    assert grown(made("csv"), b't;"a; b"\r\n1;2\r\n', []) == [[1, 2]]
    assert grown(made("csv"), b"t\tv\n1\t2\n", []) == [[1, 2]]
    openfoam = b"# Probe 0 (0 0 0)\n# Time  p  U\n0.5   1e5  (1 2 3)\n"
    assert grown(made("whitespace"), openfoam, []) == [[0.5, 1e5, 1, 2, 3]]
    assert grown(made("whitespace", "t", "p"), openfoam, []) == [[0.5, 1e5]]


def test_objects_of_arrays_arrays_of_arrays_and_plain_numbers_are_tables_too():
    assert grown(made("json"), b'{"t": [1, 2], "v": [3, NaN]}', [4, 9]) == [[1, 3], [2, None]]
    assert grown(made("json"), b"[[1, 2], [3, 4]]", [5]) == [[1, 2], [3, 4]]
    assert grown(made("json"), b"[1, 2]\n[3, 4]\n", [5]) == [[1, 2], [3, 4]]
    assert grown(made("json"), b"1.5\n2", [2, 3]) == [[1.5], [2]]
    assert grown(made("json"), b'{"a": 1}\noops {\n{"a": "\xc3\xa9\\u00e9"}\n', []) == [[1], ["éé"]]


@pytest.mark.parametrize(
    ("file", "format_"),
    [("a.csv", "csv"), ("A.JSON", "json"), ("x/a.jsonl", "json"), ("a.dat", "whitespace"), ("log", "whitespace")],
)
def test_the_format_follows_from_the_ending(file: str, format_: str):
    assert format_of(DataSeries(name="s", file=file)) == format_
