"""What is known of one registered pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmreg.evaluation.functional.rigidity import BodyRigidity
from mmreg.io import Geometry, Landmarks, Transform, Volume, affine_transform, compose, displacement_transform
from mmreg.io.displacement import fine_step
from mmreg.io.tables import Row
from mmreg.registration.alignment import Alignment
from mmreg.registration.inputs import Image

from .inverse import Inverse, InverseResidual


@dataclass
class ResultValues:
    """One registered pair, everything on the fixed image's own grid.

    Attributes:
        case_id: Name of the pair.
        displacement: ``(ndim, *S)`` float32, voxels of the fixed grid, ``warped(x) = moving(x + displacement(x))``
            with both grids in the same world.
        geometry: The fixed grid.
        warped: Moving image on the fixed grid, float32, sampled once from its original voxels; 0 outside.
        before: Moving image on the fixed grid by the headers alone.
        fixed: The fixed image.
        moving: The moving image on its own grid.
        affine: fixed world -> moving world in RAS mm, applied after the displacement; None for the identity.
        inverse: What undoes the displacement, on a grid with finer voxels where those of the fixed grid are large.
        labels: ``'fixed'`` and ``'moving'`` labels as they were given, each on the grid of its image.
        warped_labels: Moving labels on the fixed grid, nearest neighbour.
        landmarks_in_moving: Where the fixed landmarks lie in the moving image (:func:`mmreg.io.fixed_to_moving`).
        landmarks_in_fixed: Where the moving landmarks lie in the fixed image (by the inverse).
        rigidity: How rigidly each labelled body moved; None where the config does not ask for it.
        rows: One number per metric and item, after and before.
        metrics: The same in a nested dict, for JSON.
        warnings: What looks wrong, in words.
        timings: Seconds per step.
        provenance: Inputs with digests, config, versions, seed, preparation.
        alignment: How the affine came about.
        maps: Name -> what else the model says per voxel: ``uncertainty`` in mm and ``warped_variance`` of a Monte-Carlo
            model.
        minimised: Image losses of an optimisation (lower is better) before and after; None without one.
        label_names: Value -> name of labels.
        view: Which way pictures show the patient, ``'neurological'`` or ``'radiological'``.
        curves: Name of a term -> its values (level, iteration, value) during an optimisation.
    """

    case_id: str
    displacement: np.ndarray
    geometry: Geometry
    warped: Volume
    before: Volume
    fixed: Image
    moving: Image
    affine: np.ndarray | None = None
    inverse: Inverse | None = None
    labels: Mapping[str, Volume] = field(default_factory=dict)
    warped_labels: Volume | None = None
    landmarks_in_moving: Landmarks | None = None
    landmarks_in_fixed: Landmarks | None = None
    rigidity: list[BodyRigidity] | None = None
    rows: list[Row] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    alignment: Alignment = field(default_factory=Alignment)
    curves: Mapping[str, Sequence[tuple[int, int, float]]] = field(default_factory=dict)
    maps: Mapping[str, Volume] = field(default_factory=dict)
    minimised: tuple[float, float] | None = None
    label_names: Mapping[int, str] = field(default_factory=dict)
    view: str = 'neurological'

    @property
    def transform(self) -> Transform:
        """Point map fixed world -> moving world, the one that pulls the moving image back.

        Its vectors are rounded as in the files (:func:`mmreg.io.displacement.fine_step`).
        """
        if not self.displacement.any():
            return affine_transform(np.eye(self.geometry.ndim + 1) if self.affine is None else self.affine)
        return displacement_transform(self.displacement, self.geometry, self.affine, step=fine_step(self.geometry))

    @property
    def inverse_displacement(self) -> np.ndarray | None:
        """``(ndim, *S)`` voxels of the fixed grid, undoes the displacement; None where no inverse was computed."""
        return None if self.inverse is None else self.inverse.on_original_grid

    @property
    def inverse_residual(self) -> InverseResidual | None:
        """How well the inverse undoes the displacement."""
        return None if self.inverse is None else self.inverse.residual

    @property
    def inverse_transform(self) -> Transform | None:
        """Point map moving world -> fixed world; None where no inverse was computed."""
        if self.inverse is None:
            return None
        if not self.displacement.any():
            return self.transform.inverse()
        backward = displacement_transform(self.inverse.displacement, self.inverse.geometry, step=self.inverse.step)
        return backward if self.affine is None else compose(affine_transform(self.affine).inverse(), backward)

    def array_displacement(self) -> np.ndarray:
        """Displacement between the two voxel arrays, headers ignored, as challenges want it.

        Returns:
            ``(ndim, *S)`` float32 voxels: array index of the moving image minus that of the fixed one. Equal to
            ``displacement`` where both headers agree and there is no affine.
        """
        fixed, moving = self.geometry, self.moving.geometry
        world = np.eye(fixed.ndim + 1) if self.affine is None else self.affine
        matrix = np.linalg.inv(moving.affine) @ world @ fixed.affine
        if np.allclose(matrix, np.eye(len(matrix)), atol=1e-5):
            return self.displacement
        grid = np.stack(np.meshgrid(*map(np.arange, fixed.shape), indexing='ij')).astype(np.float64)
        mapped = np.einsum('ab,b...->a...', matrix[:-1, :-1], grid + self.displacement)
        offset = matrix[:-1, -1].reshape(-1, *[1] * fixed.ndim)
        return (mapped + offset - grid).astype(np.float32)

    def __repr__(self) -> str:
        """Shape and headline numbers instead of voxels."""
        numbers = {key: value for key, value in self.metrics.items() if isinstance(value, float)}
        return (
            f'{type(self).__name__}({self.case_id!r}, shape={self.geometry.shape}, {numbers}, warnings={self.warnings})'
        )
