"""Where requests go, and what is known about that: the same for both modes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import BaseModel

from gateway import __version__

State = Literal["ready", "starting", "needs_token", "unreachable", "failed"]


@dataclass(frozen=True)
class Upstream:
    """A gateway's address and the token for it, which never leaves the server."""

    url: str
    token: str = field(repr=False)


class Status(BaseModel):
    """What the panel shows about the gateway itself.

    Attributes
    ----------
    url
        Of the gateway, for people: where it listens on this machine, or the shared one's.
    lease
        Whether this process acts on jobs; None for a shared gateway, which says so itself.
    """

    mode: Literal["embedded", "remote"]
    state: State
    message: str | None = None
    hint: str | None = None
    url: str | None = None
    lease: Literal["held", "elsewhere", "none"] | None = None
    person: str | None = None
    role: str | None = None
    version: str = __version__
    can_add_targets: bool = False


class Mode(Protocol):
    """The gateway in this process, or a shared one."""

    async def start(self) -> None:
        """Begin; returns before the gateway is ready."""

    async def stop(self) -> None:
        """End; jobs go on."""

    async def upstream(self) -> Upstream:
        """Return where to send a request.

        Raises
        ------
        GatewayStarting, GatewayFailed, TokenNeeded
        """

    async def check(self) -> None:
        """Return when the gateway answers; raises what keeps it from that."""

    async def status(self) -> Status:
        """Return what is known now; never raises."""
