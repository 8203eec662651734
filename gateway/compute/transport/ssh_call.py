"""One run of a script on an SSH channel: sends, collects, ends it. Blocks; runs in the transport's own threads."""

from __future__ import annotations

import select
import threading
import time
from typing import IO, Any

import paramiko

from gateway.compute.transport.envelope import COMMAND, is_whole
from gateway.errors import RemoteCommandFailed, RemoteTimeout

PIECE = 32 * 1024
LINGER = 0.5
"""Seconds that a channel is given to end by itself where the server allows few."""


class NotSent(Exception):
    """The connection was found dead before the whole script was sent: it has not run."""


class Call:
    """One run of a script on a channel. `cancel` may come from another thread."""

    def __init__(self, script: bytes, data: bytes | IO[bytes], nonce: str, max_output: int) -> None:
        self._script = memoryview(script)
        self._data = data
        self._position = 0
        self._pending = memoryview(b"")
        self._data_over = data == b""
        self._nonce = nonce
        self._max = max_output
        self._cancelled = threading.Event()
        self.stdout = bytearray()
        self.stderr = bytearray()

    @property
    def sent(self) -> bool:
        """Whether the whole script was handed over: from then on it may run."""
        return self._position >= len(self._script)

    def cancel(self) -> None:
        """Give the run up: its thread kills what runs and closes the channel."""
        self._cancelled.set()

    def run(self, channel: paramiko.Channel, deadline: float, *, linger: bool = False) -> None:
        """Send everything and collect both streams until the answer is whole; then close the channel.

        With `linger`, the far side may end it first, so that the server does not count it any more.

        Raises
        ------
        RemoteTimeout
            No whole answer, though the script may have run.
        NotSent
            The connection died before the script was sent.
        RemoteCommandFailed
            Too much output.
        """
        try:
            _request(channel, "exec", COMMAND)
            poller = select.poll()
            poller.register(channel.fileno(), select.POLLIN)
            while not self._finished(channel):
                left = deadline - time.monotonic()
                if left <= 0 or self._cancelled.is_set():
                    if not channel.closed:  # closing alone would leave it running (RFC 4254, 6.9)
                        _request(channel, "signal", "KILL", reply=False)
                    raise RemoteTimeout("a remote command was not done in time")
                if not self._move(channel):
                    self._wait(channel, poller, left)
            if linger and not self._data_over:
                channel.shutdown_write()
            until = time.monotonic() + (LINGER if linger else 0)
            while not channel.exit_status_ready() and time.monotonic() < until:
                time.sleep(0.002)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not self.sent:
                raise NotSent(words(error)) from None
            raise RemoteTimeout(f"the connection broke during a remote command: {words(error)}") from None
        finally:
            channel.close()
        # Without an exit status it was not the login shell that ended.
        if channel.exit_status == -1 and not is_whole(self.stdout, self._nonce):
            if not self.sent:
                raise NotSent("the connection broke")
            raise RemoteTimeout("the connection broke during a remote command")

    def _finished(self, channel: paramiko.Channel) -> bool:
        if is_whole(self.stdout, self._nonce) and is_whole(self.stderr, self._nonce):
            return True
        over = channel.closed or (channel.eof_received and channel.exit_status_ready())
        return bool(over) and not channel.recv_ready() and not channel.recv_stderr_ready()

    def _wait(self, channel: paramiko.Channel, poller: select.poll, left: float) -> None:
        """Wait for news: the pipe tells of output, while a full window and an exit status are looked for again."""
        if channel.eof_received:
            time.sleep(0.002)
        else:
            poller.poll(max(1, int(1000 * (min(left, 0.25) if self._data_over and self.sent else 0.005))))

    def _move(self, channel: paramiko.Channel) -> bool:
        """Move what can be moved without waiting; tell whether anything was."""
        moved = False
        while channel.recv_ready():
            self.stdout += channel.recv(PIECE * 4)
            moved = True
        while channel.recv_stderr_ready():
            self.stderr += channel.recv_stderr(PIECE * 4)
            moved = True
        if max(len(self.stdout), len(self.stderr)) > self._max:
            raise RemoteCommandFailed(f"a remote command wrote more than {self._max} bytes")
        if not (self._data_over and self.sent) and channel.send_ready():
            self._send(channel)
            moved = True
        return moved

    def _send(self, channel: paramiko.Channel) -> None:
        try:
            if not self.sent:
                self._position += channel.send(bytes(self._script[self._position : self._position + PIECE]))
                return
            # From here on the far side waits for the end of its input: nothing is sent to a command that is gone.
            if not self._pending:
                self._pending = memoryview(self._next_data())
            if not self._pending:
                self._data_over = True
                channel.shutdown_write()
                return
            self._pending = self._pending[channel.send(bytes(self._pending[:PIECE])) :]
        except OSError:
            if not self.sent:
                raise
            self._data_over = True  # the script did not want all of its input

    def _next_data(self) -> bytes:
        if isinstance(self._data, bytes):
            data, self._data = self._data, b""
            return data
        return self._data.read(PIECE * 8)


def _request(channel: paramiko.Channel, kind: str, word: str, *, reply: bool = True) -> None:
    """Send a channel request without waiting for the answer: a refusal closes the channel."""
    message = paramiko.Message()
    message.add_byte(bytes([98]))  # SSH_MSG_CHANNEL_REQUEST
    message.add_int(channel.remote_chanid)
    message.add_string(kind)
    message.add_boolean(reply)
    message.add_string(word)
    transport: Any = channel.transport
    transport._send_user_message(message)


def words(error: BaseException) -> str:
    """Say in short what an exception of paramiko or the system means."""
    if isinstance(error, paramiko.ChannelException):
        return str(error.text)
    if isinstance(error, EOFError):
        return "it was closed"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
