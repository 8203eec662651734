"""One stream of the gateway, as messages for the page."""

from __future__ import annotations

import codecs
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from gateway.api.messages import PROBLEM, problem_reply
from gateway.errors import GatewayError
from science_gateway_jupyter.errors import GatewayAway, UnexpectedAnswer

EVENTS = "text/event-stream"
LONGEST_PROBLEM = 256 * 1024

Content = dict[str, Any]


def problem_of(error: GatewayError) -> Content:
    """Return an error's problem document."""
    reply = problem_reply(error)
    assert isinstance(reply.content, bytes)
    found: Content = json.loads(reply.content)
    return found


async def messages(response: httpx.Response) -> AsyncGenerator[Content]:
    """Yield what an answer carries, without the stream's number; a refusal as its problem.

    Raises
    ------
    GatewayAway
        Something before the gateway answered in its place.
    """
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.status_code != 200:
        yield {"problem": await _problem(response, kind)}
        return
    if kind == EVENTS:
        reader = EventMessages()
        async for piece in response.aiter_bytes():
            for message in reader.feed(piece):
                yield message
    elif kind == "text/plain":
        text = TextMessages(_offset(response))
        async for piece in response.aiter_bytes():
            if said := text.feed(piece):
                yield said
        if said := text.feed(b"", last=True):
            yield said
    else:
        raise UnexpectedAnswer("the gateway did not answer with a stream")
    yield {"end": True}


class EventMessages:
    """Turns the bytes of server-sent events into messages; a comment, which is a heartbeat, into a beat."""

    def __init__(self) -> None:
        from gateway.client.event_stream import MAX_LINE, MessageReader  # takes a while to import

        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._longest = MAX_LINE
        self._reader = MessageReader()

    def feed(self, piece: bytes) -> list[Content]:
        """Return the messages that these bytes complete."""
        *lines, self._rest = (self._rest + self._decoder.decode(piece)).split("\n")
        if len(self._rest) > self._longest:
            self._rest = ""
        found: list[Content] = []
        for line in lines:
            plain = line.removesuffix("\r")
            if plain.startswith(":"):
                found.append({"beat": True})
            elif (message := self._reader.line(plain)) is not None:
                found.append({"event": {"id": message.id or "", "event": message.event or "", "data": message.data}})
        return found


class TextMessages:
    """Turns the bytes of a log into text, and says where to read on: never within a character."""

    def __init__(self, offset: int) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._end = offset

    def feed(self, piece: bytes, *, last: bool = False) -> Content | None:
        """Return the text that these bytes complete, None where there is none."""
        text = self._decoder.decode(piece, last)
        self._end += len(piece)
        return {"text": text, "offset": self._end - len(self._decoder.getstate()[0])} if text else None


async def _problem(response: httpx.Response, kind: str) -> Content:
    if kind != PROBLEM:
        raise GatewayAway(f"something before the gateway answered with {response.status_code}")
    content = b""
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > LONGEST_PROBLEM:
            break
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else problem_of(UnexpectedAnswer("the gateway refused the stream"))


def _offset(response: httpx.Response) -> int:
    text = response.headers.get("X-Log-Offset", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
