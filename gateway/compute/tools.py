"""Brings the gateway's rclone to a target: once per version, verified by digest."""

from __future__ import annotations

import asyncio
import hashlib
import platform
import re
import secrets
import shlex
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO
from weakref import WeakKeyDictionary

from gateway.compute import scripts
from gateway.compute.rclone_program import own_rclone
from gateway.compute.transport.base import CommandResult, Transport
from gateway.errors import RemoteCommandFailed, StagingFailed

OLDEST = (1, 66)
"""The target's own rclone is used only from this version on (earlier ones lack options that the script needs)."""
FRESH = 300.0
"""Seconds for which a look at the target holds."""
SLOWEST = 128 * 1024
PIECE = 1024 * 1024


@dataclass(frozen=True)
class Program:
    """A program of the gateway's own."""

    path: Path
    sha256: str
    size: int

    def place(self, tools_folder: str) -> str:
        """Return where it belongs on a target."""
        return f"{tools_folder}/rclone-{self.sha256[:12]}/rclone"


@dataclass
class _Known:
    """What was seen on one target."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    usable: dict[str, tuple[str, float]] = field(default_factory=dict)


_known: WeakKeyDictionary[Transport, _Known] = WeakKeyDictionary()


async def bring_rclone(transport: Transport, tools_folder: str, *, architecture: str | None = None) -> str:
    """Return the path of a usable rclone on the target; bring it if it is not there.

    Parameters
    ----------
    tools_folder
        Absolute folder on the target, ``<workdir>/.gateway/tools``.
    architecture
        Of the compute nodes (``uname -m``) where it is known; else that of the login node is taken.

    Raises
    ------
    StagingFailed
        The architectures differ, and the target has no recent rclone of its own.
    RemoteCommandFailed
        It could not be put there.
    TargetError
        The target could not be reached, or did not answer.
    """
    known = _known.setdefault(transport, _Known())
    async with known.lock:
        path, seen = known.usable.get(tools_folder, ("", 0.0))
        if not path or time.monotonic() - seen > FRESH:
            path = await _look_or_bring(transport, tools_folder, architecture)
            known.usable[tools_folder] = (path, time.monotonic())
        return path


async def _look_or_bring(transport: Transport, tools_folder: str, architecture: str | None) -> str:
    program = await asyncio.to_thread(own_program)
    place = program.place(tools_folder)
    functions = scripts.read("tools")
    looked = await transport.run(f"{functions}\ngw_tool_look {shlex.quote(place)} {program.size}\n")
    answer = look_answer(looked)
    if answer is None:
        return place
    machine, own = answer
    wanted = architecture or machine
    if wanted != platform.machine():
        if own is not None:
            return own
        raise StagingFailed(
            f"the target's nodes are {wanted}, the gateway has rclone for {platform.machine()} only",
            hint=f"install rclone {'.'.join(map(str, OLDEST))} or newer there and name its folder in 'path'",
        )
    with tempfile.TemporaryFile() as packed:
        size = await asyncio.to_thread(_pack, program.path, packed)
        packed.seek(0)
        script = f"{functions}\ngw_tool_take {shlex.quote(place)} {program.sha256} {secrets.token_hex(8)}\n"
        result = await transport.run(script, data=packed, timeout=60 + size / SLOWEST)
    if result.exit_status != 0:
        said = " ".join(result.text()[1].split())[:300]
        raise RemoteCommandFailed(f"rclone could not be put into {tools_folder}: {said or 'no reason was given'}")
    return place


def look_answer(result: CommandResult) -> tuple[str, str | None] | None:
    """Read what `gw_tool_look` printed: (architecture, path of an own usable rclone); None: it is there."""
    stdout = result.text()[0]
    if stdout.startswith("have\n"):
        return None
    machine = re.search(r"^machine (\S+)$", stdout, re.MULTILINE)
    own = re.search(r"^own rclone v(\d+)\.(\d+)\S* (/.*)$", stdout, re.MULTILINE)
    usable = own[3] if own and (int(own[1]), int(own[2])) >= OLDEST else None
    return (machine[1] if machine else "unknown"), usable


@cache
def own_program() -> Program:
    """Return the gateway's rclone with its digest. Reads the whole file once.

    Raises
    ------
    MissingProgram
    """
    path = own_rclone()
    digest = hashlib.sha256()
    for piece in _pieces(path):
        digest.update(piece)
    return Program(path, digest.hexdigest(), path.stat().st_size)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(PIECE):
            yield piece


def _pack(path: Path, packed: IO[bytes]) -> int:
    """Write a gzip stream; return its length."""
    packer = zlib.compressobj(1, wbits=31)
    for piece in _pieces(path):
        packed.write(packer.compress(piece))
    packed.write(packer.flush())
    return packed.tell()
