"""Steps in time: the embedded Runge-Kutta method of Dormand and Prince, orders 5 and 4.

J. R. Dormand, P. J. Prince, J. Comput. Appl. Math. 6 (1980) 19-26.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rate = Callable[[Array], Array]

_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
SMALLEST = 1e-10  # minutes


class Stuck(Exception):
    """No step is small enough."""


class Stepper:
    """Integrates an autonomous system from one moment to the next, with steps of its own choice.

    Attributes
    ----------
    taken, refused
        Steps so far.
    """

    def __init__(self, rate: Rate, relative: float = 1e-8, absolute: float = 1e-10) -> None:
        self._rate, self._relative, self._absolute = rate, relative, absolute
        self._step = 1e-3
        self.taken = self.refused = 0

    def advance(self, state: Array, span: float) -> Array:
        """Return the state after `span`.

        Raises
        ------
        Stuck
        """
        left = span
        while left > 0:
            step = min(self._step, left)
            after, error = self._try(state, step)
            if error <= 1:
                state, left = after, 0.0 if step >= left else left - step
                self.taken += 1
            else:
                self.refused += 1
            proposed = step * min(5.0, max(0.2, 0.9 * max(error, 1e-10) ** -0.2))
            # A step cut short by the end of the span says little about the next one.
            if error > 1 or step == self._step or proposed > self._step:
                self._step = proposed
            if self._step < SMALLEST:
                raise Stuck(f"no time step is small enough (the last one was {step:.3g} min)")
        return state

    def _try(self, state: Array, step: float) -> tuple[Array, float]:
        """Return the state after one step, and its error over the tolerance."""
        slopes = [self._rate(state)]
        after = state
        for weights in _STAGES:
            after = state + step * sum(w * slope for w, slope in zip(weights, slopes, strict=True))
            slopes.append(self._rate(after))
        error = step * sum(w * slope for w, slope in zip(_ERROR, slopes, strict=True))
        scale = self._absolute + self._relative * np.maximum(np.abs(state), np.abs(after))
        worst = float(np.sqrt(np.mean((error / scale) ** 2)))
        return after, worst if math.isfinite(worst) else 1e10
