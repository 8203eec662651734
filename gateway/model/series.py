"""Data series of a job as they stand on the wire: tables that the payload writes and that grow while it runs."""

from __future__ import annotations

from pydantic import Field

from gateway.model.job import Answer

Cell = int | float | str | None
"""One value: a number where it is one; None where there is none (empty, NaN, infinite)."""


class SeriesColumnInfo(Answer):
    """A column, and how people read it."""

    name: str
    label: str | None = None
    unit: str | None = None


class SeriesInfo(Answer):
    """One data series of a job.

    Attributes
    ----------
    x
        The column of the horizontal axis.
    columns
        Empty where they are the file's own and it was not read yet.
    rows
        How many there were when it was last read; None before that.
    """

    name: str
    label: str | None = None
    file: str
    x: str | None = None
    columns: list[SeriesColumnInfo] = Field(default_factory=list)
    rows: int | None = None


class SeriesPage(Answer):
    """All data series of a job."""

    items: list[SeriesInfo]
    next_cursor: str | None = None


class SeriesRows(Answer):
    """Some rows of a data series.

    Attributes
    ----------
    next
        What to ask for as `after` next time.
    reset
        The file was written anew since `after`: forget the rows before, these are the first ones.
    ended
        There will be no further rows.
    """

    name: str
    columns: list[SeriesColumnInfo]
    rows: list[list[Cell]]
    next: int
    reset: bool = False
    ended: bool = False
