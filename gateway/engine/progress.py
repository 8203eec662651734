"""How far payloads are: what scripts report (docs/job-folder.md), with the range that the specification gives."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.compute.records import RecordUpdate
from gateway.db import events, jobs, specifications
from gateway.model.specification import ProgressRule

_NUMBER = re.compile(r"[-+]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][-+]?\d{1,3})?\Z", re.ASCII)


def read_value(reported: object) -> float | None:
    """Return a reported value as a number; None for whatever is no finite number."""
    if not isinstance(reported, str) or not _NUMBER.match(reported):
        return None
    value = float(reported)
    return value if math.isfinite(value) else None


def last_value(lines: Iterable[dict[str, Any]]) -> float | None:
    """Return the last value that new lines of status.jsonl report."""
    values = [read_value(line.get("value")) for line in lines if line.get("phase") == "progress"]
    return next((value for value in reversed(values) if value is not None), None)


def shown(value: float, rule: ProgressRule) -> dict[str, Any]:
    """Return a job's progress as it is stored and shown."""
    return {"value": value, "min": rule.min, "max": rule.max, "unit": rule.unit}


def note(connection: Connection, row: RowMapping, update: RecordUpdate) -> None:
    """Write what a tick found, with one event where it changed.

    A script reports every three seconds at most, and a tick takes the last of its reports: so there are not more
    events than that, however fast the payload goes.
    """
    value = last_value(update.status_lines)
    if value is None or (row["progress"] or {}).get("value") == value:
        return
    rule = specifications.part(connection, row["id"], "progress")
    if rule is None:
        return
    progress = shown(value, ProgressRule.model_validate(rule))
    jobs.set_columns(connection, row["id"], progress=progress)
    events.append(connection, row["id"], row["owner"], "progress", progress, at=jobs.now())
