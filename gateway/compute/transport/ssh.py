"""The ``ssh`` transport: one connection per target, opened once for all who ask, many channels on it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, ClassVar, TypeVar

import paramiko

from gateway.compute.transport import envelope
from gateway.compute.transport.base import RcloneRemote, Transport
from gateway.compute.transport.breaker import Breaker
from gateway.compute.transport.channel_limit import PATIENCE, START, ChannelLimit
from gateway.compute.transport.envelope import Answer
from gateway.compute.transport.sftp import check_sftp, sftp_remote
from gateway.compute.transport.ssh_call import Call, NotSent
from gateway.compute.transport.ssh_connection import Connection, NoSession
from gateway.compute.transport.ssh_login import Hop, SshSettings, route
from gateway.errors import TargetError, TargetUnreachable
from gateway.model.job import Probe
from gateway.settings import PluginSettings

T = TypeVar("T")


class SshTransport(Transport):
    """Runs bash on a machine over SSH.

    Parameters
    ----------
    settings
        `SshSettings`.
    env, path
        Variables, and folders put before ``PATH``, for every remote command.
    state_folder
        Where files for other programs (known_hosts for rclone) are written.
    """

    kind: ClassVar[str] = "ssh"
    Settings: ClassVar[type[PluginSettings]] = SshSettings

    def __init__(
        self, settings: PluginSettings, *, env: Mapping[str, str], path: str | None, state_folder: Path
    ) -> None:
        assert isinstance(settings, SshSettings)
        self.settings = settings
        self._env = dict(env)
        self._path = path
        self._state_folder = state_folder
        self._hops = route(settings)
        self._breaker = Breaker()
        self._limit = ChannelLimit()
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._calls: set[Call] = set()
        self._executor: ThreadPoolExecutor | None = None
        self.connects = 0

    @property
    def username(self) -> str:
        """Account on the target."""
        return self._hops[-1].username

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The hosts from the first jump to the target."""
        return self._hops

    @property
    def channel_limit(self) -> int:
        """How many channels are open at once at most, as learnt from the server."""
        return self._limit.limit

    def reset(self) -> None:
        """Forget refused logins and failures, and read ssh_config and known_hosts again: a person has acted.

        Raises
        ------
        ConfigurationError
            ``ssh_config`` is wrong now.
        """
        self._hops = route(self.settings)
        self._breaker.reset()
        self._limit.limit = max(self._limit.limit, START)

    async def run(
        self,
        script: str,
        *,
        data: bytes | IO[bytes] = b"",
        timeout: float = 60.0,
        max_output: int = 64 * 1024 * 1024,
    ) -> Answer:
        """Run `script` on the target; see `Transport.run`."""
        nonce = envelope.new_nonce()
        sent = envelope.wrap(script, nonce, self._env, self._path, has_data=data != b"")
        async with self._limit.slot():
            call = Call(sent, data, nonce, max_output)
            try:
                await self._on_channel(partial(self._execute, call, timeout), call)
            except NotSent:
                call = Call(sent, data, nonce, max_output)  # nothing has run, and `data` is untouched
                try:
                    await self._on_channel(partial(self._execute, call, timeout), call)
                except NotSent as error:
                    raise TargetUnreachable(f"{self._hops[-1].name}: the connection broke: {error}") from None
        return envelope.unwrap(bytes(call.stdout), bytes(call.stderr), nonce)

    async def relay_source(self, folder: str) -> RcloneRemote:
        """Return `folder` as an sftp remote; see `Transport.relay_source`."""
        async with self._limit.slot():
            connection = await self._connected()
            if not connection.sftp_checked:
                with contextlib.suppress(NotSent):
                    problem = await self._on_channel(check_sftp)
                    connection.sftp_problem, connection.sftp_checked = problem, True
        if connection.sftp_problem:
            raise TargetError(
                f"{self._hops[-1].host} has {connection.sftp_problem}, so outputs cannot be relayed: "
                "use a store that the node can push to"
            )
        if self.budget is not None:  # rclone opens one of its own
            await self.budget.connection()
        return await self._in_thread(partial(sftp_remote, self.settings, self._hops, folder, self._state_folder))

    async def probe(self) -> list[Probe]:
        """Look at the connection; see `Transport.probe`."""
        hop = self._hops[-1]
        connection = await self._connected()
        answer = await self.run(":", timeout=30)
        noise = envelope.printable(answer.noise, 100)
        way = "".join(f" via {jump.name}" for jump in self._hops[:-1])
        return [
            Probe(name="ssh", status="ok", detail=f"logged in as {hop.name}{way}"),
            Probe(
                name="host key",
                status="ok",
                detail=f"{connection.host_key.kind} {connection.host_key.fingerprint}",
            ),
            Probe(
                name="login noise",
                status="warning" if noise else "ok",
                detail=f"start-up files print: {noise}" if noise else "none",
                fix="print only in interactive shells; the gateway works around it" if noise else None,
            ),
        ]

    async def close(self) -> None:
        """End the connection; runs under way end with RemoteTimeout."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        for call in list(self._calls):
            call.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._in_thread(connection.close)
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)

    async def _connected(self) -> Connection:
        """Return the connection; open it, once for all who wait.

        Raises
        ------
        TargetUnreachable, LoginRefused, HostKeyChanged
        """
        if self._connection is not None and self._connection.alive:
            return self._connection
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._connect_done)
        # Shielded: one caller that gives up must not take the connection from the others.
        return await asyncio.shield(self._connecting)

    def _connect_done(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # every caller may have given up

    async def _connect(self) -> Connection:
        old, self._connection = self._connection, None
        if old is not None:
            await self._in_thread(old.close)
        await asyncio.sleep(self._breaker.wait())
        if self.budget is not None:
            await self.budget.connection()
        settings = self.settings
        self.connects += 1
        passphrase = settings.passphrase.reveal() if settings.passphrase else None
        opening = partial(
            Connection.open,
            self._hops,
            passphrase,
            timeout=settings.connect_timeout,
            keepalive=settings.keepalive,
        )
        try:
            connection = await self._in_thread(opening, give_back=Connection.close)
        except TargetUnreachable as error:
            self._breaker.failed(error)
            raise
        self._breaker.succeeded()
        self._connection = connection
        return connection

    async def _on_channel(self, work: Callable[[paramiko.Channel], T], call: Call | None = None) -> T:
        """Open a channel and do blocking `work` on it; a server that allows fewer channels is given its way."""
        for refusals in range(PATIENCE + 1):
            connection = await self._connected()
            tried_with = self._limit.limit
            try:
                return await self._in_thread(partial(self._session_work, connection, work), call=call)
            except NoSession as error:
                self._limit.refused(tried_with)
                if refusals == PATIENCE:
                    raise TargetUnreachable(f"{self._hops[-1].host} opens no session: {error}") from None
            await asyncio.sleep(0.02 * 2**refusals)
        raise AssertionError

    def _session_work(self, connection: Connection, work: Callable[[paramiko.Channel], T]) -> T:
        channel = connection.session(self.settings.connect_timeout)
        self._limit.opened()
        try:
            return work(channel)
        finally:
            channel.close()
            self._limit.closed()

    def _execute(self, call: Call, timeout: float, channel: paramiko.Channel) -> None:
        call.run(channel, time.monotonic() + timeout, linger=self._limit.limit < START)

    async def _in_thread(
        self,
        work: Callable[[], T],
        *,
        call: Call | None = None,
        give_back: Callable[[T], None] | None = None,
    ) -> T:
        """Do blocking `work` in the transport's own threads.

        Parameters
        ----------
        call
            Given up when the caller is cancelled.
        give_back
            What to do with a result that nobody waits for any more.
        """
        if self._executor is None:
            self._executor = ThreadPoolExecutor(START + 2, thread_name_prefix="ssh")
        future = self._executor.submit(work)
        if call is not None:
            self._calls.add(call)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if call is not None:
                call.cancel()
            if give_back is not None and not future.cancel():
                future.add_done_callback(lambda done: None if done.exception() else give_back(done.result()))
            raise
        finally:
            if call is not None:
                self._calls.discard(call)
