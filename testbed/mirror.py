"""An HTTP mirror on loopback that counts what it serves and misbehaves when told to."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, urlsplit

_CHUNK = 65536


@dataclass(frozen=True)
class Fault:
    """How a mirror misbehaves for one path.

    Attributes
    ----------
    status
        Answer this status, without the file.
    corrupt
        Flip the first byte of every chunk.
    truncate
        Close the connection after this many bytes of the file, having promised all.
    rate
        Bytes per second.
    stall
        Send this many bytes of the file, then nothing until the fault is taken back.
    no_ranges
        Ignore the ``Range`` header.
    """

    status: int | None = None
    corrupt: bool = False
    truncate: int | None = None
    rate: float | None = None
    stall: int | None = None
    no_ranges: bool = False


@dataclass(frozen=True)
class Request:
    """One request that has ended.

    Attributes
    ----------
    range
        Its ``Range`` header.
    status
        What it was answered.
    sent
        How many bytes of the file went out.
    """

    method: str
    path: str
    range: str | None
    status: int
    sent: int


@dataclass
class _Served:
    content: bytes | Path
    fault: Fault | None = None
    changed: threading.Event = field(default_factory=threading.Event)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away; everything else is a mistake to be seen."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Mirror:
    """An HTTP server in a thread, with Range and HEAD.

    Attributes
    ----------
    requests
        Every request that ended, in order.
    """

    def __init__(self) -> None:
        self._files: dict[str, _Served] = {}
        self._folders: dict[str, Path] = {}
        self._lock = threading.Lock()
        self.requests: list[Request] = []
        self._begun: Counter[str] = Counter()
        self._stopping = False

    def start(self) -> Self:
        """Start to serve."""
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop to serve; transfers that still run are cut."""
        self._stopping = True
        for served in list(self._files.values()):
            served.changed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Port on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self, path: str, content: bytes | Path, fault: Fault | None = None) -> str:
        """Serve a file or bytes under a path (``/image.sif``) and return its URL."""
        with self._lock:
            self._files[path] = _Served(content, fault)
        return self.url + quote(path)

    def serve_folder(self, prefix: str, folder: Path) -> str:
        """Serve whatever stands in a folder when it is asked for, below a prefix (``/images``); return its URL."""
        with self._lock:
            self._folders[prefix.rstrip("/") + "/"] = folder
        return self.url + quote(prefix)

    def fail(self, path: str, fault: Fault | None) -> None:
        """Misbehave for a path from now on; ``None``: behave again (transfers that stall go on)."""
        with self._lock:
            served = self._files[path]
            old, served.fault, served.changed = served.changed, fault, threading.Event()
        old.set()

    def count(self, path: str, method: str = "GET") -> int:
        """Return how many requests for a path have ended."""
        with self._lock:
            return sum(request.path == path and request.method == method for request in self.requests)

    def begun(self, path: str) -> int:
        """Return how many requests for a path have begun, ended or not."""
        with self._lock:
            return self._begun[path]

    def bytes_sent(self, path: str) -> int:
        """Return how many bytes of a file went out."""
        with self._lock:
            return sum(request.sent for request in self.requests if request.path == path)

    def _find(self, path: str) -> _Served | None:
        with self._lock:
            if path in self._files:
                return self._files[path]
            inside = {prefix: folder for prefix, folder in self._folders.items() if path.startswith(prefix)}
        files = (folder / path.removeprefix(prefix) for prefix, folder in inside.items() if ".." not in path)
        return next((_Served(file) for file in files if file.is_file()), None)

    def _begin(self, path: str) -> None:
        with self._lock:
            self._begun[path] += 1

    def _record(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)


class _Handler(BaseHTTPRequestHandler):
    owner: Mirror
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.owner._begin(path)
        served = self.owner._find(path)
        fault = (served.fault if served else None) or Fault()
        if served is None or fault.status is not None:
            self.send_response(fault.status or 404)
            self.send_header("Content-Length", "0")
            self._finish(path, fault.status or 404, 0)
            self.end_headers()
            return
        size = len(served.content) if isinstance(served.content, bytes) else served.content.stat().st_size
        first, last, status = _slice(None if fault.no_ranges else self.headers.get("Range"), size)
        self.send_response(status)
        self.send_header("Accept-Ranges", "none" if fault.no_ranges else "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        elif status == 416:
            self.send_header("Content-Range", f"bytes */{size}")
        self.send_header("Content-Length", str(last - first + 1))
        if not body or last < first:
            self._finish(path, status, 0)
            self.end_headers()
            return
        self.end_headers()
        self._send(path, status, last - first + 1, _chunks(self.owner, served, fault, first, last))

    def _send(self, path: str, status: int, promised: int, chunks: Iterator[bytes]) -> None:
        sent = 0
        try:
            for chunk in chunks:
                sent += len(chunk)
                # Written down before the client can see the end, so that its test never looks too early.
                if sent == promised:
                    self._finish(path, status, promised)
                self.wfile.write(chunk)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        if sent < promised:
            self.close_connection = True
            self._finish(path, status, sent)

    def _finish(self, path: str, status: int, sent: int) -> None:
        self.owner._record(Request(self.command, path, self.headers.get("Range"), status, sent))


def _chunks(owner: Mirror, served: _Served, fault: Fault, first: int, last: int) -> Iterator[bytes]:
    """Give the bytes of an answer, as late, short and wrong as the fault wants them."""
    at, end, sent, changed = first, last + 1, 0, served.changed
    while True:
        size = min(_CHUNK, end - at)
        if fault.rate is not None:
            size = min(size, max(1, int(fault.rate / 20)))
        if fault.truncate is not None:
            size = min(size, fault.truncate - sent)
        if fault.stall is not None and not changed.is_set():
            if sent >= fault.stall:
                changed.wait()
            else:
                size = min(size, fault.stall - sent)
        if size <= 0 or owner._stopping:
            return
        if fault.rate is not None:
            time.sleep(size / fault.rate)
        data = _read(served.content, at, size)
        at += size
        sent += size
        yield bytes([data[0] ^ 0xFF]) + data[1:] if fault.corrupt else data


def _read(content: bytes | Path, at: int, size: int) -> bytes:
    if isinstance(content, bytes):
        return content[at : at + size]
    with content.open("rb") as file:
        file.seek(at)
        return file.read(size)


def _slice(asked: str | None, size: int) -> tuple[int, int, int]:
    """Return first byte, last byte and status for a ``Range`` header of one range."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", asked or "")
    if match is None or not any(match.groups()):
        return 0, size - 1, 200
    start, stop = match.groups()
    first = int(start) if start else max(0, size - int(stop))
    last = min(int(stop), size - 1) if start and stop else size - 1
    return (first, last, 206) if first <= last else (0, -1, 416)
