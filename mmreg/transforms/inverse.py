"""The inverse of any transform, part by part, with the distance it is off."""

from __future__ import annotations

from mmreg.errors import DataError
from mmreg.io import Geometry, Transform, displacement_transform
from mmreg.io.transform_parts import displacement_of, parts_of, simplified
from mmreg.registration.results.inverse import InverseResidual, inverse_of


def invert_parts(
    transform: Transform, grid: Geometry | None = None, name: str = 'the transform'
) -> tuple[Transform, InverseResidual]:
    """Invert affines in closed form and displacements by iteration, each on its own grid.

    Args:
        transform: fixed world -> moving world.
        grid: on which maps that are neither (B-splines) are sampled first.
        name: what to call the transform in an error.

    Returns:
        moving world -> fixed world, and the residual of the worst part in mm.

    Raises:
        DataError: a part needs a grid and none is given.
    """
    backward, residual = [], InverseResidual(0.0, 0.0, 0)
    for part in reversed(parts_of(transform)):
        if part.affine is not None:
            backward.append(part.inverse())
            continue
        inverse, found = _invert_displacement(part, grid, name)
        backward.append(inverse)
        residual = max(residual, found, key=lambda r: r.mean)
    return simplified(backward), residual


def _invert_displacement(part: Transform, grid: Geometry | None, name: str) -> tuple[Transform, InverseResidual]:
    known = displacement_of(part)
    if known is None:
        if grid is None:
            raise DataError(
                f'{name}: found a {part.itk.GetName()}, which has no grid of its own to compute its inverse on, '
                'expected a reference image'
            )
        known = part.displacement_on(grid), grid
    displacement, geometry = known
    inverse = inverse_of(displacement, geometry)
    return displacement_transform(inverse.displacement, geometry), inverse.residual
