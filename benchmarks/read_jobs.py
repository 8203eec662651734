"""Read requests per second.

`GET /api/v1/jobs` with 1,000 jobs stored: a page of 50, 32 connections at once, from `gateway serve` in a process of
its own with SQLite. The baseline is a tornado handler that answers the same bytes from memory: what no query and no
JSON would cost.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import httpx
from sqlalchemy import Connection

from benchmarks.load import request, send
from benchmarks.measure import Comparison, rounds
from benchmarks.samples import insert
from benchmarks.servers import bare_server, gateway_server, new_database

JOBS = 1000
COUNT = 640
CLIENTS = 32
PATH = "/api/v1/jobs?limit=50"


def _fill(connection: Connection) -> None:
    for _ in range(JOBS):
        insert(connection, target="local", store="local")


async def run() -> list[Comparison]:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        data, page = Path(folder, "data"), Path(folder, "page")
        database = new_database(data)
        await database.write(_fill)
        database.close()
        with gateway_server(data) as mine:
            answer = httpx.get(f"http://127.0.0.1:{mine.port}{PATH}", headers=mine.headers, trust_env=False)
            assert len(answer.raise_for_status().json()["items"]) == 50
            page.write_bytes(answer.content)
            with bare_server("same", page) as bare:
                gateway, baseline = await rounds(
                    partial(send, mine.port, request("GET", PATH, mine.headers), count=COUNT, clients=CLIENTS),
                    partial(send, bare.port, request("GET", "/", {}), count=COUNT, clients=CLIENTS),
                )
    notes = [f"a page has {len(answer.content):,} bytes"]
    return [Comparison("GET /jobs?limit=50", "tornado, the same bytes", COUNT, "request", gateway, baseline, notes)]
