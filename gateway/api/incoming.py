"""The body of a request as it comes in, for routes that take more than memory holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gateway.errors import GatewayError

PIECES = 8
"""Pieces (of at most 64 KiB) that wait for the reader; then the sender has to wait."""
STALL = 300.0
"""Seconds without a byte after which a body counts as broken off."""


class BodyBroken(GatewayError):
    """The body ended before its end: the client went away, or sent nothing for a long time."""

    status, problem, title = 400, "body-broken", "The request broke off"


class IncomingBody:
    """Pieces of a body, handed from the connection to the one that reads them, no faster than they are taken."""

    def __init__(self, stall: float = STALL) -> None:
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(PIECES)
        self._stall = stall
        self._closed = False
        self._broken = False

    async def put(self, piece: bytes) -> bool:
        """Hand over a piece, waiting for room; return whether anybody still wants it."""
        if not self._closed and piece:
            await self._pieces.put(piece)
        return not self._closed

    async def end(self) -> None:
        """Say that the whole body has come."""
        if not self._closed:
            await self._pieces.put(b"")

    def break_off(self) -> None:
        """Say that no more will come, although it is not the end. What came before can still be read."""
        self._broken = True
        if self._pieces.empty():
            self._pieces.put_nowait(b"")

    def read_no_more(self, _reader: object = None) -> None:
        """Say that nobody reads any more: whatever comes is thrown away."""
        self._closed = True
        while not self._pieces.empty():
            self._pieces.get_nowait()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces.

        Raises
        ------
        BodyBroken
            The client went away, or sent nothing for a long time.
        """
        while not (self._broken and self._pieces.empty()):
            try:
                async with asyncio.timeout(self._stall):
                    piece = await self._pieces.get()
            except TimeoutError:
                raise BodyBroken(f"no byte came for {self._stall:g} s") from None
            if piece:
                yield piece
            elif not self._broken:
                return
        raise BodyBroken("the client went away before the end of the body")
