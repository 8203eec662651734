"""The physics: cooled stirred tanks in a row, with an exothermic reaction A -> B and a tracer.

For each of n equal tanks (volume V, the same flow q through all, `in` is the feed or the tank before):

    dc/dt  = (c_in - c) q/V - k c                            concentration of A, mol/L
    dT/dt  = (T_in - T) q/V + h k c / C + (Tj - T) U / (V C)  temperature, K
    dTj/dt = (Tjf - Tj) qj/Vj + (T - Tj) U / (Vj Cj)          temperature of the jacket, K
    dw/dt  = (w_in - w) q/V                                   tracer, mol/L
    k      = k0 exp(-E / T)                                   1/min (E: activation energy over the gas constant, K)

With a jacket held at one temperature the third line is left out. The numbers of one tank are those of D. E. Seborg,
T. F. Edgar, D. A. Mellichamp, Process Dynamics and Control, chapter 2 (0.5 mol/L at 350 K is a steady state at 300 K of
cooling); why such tanks can oscillate or run away is in A. Uppal, W. H. Ray, A. B. Poore, Chem. Eng. Sci. 29 (1974)
967-985. The jacket's volume and coolant (water) are this case's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HEAT = 5.0e4  # of reaction, J/mol of A
ACTIVATION = 8750.0  # E/R, K
RATE = 7.2e10  # k0, 1/min
CAPACITY = 239.0  # of the liquid, J/(L K)
TRANSFER = 5.0e4  # U times area of all jackets together, J/(min K)
JACKET = 10.0  # volume of all jackets together, L
JACKET_CAPACITY = 4180.0  # of the coolant, J/(L K)


@dataclass(frozen=True)
class Tanks:
    """What is fixed during a run.

    Attributes
    ----------
    count
        Tanks in a row; volume and cooling are shared equally.
    volume, flow
        L of all together, and L/min.
    feed_concentration, feed_temperature
        mol/L and K.
    coolant_temperature
        K: of the jacket, or of the coolant that enters it.
    coolant_flow
        L/min through the jackets together; None where their temperature is held.
    """

    count: int = 1
    volume: float = 100.0
    flow: float = 100.0
    feed_concentration: float = 1.0
    feed_temperature: float = 350.0
    coolant_temperature: float = 300.0
    coolant_flow: float | None = None

    @property
    def residence(self) -> float:
        """Mean residence time in all tanks, minutes."""
        return self.volume / self.flow

    def rate(self, state: Array) -> Array:
        """Return d(state)/dt; the rows of a state are c, T, Tj and w, its columns the tanks."""
        c, t, jacket, tracer = state
        through = self.flow * self.count / self.volume
        burnt = RATE * np.exp(-ACTIVATION / t) * c
        exchanged = TRANSFER / self.count * (jacket - t)
        before = self._before(state)
        heated = HEAT * burnt / CAPACITY + exchanged * self.count / (self.volume * CAPACITY)
        return np.stack(
            [
                (before[0] - c) * through - burnt,
                (before[1] - t) * through + heated,
                self._jacket_rate(jacket, exchanged),
                (before[2] - tracer) * through,
            ]
        )

    def _before(self, state: Array) -> Array:
        """Return c, T and w of what flows into each tank."""
        feed = np.array([[self.feed_concentration], [self.feed_temperature], [0.0]])
        return np.concatenate([feed, state[[0, 1, 3], :-1]], axis=1)

    def _jacket_rate(self, jacket: Array, exchanged: Array) -> Array:
        if self.coolant_flow is None:
            return np.zeros_like(jacket)
        volume = JACKET / self.count
        carried = (self.coolant_temperature - jacket) * self.coolant_flow / (self.count * volume)
        return np.asarray(carried - exchanged / (volume * JACKET_CAPACITY))

    def start(self, concentration: float, temperature: float, tracer: float) -> Array:
        """Return a state: the same in all tanks, but `tracer` (mol, poured in at once) in the first alone."""
        state = np.empty((4, self.count))
        state[0], state[1], state[2], state[3] = concentration, temperature, self.coolant_temperature, 0.0
        state[3, 0] = tracer * self.count / self.volume
        return state

    def heats(self, state: Array) -> tuple[float, float, float]:
        """Return the heat made by the reaction, taken by the jackets, and carried away by the flow, all in kW."""
        c, t, jacket, _ = state
        made = HEAT * float(np.sum(RATE * np.exp(-ACTIVATION / t) * c)) * self.volume / self.count
        taken = TRANSFER / self.count * float(np.sum(t - jacket))
        carried = self.flow * CAPACITY * (float(t[-1]) - self.feed_temperature)
        return made / 6e4, taken / 6e4, carried / 6e4
