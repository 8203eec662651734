"""How much of a target the gateway's own passes may take: so many at the same time, so many bytes a second together."""

from __future__ import annotations

import asyncio

from gateway.settings import RelaySettings


class RelayTurns:
    """Turns of one target's passes; with each comes an equal part of the bandwidth."""

    def __init__(self, settings: RelaySettings) -> None:
        self.at_once = settings.at_once
        self.turn = asyncio.Semaphore(settings.at_once)
        self._bandwidth = settings.bandwidth

    @property
    def bandwidth(self) -> str | None:
        """What one pass may take, as rclone's ``--bwlimit`` reads it; None: all there is."""
        return None if self._bandwidth is None else f"{max(1, self._bandwidth // self.at_once)}B"
