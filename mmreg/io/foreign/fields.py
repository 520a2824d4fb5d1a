"""Deformation fields in NIfTI: one vector per voxel, in the file's own numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io.formats import build
from mmreg.io.geometry import Geometry
from mmreg.io.volumes import read_sitk, write_sitk


@dataclass(frozen=True, eq=False)
class VectorField:
    """What a field's file holds.

    Attributes:
        vectors: (*S, ndim) float64, as stored.
        grid: of shape S.
        intent: code of NIfTI.
        name: of the intent.
        parameters: of the intent.
    """

    vectors: np.ndarray
    grid: Geometry
    intent: int = 0
    name: str = ''
    parameters: tuple[float, ...] = (0.0, 0.0, 0.0)

    @property
    def positions(self) -> np.ndarray:
        """(*S, ndim) RAS mm of the voxels themselves."""
        axes = [np.arange(n, dtype=np.float64) for n in self.grid.shape]
        return self.grid.voxel_to_world(np.stack(np.meshgrid(*axes, indexing='ij'), -1))


def read_field(path: Path) -> VectorField:
    """Read vectors from pixels of several components, or from a fourth or fifth axis.

    Raises:
        DataError: not one vector of two or three components per voxel.
    """
    image = read_sitk(path)
    array = sitk.GetArrayViewFromImage(image)
    axes, count = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    order = (*reversed(range(axes)), *range(axes, array.ndim))
    vectors = array.transpose(order)
    while vectors.ndim > 4 and vectors.shape[-2] == 1:
        vectors = vectors[..., 0, :]
    if vectors.ndim == 3 and vectors.shape[-1] == 3 and count == 3:
        vectors = vectors[:, :, None]  # one slice of a volume
    ndim = vectors.ndim - 1
    if ndim not in (2, 3) or vectors.shape[-1] != ndim:
        raise DataError(
            f'{path}: found an image of size {image.GetSize()} with {count} components, expected a vector of one '
            'component per axis in each voxel'
        )
    vectors = np.array(vectors, dtype=np.float64)
    intent = int(build.fact(image, build.INTENT) or 0)
    if intent == 1006 and count == ndim:  # the reader of images turned RAS into LPS
        vectors[..., :2] *= -1
    parts = image.GetSpacing()[:ndim], image.GetOrigin()[:ndim], image.GetDirection()
    return VectorField(
        vectors,
        _grid(vectors.shape[:ndim], *parts),
        intent,
        build.fact(image, build.INTENT_NAME) or '',
        tuple(float(p) for p in (build.fact(image, build.INTENT_PARAMETERS) or '0 0 0').split()),
    )


def write_field(path: Path, vectors: np.ndarray, grid: Geometry, name: str = '', first: float = 0.0) -> None:
    """Write (*S, ndim) vectors as a five-axes NIfTI of intent 'vector', with the name another program looks for.

    Raises:
        DataError: another ending, or the file cannot be written.
    """
    if not path.name.lower().endswith(('.nii', '.nii.gz')):
        raise DataError(f'{path}: found another ending than .nii or .nii.gz, expected one of them for a field')
    from mmreg.io.volumes import Volume

    image = Volume(vectors.astype(np.float32), grid).to_sitk()
    image.SetMetaData(build.INTENT_NAME, name)
    image.SetMetaData(build.INTENT_PARAMETERS, f'{first} 0 0')
    write_sitk(path, image)


def _grid(
    shape: tuple[int, ...], spacing: tuple[float, ...], origin: tuple[float, ...], direction: tuple[float, ...]
) -> Geometry:
    ndim = len(shape)
    size = int(round(len(direction) ** 0.5))
    cosines = np.eye(ndim)
    kept = min(ndim, size)
    cosines[:kept, :kept] = np.reshape(direction, (size, size))[:kept, :kept]
    steps, start = ([*values, *[fill] * ndim][:ndim] for values, fill in ((spacing, 1.0), (origin, 0.0)))
    flip = np.array([-1.0, -1.0, 1.0][:ndim])
    return Geometry.from_parts(shape, steps, flip * np.asarray(start), flip[:, None] * cosines)
