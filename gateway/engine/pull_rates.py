"""How fast a target's jobs got images from mirrors, by what their scripts report: mirrors are ordered by it."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.compute.records import RecordUpdate
from gateway.db import events, images, specifications
from gateway.images.health import host_of

LEAST_SECONDS, LEAST_BYTES = 0.5, 1024 * 1024
"""Less than this tells nothing of a mirror."""
FASTEST = 1e12
"""Bytes a second that are believed."""


@dataclass(frozen=True)
class Point:
    """How far a pull was, by the node's own clock."""

    at: datetime
    bytes: int
    host: str | None


def points_of(reports: Iterable[Mapping[str, Any]]) -> list[Point]:
    """Return the reports that can be read; they come from where people's code runs. Pure."""
    found = []
    for report in reports:
        at, count, source = report.get("at"), report.get("bytes"), report.get("source")
        if not isinstance(at, str) or not isinstance(count, int) or isinstance(count, bool) or count < 0:
            continue
        try:
            moment = datetime.fromisoformat(at[:26].rstrip("Z"))
        except ValueError:
            continue
        found.append(Point(moment.replace(tzinfo=None), count, host_of(source) if isinstance(source, str) else None))
    return found


def rates_of(points: Iterable[Point]) -> dict[str, float]:
    """Return bytes a second by host. The last report of a pull names no host: it counts for the one before. Pure."""
    ordered = sorted(points, key=lambda point: (point.at, point.bytes))
    seconds: defaultdict[str, float] = defaultdict(float)
    counts: defaultdict[str, int] = defaultdict(int)
    for before, after in itertools.pairwise(ordered):
        host = after.host or before.host
        if host is not None and after.bytes > before.bytes:
            seconds[host] += (after.at - before.at).total_seconds()
            counts[host] += after.bytes - before.bytes
    return {
        host: min(counts[host] / seconds[host], FASTEST)
        for host in seconds
        if seconds[host] >= LEAST_SECONDS and counts[host] >= LEAST_BYTES
    }


def note(connection: Connection, row: RowMapping, update: RecordUpdate) -> None:
    """Write down what a pull that has just ended tells of the mirrors it used."""
    lines = update.status_lines
    if not any(line.get("phase") == "pulled" and line.get("cached") is False for line in lines):
        return
    image = specifications.part(connection, row["id"], "image") or {}
    mirrors = {host_of(str(url)) for url in (image.get("ref"), *image.get("mirrors", ()))}
    before = [event["data"] for event in events.of_kind(connection, row["id"], "pull")]
    now = [line for line in lines if line.get("phase") in ("pulling", "pulled")]
    for host, rate in rates_of(points_of([*before, *now])).items():
        if host in mirrors:  # whatever else a script names is of no use, or forged
            images.note_rate(connection, row["target"], host[:255], rate)
