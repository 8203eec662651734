"""A real HTTP server that can misbehave, and a node that runs the pull library as sites and jobs do."""

from __future__ import annotations

import atexit
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gateway import templates

PULL = Path(tempfile.mkdtemp(prefix="pull-")) / "pull.sh"
"""The puller as sites get it."""
PULL.write_text(templates.puller())
PULL.parent.chmod(0o755)
atexit.register(shutil.rmtree, PULL.parent, ignore_errors=True)
NODE_COMMANDS = [
    "bash",
    "cat",
    "chmod",
    "comm",
    "cut",
    "date",
    "dd",
    "df",
    "du",
    "env",
    "find",
    "flock",
    "grep",
    "head",
    "id",
    "ln",
    "mkdir",
    "mv",
    "od",
    "rm",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "tail",
    "tee",
    "touch",
    "tr",
    "true",
    "truncate",
    "unsquashfs",
]
"""All that a node needs to have beside a downloader."""


LATE = 2_000_000
"""The byte that the mirror ``late`` has wrong."""


@dataclass
class Served:
    """What the server has sent for one path."""

    gets: int = 0
    heads: int = 0
    sent: int = 0


@dataclass
class Mirror:
    """A server on loopback; the first part of a path says how it behaves, the rest which file is meant."""

    files: dict[str, bytes] = field(default_factory=dict)
    served: dict[str, Served] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)
    halfway: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0
    busy: bool = True
    patience: str = "1"

    def url(self, behaviour: str, name: str = "image", query: str = "", login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.port}/{behaviour}/{name}{query}"

    def total(self) -> Served:
        with self.lock:
            rows = list(self.served.values())
        return Served(sum(r.gets for r in rows), sum(r.heads for r in rows), sum(r.sent for r in rows))

    def count(self, behaviour: str, *, gets: int = 0, heads: int = 0, sent: int = 0) -> None:
        with self.lock:
            row = self.served.setdefault(behaviour, Served())
            row.gets, row.heads, row.sent = row.gets + gets, row.heads + heads, row.sent + sent


def mirror_handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _parts(self) -> tuple[str, bytes]:
            behaviour, _, name = self.path.partition("?")[0].strip("/").partition("/")
            return behaviour, mirror.files.get(name, b"")

        def _headers(self, status: int, length: int, kind: str = "application/octet-stream", extra: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.send_header("Content-Type", kind)
            if extra:
                self.send_header("Content-Range", extra)
            self.end_headers()

        def do_HEAD(self) -> None:
            behaviour, data = self._parts()
            mirror.count(behaviour, heads=1)
            if behaviour in ("nohead", "404", "503"):
                self._headers({"nohead": 405, "404": 404, "503": 503}[behaviour], 0)
            else:
                self._headers(200, 10**17 if behaviour == "huge" else len(data))

        def do_GET(self) -> None:
            behaviour, data = self._parts()
            mirror.count(behaviour, gets=1)
            if behaviour in ("404", "503"):
                self._send(behaviour, int(behaviour), b"<html>no</html>")
            elif behaviour == "busy":
                self._busy()
            elif behaviour == "html":
                self._send(behaviour, 200, b"<!DOCTYPE html><html>sign in</html>" * 40, kind="text/html")
            elif behaviour == "loop":
                self.send_response(302)
                self.send_header("Location", self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._file(behaviour, data)

        def _busy(self) -> None:
            """Ask, once, to be asked again after a second."""
            with mirror.lock:
                first, mirror.busy = mirror.busy, False
            if not first:
                self._file("busy", self._parts()[1])
                return
            self.send_response(429)
            self.send_header("Retry-After", mirror.patience)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _file(self, behaviour: str, data: bytes) -> None:
            start, extra, whole = 0, "", len(data)
            wanted = self.headers.get("Range", "")
            if wanted.startswith("bytes=") and behaviour != "norange":
                first, _, last = wanted[6:].partition("-")
                start, end = int(first or 0), int(last or whole - 1)
                if start >= whole:
                    self._headers(416, 0, extra=f"bytes */{whole}")
                    return
                data, extra = data[start : end + 1], f"bytes {start}-{end}/{whole}"
            if behaviour == "wrong":
                data = bytes(byte ^ 0xFF for byte in data[:64]) + data[64:]
            if behaviour == "late" and start < LATE < start + len(data):  # one byte in the second half is wrong
                place = LATE - start
                data = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
            self._send(behaviour, 206 if extra else 200, data, extra=extra)

        def _send(
            self,
            behaviour: str,
            status: int,
            data: bytes,
            kind: str = "application/octet-stream",
            extra: str = "",
        ) -> None:
            self._headers(status, len(data), kind, extra)
            try:
                if behaviour == "cut" or (behaviour == "cutonce" and not extra):
                    self._write(behaviour, data[: len(data) // 2])
                    self.close_connection = True
                elif behaviour == "trickle":
                    for position in range(40):
                        self._write(behaviour, data[position : position + 1])
                        time.sleep(0.25)
                    self.close_connection = True
                elif behaviour == "gated":
                    self._write(behaviour, data[: len(data) // 2])
                    mirror.halfway.set()
                    mirror.gate.wait(60)
                    self._write(behaviour, data[len(data) // 2 :])
                else:
                    self._write(behaviour, data)
            except OSError:
                self.close_connection = True

        def _write(self, behaviour: str, data: bytes) -> None:
            for start in range(0, len(data), 65536):
                piece = data[start : start + 65536]
                self.wfile.write(piece)
                mirror.count(behaviour, sent=len(piece))

    return Handler


class MirrorServer(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is what these tests are about."""


@dataclass(frozen=True)
class Node:
    """A compute node: a cache folder and the commands it has."""

    cache: Path
    commands: Path
    ordinary: bool = False

    def environment(self, **extra: str) -> dict[str, str]:
        return {"PATH": str(self.commands), "HOME": "/nonexistent", "LC_ALL": "C", **extra}

    def argv(self, *argv: str) -> list[str]:
        drop = (
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            if self.ordinary and os.geteuid() == 0
            else []
        )
        return [
            *([shutil.which(drop[0]) or drop[0], *drop[1:]] if drop else []),
            str(self.commands / "bash"),
            *argv,
        ]

    def start(self, digest: str, *sources: str, unpack: bool = False, **settings: str) -> subprocess.Popen[str]:
        flags = ["--unpack"] if unpack else []
        return self._run([str(PULL), *flags, str(self.cache), digest, *sources], settings)

    def _run(self, argv: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*argv),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=self.environment(**variables),
        )

    def pull(
        self, digest: str, *sources: str, unpack: bool = False, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(digest, *sources, unpack=unpack, **settings)
        out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(process.args, process.returncode, out.strip(), err)

    def source(self, script: str, **variables: str) -> subprocess.Popen[str]:
        """Run bash text that has the library's functions, as the job's script does."""
        text = f"set -u\nGW_INLINED=1\n. {shlex.quote(str(PULL))}\n{script}"
        return self._run(["-c", text], {"cache": str(self.cache), **variables})

    def names(self) -> set[str]:
        """Names in the cache, locks and marks of use aside."""
        return {path.name for path in self.cache.iterdir()} - {".locks", ".uses"} if self.cache.exists() else set()


def command_folder(folder: Path, *downloaders: str, leave_out: tuple[str, ...] = ()) -> Path:
    folder.mkdir()
    for name in (*NODE_COMMANDS, *downloaders):
        found = shutil.which(name)
        assert found, f"these tests need {name}"
        if name not in leave_out:
            (folder / name).symlink_to(found)
    return folder


@dataclass(frozen=True)
class Image:
    """Bytes and what they are called by."""

    data: bytes

    @property
    def hex(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def digest(self) -> str:
        return f"sha256:{self.hex}"


def children(pid: int) -> set[int]:
    """Return all living descendants of a process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found, new = set[int](), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= new
    return found


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for something that must become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.02)


def kill_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
