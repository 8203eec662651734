"""Data series of jobs: from the target while the job runs, from the store once it has ended."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from gateway.compute.target import Target
from gateway.db import jobs as table
from gateway.db.database import Database
from gateway.errors import NotFound, StoreError, TargetUnreachable
from gateway.jobs import tails
from gateway.jobs.logs import LogPiece, parse_answer
from gateway.jobs.rows import owned
from gateway.jobs.series_parser import Parser, parser_for
from gateway.jobs.views import Row
from gateway.model.series import Cell, SeriesColumnInfo, SeriesInfo, SeriesPage, SeriesRows
from gateway.model.specification import DataSeries, JobSpecification, StoreChoice
from gateway.model.states import ENDED, State
from gateway.storage.filters import OutputRule, land
from gateway.storage.stores.base import Place, Store

PIECE = 4 * 1024 * 1024
"""Bytes that one remote command reads at most."""
MAX_CELLS = 2_000_000
"""Cells that are kept of one series; what follows is not shown."""
MAX_ALL_CELLS = 6_000_000
"""Cells of all series that are kept; those that nobody has asked for the longest are read again when they are."""
FRESH = 1.0
"""Seconds within which a file is not looked at again, however many readers there are."""
FOLLOW_INTERVAL = 1.0
FOLLOW_INTERVAL_UNREACHABLE = 5.0
OVERLAP = 64
"""Bytes before the new ones that are read again, to see whether the file was written anew."""
GENERATION = 10**9
"""`next` counts rows; it begins again at the next multiple of this after the file was written anew."""


@dataclass(frozen=True)
class _Source:
    """Where a series of a job is now."""

    series: DataSeries
    ended: bool
    target: str
    job_folder: str | None
    attempt: int
    places: tuple[tuple[str, Place, str], ...]
    """Store, place and path of the copies."""


@dataclass
class _Tail:
    """What was read of one file so far."""

    series: DataSeries
    parser: Parser
    rows: list[list[Cell]] = field(default_factory=list)
    offset: int = 0
    overlap: bytes = b""
    generation: int = 0
    cells: int = 0
    whole: bool = False
    """Whether the end of the job's own file was read after the job had ended."""
    looked_at: float | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begin_again(self) -> None:
        """Forget the rows: the file was written anew."""
        if self.rows:
            self.generation += 1
        self.parser = parser_for(self.series)
        self.rows, self.offset, self.overlap, self.cells = [], 0, b"", 0

    @property
    def full(self) -> bool:
        """Whether no more rows are kept."""
        return self.cells >= MAX_CELLS

    @property
    def start(self) -> int:
        """Where to read from."""
        return self.offset - len(self.overlap)

    def fits(self, piece: LogPiece) -> bool:
        """Say whether a piece goes on where the last one ended, in the same file."""
        return piece.start == self.start and piece.data[: len(self.overlap)] == self.overlap

    def take(self, piece: LogPiece, *, last: bool) -> int:
        """Add the rows of a piece that `fits`; return how many of its bytes were used up."""
        data = piece.data[len(self.overlap) :]
        rows, used = self.parser.feed(data, last=last)
        self.rows += rows
        self.cells += sum(map(len, rows)) + len(rows)
        self.overlap = (self.overlap + data[:used])[-OVERLAP:]
        self.offset += used
        return used


class SeriesService:
    """Reads data series of jobs, by their owner. Many readers of one series share one look at its file."""

    def __init__(self, database: Database, targets: Mapping[str, Target], stores: Mapping[str, Store]) -> None:
        self.database = database
        self.targets = targets
        self.stores = stores
        self._tails: OrderedDict[tuple[str, str], _Tail] = OrderedDict()

    async def list(self, job_id: str, owner: str) -> SeriesPage:
        """Return what series a job has; raises `NotFound`. No file is looked at."""
        row = await self.database.read(lambda c: owned(c, job_id, owner))
        items = []
        for series in JobSpecification.model_validate(row["spec"]).data:
            tail = self._tails.get((job_id, series.name))
            items.append(
                SeriesInfo(
                    name=series.name,
                    label=series.label,
                    file=series.file,
                    x=series.x,
                    columns=columns_of(series, tail.parser.names if tail else None),
                    rows=len(tail.rows) if tail else None,
                )
            )
        return SeriesPage(items=items)

    async def check(self, job_id: str, owner: str, name: str) -> None:
        """Raise `NotFound` unless there is such a job and series."""
        await self._find(job_id, owner, name)

    async def read(self, job_id: str, owner: str, name: str, after: int = 0, limit: int = 10_000) -> SeriesRows:
        """Return at most `limit` rows after `after` (`next` of the answer before; 0: from the first).

        Raises
        ------
        NotFound
            There is no such job or series.
        TargetUnreachable
            The file is on the target only, which cannot be reached.
        """
        source = await self._find(job_id, owner, name)
        return await self._read(job_id, source, after, limit)

    async def follow(
        self, job_id: str, owner: str, name: str, after: int = 0, limit: int = 10_000
    ) -> AsyncGenerator[SeriesRows | None, None]:
        """Yield rows as they come, until the job has ended; None now and then, when there is nothing to tell."""
        first = True
        while True:
            source = await self._find(job_id, owner, name)
            pause = FOLLOW_INTERVAL
            try:
                found = await self._read(job_id, source, after, limit)
            except TargetUnreachable:
                found, pause = None, FOLLOW_INTERVAL_UNREACHABLE
            if found is not None and (found.rows or found.reset or found.ended or first):
                yield found
                after, first = found.next, False
            else:
                yield None
            if found is not None and found.ended:
                return
            if found is None or len(found.rows) < limit:
                await asyncio.sleep(pause)

    async def _read(self, job_id: str, source: _Source, after: int, limit: int) -> SeriesRows:
        tail = self._tail((job_id, source.series.name), source)
        async with tail.lock:
            await self._look(tail, source)
            generation, row = divmod(after, GENERATION)
            reset = after > 0 and (generation != tail.generation or row > len(tail.rows))
            row = 0 if reset or not after else row
            rows = tail.rows[row : row + limit]
            more = row + len(rows) < len(tail.rows)
            return SeriesRows(
                name=source.series.name,
                columns=columns_of(source.series, tail.parser.names, rows),
                rows=rows,
                next=tail.generation * GENERATION + row + len(rows),
                reset=reset,
                ended=source.ended and not more,
            )

    def _tail(self, key: tuple[str, str], source: _Source) -> _Tail:
        tail = self._tails.pop(key, None)
        if tail is None or tail.series != source.series:
            tail = _Tail(source.series, parser_for(source.series))
        self._tails[key] = tail
        while len(self._tails) > 1 and sum(kept.cells for kept in self._tails.values()) > MAX_ALL_CELLS:
            self._tails.popitem(last=False)
        while len(self._tails) > 1000:
            self._tails.popitem(last=False)
        return tail

    # --- one look at the file

    async def _look(self, tail: _Tail, source: _Source) -> None:
        """Read all that is new."""
        now = time.monotonic()
        if tail.whole or (not source.ended and tail.looked_at is not None and now - tail.looked_at < FRESH):
            return
        again = True
        while again:
            piece = await self._piece(source, tail.start)
            if piece is None:
                break
            again = self._take(tail, piece, source.ended)
        tail.whole = source.ended
        tail.looked_at = time.monotonic()

    @staticmethod
    def _take(tail: _Tail, piece: LogPiece, ended: bool) -> bool:
        """Add a piece; return whether there is more to read at once."""
        if not tail.fits(piece):
            tail.begin_again()
            return True
        at_end = piece.end >= piece.size
        used = tail.take(piece, last=ended and at_end)
        if tail.full:
            return False
        if not at_end and not used and len(piece.data) >= PIECE:  # no end of a line in sight: pass it over
            tail.take(piece, last=True)
        return not at_end

    async def _piece(self, source: _Source, offset: int) -> LogPiece | None:
        """Return a part of the file from `offset`; None where there is no file (yet)."""
        if source.ended and (piece := await self._from_store(source, offset)) is not None:
            return piece
        target = self.targets.get(source.target)
        if target is not None and source.job_folder is not None:
            scratch = target.settings.scratch is not None and not source.ended
            if not scratch:
                script = tails.read_command(source.job_folder, source.series.file, offset, PIECE)
                result = await target.transport.run(script, timeout=60.0, max_output=PIECE + 4096)
                return None if result.exit_status == tails.NO_FILE else parse_answer(result.stdout)
        return await self._from_store(source, offset)

    async def _from_store(self, source: _Source, offset: int) -> LogPiece | None:
        for name, place, path in source.places:
            store = self.stores.get(name)
            if store is None:
                continue
            try:
                found = await store.stat(place, path)
                if found is None:
                    continue
                start = min(found.size, offset)
                length = min(PIECE, found.size - start)
                data = bytearray()
                if length > 0:
                    async with aclosing(store.read(place, path, start, length)) as pieces:  # type: ignore[type-var]
                        async for part in pieces:
                            data += part
            except (NotFound, StoreError):
                continue
            return LogPiece(bytes(data), start, found.size)
        return None

    async def _find(self, job_id: str, owner: str, name: str) -> _Source:
        def read(connection: Connection) -> tuple[Row, Row | None, list[Any]]:
            row = owned(connection, job_id, owner)
            attempt = table.get_attempt(connection, job_id, row["attempt"])
            return row, attempt, list(table.stores_of(connection, [job_id]).get(job_id, []))

        row, attempt, stores = await self.database.read(read)
        specification = JobSpecification.model_validate(row["spec"])
        found = next((series for series in specification.data if series.name == name), None)
        if found is None:
            known = ", ".join(series.name for series in specification.data) or "none"
            raise NotFound(f"the job has no data series {name[:64]!a} (it has: {known})")
        places = [
            (item["store"], Place(job_id, row["owner"], row["case"], item["path"]), path)
            for item in stores
            for path in landings(specification, item["store"], found.file)
        ]
        return _Source(
            series=found,
            ended=State(row["state"]) in ENDED,
            target=row["lane"],
            job_folder=attempt["job_folder"] if attempt is not None else None,
            attempt=row["attempt"],
            places=tuple(places),
        )


def columns_of(
    series: DataSeries, names: Sequence[str] | None, rows: Sequence[Sequence[Cell]] = ()
) -> list[SeriesColumnInfo]:
    """Return the columns: those of the specification, else by the file's own names, else by number. Pure."""
    if series.columns:
        return [SeriesColumnInfo(name=c.name, label=c.label, unit=c.unit) for c in series.columns]
    if names is None:
        names = [str(number) for number in range(1, max(map(len, rows), default=0) + 1)]
    return [SeriesColumnInfo(name=name[:200]) for name in names]


def landings(specification: JobSpecification, store: str, path: str) -> list[str]:
    """Return where a file of the job's folder lies in a store. Pure."""
    choice = next((item for item in specification.stores if item.store == store), StoreChoice(store=store))
    wanted = choice.outputs if choice.outputs is not None else specification.outputs
    rules = [OutputRule(o.source, o.destination, o.content_type, o.follow, o.when) for o in wanted or ()]
    return [found.destination for found in land(rules, specification.exclude, path)]
