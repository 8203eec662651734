"""A transport whose every command is refused, here or on the target, once its lease is over."""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import IO, ClassVar

from gateway.compute import scripts
from gateway.compute.transport.base import CommandResult, RcloneRemote, Transport
from gateway.errors import LeaseLost
from gateway.model.job import Probe
from gateway.settings import PluginSettings

REFUSED = 113
"""Exit status of a command that a later fence kept from running."""
_LATER = re.compile(rb"gateway-fence (\d{1,18})\n")


@dataclass(frozen=True)
class Fence:
    """A fence on a target.

    Attributes
    ----------
    folder
        Gives the absolute folder of the target's fences; may ask the target.
    name
        Of the database and the lane: other gateways may use the same folder.
    check
        Raises `LeaseLost` when the lease is over by this machine's clock.
    beaten
        Told the later token that stands on the target.
    """

    folder: Callable[[], Awaitable[str]]
    name: str
    token: int
    check: Callable[[], None]
    beaten: Callable[[int], None]

    def guard(self, folder: str) -> str:
        """Return bash text that ends the command where a later fence stands."""
        words = shlex.join([folder, self.name, str(self.token)])
        return f"{scripts.read('fence')}\ngw_fence {words} || exit {REFUSED}\n"


class FencedTransport(Transport):
    """Another transport behind a fence. Closing it leaves that one open.

    Raises `LeaseLost` where the lease is over: then the command has not run.
    """

    kind: ClassVar[str] = "fenced"

    def __init__(self, inner: Transport, fence: Fence) -> None:
        self.inner = inner
        self.fence = fence
        self.kind = inner.kind  # type: ignore[misc]
        self.Settings: type[PluginSettings] = inner.Settings  # type: ignore[misc]

    @property
    def username(self) -> str:
        """Account on the target."""
        return self.inner.username

    async def run(
        self,
        script: str,
        *,
        data: bytes | IO[bytes] = b"",
        timeout: float = 60.0,
        max_output: int = 64 * 1024 * 1024,
    ) -> CommandResult:
        """Run `script` unless the lease is over; see `Transport.run`."""
        self.fence.check()
        guard = self.fence.guard(await self.fence.folder())
        self.fence.check()
        result = await self.inner.run(guard + script, data=data, timeout=timeout, max_output=max_output)
        later = _LATER.match(result.stderr)
        if result.exit_status == REFUSED and later is not None:
            self.fence.beaten(int(later[1]))
            raise LeaseLost("another gateway process has driven this target since")
        return result

    async def relay_source(self, folder: str) -> RcloneRemote:
        """Return `folder` as a remote of the gateway's own rclone."""
        self.fence.check()
        return await self.inner.relay_source(folder)

    async def probe(self) -> list[Probe]:
        """Look at the connection itself."""
        return await self.inner.probe()

    def reset(self) -> None:
        """Forget refused logins and failures."""
        self.inner.reset()

    async def close(self) -> None:
        """There is nothing of its own to end."""
