"""One SSH connection, by paramiko: everything here blocks, and runs in the transport's own threads."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from typing import Any

import paramiko

from gateway.compute.transport.host_keys import HostKey, KnownHosts
from gateway.compute.transport.ssh_call import NotSent, words
from gateway.compute.transport.ssh_login import Hop, load_keys
from gateway.errors import HostKeyChanged, LoginRefused, TargetUnreachable

_TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)

# Whatever paramiko writes down as an error is also raised, and is told in our words.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class NoSession(Exception):
    """The server opens no further session on this connection (MaxSessions)."""


def open_socket(host: str, port: int, timeout: float, patience: float) -> socket.socket:
    """Connect by TCP without delay of small packets; a peer that is silent for `patience` seconds is given up.

    Raises
    ------
    TargetUnreachable
    """
    try:
        sock = socket.create_connection((host, port), timeout)
    except OSError as error:
        why = "it did not answer in time" if isinstance(error, TimeoutError) else (error.strerror or str(error))
        raise TargetUnreachable(f"{host}:{port} cannot be reached: {why}") from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if _TCP_USER_TIMEOUT is not None:
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, int(patience * 1000))
    return sock


def handshake(sock: Any, hop: Hop, known: KnownHosts | None, timeout: float) -> tuple[paramiko.Transport, HostKey]:
    """Agree on keys with a server; return the unauthenticated transport and the key that the server proved.

    Raises
    ------
    TargetUnreachable
        It does not speak SSH, or no algorithm is common to both.
    """
    transport = None
    try:
        transport = paramiko.Transport(sock)
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = timeout
        if known is not None:
            options = transport.get_security_options()
            options.key_types = known.preferred(options.key_types)
        transport.start_client(timeout=timeout)
        shown = transport.get_remote_server_key()
        return transport, HostKey(shown.get_name(), shown.asbytes())
    except (paramiko.SSHException, EOFError, OSError) as error:
        if transport is not None:
            transport.close()
        with contextlib.suppress(OSError):
            sock.close()
        raise TargetUnreachable(f"{hop.host}:{hop.port} did not complete the SSH handshake: {words(error)}") from None


def check_host_key(hop: Hop, key: HostKey) -> None:
    """Refuse a host that shows a key which nobody vouched for.

    Raises
    ------
    HostKeyChanged
    """
    if hop.known.accepts(key):
        return
    add = f"gateway target add {hop.username}@{hop.host}"
    if key.blob in hop.known.revoked:
        raise HostKeyChanged(f"{hop.host}:{hop.port} shows a host key that is marked as revoked: {key.fingerprint}")
    if not hop.known.accepted:
        raise HostKeyChanged(
            f"no host key is configured for {hop.host}:{hop.port}, which shows {key.kind} {key.fingerprint}",
            hint=f"compare the fingerprint with the site's, then set host_key, or use `{add}`",
        )
    raise HostKeyChanged(
        f"{hop.host}:{hop.port} shows a host key that is not configured: {key.kind} {key.fingerprint}",
        hint=f"somebody may be in between; if the site changed its key, add the new one to host_key (`{add}` shows it)",
    )


def authenticate(transport: paramiko.Transport, hop: Hop, passphrase: str | None) -> None:
    """Log in by public key.

    Raises
    ------
    LoginRefused
        No key was taken, or a further factor is wanted.
    TargetUnreachable
        The connection broke before any key was refused.
    """
    with contextlib.ExitStack() as stack:
        keys: list[paramiko.PKey] = load_keys(hop, passphrase)
        if hop.agent:
            agent = paramiko.Agent()
            stack.callback(agent.close)
            keys += agent.get_keys()
        refused = 0
        for key in keys:
            try:
                further = transport.auth_publickey(hop.username, key)
            except paramiko.BadAuthenticationType as error:
                allowed = ", ".join(error.allowed_types)
                raise LoginRefused(f"{hop.name} takes no keys, only: {allowed}") from None
            except (paramiko.SSHException, EOFError, OSError) as error:
                # What cannot be sent is noticed before the transport's own thread knows that the connection is gone.
                broken = not transport.is_active() or isinstance(error, EOFError | OSError)
                if broken and not refused:
                    raise TargetUnreachable(f"{hop.name}: the connection broke during login: {words(error)}") from None
                if "timeout" in str(error).lower():
                    raise TargetUnreachable(f"{hop.name} did not answer the login in time") from None
                if broken:
                    break
                refused += 1
                continue
            if not further:
                return
            raise LoginRefused(f"{hop.name} wants more than a key: {', '.join(further)}")
    which = ", ".join(map(str, hop.key_files)) or ("the agent's keys" if hop.agent else "no key is configured")
    raise LoginRefused(f"{hop.name} refused the login ({which})", hint="is the public key in authorized_keys there?")


class Connection:
    """An authenticated connection to the last of a chain of hosts."""

    def __init__(self, transports: Sequence[paramiko.Transport], shown: HostKey, proxy: _Proxy | None = None) -> None:
        self._transports = list(transports)
        self._proxy = proxy
        self.transport = transports[-1]
        self.host_key = shown
        self.sftp_problem: str | None = None
        self.sftp_checked = False

    @classmethod
    def open(cls, hops: Sequence[Hop], passphrase: str | None, *, timeout: float, keepalive: float) -> Connection:
        """Connect, check every host's key, log in.

        Raises
        ------
        TargetUnreachable, LoginRefused, HostKeyChanged
        """
        transports: list[paramiko.Transport] = []
        proxy: _Proxy | None = None
        sock: Any
        try:
            for hop in hops:
                if transports:
                    sock = _through(transports[-1], hop, timeout)
                elif hop.proxy_command:
                    proxy = _Proxy(hop)
                    sock = proxy.sock
                else:
                    sock = open_socket(hop.host, hop.port, timeout, 3 * keepalive)
                transport, shown = handshake(sock, hop, hop.known, timeout)
                transports.append(transport)
                check_host_key(hop, shown)
                authenticate(transport, hop, passphrase)
                transport.set_keepalive(max(1, int(keepalive)))
            return cls(transports, shown, proxy)
        except BaseException:
            _close(transports, proxy)
            raise

    @property
    def alive(self) -> bool:
        """Whether the connection is thought to live."""
        return all(transport.is_active() for transport in self._transports)

    def close(self) -> None:
        """End the connection and the hops below it."""
        _close(self._transports, self._proxy)

    def session(self, timeout: float) -> paramiko.Channel:
        """Open a channel.

        Raises
        ------
        NoSession
            The server refuses one more.
        NotSent
            The connection is dead.
        """
        try:
            return self.transport.open_session(timeout=timeout)
        except paramiko.ChannelException as error:
            raise NoSession(error.text) from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            # paramiko keeps one exception for all threads: the refusal of one may be collected by another.
            if self.transport.is_active() and "Unable to open channel" in str(error):
                raise NoSession(str(error)) from None
            self.close()
            raise NotSent(words(error)) from None


def fetch_host_key(hops: Sequence[Hop], passphrase: str | None, timeout: float) -> HostKey:
    """Return the key that the last host shows, without logging in to it. Keys of jump hosts are checked.

    Raises
    ------
    TargetUnreachable, LoginRefused, HostKeyChanged
    """
    before = None
    proxy: _Proxy | None = None
    sock: Any
    target = hops[-1]
    try:
        if len(hops) > 1:
            before = Connection.open(hops[:-1], passphrase, timeout=timeout, keepalive=timeout)
            sock = _through(before.transport, target, timeout)
        elif target.proxy_command:
            proxy = _Proxy(target)
            sock = proxy.sock
        else:
            sock = open_socket(target.host, target.port, timeout, timeout)
        transport, shown = handshake(sock, target, None, timeout)
        _close([transport], proxy)
        return shown
    finally:
        if before is not None:
            before.close()


def _through(transport: paramiko.Transport, hop: Hop, timeout: float) -> paramiko.Channel:
    try:
        return transport.open_channel("direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=timeout)
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise TargetUnreachable(f"the jump host cannot reach {hop.host}:{hop.port}: {words(error)}") from None


class _Proxy:
    """A ProxyCommand: its standard streams are the other end of a socket."""

    def __init__(self, hop: Hop) -> None:
        assert hop.proxy_command is not None
        self.sock, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {hop.proxy_command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def close(self) -> None:
        """End the program."""
        self.sock.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _close(transports: Sequence[paramiko.Transport], proxy: _Proxy | None) -> None:
    for transport in reversed(transports):
        transport.close()
    if proxy is not None:
        proxy.close()
