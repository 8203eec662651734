"""Parsing of server-sent events. Pure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping

from gateway.model.job import Event


def read_events(lines: Iterable[str], job_id: str | None = None) -> Iterator[Event]:
    """Yield the events of a stream.

    Comments (heartbeats), events that are not the gateway's, and one that the end of the stream cut off are
    passed over.
    """
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data" and "data" in fields:
                fields["data"] += "\n" + value
            elif name:
                fields[name] = value
            continue
        if "data" in fields:
            with contextlib.suppress(ValueError, TypeError):
                yield _event(fields, job_id)
        fields = {}


def _event(fields: Mapping[str, str], job_id: str | None) -> Event:
    data = json.loads(fields["data"])
    if not isinstance(data, dict):
        raise TypeError("an event's data is an object")
    if "sequence" in data and "kind" in data:
        return Event.model_validate(data)
    return Event.model_validate(
        {
            "sequence": int(fields.get("id", "0")),
            "kind": fields.get("event", "message"),
            "at": data.pop("at", "1970-01-01T00:00:00Z"),
            "job_id": data.pop("job_id", job_id),
            "data": data,
        }
    )
