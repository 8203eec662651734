"""The baseline of the API: a tornado process with one handler that does nothing but what must be done.

``python -m benchmarks.bare_server insert DATABASE`` parses a JSON body and inserts it into SQLite, in a transaction of
its own; ``… same FILE`` answers with the bytes of a file. Each prints its port.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
import uuid
from pathlib import Path

from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets


class Insert(web.RequestHandler):
    """Stores a body."""

    def initialize(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def post(self) -> None:
        body = json.loads(self.request.body)
        row = (str(uuid.uuid4()), time.time(), body["name"], json.dumps(body))
        self.connection.execute("INSERT INTO jobs VALUES (?, ?, ?, ?)", row)
        self.set_status(202)
        self.write({"id": row[0]})


class Same(web.RequestHandler):
    """Answers the same bytes each time."""

    def initialize(self, content: bytes) -> None:
        self.content = content

    def compute_etag(self) -> None:
        return None

    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.write(self.content)


def application(kind: str, file: Path) -> web.Application:
    """Return the application."""
    if kind == "same":
        return web.Application([("/", Same, {"content": file.read_bytes()})], log_function=lambda _: None)
    connection = sqlite3.connect(file, isolation_level=None)
    # As the gateway sets them.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, at REAL, name TEXT, spec TEXT)")
    return web.Application([("/", Insert, {"connection": connection})], log_function=lambda _: None)


async def main(kind: str, file: str) -> None:
    """Serve until the process is ended."""
    sockets = bind_sockets(0, "127.0.0.1")
    HTTPServer(application(kind, Path(file))).add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
