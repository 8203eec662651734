"""What a transport is: it runs a bash script on the target and gives back bytes."""

from __future__ import annotations

import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, ClassVar

from gateway.compute.transport.budget import Budget
from gateway.model.job import Probe
from gateway.settings import PluginSettings


@dataclass(frozen=True)
class CommandResult:
    """What a command left behind: its output as bytes, and its exit status."""

    stdout: bytes
    stderr: bytes
    exit_status: int

    def text(self) -> tuple[str, str, int]:
        """Return the arguments of a parser; bytes that are not UTF-8 become U+FFFD."""
        return self.stdout.decode(errors="replace"), self.stderr.decode(errors="replace"), self.exit_status


@dataclass(frozen=True)
class RcloneRemote:
    """A remote as rclone sees it, without a configuration file.

    Attributes
    ----------
    options
        Keys in rclone's own names (``type``, ``sas_url`` …). May hold secrets: hand them over by environment
        (``RCLONE_CONFIG_<NAME>_<KEY>``) or a 0600 file, never by arguments.
    root
        Path below the remote, without a leading ``/`` for object stores; absolute for folders.
    arguments
        Further rclone arguments that this remote needs (``--s3-no-check-bucket`` …); never secrets.
    """

    options: Mapping[str, str]
    root: str
    arguments: tuple[str, ...] = ()

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables that define this remote under `name` (upper case letters and digits)."""
        return {f"RCLONE_CONFIG_{name}_{key.upper()}": value for key, value in self.options.items()}


def _observed(run: Callable[..., Awaitable[CommandResult]]) -> Callable[..., Awaitable[CommandResult]]:
    """Let each command wait for the site's budget, and the transport's observer know of it."""

    @functools.wraps(run)
    async def observed(self: Transport, *arguments: Any, **options: Any) -> CommandResult:
        if self.budget is not None:
            async with self.budget.command():
                return await watched(self, *arguments, **options)
        return await watched(self, *arguments, **options)

    async def watched(self: Transport, *arguments: Any, **options: Any) -> CommandResult:
        began, answered = time.monotonic(), False
        try:
            result = await run(self, *arguments, **options)
            answered = True
        finally:
            if self.observer is not None:
                self.observer(time.monotonic() - began, answered)
        return result

    return observed


class Transport(ABC):
    """Runs bash on a target. Implementations hold at most one connection and reconnect by themselves."""

    kind: ClassVar[str]
    Settings: ClassVar[type[PluginSettings]]

    observer: Callable[[float, bool], None] | None = None
    """Told of each remote command: the seconds it took, and whether an answer came."""

    budget: Budget | None = None
    """What the site allows; each command waits for its turn."""

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "run" in cls.__dict__:
            cls.run = _observed(cls.__dict__["run"])  # type: ignore[method-assign, assignment]

    @property
    @abstractmethod
    def username(self) -> str:
        """Account on the target; fills ``{username}`` in configured folders."""

    @abstractmethod
    async def run(
        self,
        script: str,
        *,
        data: bytes | IO[bytes] = b"",
        timeout: float = 60.0,
        max_output: int = 64 * 1024 * 1024,
    ) -> CommandResult:
        """Run `script` by ``/bin/bash --noprofile --norc -s`` on the target.

        Parameters
        ----------
        script
            Bash text. Every value in it is already quoted.
        data
            What the script finds on its standard input; empty by default.
        timeout
            Seconds until the answer must be whole.
        max_output
            Bytes kept of each stream; more is an error.

        Returns
        -------
        CommandResult
            Output between the nonce markers only: a login shell's noise is cut off.

        Raises
        ------
        TargetUnreachable, LoginRefused, HostKeyChanged
            No connection.
        RemoteTimeout
            No whole answer in time: the script may or may not have run.
        RemoteCommandFailed
            The answer had no markers: the account's shell cannot run bash.
        """

    @abstractmethod
    async def relay_source(self, folder: str) -> RcloneRemote:
        """Return `folder` of the target as a remote of the gateway's own rclone.

        Raises
        ------
        TargetError
            It cannot be had (no SFTP subsystem …), in one sentence.
        """

    @abstractmethod
    async def probe(self) -> list[Probe]:
        """Look at the connection itself: name, key, login, noise of rc files. One line each, with the fix."""

    def reset(self) -> None:  # noqa: B027 - most transports remember nothing
        """Forget refused logins and failures: a person has acted."""

    @abstractmethod
    async def close(self) -> None:
        """End the connection."""
