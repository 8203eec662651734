"""A gateway that serves and does not drive, in a thread with a loop of its own, for clients that block."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from tests.api.conftest import Site, open_site, settings_for

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


class Served:
    """A site, and the way to its loop."""

    def __init__(self, site: Site, loop: asyncio.AbstractEventLoop) -> None:
        self.site = site
        self._loop = loop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


@contextlib.contextmanager
def served_in_thread(data: Path, **changes: Any) -> Iterator[Served]:
    """Open a site."""
    ready: Future[Served] = Future()
    ended = threading.Event()

    async def serve() -> None:
        try:
            async with open_site(settings_for(data, **changes)) as site:
                ready.set_result(Served(site, asyncio.get_running_loop()))
                await asyncio.to_thread(ended.wait)
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    try:
        yield ready.result(60)
    finally:
        ended.set()
        thread.join()
