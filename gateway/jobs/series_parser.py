"""Reads tables piece by piece while they grow: CSV, columns between blanks, JSON lines and JSON arrays. Pure.

Whatever a payload writes is taken: a line that means nothing is passed over, a torn last one waits for its rest.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Sequence
from typing import Any, Protocol

from gateway.model.series import Cell
from gateway.model.specification import DataSeries

LONGEST = 1024 * 1024
"""Bytes of one line or JSON value; a longer one is passed over."""
MAX_COLUMNS = 1000
_INTEGER = re.compile(r"[-+]?\d{1,15}\Z", re.ASCII)
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eEdD][-+]?\d+)?\Z", re.ASCII)
_NOTHING = re.compile(r"([-+]?(nan|inf|infinity)|na|null|none|n/a)?\Z", re.IGNORECASE)
_TEXT = 200
_DELIMITERS = frozenset(" \t\r\n,]")


class Parser(Protocol):
    """Takes the bytes of a file in order.

    Attributes
    ----------
    names
        The file's own names of its columns; None as long as it has told none.
    """

    names: tuple[str, ...] | None

    def feed(self, data: bytes, *, last: bool = False) -> tuple[list[list[Cell]], int]:
        """Return the rows in `data`, and how many of its bytes are used up.

        The rest is to be fed again, with what follows it. `last`: nothing follows.
        """
        ...


def format_of(series: DataSeries) -> str:
    """Return the format of a series: as given, or by the file's ending."""
    if series.format is not None:
        return series.format
    ending = series.file.lower().rpartition(".")[2]
    return {"csv": "csv", "json": "json", "jsonl": "json", "ndjson": "json"}.get(ending, "whitespace")


def parser_for(series: DataSeries) -> Parser:
    """Return a parser at a file's beginning."""
    wanted = tuple(column.name for column in series.columns)
    return JsonParser(wanted) if format_of(series) == "json" else LineParser(wanted, csv_=format_of(series) == "csv")


def read_cell(text: str) -> Cell:
    """Return a cell: a number where it is one, None for what is no value, else the text."""
    text = text.strip()
    if _INTEGER.match(text):
        return int(text)
    if len(text) <= 64 and _NUMBER.match(text):
        value = float(text.replace("d", "e").replace("D", "e"))
        return value if math.isfinite(value) else None
    return None if _NOTHING.match(text) else text[:_TEXT]


class LineParser:
    """A table with a row a line. The first line may hold the names; a line that begins with ``#`` may, too."""

    def __init__(self, wanted: Sequence[str], *, csv_: bool) -> None:
        self.wanted = tuple(wanted)
        self.names: tuple[str, ...] | None = None
        self._csv = csv_
        self._separator = ""
        self._begun = False
        self._said: list[str] | None = None
        self._places: list[int | None] | None = None

    def feed(self, data: bytes, *, last: bool = False) -> tuple[list[list[Cell]], int]:
        """See `Parser`."""
        used = len(data) if last else data.rfind(b"\n") + 1
        if not used and len(data) > LONGEST:
            return [], len(data)
        rows = []
        for line in data[:used].decode("utf-8", "replace").split("\n"):
            row = self._line(line.strip("\r\ufeff\0 "))
            if row is not None:
                rows.append(row)
        return rows, used

    def _line(self, line: str) -> list[Cell] | None:
        if not line or len(line) > LONGEST:
            return None
        if line[0] in "#%":
            if not self._begun:
                self._said = self._cells(line.lstrip("#% \t"))
            return None
        cells = self._cells(line)
        if not self._begun:
            self._begun = True
            said = self._said if self._said and len(self._said) == len(cells) else None
            named = said is not None and any(name in said for name in self.wanted)
            if not named and any(isinstance(read_cell(cell), str) for cell in cells):
                self._head(cells)
                return None
            self._head(said)
        values = [read_cell(cell) for cell in cells]
        if self._places is None:
            return values[: len(self.wanted)] + [None] * (len(self.wanted) - len(values)) if self.wanted else values
        return [values[place] if place is not None and place < len(values) else None for place in self._places]

    def _head(self, names: list[str] | None) -> None:
        """Learn where the wanted columns stand; without names they stand in their own order."""
        if names is None:
            return
        names = [name.strip() or str(number) for number, name in enumerate(names, 1)]
        self.names = tuple(names)
        if not self.wanted:
            self._places = list(range(len(names)))
        elif any(name in names for name in self.wanted):
            self._places = [names.index(name) if name in names else None for name in self.wanted]

    def _cells(self, line: str) -> list[str]:
        if not self._csv:
            return line.replace("(", " ").replace(")", " ").split()[:MAX_COLUMNS]
        if not self._separator:
            self._separator = max(",;\t", key=line.count)
        try:
            return next(csv.reader([line], delimiter=self._separator, skipinitialspace=True))[:MAX_COLUMNS]
        except (csv.Error, StopIteration):
            return line.split(self._separator)[:MAX_COLUMNS]


class JsonParser:
    """JSON values one after the other (JSON lines), or in one array. A row is an object, an array or a number.

    An object of arrays is a table by columns.
    """

    def __init__(self, wanted: Sequence[str]) -> None:
        self.wanted = tuple(wanted)
        self.names: tuple[str, ...] | None = None
        self._decoder = json.JSONDecoder(parse_constant=lambda _: None, parse_int=_whole, parse_float=_decimal)
        self._begun = False
        self._keys: list[str] = []

    def feed(self, data: bytes, *, last: bool = False) -> tuple[list[list[Cell]], int]:
        """See `Parser`."""
        text = data.decode("utf-8", "surrogateescape")
        rows: list[list[Cell]] = []
        place = 0
        while True:
            start = _skip(text, place, " \t\r\n,")
            if start < len(text) and not self._begun:
                inner = self._opening(text, start, last=last)
                if inner is None:
                    break
                self._begun, start = True, inner
                place = inner
                continue
            if start >= len(text) or text[start] == "]":
                break
            taken = self._value(text, start, last=last)
            if taken is None:
                break
            found, end = taken
            rows += found
            place = end
        return rows, len(text[:place].encode("utf-8", "surrogateescape"))

    def _value(self, text: str, start: int, *, last: bool) -> tuple[list[list[Cell]], int] | None:
        """Return the rows of the value at `start`, and its end; None where it may go on in what follows."""
        try:
            value, end = self._decoder.raw_decode(text, start)
            rows = self._rows(value)
        except json.JSONDecodeError as error:
            end_of_line = self._beyond(text, start, error, last=last)
            return None if end_of_line is None else ([], end_of_line)
        except RecursionError:
            return [], _line_end(text, start)
        if text[start] in "{[" or text[end : end + 1] in _DELIMITERS or (last and end == len(text)):
            return rows, end
        if not last and len(text) - end < 16:
            return None  # a number that may go on
        return [], _line_end(text, start)

    @staticmethod
    def _opening(text: str, start: int, *, last: bool) -> int | None:
        """Return where the values begin: inside of an array of rows, else at its start; None: not known yet."""
        if text[start] != "[":
            return start
        inner = _skip(text, start + 1, " \t\r\n")
        if inner >= len(text):
            return start if last else None
        return inner if text[inner] in "{[]" else start

    @staticmethod
    def _beyond(text: str, start: int, error: json.JSONDecodeError, *, last: bool) -> int | None:
        """Return where to go on after what is no JSON; None where it may only be torn."""
        torn = error.pos >= len(text) - 16 or error.msg.startswith("Unterminated")
        if torn and not last and len(text) - start <= LONGEST:
            return None
        return _line_end(text, start)

    def _rows(self, value: Any) -> list[list[Cell]]:
        if isinstance(value, dict):
            if not self.wanted and self.names is None:
                self._keys = list(value)[:MAX_COLUMNS]
                self.names = tuple(map(_clean, self._keys))
            self.names = self.names or self.wanted
            columns = [value.get(key) for key in (self.wanted or self._keys)]
            if columns and all(isinstance(column, list) for column in columns):
                return [list(map(_cell, row)) for row in zip(*columns, strict=False)]
            return [[_cell(item) for item in columns]]
        if isinstance(value, list):
            cells = [_cell(item) for item in value[:MAX_COLUMNS]]
            if self.wanted:
                cells = cells[: len(self.wanted)] + [None] * (len(self.wanted) - len(cells))
            return [cells]
        return [[_cell(value)]] if isinstance(value, int | float) and not isinstance(value, bool) else []


def _skip(text: str, place: int, characters: str) -> int:
    while place < len(text) and text[place] in characters:
        place += 1
    return place


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end + 1


def _whole(text: str) -> int | float | None:
    return int(text) if len(text) <= 16 else _decimal(text)


def _decimal(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _clean(text: object) -> str:
    """Return a text that every JSON can carry."""
    return str(text)[:_TEXT].encode("utf-8", "replace").decode("utf-8")


def _cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    return _clean(value) if isinstance(value, str) else None
