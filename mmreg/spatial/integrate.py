"""The flow of a stationary velocity field at time 1."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mmreg.errors import InputError

from ._checks import Padding, check_field, check_padding, coordinate_dtype
from .compose import compose
from .sampler import as_sampled
from .warp import warp


def scaling_and_squaring(
    velocity: Tensor, steps: int = 7, padding: Padding = 'zeros', sampler: str = 'aligned'
) -> Tensor:
    """Integrate a stationary velocity over unit time: ``v / 2^steps``, then ``steps`` times ``v <- v + v(x + v)``.

    Args:
        velocity: ``(N, ndim, *spatial)`` voxels per unit time.
        steps: number of squarings; 0 returns the velocity itself.
        padding: the field outside the volume: 'zeros' or 'border'.
        sampler: how the field is read at ``x + v``: exactly, or with a published slip (:func:`as_sampled`).

    Returns:
        Displacement ``(N, ndim, *spatial)`` in voxels. Its inverse is the integral of ``-velocity``.

    Raises:
        InputError: not a field, negative steps or unknown padding.

    Source: Arsigny et al. 2006; golden eoir/ops ``vecint7``, spine_biomech/spatial_ops ``integrate_*``.

    Example:
        >>> import torch
        >>> velocity = torch.ones(1, 2, 8, 8)
        >>> scaling_and_squaring(velocity, padding='border')[0, :, 3, 3].tolist()
        [1.0, 1.0]
    """
    check_field(velocity, 'velocity')
    check_padding(padding)
    if steps < 0:
        raise InputError(f'steps is {steps}, expected 0 or more.')
    field = velocity.to(coordinate_dtype(velocity))
    field = field / 2**steps
    for _ in range(steps):
        if sampler == 'aligned':
            field = compose(field, field, padding)
        else:
            field = field + warp(field, as_sampled(field, sampler), 'linear', padding)
    return field


def runge_kutta(velocity: Tensor, steps: int = 8, order: int = 4, padding: Padding = 'zeros') -> Tensor:
    """Integrate a stationary velocity over unit time: ``dp/dt = v(p)`` from every voxel, in equal explicit steps.

    Unlike :func:`scaling_and_squaring` it samples the given velocity only, so that no error of interpolated fields adds
    up; the error of the steps is of the given order.

    Args:
        velocity: ``(N, ndim, *spatial)`` voxels per unit time.
        steps: number of steps, 1 or more.
        order: 1 (Euler), 2 (midpoint) or 4 (classical).
        padding: the velocity outside the volume: 'zeros' or 'border'.

    Returns:
        Displacement ``(N, ndim, *spatial)`` in voxels. Its inverse is the integral of ``-velocity``.

    Raises:
        InputError: not a field, no steps, another order or unknown padding.

    Example:
        >>> import torch
        >>> runge_kutta(torch.ones(1, 2, 8, 8), padding='border')[0, :, 3, 3].tolist()
        [1.0, 1.0]
    """
    check_field(velocity, 'velocity')
    check_padding(padding)
    if steps < 1 or order not in (1, 2, 4):
        raise InputError(f'steps is {steps} and order {order}, expected 1 or more and one of 1, 2, 4.')
    field = velocity.to(coordinate_dtype(velocity))
    h = 1 / steps

    def at(displacement: Tensor) -> Tensor:
        return warp(field, displacement, 'linear', padding)

    moved = h * field if order == 1 else _step(field.new_zeros(field.shape), field, h, order, at)
    for _ in range(steps - 1):
        moved = _step(moved, at(moved), h, order, at)
    return moved


def _step(moved: Tensor, slope: Tensor, h: float, order: int, at: Callable[[Tensor], Tensor]) -> Tensor:
    """One step from ``moved``, where the velocity is ``slope``."""
    if order == 1:
        return moved + h * slope
    second = at(moved + h / 2 * slope)
    if order == 2:
        return moved + h * second
    third = at(moved + h / 2 * second)
    fourth = at(moved + h * third)
    return moved + h / 6 * (slope + 2 * second + 2 * third + fourth)
