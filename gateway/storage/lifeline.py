"""Keeps programs of the gateway from outliving it, or its right to run them.

A program is started with a pipe on which the gateway says, again and again, for how many seconds it may still run. A
watcher in the program's own process group reads it, and ends the whole group when the time is over (the gateway is
frozen, or lost its lease) or the pipe is closed (it is dead). The watcher is in the group, so the group's number
cannot be anybody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import ContextVar

from gateway.errors import StoreError

BEAT = 1.0
"""Seconds between two words."""
FOR_EVER = 0.0

allowance: ContextVar[Callable[[], float] | None] = ContextVar("allowance", default=None)
"""Gives the seconds that programs of the present task may still run; None: as long as the gateway lives."""

_START = """
fd=$1; left=$2; shift 2
(
  exec >/dev/null 2>&1 </dev/null
  while if [ "$left" = 0 ]; then read -r -u "$fd" left; else read -r -t "$left" -u "$fd" left; fi; do :; done
  kill -KILL -- -$$
) &
eval "exec $fd<&-"
exec "$@"
"""


@contextlib.asynccontextmanager
async def held(argv: Sequence[str]) -> AsyncIterator[tuple[list[str], int]]:
    """Give the argument list that runs `argv` on a lifeline, and the descriptor that it has to inherit.

    It has to be started as the leader of a process group. When the context ends, what is left of the group is ended.

    Raises
    ------
    StoreError
        The time is over already.
    """
    left = allowance.get()
    first = FOR_EVER if left is None else left()
    if left is not None and first <= 0:
        raise StoreError("this gateway process may not act on the job any more")
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    beating = None if left is None else asyncio.create_task(_beat(ours, left))
    seconds = "0" if left is None else f"{first:.3f}"
    words = ["/bin/bash", "--noprofile", "--norc", "-c", _START, "lifeline", str(theirs), seconds]
    try:
        yield [*words, *argv], theirs
    finally:
        os.close(theirs)
        if beating is not None:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        os.close(ours)


async def _beat(pipe: int, left: Callable[[], float]) -> None:
    """Say what is left, until nothing is."""
    while (seconds := left()) > 0:
        try:
            os.write(pipe, f"{seconds:.3f}\n".encode())
        except BlockingIOError:
            pass  # the watcher is slow: it has enough to read
        except BrokenPipeError:
            return
        await asyncio.sleep(BEAT)
