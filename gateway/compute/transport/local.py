"""The ``local`` transport: bash on this machine, the gateway's own account."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import IO, ClassVar, Literal, cast

from gateway.compute.transport import envelope
from gateway.compute.transport.base import RcloneRemote, Transport
from gateway.compute.transport.envelope import Answer
from gateway.errors import RemoteCommandFailed, RemoteTimeout, TargetUnreachable
from gateway.model.job import Probe
from gateway.settings import PluginSettings

# What a login would have. The gateway's own variables (secrets of stores among them) are not for jobs.
_INHERITED = re.compile(
    r"(HOME|USER|LOGNAME|SHELL|PATH|LANG|LC_\w+|TMPDIR|TZ|XDG_RUNTIME_DIR|DBUS_SESSION_BUS_ADDRESS|"
    r"SSL_CERT_(FILE|DIR)|(https?|ftp|all|no)_proxy|(HTTPS?|FTP|ALL|NO)_PROXY)\Z"
)
PIECE = 256 * 1024


class LocalSettings(PluginSettings):
    """``[targets.<name>.transport]`` with kind ``local``."""

    kind: Literal["local"] = "local"


class LocalTransport(Transport):
    """Runs bash here, each script in a process group of its own."""

    kind: ClassVar[str] = "local"
    Settings: ClassVar[type[PluginSettings]] = LocalSettings

    def __init__(
        self, settings: PluginSettings, *, env: Mapping[str, str], path: str | None, state_folder: Path
    ) -> None:
        self.settings = settings
        self.state_folder = state_folder
        self._env = dict(env)
        self._path = path

    @property
    def username(self) -> str:
        """The running user."""
        return pwd.getpwuid(os.geteuid()).pw_name

    def reset(self) -> None:
        """There is nothing that could have failed before."""

    async def run(
        self,
        script: str,
        *,
        data: bytes | IO[bytes] = b"",
        timeout: float = 60.0,
        max_output: int = 64 * 1024 * 1024,
    ) -> Answer:
        """Run `script` here; see `Transport.run`."""
        nonce = envelope.new_nonce()
        sent = envelope.wrap(script, nonce, self._env, self._path, has_data=data != b"")
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.subprocess_exec(
                lambda: _Bash(nonce, max_output),
                *envelope.COMMAND.split(),
                env=_environment(self.username),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise TargetUnreachable(f"bash cannot be started here: {error.strerror}") from None
        feeding = asyncio.create_task(_feed(transport, protocol, sent, data))
        try:
            async with asyncio.timeout(timeout):
                await protocol.answered.wait()
        except TimeoutError:
            raise RemoteTimeout("a command was not done in time") from None
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            if not protocol.whole:
                _kill_group(transport.get_pid())
            # It has said its last word, and waits for the end of its input at most.
            pipe = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
            if not pipe.is_closing():
                pipe.abort()
            await protocol.exited.wait()
            transport.close()
        if protocol.too_much:
            raise RemoteCommandFailed(f"a command wrote more than {max_output} bytes")
        return envelope.unwrap(bytes(protocol.streams[1]), bytes(protocol.streams[2]), nonce)

    async def relay_source(self, folder: str) -> RcloneRemote:
        """Return `folder` as rclone's own local remote."""
        return RcloneRemote({"type": "local"}, folder)

    async def probe(self) -> list[Probe]:
        """Look whether bash runs here."""
        await self.run(":", timeout=30)
        return [Probe(name="local", status="ok", detail=f"commands run here as {self.username}")]

    async def close(self) -> None:
        """There is nothing to end."""


def _environment(username: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if _INHERITED.match(key)}
    return {"USER": username, "LOGNAME": username, **kept}


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


class _Bash(asyncio.SubprocessProtocol):
    """Collects both streams; `answered` is set when both are whole, have ended, or are too long."""

    def __init__(self, nonce: str, max_output: int) -> None:
        self._nonce = nonce
        self._max = max_output
        self._ended: set[int] = set()
        self.exited = asyncio.Event()
        self.streams = {1: bytearray(), 2: bytearray()}
        self.too_much = False
        self.answered = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()

    @property
    def whole(self) -> bool:
        return all(envelope.is_whole(stream, self._nonce) for stream in self.streams.values())

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.streams[fd] += data
        self.too_much = self.too_much or len(self.streams[fd]) > self._max
        if self.too_much or self.whole:
            self.answered.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 0:
            self.writable.set()
        else:
            self._ended.add(fd)
        if self._ended == {1, 2}:
            self.answered.set()

    def process_exited(self) -> None:
        self.exited.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()


async def _feed(transport: asyncio.SubprocessTransport, protocol: _Bash, sent: bytes, data: bytes | IO[bytes]) -> None:
    """Write the script and its data as the process takes them."""
    pipe = transport.get_pipe_transport(0)
    assert isinstance(pipe, asyncio.WriteTransport)
    pipe.write(sent)
    if isinstance(data, bytes):
        pipe.write(data)
    else:
        while not pipe.is_closing() and (piece := await asyncio.to_thread(data.read, PIECE)):
            pipe.write(piece)
            await protocol.writable.wait()
    await protocol.writable.wait()
    pipe.close()
