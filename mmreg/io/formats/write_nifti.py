"""NIfTI files that keep what ITK's writer drops: the code of the world, repetition time and unit, colours."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mmreg.io.geometry import lps_flip

from .build import COLOUR, INTENT_NAME, INTENT_PARAMETERS, SPACE, TIME_STEP, TIME_UNIT, fact
from .nifti_header import TIME_UNITS

#: ITK writes this code itself.
_SCANNER = '1'
_LEVEL = 4


def has_facts(image: sitk.Image) -> bool:
    """Whether an image says what only :func:`write_nifti` keeps."""
    return fact(image, SPACE) not in (None, _SCANNER) or any(
        fact(image, key) for key in (TIME_STEP, COLOUR, INTENT_NAME)
    )


def write_nifti(path: Path, image: sitk.Image) -> None:
    """Write an image with two or three spatial axes and perhaps one of time; vectors as ITK does, or as colours."""
    import nibabel

    view = sitk.GetArrayViewFromImage(image)
    ndim, count = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    array = view.transpose((*reversed(range(ndim)), *range(ndim, view.ndim)))
    colour = fact(image, COLOUR) is not None and count in (3, 4) and array.dtype == np.uint8
    vector = count > 1 and not colour
    if colour:
        array = np.ascontiguousarray(array).view([(name, 'u1') for name in 'RGBA'[:count]])[..., 0]
    elif vector:
        array = array.reshape((*array.shape[:-1], *(1,) * (4 - ndim), count))
    affine = _affine(image)
    made = nibabel.Nifti1Image(array, affine, dtype=array.dtype)
    code = int(fact(image, SPACE) or 1)
    made.set_sform(affine, code)
    made.set_qform(affine, code, strip_shears=True)
    _describe(made.header, image, vector)
    with open(path, 'wb') as file:
        if path.name.lower().endswith('.gz'):
            with gzip.GzipFile('', 'wb', _LEVEL, file, mtime=0) as packed:
                made.to_stream(packed)
        else:
            made.to_stream(file)


def _affine(image: sitk.Image) -> np.ndarray:
    """(4, 4) voxel -> RAS mm of the first three axes."""
    ndim = image.GetDimension()
    spatial = min(3, ndim)
    affine = np.eye(4)
    direction = np.reshape(image.GetDirection(), (ndim, ndim))[:spatial, :spatial]
    affine[:spatial, :spatial] = direction * np.asarray(image.GetSpacing()[:spatial])
    affine[:spatial, 3] = image.GetOrigin()[:spatial]
    return lps_flip(3) @ affine + 0.0


def _describe(header: Any, image: sitk.Image, vector: bool) -> None:
    unit = fact(image, TIME_UNIT) or ''
    header['xyzt_units'] = 2 + next((code for code, name in TIME_UNITS.items() if name == unit), 0)
    if fact(image, TIME_STEP) is not None and image.GetDimension() == 4:
        header['pixdim'][4] = float(fact(image, TIME_STEP) or 0)
    if vector:
        first = [float(p) for p in (fact(image, INTENT_PARAMETERS) or '0 0 0').split()]
        header.set_intent('vector', name=fact(image, INTENT_NAME) or '')
        header['intent_p1'], header['intent_p2'], header['intent_p3'] = first
