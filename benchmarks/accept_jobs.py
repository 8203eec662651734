"""Jobs accepted per second.

`POST /api/v1/jobs`, 16 connections at once, to `gateway serve` in a process of its own with SQLite. An accepted job is
typed, checked against target, store and output patterns, stored with its first event in one transaction, read back and
answered whole. The gateway serves and does not drive. The baseline is a tornado handler that parses the same JSON and
does one insert, with the same SQLite settings, and answers an id.
"""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.load import request, send
from benchmarks.measure import Comparison, rounds
from benchmarks.samples import BODY
from benchmarks.servers import bare_server, gateway_server

COUNT = 400
CLIENTS = 16


async def run() -> list[Comparison]:
    """Measure."""
    body = json.dumps(BODY).encode()
    with (
        tempfile.TemporaryDirectory() as folder,
        gateway_server(Path(folder, "data")) as mine,
        bare_server("insert", Path(folder, "bare.db")) as bare,
    ):
        posts = [
            partial(send, server.port, request("POST", path, server.headers, body), count=COUNT, clients=CLIENTS)
            for server, path in ((mine, "/api/v1/jobs"), (bare, "/"))
        ]
        gateway, baseline = await rounds(*posts)
    notes = [f"a specification has {len(body):,} bytes"]
    return [Comparison("POST /jobs", "tornado, JSON, one insert", COUNT, "job", gateway, baseline, notes)]
