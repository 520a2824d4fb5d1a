"""What looks wrong in a result and in its headers, in words."""

from __future__ import annotations

import numpy as np

from mmreg.io import Geometry

from .headline import millimetres, share
from .inverse import INEXACT, InverseResidual

#: Less of the fixed image inside the moving image's field of view than this is worth a warning, in percent.
LOW_OVERLAP = 50.0
#: More of the fixed image mapped out of the moving image than this, in percent.
OUTSIDE = 5.0
#: The deformation is doubted where it moves tissue this far beyond the affine (mm, one voxel in twenty) and is rough
#: (standard deviation of log J), and where it is rougher than any anatomy asks for.
FAR, ROUGH, TORN = 10.0, 0.6, 1.0
#: Voxels and fields of view outside of these are no images of a patient, mm.
SMALLEST_VOXEL, LARGEST_VOXEL, LARGEST_VIEW = 0.01, 30.0, 2500.0
#: Degrees between two scans of one patient.
LARGEST_TURN = 75.0


def warnings_in_words(
    overlap_percent: float,
    shown_percent: tuple[float, float],
    folds_percent: float,
    deformation: tuple[float, float],
    residual: InverseResidual | None,
    voxel: float,
) -> list[str]:
    """What a careful reader of the numbers would say.

    Args:
        overlap_percent: Of the fixed grid inside the moving field of view before the deformation.
        shown_percent: Of what the fixed image shows (not its dark background), inside the moving field of view
            before and after the deformation.
        folds_percent: Of the voxels, with a non-positive Jacobian determinant.
        deformation: SDlogJ, and how far tissue moves beyond the affine in mm, 95th percentile.
        residual: Of the inverse.
        voxel: Smallest voxel size in mm.
    """
    found = []
    if overlap_percent < LOW_OVERLAP:
        found.append(
            f'low overlap: only {overlap_percent:.0f} % of the fixed image lies inside the moving image before the '
            'registration; check the headers, or give an affine.'
        )
    before, after = (100.0 - percent for percent in shown_percent)
    if after > OUTSIDE:
        found.append(
            f'{after:.1f} % of what the fixed image shows is mapped out of the field of view of the moving image '
            f'({before:.1f} % before); the warped image is empty there.'
        )
    if folds_percent > 0:
        found.append(f'folds: the Jacobian determinant is not positive in {share(folds_percent)} of the voxels.')
    rough, far = deformation
    if rough > TORN or (rough > ROUGH and far > FAR):
        found.append(
            f'implausible deformation: it moves tissue up to {far:.1f} mm beyond the affine and is rough (SDlogJ '
            f'{rough:.2f}); look at the overview, and try a larger --smoothness or another --preset.'
        )
    if residual is not None and residual.mean > INEXACT * voxel:
        found.append(
            f'the inverse is inexact: {millimetres(residual.mean)} on average and {millimetres(residual.max)} at most '
            'from the identity.'
        )
    return found


def geometry_warnings(name: str, geometry: Geometry) -> list[str]:
    """What in a header looks wrong, in words: sizes no scanner makes, and a header that holds only defaults.

    Args:
        name: Path of the image or its role.
        geometry: Its grid.
    """
    found = []
    spacing = geometry.spacing
    sizes = [n * step for n, step in zip(geometry.shape, spacing)]
    if min(spacing) < SMALLEST_VOXEL or max(spacing) > LARGEST_VOXEL:
        found.append(
            f'suspicious geometry: {name} has voxels of {" x ".join(f"{s:.4g}" for s in spacing)} mm; the unit in its '
            'header may be wrong.'
        )
    elif max(sizes) > LARGEST_VIEW:
        found.append(
            f'suspicious geometry: the field of view of {name} is {" x ".join(f"{s:.0f}" for s in sizes)} mm; the '
            'spacing in its header may be wrong.'
        )
    if geometry.ndim == 3 and _is_default(geometry):
        found.append(
            f'suspicious geometry: the header of {name} holds only defaults (1 mm, origin 0, axes along the world); '
            'distances in mm and left and right may be wrong.'
        )
    return found


def turn_warnings(matrix: np.ndarray | None) -> list[str]:
    """A sentence where a search turned the moving image further than a patient turns between two scans.

    Args:
        matrix: ``(ndim+1, ndim+1)`` fixed world -> moving world; None for the identity.
    """
    if matrix is None:
        return []
    left, _, right = np.linalg.svd(np.asarray(matrix)[:-1, :-1])
    rotation = left @ right
    ndim = len(rotation)
    cosine = (np.trace(rotation) - (ndim - 2)) / 2
    degrees = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    if degrees < LARGEST_TURN and np.linalg.det(rotation) > 0:
        return []
    return [
        f'large rotation: the affine search turned the moving image by {degrees:.0f} degrees against the headers; one '
        'header may be wrong, and then left and right may be exchanged (--affine none keeps to the headers).'
    ]


def _is_default(geometry: Geometry) -> bool:
    """Identity in RAS (NIfTI) or in LPS (ITK)."""
    return any(np.allclose(geometry.affine, np.diag(signs), atol=1e-6) for signs in ((1, 1, 1, 1), (-1, -1, 1, 1)))
