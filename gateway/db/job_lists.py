"""Lists of jobs: what they are narrowed to, their order, and pages that stay right while rows come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Any, Self

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, func, literal, or_, select, tuple_, union_all

from gateway.db.columns import Moment
from gateway.db.tables import jobs
from gateway.model.states import State

FIRST_STEP, LONGEST_STEP = 250, 2000
"""Jobs that a search looks at before it counts what it found, and looks at the clock."""
BRANCHES = 64
"""Lists that are put together into one at most, where an index has each of them in order."""
LIST_COLUMNS = [column for column in jobs.c if column.name not in {"spec", "request"}]

Value = datetime | str | int
"""What a list can be sorted by."""

_SORTED_BY = ("created_at", "started_at", "ended_at", "name", "state", "target", "case", "sweep_index")
SORTS = tuple(sign + name for name in _SORTED_BY for sign in ("-", ""))
"""The names of all orders; ``-`` is downwards."""


NO_SWEEP = "none"


@dataclass(frozen=True)
class JobFilter:
    """What a list of jobs is narrowed to.

    Attributes
    ----------
    owner
        None for everybody's.
    sweep
        A sweep's id; `NO_SWEEP` for the jobs that belong to none.
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

    @property
    def in_one_sweep(self) -> bool:
        """Whether only the jobs of one sweep are wanted."""
        return self.sweep is not None and self.sweep != NO_SWEEP

    def conditions(self, *, aside: bool = False) -> list[ColumnElement[bool]]:
        """Return SQL conditions; with `aside` no index of the columns that they compare is of use for them."""
        found: list[ColumnElement[bool]] = []

        def of(name: str, apart: bool = aside) -> ColumnElement[str]:
            return jobs.c[name].concat("") if apart else jobs.c[name]

        if self.states:
            found.append(of("state").in_([str(state) for state in self.states]))
        for name in ("target", "case"):
            if (value := getattr(self, name)) is not None:
                found.append(of(name) == value)
        if self.sweep is not None:
            found.append(jobs.c.sweep.is_(None) if self.sweep == NO_SWEEP else of("sweep") == self.sweep)
        if self.owner is not None:  # with a sweep its own index is the one to follow
            found.append(of("owner", aside or self.in_one_sweep) == self.owner)
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
        return [*found, *self._between("created", aside), *self._between("ended", aside)]

    def _between(self, name: str, aside: bool) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        column: ColumnElement[datetime] = jobs.c[f"{name}_at"]
        if aside:  # moments are numbers in the database
            column = func.abs(column, type_=Moment())
        if (since := getattr(self, f"{name}_after")) is not None:
            found.append(column >= since)
        if (until := getattr(self, f"{name}_before")) is not None:
            found.append(column < until)
        return found

    def without(self, *names: str) -> JobFilter:
        """Return the filter without some of what narrows it."""
        nothing: dict[str, Any] = {name: () if name == "states" else None for name in names}
        return replace(self, **nothing)

    def by_index(self, sort: Sort) -> JobFilter:
        """Return the part of the filter that an index has together with the order: the rest has to be searched."""
        if self.in_one_sweep:  # there are not many jobs in one
            return self
        kept = {"owner"}
        for name in ("states", "target", "case"):
            column = {"states": "state"}.get(name, name)
            if getattr(self, name) and sort.column in ("created_at", column):
                kept.add(name)
                break
        for name in ("created", "ended"):
            if sort.column == f"{name}_at":
                kept |= {f"{name}_after", f"{name}_before"}
        rest = [name for name in JobFilter.__dataclass_fields__ if name not in kept]
        found = self.without(*rest)
        if self.ended_before is not None and sort.column == "created_at":  # what has ended was created before
            until = min(self.ended_before, self.created_before or self.ended_before)
            found = replace(found, created_before=until)
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

    Where several states or everybody's jobs are asked for, an index has each state and owner in order, and the lists
    are merged. Two queries where the column may be empty: one of the jobs that have it, one of those that have not. So
    each follows an index, and every database puts the empty ones in the same place.
    """
    lists = []
    for branch in _branches(connection, job_filter, sort):
        indexed = branch.by_index(sort)
        aside = branch.conditions(aside=True) if indexed != branch else []
        lists.append([*indexed.conditions(), *aside])
    rows: list[RowMapping] = []
    for part, begin in _parts(sort, after):
        if len(rows) < limit:
            rows += part.rows(connection, lists, limit=limit - len(rows), after=begin)
    return rows


def search(
    connection: Connection,
    job_filter: JobFilter,
    *,
    limit: int,
    seconds: float,
    sort: Sort = NEWEST_FIRST,
    after: PlaceInList | None = None,
) -> tuple[list[RowMapping], PlaceInList | None]:
    """Return a page as `page` does, and where the next one begins; None at the end of the list.

    Where no index knows the answer, jobs are looked at in the order of the list, for about so many seconds: then the
    page is shorter than `limit`, or empty, and the list goes on behind it.
    """
    indexed = job_filter.by_index(sort)
    ordered = sort.column == "created_at" or job_filter.owner is not None
    if indexed != job_filter and len(indexed.states) > 1:
        indexed = indexed.without("states")
    if indexed == job_filter or not ordered:
        rows = page(connection, job_filter, limit=limit + 1, sort=sort, after=after)
        return rows[:limit], place_of(rows[limit - 1], sort) if len(rows) > limit else None
    deadline, step, searched = time.monotonic() + seconds, FIRST_STEP, job_filter.conditions(aside=True)
    rows = []
    for part, first in _parts(sort, after):
        begin = first
        while True:
            edge = part.edge(connection, indexed, step, begin)
            left = limit + 1 - len(rows)
            rows += part.rows(connection, [[*indexed.conditions(), *searched]], limit=left, after=begin, until=edge)
            if len(rows) > limit:
                return rows[:limit], place_of(rows[limit - 1], sort)
            if edge is None:
                break
            if time.monotonic() >= deadline:
                return rows, edge
            begin, step = edge, min(2 * step, LONGEST_STEP)
    return rows, None


def place_of(row: RowMapping, sort: Sort) -> PlaceInList:
    """Return where a page ends whose last row is `row`."""
    return PlaceInList(row[sort.column], row["created_at"], row["id"])


def _parts(sort: Sort, after: PlaceInList | None) -> list[tuple[_Part, PlaceInList | None]]:
    """Return what is left of a list after a place: the jobs that have the sorted column, and those that have not."""
    column = jobs.c[sort.column]
    if after is not None and after.value is None:
        return [(_Part(sort, empty=True), after)]
    found: list[tuple[_Part, PlaceInList | None]] = [(_Part(sort), after)]
    return [*found, (_Part(sort, empty=True), None)] if column.nullable else found


def _branches(connection: Connection, job_filter: JobFilter, sort: Sort) -> list[JobFilter]:
    """Return filters that name one owner and one state each, so that an index has each list in its order."""
    if job_filter.in_one_sweep:
        return [job_filter]
    states = [(state,) for state in job_filter.states] if sort.column == "created_at" else [job_filter.states]
    owners: list[str | None] = [job_filter.owner]
    narrowed = job_filter.states or job_filter.target or job_filter.case
    if job_filter.owner is None and (narrowed or sort.column != "created_at"):
        owners = [*_owners(connection)]
    found = list(product(owners, states or [()]))
    if not 1 <= len(found) <= BRANCHES:
        return [job_filter]
    return [replace(job_filter, owner=owner, states=state) for owner, state in found]


def _owners(connection: Connection) -> Sequence[str]:
    """Return who has jobs, by one look into the index for each; not more than are of use."""
    found: list[str] = []
    query = select(func.min(jobs.c.owner))
    while len(found) <= BRANCHES:
        owner = connection.execute(query.where(jobs.c.owner > found[-1]) if found else query).scalar_one()
        if owner is None:
            break
        found.append(owner)
    return found


@dataclass(frozen=True)
class _Part:
    """The jobs that have something in the sorted column, or, with `empty`, those that have nothing there."""

    sort: Sort
    empty: bool = False

    def _keys(self, place: PlaceInList | None = None) -> dict[Column[Any], Value | None]:
        found: dict[Column[Any], Value | None] = {}
        if not self.empty:
            found[jobs.c[self.sort.column]] = None if place is None else place.value
        found[jobs.c.created_at] = None if place is None else place.created_at
        found[jobs.c.id] = None if place is None else place.id
        return found

    def _order(self, columns: Any) -> list[ColumnElement[Any]]:
        names = [key.name for key in self._keys()]
        return [columns[name].desc() if self.sort.descending else columns[name].asc() for name in names]

    def _between(self, after: PlaceInList | None, until: PlaceInList | None) -> list[ColumnElement[bool]]:
        column, found = jobs.c[self.sort.column], list[ColumnElement[bool]]()
        if self.empty:
            found.append(column.is_(None))
        elif column.nullable:
            found.append(column.is_not(None))
        keys = tuple_(*self._keys())
        if after is not None:
            found.append(keys < self._place(after) if self.sort.descending else keys > self._place(after))
        if until is not None:
            found.append(keys >= self._place(until) if self.sort.descending else keys <= self._place(until))
        return found

    def _place(self, place: PlaceInList) -> Any:
        return tuple_(*(literal(value, key.type) for key, value in self._keys(place).items()))

    def rows(
        self,
        connection: Connection,
        lists: Sequence[Sequence[ColumnElement[bool]]],
        *,
        limit: int,
        after: PlaceInList | None,
        until: PlaceInList | None = None,
    ) -> list[RowMapping]:
        """Return rows that all conditions of one of `lists` let through; `until` is the last one that counts."""
        between = self._between(after, until)
        queries = [
            select(*LIST_COLUMNS).where(*conditions, *between).order_by(*self._order(jobs.c)).limit(limit)
            for conditions in lists
        ]
        if len(queries) == 1:
            return list(connection.execute(queries[0]).mappings())
        whole = union_all(*(select(query.subquery()) for query in queries)).subquery()
        query = select(whole).order_by(*self._order(whole.c)).limit(limit)
        return list(connection.execute(query).mappings())

    def edge(
        self, connection: Connection, job_filter: JobFilter, step: int, after: PlaceInList | None
    ) -> PlaceInList | None:
        """Return the place `step` rows further on, None where there are fewer."""
        columns = [jobs.c[self.sort.column], jobs.c.created_at, jobs.c.id]
        query = (
            select(*dict.fromkeys(columns))
            .where(*job_filter.conditions(), *self._between(after, None))
            .order_by(*self._order(jobs.c))
            .offset(step - 1)
            .limit(1)
        )
        found = connection.execute(query).mappings().one_or_none()
        return None if found is None else place_of(found, self.sort)
