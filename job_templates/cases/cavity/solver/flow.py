"""Numerics of the lid-driven cavity: incompressible flow on a staggered grid.

Central differences, which conserve energy; in time the third-order Runge-Kutta scheme of Spalart, Moser and
Rogers (J. Comput. Phys. 96, 1991), explicit in convection and implicit in diffusion; a pressure projection in
every stage. The matrices are Kronecker sums of one-dimensional ones, so that they are solved directly in the
eigenvectors of those: no iterations.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# The matrices are small: threads of the linear algebra library cost more than they bring.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

Array = np.ndarray[Any, Any]

LENGTH = 0.1  # side of the square, m
LID_SPEED = 1.0  # m/s
# Weights of the three stages: diffusion (twice each), convection of this stage, convection of the one before.
STAGES = ((4 / 15, 8 / 15, 0.0), (1 / 15, 5 / 12, -17 / 60), (1 / 6, 3 / 4, -5 / 12))


class Diverged(Exception):
    """The solution is no longer finite."""


@dataclass(frozen=True)
class Report:
    """What one step has to tell: equation name -> (initial, final residual), Courant numbers, mass errors."""

    residuals: dict[str, tuple[float, float]]
    courant: tuple[float, float]
    continuity: tuple[float, float]


class Cavity:
    """The flow and its advance in time.

    Arrays are indexed [x, y]: `u` (n+1, n) is on vertical faces, `v` (n, n+1) on horizontal ones, `p` (n, n)
    in the cells.
    """

    def __init__(self, cells: int, reynolds: float, delta_t: float) -> None:
        self.n, self.h, self.dt = cells, LENGTH / cells, delta_t
        self.nu = LID_SPEED * LENGTH / reynolds
        self.u = np.zeros((cells + 1, cells))
        self.v = np.zeros((cells, cells + 1))
        self.p = np.zeros((cells, cells))
        self._before = (np.zeros((cells - 1, cells)), np.zeros((cells, cells - 1)))
        # Walls lie on the unknowns' line (-2), half a cell from them (-3), or have no gradient (-1).
        kinds = ((cells - 1, -2), (cells, -3), (cells, -1))
        on, half, free = (_spectrum(size, end, self.h) for size, end in kinds)
        self._solve_u = [_solver(on, half, 1.0, -alpha * delta_t * self.nu) for alpha, _, _ in STAGES]
        self._solve_v = [_solver(half, on, 1.0, -alpha * delta_t * self.nu) for alpha, _, _ in STAGES]
        self._solve_p = _solver(free, free, 0.0, 1.0)

    def step(self) -> Report:
        """Advance by one time step. Raises `Diverged`."""
        courant = self._courant()
        residuals: dict[str, tuple[float, float]] = {}
        for stage in range(len(STAGES)):
            residuals = self._stage(stage)
        if not (np.isfinite(self.u).all() and np.isfinite(self.v).all()):
            raise Diverged("The solution is no longer finite.")
        error = self._divergence() * self.dt
        return Report(residuals, courant, (float(np.abs(error).mean()), float(error.mean())))

    def velocity(self) -> tuple[Array, Array]:
        """Both components at the cells' centres, (n, n) each, in m/s."""
        return (self.u[1:] + self.u[:-1]) / 2, (self.v[:, 1:] + self.v[:, :-1]) / 2

    def pressure(self) -> Array:
        """Kinematic pressure in m²/s², zero in the first cell."""
        relative: Array = self.p - self.p[0, 0]
        return relative

    def _stage(self, stage: int) -> dict[str, tuple[float, float]]:
        alpha, gamma, zeta = STAGES[stage]
        span, beta = 2 * alpha * self.dt, alpha * self.dt * self.nu
        lap_u, lap_v = self._diffusion(self.u, self.v)
        now = self._convection()
        gradient = np.diff(self.p, axis=0) / self.h, np.diff(self.p, axis=1) / self.h
        lid = np.zeros_like(lap_u)
        lid[:, -1] = 2 * LID_SPEED / self.h**2
        inner = self.u[1:-1], self.v[:, 1:-1]
        known = [
            x + beta * lap - self.dt * (gamma * c + zeta * old) - span * g
            for x, lap, c, old, g in zip(inner, (lap_u, lap_v), now, self._before, gradient, strict=True)
        ]
        known[0] = known[0] + beta * lid
        self._before = now
        first = (inner[0] - beta * (lap_u - lid), inner[1] - beta * lap_v)
        self.u[1:-1], self.v[:, 1:-1] = self._solve_u[stage](known[0]), self._solve_v[stage](known[1])
        lap_u, lap_v = self._diffusion(self.u, self.v)
        last = (self.u[1:-1] - beta * (lap_u - lid), self.v[:, 1:-1] - beta * lap_v)
        residuals = {
            name: (_residual(before, b), _residual(after, b))
            for name, before, after, b in zip(("Ux", "Uy"), first, last, known, strict=True)
        }
        residuals["p"] = self._project(span, beta)
        return residuals

    def _project(self, span: float, beta: float) -> tuple[float, float]:
        """Make the velocity free of divergence and correct the pressure; answers p's residuals."""
        source = self._divergence() / span
        phi = self._solve_p(source)
        self.u[1:-1] -= span * np.diff(phi, axis=0) / self.h
        self.v[:, 1:-1] -= span * np.diff(phi, axis=1) / self.h
        old = _laplacian(np.pad(self.p, 1, mode="edge"), self.h)
        final = _residual(_laplacian(np.pad(phi, 1, mode="edge"), self.h), source)
        # The last term takes back what the implicit diffusion would otherwise see of the new gradient.
        self.p += phi - beta * source
        return _residual(old, old + source), final

    def _padded(self, u: Array, v: Array) -> tuple[Array, Array]:
        """`u` with ghost values below and above, `v` with ghost values left and right."""
        wide_u = np.concatenate((-u[:, :1], u, 2 * LID_SPEED - u[:, -1:]), axis=1)
        wide_v = np.concatenate((-v[:1], v, -v[-1:]), axis=0)
        return wide_u, wide_v

    def _diffusion(self, u: Array, v: Array) -> tuple[Array, Array]:
        wide_u, wide_v = self._padded(u, v)
        return _laplacian(wide_u, self.h), _laplacian(wide_v, self.h)

    def _convection(self) -> tuple[Array, Array]:
        """Divergence of the momentum fluxes at the inner faces."""
        wide_u, wide_v = self._padded(self.u, self.v)
        u_cell, v_cell = self.velocity()
        u_node = (wide_u[:, 1:] + wide_u[:, :-1]) / 2
        v_node = (wide_v[1:] + wide_v[:-1]) / 2
        cross = u_node * v_node
        along_u = np.diff(u_cell**2, axis=0) + np.diff(cross[1:-1], axis=1)
        along_v = np.diff(v_cell**2, axis=1) + np.diff(cross[:, 1:-1], axis=0)
        return along_u / self.h, along_v / self.h

    def _divergence(self) -> Array:
        return (np.diff(self.u, axis=0) + np.diff(self.v, axis=1)) / self.h

    def _courant(self) -> tuple[float, float]:
        """Mean and greatest Courant number, summed over the faces of each cell as icoFoam does."""
        u, v = np.abs(self.u), np.abs(self.v)
        number = 0.5 * (u[1:] + u[:-1] + v[:, 1:] + v[:, :-1]) * self.dt / self.h
        return float(number.mean()), float(number.max())


def _spectrum(size: int, end: int, width: float) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of the 1-D Laplacian; `end` is the first and last diagonal element."""
    matrix = np.diag(np.full(size, -2.0)) + np.diag(np.ones(size - 1), 1) + np.diag(np.ones(size - 1), -1)
    matrix[0, 0] = matrix[-1, -1] = end
    values, vectors = np.linalg.eigh(matrix / width**2)
    return values, vectors


def _solver(x: tuple[Array, Array], y: tuple[Array, Array], constant: float, factor: float) -> Callable[[Array], Array]:
    """Answer what solves ``(constant + factor · Laplacian) f = b``; a singular mode is left out."""
    denominator = constant + factor * (x[0][:, None] + y[0][None, :])
    singular = np.abs(denominator) < 1e-9 * np.abs(denominator).max()
    inverse = np.where(singular, 0.0, 1.0 / np.where(singular, 1.0, denominator))
    left, right = x[1], y[1]

    def solve(b: Array) -> Array:
        solution: Array = left @ ((left.T @ b @ right) * inverse) @ right.T
        return solution

    return solve


def _laplacian(wide: Array, width: float) -> Array:
    """Five-point Laplacian of the inner values of an array that has its neighbours around it."""
    inner = wide[1:-1, 1:-1]
    second: Array = (wide[2:, 1:-1] + wide[:-2, 1:-1] + wide[1:-1, 2:] + wide[1:-1, :-2] - 4 * inner) / width**2
    return second


def _residual(left: Array, right: Array) -> float:
    """Sum of |left - right|, made dimensionless by the size of both sides."""
    size = float(np.abs(left).sum() + np.abs(right).sum())
    return float(np.abs(left - right).sum()) / size if size > 0 else 0.0
