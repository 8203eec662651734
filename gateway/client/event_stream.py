"""Parsing of server-sent events. Pure."""

from __future__ import annotations

import codecs
import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.model.job import Event

MAX_LINE = 16 * 1024 * 1024
"""Characters of a line; a longer one is none of ours."""


@dataclass(frozen=True)
class Message:
    """A message of a stream whose data are a JSON object."""

    id: str | None
    event: str | None
    data: dict[str, Any]


class MessageReader:
    """Turns a stream, as it comes, into messages.

    Comments (heartbeats), messages whose data are no object, and one that the end of the stream cut off are passed
    over.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._fields: dict[str, str] = {}

    def feed(self, content: bytes) -> list[Message]:
        """Return the messages that these bytes complete."""
        text = self._rest + self._decoder.decode(content)
        *lines, self._rest = text.split("\n")
        if len(self._rest) > MAX_LINE:
            self._rest = ""
        return [message for line in lines if (message := self.line(line.removesuffix("\r"))) is not None]

    def line(self, line: str) -> Message | None:
        """Take one line; return the message that it ends."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data" and "data" in self._fields:
                self._fields["data"] += "\n" + value
            elif name:
                self._fields[name] = value
            return None
        fields, self._fields = self._fields, {}
        return _message(fields)


def _message(fields: Mapping[str, str]) -> Message | None:
    if "data" not in fields:
        return None
    try:
        data = json.loads(fields["data"])
    except (ValueError, RecursionError):
        return None
    return Message(fields.get("id"), fields.get("event"), data) if isinstance(data, dict) else None


def read_events(lines: Iterable[str], job_id: str | None = None) -> Iterator[Event]:
    """Yield the events among the lines of a stream; what is no event of the gateway's is passed over."""
    reader = MessageReader()
    for line in lines:
        message = reader.line(line)
        if message is not None and (event := as_event(message, job_id)) is not None:
            yield event


def as_event(message: Message, job_id: str | None = None) -> Event | None:
    """Return the event that a message carries, None where it is none."""
    data = dict(message.data)
    with contextlib.suppress(ValueError, TypeError):
        if "sequence" in data and "kind" in data:
            return Event.model_validate(data)
        return Event.model_validate(
            {
                "sequence": int(message.id or "0"),
                "kind": message.event or "message",
                "at": data.pop("at", "1970-01-01T00:00:00Z"),
                "job_id": data.pop("job_id", job_id),
                "data": data,
            }
        )
    return None
