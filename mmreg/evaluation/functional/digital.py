"""Digital diffeomorphism: non-diffeomorphic voxels, tetrahedra and volume (NDV) of a 3-D field.

A central difference can miss a fold between voxels. This measure looks at the ten tetrahedra that forward and backward
differences span around each voxel: where one has turned inside out, its volume counts.
Source: Liu et al., IJCV 2024; ``pyramid_designs.md`` 6.1, golden ``diffeomorphism_metrics``. In 2-D the four triangles
of forward and backward differences take the place of the ten tetrahedra (our extension).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from mmreg.errors import DataError
from mmreg.spatial import jacobian_determinant


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
    maps = simplex_determinants(displacement)
    central = next(maps)[1]
    volume_map = torch.zeros_like(central)
    wrong = torch.zeros_like(central)
    count = 0
    for _, signed in maps:
        wrong += (signed <= 0).to(wrong.dtype)
        volume_map += signed.neg().clamp_(min=0)
        count += 1
    # Ten tetrahedra of 1/6 voxel cover each voxel twice: 1/12 each. Four triangles of 1/2 pixel cover it twice.
    volume_map *= 1.0 / 12.0 if ndim == 3 else 1.0 / 4.0
    volume_map = volume_map * chosen
    total = central.numel() if mask is None else int(chosen.sum())
    return DigitalDiffeomorphism(
        voxels=float(((central <= 0) & chosen).sum()),
        simplices=float((wrong * chosen).sum(dtype=torch.float64)) / count,
        volume=float(volume_map.sum(dtype=torch.float64)),
        total=float(total),
        volume_map=volume_map,
    )


def simplex_determinants(displacement: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Name and determinant map ``(*spatial - 2)`` of the central difference first, then of each simplex.

    Names: ``'0x0y0z'`` for the central one, ``'+x-y+z'`` ... for forward and backward differences, ``'Jstar_1'`` and
    ``'Jstar_2'`` for the two inner tetrahedra of the 3-D case.
    """
    ndim = displacement.shape[0]
    axes = 'xyz'[:ndim]
    field = displacement[None]
    yield ''.join(f'0{a}' for a in axes), jacobian_determinant(field, scheme='central_cropped')[0]
    for signs in product('+-', repeat=ndim):
        name = ''.join(sign + axis for sign, axis in zip(signs, axes))
        yield name, jacobian_determinant(field, scheme=''.join(signs))[0]
    if ndim == 3:
        yield 'Jstar_1', _triple_product(displacement, [(-1, -1, 0), (-1, 0, -1), (0, -1, -1)])
        yield 'Jstar_2', _triple_product(displacement, [(1, 1, 0), (0, 1, 1), (1, 0, 1)])


def _triple_product(displacement: Tensor, offsets: Sequence[tuple[int, int, int]]) -> Tensor:
    """Determinant of the three differences, ``a x b . c``."""
    a, b, c = (_difference(displacement, offset) for offset in offsets)
    return (torch.linalg.cross(a, b, dim=0) * c).sum(0)


def _difference(displacement: Tensor, offset: Sequence[int]) -> Tensor:
    """``phi(x + offset) - phi(x)`` of ``phi = id + displacement`` for all voxels but one per side."""
    spatial = displacement.shape[1:]
    inner = [slice(None), *(slice(1, n - 1) for n in spatial)]
    moved = [slice(None), *(slice(1 + o, n - 1 + o) for n, o in zip(spatial, offset))]
    here, there = displacement[tuple(inner)], displacement[tuple(moved)]
    step = torch.tensor(offset, dtype=displacement.dtype, device=displacement.device)
    return there - here + step.view(-1, *(1,) * len(spatial))
