"""Brings the bash libraries of jobs' scripts to a target: once for each text, checked by its digest.

What older gateways brought stays there, because jobs that wait know it by its digest.
"""

from __future__ import annotations

import asyncio
import secrets
import shlex
import time
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from gateway.compute import scripts
from gateway.compute.script import Library
from gateway.compute.transport.base import Transport
from gateway.errors import RemoteCommandFailed

FRESH = 300.0
"""Seconds for which a look at the target holds."""
SLOWEST = 500
"""Bytes a second of the thinnest link over which the libraries are brought; jobs wait for them."""


@dataclass
class _Known:
    """When each file was last seen on one target."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    seen: dict[str, float] = field(default_factory=dict)


_known: WeakKeyDictionary[Transport, _Known] = WeakKeyDictionary()


async def bring_library(transport: Transport, library: Library) -> None:
    """See that the target has the libraries.

    Raises
    ------
    RemoteCommandFailed
        They could not be put there.
    TargetError
        The target could not be reached, or did not answer.
    """
    known = _known.setdefault(transport, _Known())
    async with known.lock:
        if time.monotonic() - known.seen.get(library.path, float("-inf")) > FRESH:
            await _look_or_bring(transport, library)
            known.seen[library.path] = time.monotonic()


async def _look_or_bring(transport: Transport, library: Library) -> None:
    functions, words = scripts.read("tools"), shlex.join([library.path, library.digest])
    looked = await transport.run(f"{functions}\ngw_library_look {words}\n")
    if looked.text()[0] == "have\n":
        return
    script = f"{functions}\ngw_library_take {words} {secrets.token_hex(8)}\n"
    data = library.text.encode()
    result = await transport.run(script, data=data, timeout=60 + len(data) / SLOWEST)
    if result.exit_status != 0:
        said = " ".join(result.text()[1].split())[:300]
        raise RemoteCommandFailed(f"the scripts' libraries could not be put there: {said or 'no reason was given'}")
