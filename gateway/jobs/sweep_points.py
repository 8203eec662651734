"""The points of a sweep: from a grid or table to specifications, and mistakes back to their places. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import FieldError, InvalidRequest
from gateway.jobs.pointers import pointer
from gateway.model.states import ENDED, State
from gateway.model.sweep import MAX_POINTS, SweepRequest, SweepState

Part = str | int


@dataclass(frozen=True)
class Point:
    """One point: its values by key, and where each stands in the request."""

    values: Mapping[str, Any]
    places: Mapping[str, tuple[Part, ...]]


def points_of(request: SweepRequest) -> list[Point]:
    """Return all points; the last key of a grid changes fastest.

    Raises
    ------
    InvalidRequest
        There are more than `MAX_POINTS`: found by counting, before any is made.
    """
    if request.table is not None:
        return [Point(row, {key: ("table", n, key) for key in row}) for n, row in enumerate(request.table)]
    grid = request.grid or {}
    count = math.prod(len(values) for values in grid.values())
    if count > MAX_POINTS:
        raise InvalidRequest([FieldError("#/grid", f"has {count} points: at most {MAX_POINTS} are possible")])
    axes = [[(key, number, value) for number, value in enumerate(values)] for key, values in grid.items()]
    return [
        Point({key: value for key, _, value in taken}, {key: ("grid", key, number) for key, number, _ in taken})
        for taken in itertools.product(*axes)
    ]


def parameters_of(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys of all points, in the order in which they come first."""
    return list(dict.fromkeys(key for values in points for key in values))


def target_of(key: str) -> tuple[str, ...]:
    """Return where in a specification a key's value goes: below ``values``, or where its JSON pointer leads."""
    if not key.startswith("/"):
        return ("values", key)
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in key[1:].split("/"))


class NoPlace(ValueError):
    """A pointer leads nowhere; the text says why."""


def specification_at(job: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the specification of a point. `job` and what it holds are not changed.

    Raises
    ------
    NoPlace
        A key leads nowhere in `job`; its first argument is the key.
    """
    made: dict[str, Any] = dict(job)
    for key, value in values.items():
        try:
            made = _with(made, target_of(key), value)
        except NoPlace as error:
            raise NoPlace(key, str(error)) from None
    return made


def _with(here: Any, parts: Sequence[str], value: Any) -> Any:
    """Return `here` with `value` at a place, copying only what lies on the way."""
    if not parts:
        return value
    first, rest = parts[0], parts[1:]
    if isinstance(here, list):
        if not first.isascii() or not first.isdigit() or len(first) > 6 or int(first) >= len(here):
            raise NoPlace(f"leads nowhere: the list has {len(here)} items, and no item {first[:40]!a}")
        number = int(first)
        return [*here[:number], _with(here[number], rest, value), *here[number + 1 :]]
    if here is None or isinstance(here, dict):
        held = here or {}
        return {**held, first: _with(held.get(first), rest, value)}
    raise NoPlace(f"leads nowhere: {first[:40]!a} is looked for in what is no object")


def mistakes_at(point: Point, errors: Sequence[FieldError]) -> Iterator[FieldError]:
    """Put each mistake of a point's specification where it comes from: a value of the sweep, or the job's own field."""
    origins = {pointer(target_of(key)): pointer(place) for key, place in point.places.items()}
    for error in errors:
        found = [at for at in origins if error.pointer == at or error.pointer.startswith(at + "/")]
        if found:
            yield FieldError(origins[max(found, key=len)], error.detail)
        else:
            yield FieldError("#/job" + error.pointer[1:], error.detail)


def state_of_sweep(counts: Mapping[str, int]) -> SweepState:
    """Return what has become of a sweep with so many jobs in each state."""
    present = {State(state): count for state, count in counts.items() if count}
    if not present:
        return SweepState.EMPTY
    if present.keys() <= {State.ACCEPTED, State.DRAFT}:
        return SweepState.ACCEPTED
    if not present.keys() <= ENDED:
        return SweepState.RUNNING
    failed = present.keys() & {State.FAILED, State.LOST}
    if State.SUCCEEDED in present:
        return SweepState.PARTLY_FAILED if failed else _cancelled_or(present, SweepState.SUCCEEDED)
    return SweepState.FAILED if failed else SweepState.CANCELLED


def _cancelled_or(present: Mapping[State, int], otherwise: SweepState) -> SweepState:
    return SweepState.CANCELLED if State.CANCELLED in present else otherwise


def partly_failed(counts: Mapping[str, int]) -> bool:
    """Say whether some jobs failed or were lost while others did not."""
    failed = counts.get(State.FAILED, 0) + counts.get(State.LOST, 0)
    return 0 < failed < sum(counts.values())
