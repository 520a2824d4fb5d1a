"""Regularity of a displacement field from its Jacobian determinant: SD log J and the share of folds."""

from __future__ import annotations

import math

from torch import Tensor

from mmreg.errors import DataError
from mmreg.spatial import jacobian_determinant

#: Determinants are clipped to this range before the logarithm (the published scorers' range).
CLIP = (1e-9, 1e9)
#: What is added to the determinant before the logarithm. Learn2Reg's 3 hides folds from the logarithm.
SHIFTS = {'exact': 0.0, 'learn2reg': 3.0}


def determinant_map(displacement: Tensor, crop: int = 2) -> Tensor:
    """Determinant of the Jacobian of ``id + displacement`` by central differences.

    A volume of one slice is judged in its plane.

    Args:
        displacement: ``(ndim, *spatial)`` in voxels, channel i along axis i.
        crop: Voxels left out per side, as some challenges do; with 0 the whole grid is judged, and the differences at
            the border are one-sided.

    Returns:
        ``(*spatial - 2 * crop)``; 1 everywhere for the identity.

    Raises:
        InputError: not a field, or too small for the crop.
    """
    flat = [axis for axis, n in enumerate(displacement.shape[1:]) if n == 1]
    if len(flat) == 1 and displacement.dim() == 4:
        kept = [axis for axis in range(3) if axis not in flat]
        return determinant_map(displacement[kept].squeeze(flat[0] + 1), crop).unsqueeze(flat[0])
    return jacobian_determinant(displacement[None], scheme='central', crop=crop or None)[0]


def sd_log_jacobian(
    determinants: Tensor, mask: Tensor | None = None, convention: str = 'exact', clip: tuple[float, float] = CLIP
) -> float:
    """Population standard deviation of the logarithm of the Jacobian determinant.

    Args:
        determinants: Any shape, from :func:`determinant_map`.
        mask: The same shape, true where to count; default everywhere.
        convention: ``'exact'``: ``log(clip(J))``. ``'learn2reg'``: ``log(clip(J + 3))``, smaller by about four and
            blind to folds; what the Learn2Reg tables call SDlogJ.
        clip: Range of the clipping.

    Returns:
        0 for the identity; NaN where nothing is counted.

    Source: Hering et al. 2022; goldens ``l2r_eval``, ``eoir/metrics``.
    """
    if convention not in SHIFTS:
        raise DataError(f'convention={convention!r} is unknown, expected one of {tuple(SHIFTS)}.')
    values = determinants if mask is None else determinants[mask > 0]
    if not values.numel():
        return math.nan
    logs = (values.double() + SHIFTS[convention]).clamp_(*clip).log_()
    return float(logs.std(correction=0))


def fold_count(determinants: Tensor, mask: Tensor | None = None) -> int:
    """Number of voxels ``(*S)`` with a determinant <= 0, inside ``mask`` where given."""
    folds = determinants <= 0
    return int((folds if mask is None else folds & (mask > 0)).sum())


def fold_percent(determinants: Tensor, mask: Tensor | None = None) -> float:
    """Share in percent of the voxels ``(*S)`` counted where the determinant is <= 0; NaN where nothing is counted.

    (Published scripts divide the count in a cropped volume by the voxels of the full one; ``fold_count`` and the
    volume's size give that number.)
    """
    total = determinants.numel() if mask is None else int((mask > 0).sum())
    return 100.0 * fold_count(determinants, mask) / total if total else math.nan
