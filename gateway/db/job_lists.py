"""Lists of jobs: what they are narrowed to, their order, and pages that stay right while rows come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, literal, or_, select, tuple_

from gateway.db.tables import jobs
from gateway.model.states import State

LIST_COLUMNS = [column for column in jobs.c if column.name not in {"spec", "request"}]

Value = datetime | str | int
"""What a list can be sorted by."""

_SORTED_BY = ("created_at", "started_at", "ended_at", "name", "state", "target", "case", "sweep_index")
SORTS = tuple(sign + name for name in _SORTED_BY for sign in ("-", ""))
"""The names of all orders; ``-`` is downwards."""


@dataclass(frozen=True)
class JobFilter:
    """What a list of jobs is narrowed to.

    Attributes
    ----------
    owner
        None for everybody's.
    text
        A part of the name or the notes, or the beginning of the id; small and capital letters are alike.
    tag
        Name and value; None for any value.
    created_after, created_before, ended_after, ended_before
        At this moment or after it; before this moment.
    """

    states: tuple[State, ...] = ()
    target: str | None = None
    owner: str | None = None
    text: str | None = None
    tag: tuple[str, str | None] | None = None
    case: str | None = None
    sweep: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    ended_after: datetime | None = None
    ended_before: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return SQL conditions."""
        found: list[ColumnElement[bool]] = []
        if self.states:
            found.append(jobs.c.state.in_([str(state) for state in self.states]))
        for name in ("target", "owner", "case", "sweep"):
            if (value := getattr(self, name)) is not None:
                found.append(jobs.c[name] == value)
        if self.text:
            found.append(
                or_(
                    jobs.c.name.icontains(self.text, autoescape=True),
                    jobs.c.notes.icontains(self.text, autoescape=True),
                    jobs.c.id.startswith(self.text.lower(), autoescape=True),
                )
            )
        if self.tag is not None:
            name, value = self.tag
            tagged = jobs.c.tags[name].as_string()
            found.append(tagged.is_not(None) if value is None else tagged == value)
        for name in ("created", "ended"):
            column = jobs.c[f"{name}_at"]
            if (since := getattr(self, f"{name}_after")) is not None:
                found.append(column >= since)
            if (until := getattr(self, f"{name}_before")) is not None:
                found.append(column < until)
        return found


@dataclass(frozen=True)
class Sort:
    """The order of a list: by one column, then by creation and id, all in one direction.

    Jobs that have nothing in the column come last, either way.
    """

    column: str = "created_at"
    descending: bool = True

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read one of `SORTS`."""
        if name not in SORTS:
            raise ValueError(f"{name!r} is not an order of jobs")
        return cls(name.removeprefix("-"), name.startswith("-"))

    def __str__(self) -> str:
        return "-" * self.descending + self.column


NEWEST_FIRST = Sort()


@dataclass(frozen=True)
class PlaceInList:
    """Where a page ended: the last row's value of the sorted column, its creation and its id."""

    value: Value | None
    created_at: datetime
    id: str


def page(
    connection: Connection,
    job_filter: JobFilter,
    *,
    limit: int,
    sort: Sort = NEWEST_FIRST,
    after: PlaceInList | None = None,
) -> list[RowMapping]:
    """Return a page of jobs without `spec` and `request`; `after` is where the page before ended.

    Two queries where the column may be empty: one of the jobs that have it, one of those that have not. So each
    follows an index, and every database puts the empty ones in the same place.
    """
    column = jobs.c[sort.column]
    rows: list[RowMapping] = []
    if after is None or after.value is not None:
        rows = _rows(connection, job_filter, sort, column, limit=limit, after=after)
        after = None
    if column.nullable and len(rows) < limit:
        rows += _rows(connection, job_filter, sort, None, limit=limit - len(rows), after=after)
    return rows


def _rows(
    connection: Connection,
    job_filter: JobFilter,
    sort: Sort,
    column: Column[Any] | None,
    *,
    limit: int,
    after: PlaceInList | None,
) -> list[RowMapping]:
    """Return rows that have `column`, or with None those that have nothing in the sorted one."""
    conditions = job_filter.conditions()
    keys: dict[Column[Any], Value | None] = {jobs.c.created_at: None, jobs.c.id: None}
    if column is None:
        conditions.append(jobs.c[sort.column].is_(None))
    else:
        keys = {column: None, **keys}
        if column.nullable:
            conditions.append(column.is_not(None))
    if after is not None:
        keys |= {jobs.c.created_at: after.created_at, jobs.c.id: after.id}
        if column is not None and column is not jobs.c.created_at:
            keys[column] = after.value
        last = tuple_(*(literal(value, key.type) for key, value in keys.items()))
        conditions.append(tuple_(*keys) < last if sort.descending else tuple_(*keys) > last)
    order = [key.desc() if sort.descending else key.asc() for key in keys]
    query = select(*LIST_COLUMNS).where(*conditions).order_by(*order).limit(limit)
    return list(connection.execute(query).mappings())
