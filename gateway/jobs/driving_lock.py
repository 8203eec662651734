"""Which process drives the jobs of a data folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class DrivingLock:
    """One process drives the jobs of a data folder; the lock ends with the process, however it ends."""

    def __init__(self, data: Path) -> None:
        self._file = data / "lock"
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process drives."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Try to become the one that drives."""
        if self._descriptor is None:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False
            self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let another process drive."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
