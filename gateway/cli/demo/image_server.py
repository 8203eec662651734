"""A mirror on loopback that hands out one image file: whole, or a range of it."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECE = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


@contextlib.contextmanager
def serve_image(image: Path, name: str, bytes_per_second: float) -> Iterator[str]:
    """Serve `image` under ``/<name>`` and yield its URL.

    Parameters
    ----------
    bytes_per_second
        At most, over all connections, so that a pull over loopback can be watched.
    """

    class Handler(_ImageHandler):
        path_served, file, pace = f"/{name}", image, Pace(bytes_per_second)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{name}"
        finally:
            server.shutdown()
            thread.join()


class Pace:
    """Holds all connections together to a number of bytes per second."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = 0.0

    def keep(self, count: int) -> None:
        """Wait as long as `count` bytes take."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + count / self._rate
            moment = self._free_at
        time.sleep(max(0.0, moment - time.monotonic()))


class _ImageHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    path_served = "/"
    file = Path()
    pace: Pace

    def do_GET(self) -> None:
        """Answer the file's bytes."""
        self._answer(with_bytes=True)

    def do_HEAD(self) -> None:
        """Answer the file's size."""
        self._answer(with_bytes=False)

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is the demo's."""

    def _answer(self, *, with_bytes: bool) -> None:
        if self.path != self.path_served:
            self._head(404, 0)
            return
        size = self.file.stat().st_size
        found = byte_range(self.headers.get("Range"), size)
        if found is None:
            self._head(416, 0, content_range=f"bytes */{size}")
            return
        first, last, partial = found
        described = f"bytes {first}-{last}/{size}" if partial else None
        self._head(206 if partial else 200, last - first + 1, content_range=described)
        if with_bytes:
            # Whoever pulls may go away at any time.
            with contextlib.suppress(ConnectionError):
                self._send(first, last - first + 1)

    def _head(self, status: int, length: int, content_range: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()

    def _send(self, first: int, length: int) -> None:
        sent = 0
        with self.file.open("rb") as stream:
            stream.seek(first)
            while sent < length and (piece := stream.read(min(PIECE, length - sent))):
                self.wfile.write(piece)
                sent += len(piece)
                self.pace.keep(len(piece))


def byte_range(header: str | None, size: int) -> tuple[int, int, bool] | None:
    """Return (first, last, whether a part was asked for) of a ``Range`` header; None where nothing fits.

    What is not one plain range asks for the whole, as HTTP has it.
    """
    match = _RANGE.match(header or "")
    if match is None or match[1] == match[2] == "":
        return 0, size - 1, False
    if match[1]:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
    else:
        first, last = max(0, size - int(match[2])), size - 1
    return (first, last, True) if first <= last else None
