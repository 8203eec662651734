"""Pages that many people read at once: made once for all who ask while nothing changed."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Self

from gateway.db.changes import Changes

MAX_BYTES = 32 * 1024 * 1024
"""So much of pages is kept at most; the page that was asked for longest ago goes first."""


@dataclass(frozen=True)
class Page:
    """A page as it is sent, and its ETag.

    Attributes
    ----------
    exact
        Whether the same ETag means the same bytes: only then can it be said that nothing changed.
    """

    data: bytes
    etag: str
    exact: bool = True

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return a page whose ETag is made from its bytes."""
        return cls(data, f'W/"{hashlib.blake2b(data, digest_size=12).hexdigest()}"')


Make = Callable[[], Awaitable[bytes | Page]]


class Pages:
    """Pages by key. A page is never older than the request for it.

    Whoever asks gets a page whose query began after the question, or one that was made before and after which
    nothing was committed (see `Changes`). So at most one query of a key runs and one more waits, however many ask,
    on databases that cannot tell about changes too.

    Parameters
    ----------
    changes
        Tells whether the database was written to.
    max_bytes
        Of all pages that are kept.
    """

    def __init__(self, changes: Changes, max_bytes: int = MAX_BYTES) -> None:
        self._changes = changes
        self._max_bytes = max_bytes
        self._number: int | None = None
        self._kept: OrderedDict[Hashable, Page] = OrderedDict()
        self._bytes = 0
        self._making: dict[Hashable, asyncio.Task[Page]] = {}
        self._waiting: dict[Hashable, asyncio.Task[Page]] = {}

    async def get(self, key: Hashable, make: Make) -> Page:
        """Return the page of `key`.

        Parameters
        ----------
        key
            All that the page depends on beside the database: whose it is, filter, order, limit, cursor.
        make
            Reads the database and returns the bytes, or a page with an ETag of its own. What it raises reaches all who
            wait for it, and is not kept.
        """
        if (page := self._current(key)) is not None:
            return page
        task = self._waiting.get(key)
        if task is None:
            task = asyncio.create_task(self._make(key, make), name="page")
            self._waiting[key] = task
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Stop what is being made."""
        tasks = {*self._making.values(), *self._waiting.values()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._changes.close()

    def _current(self, key: Hashable) -> Page | None:
        """Return the kept page where nothing was committed since."""
        number = self._changes.number()
        if number is None or number != self._number:
            self._kept.clear()
            self._bytes = 0
            self._number = number
            return None
        if (page := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
        return page

    async def _make(self, key: Hashable, make: Make) -> Page:
        """Make a page when the one of the same key that is being made is done: it may have begun too early."""
        if (before := self._making.get(key)) is not None:
            await asyncio.wait({before})
        mine = self._waiting.pop(key)
        self._making[key] = mine
        try:
            if (page := self._current(key)) is not None:
                return page
            number = self._number
            made = await make()
            page = Page.of(made) if isinstance(made, bytes) else made
            self._keep(key, page, number)
            return page
        finally:
            del self._making[key]

    def _keep(self, key: Hashable, page: Page, number: int | None) -> None:
        """Keep a page whose query began when `number` was the database's."""
        if number is None or number != self._number or len(page.data) > self._max_bytes // 4:
            return
        if (old := self._kept.pop(key, None)) is not None:
            self._bytes -= len(old.data)
        self._kept[key] = page
        self._bytes += len(page.data)
        while self._bytes > self._max_bytes:
            _, old = self._kept.popitem(last=False)
            self._bytes -= len(old.data)
