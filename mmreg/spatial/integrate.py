"""The exponential of a stationary velocity field."""

from __future__ import annotations

from torch import Tensor

from mmreg.errors import InputError
from mmreg.spatial._checks import Padding, check_field, check_padding, coordinate_dtype
from mmreg.spatial.compose import compose


def scaling_and_squaring(velocity: Tensor, steps: int = 7, padding: Padding = 'zeros') -> Tensor:
    """Integrate a stationary velocity over unit time: ``v / 2^steps``, then ``steps`` times ``v <- v + v(x + v)``.

    Args:
        velocity: ``(N, ndim, *spatial)`` voxels per unit time.
        steps: number of squarings; 0 returns the velocity itself.
        padding: the field outside the volume: 'zeros' or 'border'.

    Returns:
        Displacement ``(N, ndim, *spatial)`` in voxels. Its inverse is the integral of ``-velocity``.

    Raises:
        InputError: not a field, negative steps or unknown padding.

    Source: Arsigny et al. 2006; golden eoir/ops ``vecint7``, spine_biomech/spatial_ops ``integrate_*``.
    """
    check_field(velocity, 'velocity')
    check_padding(padding)
    if steps < 0:
        raise InputError(f'steps is {steps}, expected 0 or more.')
    field = velocity.to(coordinate_dtype(velocity))
    field = field / 2**steps
    for _ in range(steps):
        field = compose(field, field, padding)
    return field
