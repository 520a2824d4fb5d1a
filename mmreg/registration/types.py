"""The forms in which a user may hand something over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import SimpleITK as sitk

from mmreg.io import Landmarks, Volume

#: A path (an :class:`~mmreg.io.ImageFile` says which volume, series or position), a volume, a SimpleITK or nibabel
#: image, or (array, geometry); the geometry may be a voxel -> RAS+ mm matrix.
ImageLike: TypeAlias = str | os.PathLike[str] | Volume | sitk.Image | tuple[Any, Any] | Any
#: A path (CSV in voxels or mm, 3D Slicer), landmarks with their frame, or ``(P, ndim)`` RAS+ mm.
LandmarksLike: TypeAlias = str | Path | Landmarks | np.ndarray
#: A word, a file, a ``(ndim+1, ndim+1)`` matrix fixed world -> moving world in RAS+ mm, or None for the headers alone.
AffineLike: TypeAlias = np.ndarray | str | Path | None
#: Whether an inverse displacement is wanted; ``'own'``: only where a network has one itself.
WantedInverse: TypeAlias = bool | Literal['own']
