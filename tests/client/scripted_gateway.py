"""A gateway whose answers a test writes, to see what the client does with broken ones."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answering:
    """How to answer one request."""

    handler: BaseHTTPRequestHandler
    asked: Asked

    def send(self, status: int, body: bytes, promised: int | None = None, **headers: str) -> None:
        """Answer; `promised` is the length that is claimed where fewer bytes come."""
        handler = self.handler
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if promised is None else promised))
        handler.send_header("Connection", "close")
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    def json(self, status: int, value: Any) -> None:
        """Answer JSON."""
        self.send(status, json.dumps(value).encode(), Content_Type="application/json")

    def hang_up(self) -> None:
        """End the connection without an answer."""
        self.handler.close_connection = True


Answer = Callable[[Answering], None]


@dataclass
class ScriptedGateway:
    """Answers the n-th request with the n-th answer; the last one is repeated."""

    answers: list[Answer]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def scripted(*answers: Answer) -> Iterator[ScriptedGateway]:
    """Serve the answers on 127.0.0.1."""
    made = ScriptedGateway(list(answers))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            with lock:
                chosen = made.answers[min(len(made.asked), len(made.answers) - 1)]
                made.asked.append(asked)
            chosen(Answering(self, asked))

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def job(job_id: str = "11111111-1111-4111-8111-111111111111", **values: Any) -> dict[str, Any]:
    """Return a job as the API answers it."""
    links = dict.fromkeys(("self", "events", "outputs", "logs", "script"), f"/api/v1/jobs/{job_id}")
    known = {"id": job_id, "version": 1, "name": "n", "state": "running", "owner": "o", "target": "t"}
    return {**known, "created_at": "2026-01-01T00:00:00Z", "links": links, **values}


def problem(kind: str, status: int, detail: str = "why", **more: Any) -> dict[str, Any]:
    """Return a problem document."""
    return {"type": f"urn:science-gateway:problem:{kind}", "title": "t", "status": status, "detail": detail, **more}
