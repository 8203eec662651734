"""Read requests per second.

From `gateway serve` in a process of its own with SQLite; the clients run on the same processors. A page of 50 of 1,000
jobs for 500 connections at once, all open from the first request on: alone, and while another process changes ten jobs
a second, as an engine does (a page is made anew after each change, once for all who ask). One job for 32 connections.
The baseline of each is a tornado handler that answers the same bytes from memory: what no query, no JSON, no routing
and no check of a token would cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
from sqlalchemy import Connection

from benchmarks.load import request, send
from benchmarks.measure import Comparison, rounds
from benchmarks.samples import insert
from benchmarks.servers import Served, bare_server, gateway_server, new_database
from gateway.db import jobs
from gateway.db.database import Database

JOBS = 1000
PAGE = "/api/v1/jobs?limit=50"
READERS, COUNT = 500, 5000
CHANGES = 10
"""Changes a second, while it is read."""
RATE, P99 = 1000, 0.4
"""What must hold for a page: requests a second, and seconds for 99 of 100 answers."""


def _fill(connection: Connection) -> list[str]:
    return [insert(connection, target="local", store="local") for _ in range(JOBS)]


@contextlib.asynccontextmanager
async def _changing(database: Database, ids: list[str]) -> AsyncIterator[None]:
    """Change one of the newest jobs again and again."""

    async def change() -> None:
        for number in range(1_000_000):
            job_id = ids[-1 - number % 50]
            await database.write(lambda c, i=job_id, n=number: jobs.set_columns(c, i, message=f"step {n}"))  # type: ignore[misc]
            await asyncio.sleep(1 / CHANGES)

    task = asyncio.create_task(change())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _p99(latencies: list[float]) -> float:
    return statistics.quantiles(latencies, n=100)[98]


async def _read(
    mine: Served, path: str, file: Path, *, clients: int, count: int
) -> tuple[list[list[float]], str, float]:
    """Return the rounds of gateway and baseline, what else was seen, and the gateway's worst p99."""
    answer = httpx.get(f"http://127.0.0.1:{mine.port}{path}", headers=mine.headers, trust_env=False).raise_for_status()
    file.write_bytes(answer.content)
    slow: list[float] = []

    async def read() -> float:
        latencies: list[float] = []
        sent = request("GET", path, mine.headers)
        seconds = await send(mine.port, sent, count=count, clients=clients, latencies=latencies)
        slow.append(_p99(latencies))
        return seconds

    with bare_server("same", file) as bare:
        times = await rounds(read, partial(send, bare.port, request("GET", "/", {}), count=count, clients=clients))
    middle, worst = statistics.median(slow[1:]), max(slow[1:])
    note = f"an answer has {len(answer.content):,} bytes; 99 of 100 came within {middle * 1000:.0f} ms"
    return times, f"{note} (worst round: {worst * 1000:.0f} ms)", worst


def _verdict(times: list[float], worst: float) -> str:
    rate = COUNT / statistics.median(times)
    met = "met" if rate > RATE and worst < P99 else "NOT MET"
    return f"wanted: over {RATE:,} requests/s, 99 of 100 within {P99 * 1000:.0f} ms: {met}"


async def run() -> list[Comparison]:
    """Measure."""
    same = "tornado, the same bytes"
    with tempfile.TemporaryDirectory() as folder:
        data, file = Path(folder, "data"), Path(folder, "page")
        database = new_database(data)
        ids = await database.write(_fill)
        found = []
        with gateway_server(data) as mine:
            for what in ("", ", while jobs change"):
                async with _changing(database, ids) if what else contextlib.nullcontext():
                    (gateway, bare), note, worst = await _read(mine, PAGE, file, clients=READERS, count=COUNT)
                notes = [note, _verdict(gateway, worst)]
                found.append(Comparison(f"GET /jobs, 50 jobs{what}", same, COUNT, "request", gateway, bare, notes))
            path = f"/api/v1/jobs/{ids[0]}"
            (gateway, bare), note, _ = await _read(mine, path, file, clients=32, count=1000)
            found.append(Comparison("GET /jobs/{id}", same, 1000, "request", gateway, bare, [note]))
        database.close()
    return found
