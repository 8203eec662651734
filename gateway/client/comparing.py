"""Comparing the outputs of two jobs, and running a job again to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.client import calls, downloads, uploads
from gateway.client.flow import Emit, Flow, work
from gateway.client.tree import matches
from gateway.errors import Conflict
from gateway.model.comparison import Comparison, FileComparison, Tolerance, compare_numbers, summed
from gateway.model.job import Job, OutputFile
from gateway.model.states import ENDED

LARGEST_TEXT = 64 * 1024 * 1024
"""Bytes of a file whose numbers are compared."""


@dataclass(frozen=True)
class How:
    """How outputs are compared.

    Attributes
    ----------
    tolerance
        None: only sizes and digests count.
    ignore
        Patterns of paths that are left out.
    """

    tolerance: Tolerance | None = None
    ignore: tuple[str, ...] = ()
    prefix: str = ""
    store: str | None = None


def how(
    rtol: float | None, atol: float | None, ignore: Sequence[str] = (), prefix: str = "", store: str | None = None
) -> How:
    """Return how to compare; a tolerance where one of the two is given."""
    given = rtol is not None or atol is not None
    return How(Tolerance(rtol or 0.0, atol or 0.0) if given else None, tuple(ignore), prefix, store)


def compare(first: str, second: str, wanted: How) -> Flow[Comparison]:
    """Compare the outputs of two jobs; emit each `FileComparison` as it is known."""
    left, some = yield from _listed(first, wanted)
    right, more = yield from _listed(second, wanted)
    found = []
    for path in sorted({*left, *right}):
        item = yield from _compare(path, left.get(path), right.get(path), wanted.tolerance)
        yield Emit(item)
        found.append(item)
    return summed(first, second, found, wanted.tolerance, len(some | more))


def _listed(job_id: str, wanted: How) -> Flow[tuple[dict[str, OutputFile], set[str]]]:
    """Return the outputs of a job by path, and the paths that are ignored."""
    files = (yield from calls.outputs(job_id, wanted.prefix, "", wanted.store)).files
    ignored = {file.path for file in files if any(matches(pattern, file.path) for pattern in wanted.ignore)}
    return {file.path: file for file in files if file.path not in ignored}, ignored


def _compare(
    path: str, left: OutputFile | None, right: OutputFile | None, tolerance: Tolerance | None
) -> Flow[FileComparison]:
    sizes = (left.size if left else None, right.size if right else None)
    digests = (left.digest if left else None, right.digest if right else None)
    known: dict[str, Any] = {"path": path, "sizes": sizes, "digests": digests}
    if left is None or right is None:
        return FileComparison(**known, status="only_second" if left is None else "only_first")
    if left.size == right.size and left.digest is not None and left.digest == right.digest:
        return FileComparison(**known, status="same")
    large = max(left.size, right.size) > LARGEST_TEXT
    certain = left.size != right.size or None not in digests
    if large or (tolerance is None and certain):
        status = "different" if certain else "unknown"
        return FileComparison(**known, status=status, detail=_sizes(left, right) if certain else "it has no digest")
    one, other = (yield from downloads.content(left)), (yield from downloads.content(right))
    if one == other:
        return FileComparison(**known, status="same")
    if tolerance is None:
        return FileComparison(**known, status="different", detail=_sizes(left, right))
    numbers = yield from work(partial(compare_numbers, one, other, tolerance))
    status = "close" if numbers.problem is None else "different"
    return FileComparison(**known, status=status, detail=numbers.problem, deviation=numbers.deviation)


def _sizes(left: OutputFile, right: OutputFile) -> str:
    if left.size != right.size:
        return f"{left.size} bytes, and {right.size}"
    return "the bytes differ"


def check_ended(job: Job) -> None:
    """Raise `Conflict` where a job has not ended: what it leaves is not known yet."""
    if job.state not in ENDED:
        raise Conflict(f"the job {job.id[:8]} has not ended: it is {job.state}")


def reproduce(
    job_id: str, changes: Mapping[str, Any], wanted: How, timeout: float | None
) -> Flow[tuple[Job, Comparison]]:
    """Run a job again, wait for its end, and compare; emit the job whenever it was looked at.

    Raises
    ------
    TimeoutError
    """
    check_ended((yield from calls.job(job_id)))
    again = yield from uploads.rerun(job_id, changes)
    ended = yield from calls.wait(again.id, timeout)
    return ended, (yield from compare(job_id, ended.id, wanted))
