"""A gateway whose wall clock is wrong: `tests.chaos.serve` installs this before it imports anything of the gateway."""

from __future__ import annotations

import datetime as module
import time
from collections.abc import Mapping
from typing import Any

_real = module.datetime


class _Any(type):
    """What the rest of the world calls a datetime is one of ours too."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _real)


class Shifted(_real, metaclass=_Any):
    """A datetime whose `now` is wrong."""

    shift = module.timedelta()

    @classmethod
    def now(cls, tz: module.tzinfo | None = None) -> Any:
        """Return the wrong time."""
        return _real.now(tz) + cls.shift


def install(options: Mapping[str, Any]) -> None:
    """Shift the clock by ``shift`` seconds."""
    Shifted.shift = module.timedelta(seconds=options["shift"])
    module.datetime = Shifted  # type: ignore[misc]
    real, seconds = time.time, float(options["shift"])
    time.time = lambda: real() + seconds
