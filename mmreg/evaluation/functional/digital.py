"""Digital diffeomorphism: non-diffeomorphic voxels, tetrahedra and volume (NDV) of a 3-D field.

A central difference can miss a fold between voxels. This measure looks at the ten tetrahedra that forward and backward
differences span around each voxel: where one has turned inside out, its volume counts.
Source: Liu et al., IJCV 2024; ``pyramid_designs.md`` 6.1, golden ``diffeomorphism_metrics``. In 2-D the four triangles
of forward and backward differences take the place of the ten tetrahedra (our extension).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmreg.errors import DataError
from mmreg.spatial import jacobian_determinant
from mmreg.spatial.simplices import simplex_determinants, simplex_share


@dataclass(frozen=True)
class DigitalDiffeomorphism:
    """Sums over the voxels counted, in voxels.

    Attributes:
        voxels: Voxels where the central-difference determinant is <= 0.
        simplices: Non-positive tetrahedra (2-D: triangles) divided by their number per voxel.
        volume: Non-diffeomorphic volume (2-D: area).
        total: How many voxels were counted.
        volume_map: Volume per voxel, ``(*spatial - 2)``, zero outside the mask.
    """

    voxels: float
    simplices: float
    volume: float
    total: float
    volume_map: Tensor

    @property
    def volume_percent(self) -> float:
        """NDV in percent of the voxels counted; NaN when there are none."""
        return 100.0 * self.volume / self.total if self.total else float('nan')


def digital_diffeomorphism(displacement: Tensor, mask: Tensor | None = None) -> DigitalDiffeomorphism:
    """Non-diffeomorphic voxels, tetrahedra and volume of ``id + displacement``.

    Args:
        displacement: ``(ndim, *spatial)`` in voxels, channel i along axis i, at least 3 voxels per axis.
        mask: ``(*spatial)``, true where to count; default everywhere. One voxel per side is never counted.

    Raises:
        DataError: the field is not 2-D or 3-D or too small, or the mask has another shape.
    """
    ndim = displacement.shape[0]
    spatial = tuple(displacement.shape[1:])
    if len(spatial) != ndim or ndim not in (2, 3) or min(spatial) < 3:
        raise DataError(
            f'displacement has the shape {tuple(displacement.shape)}, expected (ndim, *spatial) '
            'with at least 3 voxels per axis.'
        )
    inner = (slice(1, -1),) * ndim
    if mask is not None and tuple(mask.shape) != spatial:
        raise DataError(f'the mask has the shape {tuple(mask.shape)}, expected {spatial} as the displacement.')
    chosen = torch.ones((), dtype=torch.bool, device=displacement.device) if mask is None else mask[inner] > 0
    field = displacement[None]
    central = jacobian_determinant(field, scheme='central_cropped')[0]
    volume_map = torch.zeros_like(central)
    wrong = torch.zeros_like(central)
    simplices = simplex_determinants(ndim).values()
    for determinant in simplices:
        signed = determinant(field)[0]
        wrong += (signed <= 0).to(wrong.dtype)
        volume_map += signed.neg().clamp_(min=0)
    volume_map *= simplex_share(ndim)
    volume_map = volume_map * chosen
    total = central.numel() if mask is None else int(chosen.sum())
    return DigitalDiffeomorphism(
        voxels=float(((central <= 0) & chosen).sum()),
        simplices=float((wrong * chosen).sum(dtype=torch.float64)) / len(simplices),
        volume=float(volume_map.sum(dtype=torch.float64)),
        total=float(total),
        volume_map=volume_map,
    )
