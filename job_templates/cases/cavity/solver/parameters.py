"""Parameters of a run, and which of them can be computed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flow import LENGTH, LID_SPEED


class Refused(Exception):
    """A parameter cannot be used; the message is one sentence."""


@dataclass(frozen=True)
class Parameters:
    """What to compute. Times in seconds; `pace` is wall-clock seconds per written time."""

    reynolds: float = 100.0
    cells: int = 20
    end_time: float = 0.5
    delta_t: float = 0.005
    write_interval: int = 20
    pace: float = 0.0

    @property
    def steps(self) -> int:
        """Number of time steps; the last one ends nearest to the end time."""
        return max(1, round(self.end_time / self.delta_t))

    @property
    def nu(self) -> float:
        """Kinematic viscosity in m²/s."""
        return LID_SPEED * LENGTH / self.reynolds

    def check(self) -> None:
        """Raise `Refused` for values that make no sense or no stable computation."""
        limits = (
            ("--reynolds", self.reynolds, 0.1, 10000.0),
            ("--cells", self.cells, 4, 512),
            ("--end-time", self.end_time, 1e-6, 1000.0),
            ("--delta-t", self.delta_t, 1e-7, 1.0),
            ("--write-interval", self.write_interval, 1, 1_000_000),
            ("--pace", self.pace, 0.0, 3600.0),
        )
        for option, value, low, high in limits:
            if not low <= value <= high:  # also refuses nan
                raise Refused(f"{option} must lie between {low:g} and {high:g}, not {value:g}.")
        if self.delta_t > self.end_time:
            raise Refused(f"--delta-t {self.delta_t:g} is longer than --end-time {self.end_time:g}.")
        width = LENGTH / self.cells
        courant = LID_SPEED * self.delta_t / width
        if courant > 1 + 1e-9:
            raise Refused(
                f"The Courant number of the lid would be {courant:.3g}, above 1: with {self.cells} cells "
                f"choose --delta-t {_floor(width / LID_SPEED):g} or less."
            )


def _floor(value: float) -> float:
    """Three significant digits, never rounded up."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return math.floor(value / unit * (1 + 1e-12)) * unit
