"""What the engine last saw of each target, for people to read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class TargetStatus:
    """State of a target: ``unknown`` (not looked yet), ``ok``, ``unreachable``, ``needs_login`` or ``failed``.

    ``failed``: what it answers is of no use (it has no scheduler …). `observed_at` is when it last answered.
    """

    state: str = "unknown"
    message: str | None = None
    observed_at: datetime | None = None


class Board:
    """Statuses by target name; written by the engine, read by the API."""

    def __init__(self) -> None:
        self._statuses: dict[str, TargetStatus] = {}

    def __getitem__(self, target: str) -> TargetStatus:
        return self._statuses.get(target, TargetStatus())

    def set(self, target: str, status: TargetStatus) -> None:
        """Replace the status of a target."""
        self._statuses[target] = status
