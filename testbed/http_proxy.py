"""An HTTP proxy of the tests' own, before an object store: it refuses, delays and fails requests as a test wants."""

from __future__ import annotations

import http.client
import random
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_PIECE = 64 * 1024


@dataclass(frozen=True)
class Mood:
    """How requests are answered from now on.

    Attributes
    ----------
    status
        Answer this status in the place of the server's.
    share
        Of how many requests; all by default. Which ones is drawn with a fixed seed.
    methods
        Only of these methods.
    delay
        Seconds before a request is passed on.
    body
        What stands in an answer of `status`.
    after
        So many requests that would be answered are passed on first.
    rate
        Bytes a second that a request's body takes, each request by itself; None without a limit.
    """

    status: int | None = None
    share: float = 1.0
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    delay: float = 0.0
    body: bytes = b""
    after: int = 0
    rate: float | None = None


REVOKED = Mood(
    status=403,
    body=b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AuthenticationFailed</Code>'
    b"<Message>Server failed to authenticate the request.</Message></Error>",
)
"""What a service says of credentials that somebody has withdrawn."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients and servers that went away."""
        if not isinstance(sys.exception(), OSError | http.client.HTTPException):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class HttpProxy:
    """Passes requests on to a port of 127.0.0.1 as they are, with the Host header that was signed.

    Attributes
    ----------
    served, failed
        How many requests were passed on, and how many were answered here.
    received
        Bytes of the requests' bodies.
    signatures
        The signatures of the signed addresses that were used (``sig=`` in the query, as Azure has them).
    revoked
        Those of them that are answered 403, as after a revocation.
    """

    def __init__(self, port: int, seed: int = 1) -> None:
        self.target = port
        self._mood, self._passed = Mood(), 0
        self.signatures: set[str] = set()
        self.revoked: frozenset[str] = frozenset()
        self.served = self.failed = self.received = 0
        self._draw = random.Random(seed)
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))

    def __enter__(self) -> Self:
        """Listen."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def mood(self) -> Mood:
        """How requests are answered from now on."""
        return self._mood

    @mood.setter
    def mood(self, mood: Mood) -> None:
        with self._lock:
            self._mood, self._passed = mood, 0

    def revoke(self) -> int:
        """Have no signed address that was used up to now open anything any more; return how many those are."""
        with self._lock:
            self.revoked = frozenset(self.signatures)
            return len(self.revoked)

    def count(self, size: int) -> None:
        """Count the bytes of a request's body."""
        with self._lock:
            self.received += size

    def fails(self, method: str, path: str = "") -> Mood | None:
        """Draw whether a request fails, and count it."""
        signature = _signature(path)
        with self._lock:
            mood = self._mood
            failing = mood.status is not None and method in mood.methods and self._draw.random() < mood.share
            if failing and self._passed < mood.after:
                self._passed += 1
                failing = False
            if signature is not None:
                self.signatures.add(signature)
            if signature in self.revoked:
                failing, mood = True, REVOKED
            self.failed += failing
            self.served += not failing
            return mood if failing else None


def _signature(path: str) -> str | None:
    return next((part[4:] for part in path.partition("?")[2].split("&") if part.startswith("sig=")), None)


class _Handler(BaseHTTPRequestHandler):
    owner: HttpProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        body = self._body()
        self.owner.count(len(body))
        mood = self.owner.mood
        time.sleep(mood.delay + (len(body) / mood.rate if mood.rate else 0.0))
        failing = self.owner.fails(self.command, self.path)
        if failing is not None:
            self._answer(failing.status or 503, [("Content-Type", "application/xml")], failing.body)
            return
        link = http.client.HTTPConnection("127.0.0.1", self.owner.target, timeout=60)
        try:
            link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for key, value in self.headers.items():
                if key.lower() not in ("connection", "expect", "transfer-encoding", "content-length"):
                    link.putheader(key, value)
            if body or self.command in ("PUT", "POST"):
                link.putheader("Content-Length", str(len(body)))
            link.endheaders(body or None)
            answer = link.getresponse()
            content = answer.read()
            headers = [(key, value) for key, value in answer.getheaders()]
            self._answer(answer.status, headers, content)
        except OSError:
            self._answer(502, [], b"")
        finally:
            link.close()

    def do_GET(self) -> None:
        self._handle()

    def do_HEAD(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, status: int, headers: list[tuple[str, Any]], content: bytes) -> None:
        self.send_response_only(status)
        length = next((value for key, value in headers if key.lower() == "content-length"), str(len(content)))
        for key, value in headers:
            if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(key, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
