"""Logs of jobs: from the target while the job lives, from the store once it has ended."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from gateway.compute.target import Target
from gateway.db import jobs as table
from gateway.db.database import Database
from gateway.errors import NotFound, StoreError, TargetError, TargetUnreachable
from gateway.jobs.service import owned
from gateway.jobs.views import Row
from gateway.model.states import ENDED, State
from gateway.storage.stores.base import Place, Store

FILES = {"stdout": "payload.out", "stderr": "payload.err", "pull": "pull.log", "sync": "sync.jsonl"}
MAX_PIECE = 8 * 1024 * 1024
"""Bytes of one answer."""
FOLLOW_INTERVAL = 1.0
FOLLOW_INTERVAL_UNREACHABLE = 5.0
_NO_FILE = 44
BEGINS_AGAIN = b"\n--- the log was cut and begins again ---\n"
"""Told to who follows a log that became shorter."""


@dataclass(frozen=True)
class LogPiece:
    """A part of a log: `data` begins at `start`; the log has `size` bytes now."""

    data: bytes
    start: int
    size: int

    @property
    def end(self) -> int:
        """Offset of the first byte that was not read."""
        return self.start + len(self.data)


EMPTY = LogPiece(b"", 0, 0)


@dataclass(frozen=True)
class _Log:
    """Where a log is: in the store's place, in the control folder (None before staging), and whether it grows."""

    name: str
    ended: bool
    target: str
    control_folder: str | None
    store: str | None
    place: Place


class LogService:
    """Reads logs of jobs, by their owner."""

    def __init__(self, database: Database, targets: Mapping[str, Target], stores: Mapping[str, Store]) -> None:
        self.database = database
        self.targets = targets
        self.stores = stores

    async def read(self, job_id: str, owner: str, stream: str, offset: int, limit: int) -> LogPiece:
        """Return at most `limit` bytes from `offset` (negative: from the end).

        Nothing written yet is an empty piece.

        Raises
        ------
        NotFound
            There is no such job or stream.
        TargetUnreachable
            The log is on the target only, which cannot be reached.
        """
        log = await self._find(job_id, owner, stream)
        if log.ended and (piece := await self._from_store(log, offset, limit)) is not None:
            return piece
        return await self._from_target(log, offset, limit)

    async def follow(self, job_id: str, owner: str, stream: str, first: LogPiece) -> AsyncGenerator[bytes, None]:
        """Yield what follows `first` until the job has ended. A log that was cut is told from its start again."""
        offset = first.end
        pause = FOLLOW_INTERVAL
        while True:
            log = await self._find(job_id, owner, stream)
            try:
                piece = await self._from_target(log, offset, MAX_PIECE)
                pause = FOLLOW_INTERVAL
            except TargetUnreachable:
                piece, pause = EMPTY, FOLLOW_INTERVAL_UNREACHABLE
            if piece is not EMPTY and piece.start < offset:  # it was cut, or another attempt has begun
                offset = 0
                yield BEGINS_AGAIN
                continue
            if not piece.data and log.ended:
                break
            if piece.data:
                yield piece.data
                offset = piece.end
            if len(piece.data) < MAX_PIECE:
                await asyncio.sleep(pause)
        # What the target no longer shows may be in the store's copy.
        rest = await self._from_store(log, offset, MAX_PIECE)
        if rest is not None and rest.data and rest.start == offset:
            yield rest.data

    async def _find(self, job_id: str, owner: str, stream: str) -> _Log:
        if stream not in FILES:
            raise NotFound(f"there is no log {stream[:64]!a}: one of {', '.join(FILES)}")

        def read(connection: Connection) -> tuple[Row, Row | None, list[Any]]:
            row = owned(connection, job_id, owner)
            attempt = table.get_attempt(connection, job_id, row["attempt"])
            return row, attempt, list(table.stores_of(connection, [job_id]).get(job_id, []))

        row, attempt, stores = await self.database.read(read)
        return _Log(
            name=FILES[stream],
            ended=State(row["state"]) in ENDED,
            target=row["lane"],
            control_folder=attempt["control_folder"] if attempt is not None else None,
            store=stores[0]["store"] if stores else None,
            place=Place(job_id, row["owner"], row["case"], stores[0]["path"] if stores else None),
        )

    async def _from_store(self, log: _Log, offset: int, limit: int) -> LogPiece | None:
        store = self.stores.get(log.store or "")
        if store is None:
            return None
        path = f".gateway/{log.name}"
        try:
            found = await store.stat(log.place, path)
            if found is None:
                return None
            start = min(found.size, offset) if offset >= 0 else max(0, found.size + offset)
            length = min(limit, found.size - start)
            data = b""
            if length > 0:
                data = b"".join([piece async for piece in store.read(log.place, path, start, length)])
        except (NotFound, StoreError):
            return None
        return LogPiece(data, start, found.size)

    async def _from_target(self, log: _Log, offset: int, limit: int) -> LogPiece:
        target = self.targets.get(log.target)
        if log.control_folder is None or target is None:
            return EMPTY
        script = read_command(f"{log.control_folder}/{log.name}", offset, limit)
        result = await target.transport.run(script, timeout=60.0, max_output=limit + 4096)
        if result.exit_status == _NO_FILE:
            return EMPTY
        return parse_answer(result.stdout)


def read_command(path: str, offset: int, limit: int) -> str:
    """Return bash text that prints a line with start and size of a file, then its bytes."""
    return f"""\
gw_file={shlex.quote(path)}
if [ -L "$gw_file" ] || [ ! -f "$gw_file" ]; then exit {_NO_FILE}; fi
gw_size=$(wc -c 2>/dev/null <"$gw_file") || exit {_NO_FILE}
gw_start={offset}
if [ "$gw_start" -lt 0 ]; then gw_start=$((gw_size + gw_start)); fi
if [ "$gw_start" -lt 0 ]; then gw_start=0; fi
if [ "$gw_start" -gt "$gw_size" ]; then gw_start=$gw_size; fi
printf '%d %d\\n' "$gw_start" "$gw_size"
tail -c "+$((gw_start + 1))" -- "$gw_file" 2>/dev/null | head -c {limit}
exit 0
"""


def parse_answer(answer: bytes) -> LogPiece:
    """Read what `read_command` printed; raises `TargetError` where it is not that."""
    head, newline, data = answer.partition(b"\n")
    numbers = head.split(b" ")
    if not newline or len(numbers) != 2 or not all(number.isdigit() for number in numbers):
        raise TargetError("the target's answer about the log could not be read")
    start, size = int(numbers[0]), int(numbers[1])
    return LogPiece(data, start, max(size, start + len(data)))
