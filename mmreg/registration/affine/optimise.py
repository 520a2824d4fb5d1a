"""Gradient ascent on the similarity: rigid first, then affine, from coarse to fine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from .objective import AffineObjective
from .parameters import generators

#: Starts of L-BFGS within one climb, and the relative gain below which there is no further one.
_RESTARTS, _GAIN = 3, 1e-4
#: Status of a minimisation that the callback ended.
_STOPPED = 99
#: Told after every iteration: (iteration, similarity).
Watch = Callable[[int, float], None]


@dataclass(frozen=True, eq=False)
class Climbed:
    """Where one climb ended.

    Attributes:
        matrix: fixed world -> moving world.
        before: similarity at the start.
        after: and at the end.
        curve: after each iteration.
    """

    matrix: np.ndarray
    before: float
    after: float
    curve: list[float]


def climb(
    objective: AffineObjective,
    start: np.ndarray,
    transform: str,
    iterations: int,
    tolerance: float,
    flat: np.ndarray | None = None,
    watch: Watch | None = None,
) -> Climbed:
    """Maximise the similarity over one kind of transform by L-BFGS.

    Args:
        objective: similarity at a level.
        start: matrix that the steps multiply.
        transform: see :func:`mmreg.registration.affine.parameters.generators`.
        iterations: at most so many.
        tolerance: ends when an iteration moves the parameters by less, mm.
        flat: directions of the fixed world without extent.
        watch: told after every iteration.

    Returns:
        the best place seen, never worse than the start.
    """
    basis = generators(transform, len(start) - 1, objective.points.radius, flat)
    seen: list[float] = []
    best = (-np.inf, np.zeros(len(basis)))
    # The first step of L-BFGS is as long as the gradient: make it about half a voxel of the level.
    value, gradient = objective.value_and_gradient(start, basis, best[1])
    before, scale = value, 0.5 * objective.spacing / max(float(np.linalg.norm(gradient)), 1e-9)

    def cost(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        value, gradient = objective.value_and_gradient(start, basis, parameters)
        if value > best[0]:
            best = (value, parameters.copy())
        return -value * scale, -gradient * scale

    last = np.zeros(len(basis))

    def after_iteration(intermediate_result: OptimizeResult) -> None:
        nonlocal last
        seen.append(-float(intermediate_result.fun) / scale)
        if watch is not None:
            watch(len(seen), seen[-1])
        step = float(np.abs(intermediate_result.x - last).max())
        last = intermediate_result.x.copy()
        if step < tolerance:
            raise StopIteration

    # Rounding in float32 can end a line search early: start again from the best place as long as that helps.
    for _ in range(_RESTARTS):
        reached = best
        done = minimize(
            cost,
            reached[1],
            jac=True,
            method='L-BFGS-B',
            callback=after_iteration,
            options={'maxiter': max(1, iterations - len(seen)), 'ftol': 1e-7, 'gtol': 0.0, 'maxcor': 20},
        )
        small = best[0] - reached[0] < _GAIN * abs(best[0])
        if small or done.status == _STOPPED or len(seen) >= iterations:
            break
    return Climbed(objective.moved(start, basis, best[1]), before, best[0], seen)
