"""What is alike and what differs between the outputs of two jobs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from gateway.model.job import Answer

Status = Literal["same", "close", "different", "unknown", "only_first", "only_second"]
_BETWEEN = re.compile(r"[\s,;()\[\]]+")


class FileComparison(Answer):
    """One output of two jobs.

    Attributes
    ----------
    status
        ``same``: size and digest; ``close``: text with numbers within the tolerance; ``unknown``: nobody can say.
    detail
        What differs, in one sentence.
    deviation
        The largest relative difference of two numbers, where numbers were compared.
    """

    path: str
    status: Status
    sizes: tuple[int | None, int | None] = (None, None)
    digests: tuple[str | None, str | None] = (None, None)
    detail: str | None = None
    deviation: float | None = None


class Comparison(Answer):
    """The outputs of two jobs. `alike`: nothing differs, nothing is in one only."""

    first: str
    second: str
    alike: bool
    rtol: float | None = None
    atol: float | None = None
    ignored: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    files: list[FileComparison] = Field(default_factory=list)


@dataclass(frozen=True)
class Tolerance:
    """How far two numbers may lie apart: relative to the larger, or absolute."""

    rtol: float = 0.0
    atol: float = 0.0


@dataclass(frozen=True)
class Numbers:
    """How two texts compare number by number; `problem` is None where they are close."""

    problem: str | None
    deviation: float | None = None


def compare_numbers(first: bytes, second: bytes, tolerance: Tolerance) -> Numbers:
    """Compare two tables (CSV, columns between spaces): words must be the same, numbers close."""
    if b"\0" in first or b"\0" in second:
        return Numbers("the bytes differ, and they are no text")
    try:
        lines = first.decode().splitlines(), second.decode().splitlines()
    except UnicodeDecodeError:
        return Numbers("the bytes differ, and they are no text")
    if len(lines[0]) != len(lines[1]):
        return Numbers(f"{len(lines[0])} lines, and {len(lines[1])}")
    largest, problem = 0.0, None
    for number, (one, other) in enumerate(zip(*lines, strict=True), 1):
        if one == other:
            continue
        words = _BETWEEN.split(one.strip()), _BETWEEN.split(other.strip())
        if len(words[0]) != len(words[1]):
            return Numbers(f"line {number} has {len(words[0])} words, and {len(words[1])}")
        for left, right in zip(*words, strict=True):
            apart = _apart(left, right)
            if apart is None:
                return Numbers(f"line {number}: {left[:40]!r}, and {right[:40]!r}")
            largest = max(largest, apart)
            close = left == right or math.isclose(
                float(left), float(right), rel_tol=tolerance.rtol, abs_tol=tolerance.atol
            )
            if not close and apart != 0 and problem is None:
                problem = f"line {number}: {left[:40]}, and {right[:40]}"
    return Numbers(problem, largest)


def _apart(left: str, right: str) -> float | None:
    """Return the relative difference of two numbers; None where a word that is no number differs."""
    if left == right:
        return 0.0
    try:
        one, other = float(left), float(right)
    except ValueError:
        return None
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    if not math.isfinite(one) or not math.isfinite(other):
        return None
    return abs(one - other) / max(abs(one), abs(other))


def summed(
    first: str, second: str, files: Iterable[FileComparison], tolerance: Tolerance | None, ignored: int
) -> Comparison:
    """Return the whole comparison: what differs first."""
    rows = sorted(files, key=lambda item: (item.status in ("same", "close"), item.path))
    counts: dict[str, int] = {}
    for item in rows:
        counts[item.status] = counts.get(item.status, 0) + 1
    return Comparison(
        first=first,
        second=second,
        alike=all(item.status in ("same", "close") for item in rows),
        rtol=None if tolerance is None else tolerance.rtol,
        atol=None if tolerance is None else tolerance.atol,
        ignored=ignored,
        counts=counts,
        files=rows,
    )
