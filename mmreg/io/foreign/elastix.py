"""elastix: parameter files of a transform, with the one that comes before it; fixed -> moving in LPS mm, as in ITK."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mmreg.errors import MISFIT, DataError
from mmreg.io.atomic import write_text
from mmreg.io.displacement import read_displacement_image, write_displacement_image
from mmreg.io.files import regular_file
from mmreg.io.geometry import Geometry
from mmreg.io.transforms import Transform, compose, displacement_transform
from mmreg.utils.text_files import read_text

from .space import Spaces, from_lps

_EXPECTED = 'transform parameters of elastix'
_ENTRY = re.compile(r'^\s*\(\s*(\S+)\s+(.*?)\s*\)\s*(?://.*)?$')
_INITIAL = ('InitialTransformParametersFileName', 'InitialTransformParameterFileName')
#: More transforms in a chain than this go round in a circle.
_MOST = 20
Parameters = dict[str, list[str]]


def looks_like_elastix(text: str) -> bool:
    """Whether a text is a parameter file of a transform."""
    return re.search(r'^\s*\(\s*Transform\s+"', text, re.MULTILINE) is not None


def read_elastix(path: Path, spaces: Spaces, depth: int = 0) -> Transform:
    """One transform with all that come before it.

    Raises:
        DataError: not such a file, a transform or combination that is not read, or a chain without end.
    """
    if depth > _MOST:
        raise DataError(f'{path}: found a chain of more than {_MOST} initial transforms, expected one that ends')
    entries = _entries(read_text(regular_file(path, _EXPECTED), _EXPECTED))
    kind = _word(entries, 'Transform', path)
    if kind not in _BUILDERS:
        raise DataError(f'{path}: found a {kind} of elastix, expected one of {", ".join(_BUILDERS)}')
    try:
        own = Transform(_BUILDERS[kind](entries, path))
    except (RuntimeError, *MISFIT) as error:
        raise DataError(
            f'{path}: found parameters that make no {kind} ({_brief(error)}), expected {_EXPECTED}'
        ) from error
    initial = next((_word(entries, key, path) for key in _INITIAL if key in entries), 'NoInitialTransform')
    if initial == 'NoInitialTransform':
        return own
    if entries.get('HowToCombineTransforms', ['Compose'])[0] != 'Compose':
        raise DataError(
            f'{path}: found transforms that are added to each other, expected HowToCombineTransforms Compose'
        )
    before = Path(initial)
    beside = path.parent / before.name
    return compose(read_elastix(beside if beside.exists() else path.parent / before, spaces, depth + 1), own)


def write_elastix(path: Path, transform: Transform, spaces: Spaces) -> None:
    """Parameters for transformix on the fixed grid: an affine, or a field with its image (``.nii.gz``) beside them."""
    if spaces.fixed is None:
        raise DataError(f'{path}: found no grid, expected that of the fixed image (--reference FIXED)')
    affine = transform.affine
    if affine is None:
        _write_field(path, transform, spaces.fixed)
        return
    ndim, (size, spacing, origin, direction) = len(affine) - 1, spaces.fixed.to_sitk()
    lps = from_lps(affine)
    numbers = {
        'NumberOfParameters': [ndim * (ndim + 1)],
        'TransformParameters': [*lps[:ndim, :ndim].ravel(), *lps[:ndim, ndim]],
        'FixedImageDimension': [ndim], 'MovingImageDimension': [ndim],
        'Size': size, 'Index': [0] * ndim, 'Spacing': spacing, 'Origin': origin,
        'Direction': np.reshape(direction, (ndim, ndim)).T.ravel(),
        'CenterOfRotationPoint': [0.0] * ndim,
    }  # fmt: skip
    _write(path, {'Transform': 'AffineTransform', 'HowToCombineTransforms': 'Compose'}, numbers)


def _write_field(path: Path, transform: Transform, grid: Geometry) -> None:
    """A DeformationFieldTransform; the image of its field, LPS mm, gets the name of the parameters."""
    image = path.with_name(f'{path.name.removesuffix(".txt")}.field.nii.gz')
    write_displacement_image(image, transform.displacement_on(grid), grid)
    size, spacing, origin, direction = grid.to_sitk()
    ndim = grid.ndim
    numbers: dict[str, Any] = {
        'NumberOfParameters': [0], 'DeformationFieldInterpolationOrder': [1],
        'FixedImageDimension': [ndim], 'MovingImageDimension': [ndim],
        'Size': size, 'Index': [0] * ndim, 'Spacing': spacing, 'Origin': origin,
        'Direction': np.reshape(direction, (ndim, ndim)).T.ravel(),
    }  # fmt: skip
    _write(path, {'Transform': 'DeformationFieldTransform', 'DeformationFieldFileName': image.name}, numbers)


def _write(path: Path, own: dict[str, str], numbers: dict[str, Any]) -> None:
    words = {
        **own, 'InitialTransformParametersFileName': 'NoInitialTransform',
        'FixedInternalImagePixelType': 'float', 'MovingInternalImagePixelType': 'float', 'UseDirectionCosines': 'true',
        'ResampleInterpolator': 'FinalBSplineInterpolator', 'Resampler': 'DefaultResampler',
        'DefaultPixelValue': '0', 'ResultImageFormat': 'nii.gz', 'ResultImagePixelType': 'float',
    }  # fmt: skip
    lines = [f'({key} "{value}")' for key, value in words.items()]
    lines += [f'({key} {" ".join(f"{float(v):.12g}" for v in values)})' for key, values in numbers.items()]
    write_text(path, '\n'.join(lines) + '\n')


def _entries(text: str) -> Parameters:
    found: Parameters = {}
    for line in text.splitlines():
        match = _ENTRY.match(line)
        if match:
            found[match[1]] = [part.strip('"') for part in re.findall(r'"[^"]*"|\S+', match[2])]
    return found


def _word(entries: Parameters, key: str, path: Path) -> str:
    if not entries.get(key):
        raise DataError(f'{path}: found no {key}, expected {_EXPECTED}')
    return entries[key][0]


def _numbers(entries: Parameters, key: str) -> list[float]:
    return [float(value) for value in entries[key]]


def _brief(error: Exception) -> str:
    return str(error).strip().splitlines()[-1][:120] if str(error).strip() else type(error).__name__


def _ndim(entries: Parameters) -> int:
    return int(float(entries['FixedImageDimension'][0]))


def _translation(entries: Parameters, path: Path) -> sitk.Transform:
    return sitk.TranslationTransform(_ndim(entries), _numbers(entries, 'TransformParameters'))


def _centred(entries: Parameters, flat: Callable[[], Any], solid: Callable[[], Any]) -> Any:
    transform = (flat if _ndim(entries) == 2 else solid)()
    transform.SetCenter(_numbers(entries, 'CenterOfRotationPoint'))
    transform.SetParameters(_numbers(entries, 'TransformParameters'))
    return transform


def _euler(entries: Parameters, path: Path) -> sitk.Transform:
    transform = _centred(entries, sitk.Euler2DTransform, sitk.Euler3DTransform)
    if _ndim(entries) == 3 and entries.get('ComputeZYX', ['false'])[0].lower() == 'true':
        transform.SetComputeZYX(True)
    return transform


def _similarity(entries: Parameters, path: Path) -> sitk.Transform:
    return _centred(entries, sitk.Similarity2DTransform, sitk.Similarity3DTransform)


def _affine(entries: Parameters, path: Path) -> sitk.Transform:
    transform = sitk.AffineTransform(_ndim(entries))
    transform.SetCenter(_numbers(entries, 'CenterOfRotationPoint'))
    transform.SetParameters(_numbers(entries, 'TransformParameters'))
    return transform


def _bspline(entries: Parameters, path: Path) -> sitk.Transform:
    ndim, order = _ndim(entries), int(float(entries.get('BSplineTransformSplineOrder', ['3'])[0]))
    if entries.get('UseCyclicTransform', ['false'])[0].lower() == 'true':
        raise DataError(f'{path}: found a cyclic B-spline of elastix, expected one that is not')
    size = [int(n) for n in _numbers(entries, 'GridSize')]
    values = np.array(_numbers(entries, 'TransformParameters'))
    if len(values) != ndim * int(np.prod(size)):
        raise DataError(f'{path}: found {len(values)} parameters for a grid of {size}, expected {ndim} per point')
    images = []
    for part in values.reshape(ndim, *reversed(size)):
        image = sitk.GetImageFromArray(part)
        image.SetSpacing(_numbers(entries, 'GridSpacing'))
        image.SetOrigin(_numbers(entries, 'GridOrigin'))
        if 'GridDirection' in entries:  # elastix writes columns
            image.SetDirection(np.reshape(_numbers(entries, 'GridDirection'), (ndim, ndim)).T.ravel().tolist())
        images.append(image)
    return sitk.BSplineTransform(images, order)


def _field(entries: Parameters, path: Path) -> sitk.Transform:
    """A field in an image of its own, where the parameters say or beside them."""
    if entries.get('DeformationFieldInterpolationOrder', ['1'])[0] == '0':
        raise DataError(f'{path}: found a field without interpolation, expected DeformationFieldInterpolationOrder 1')
    named = Path(_word(entries, 'DeformationFieldFileName', path))
    beside = path.parent / named.name
    displacement, grid = read_displacement_image(beside if beside.exists() else path.parent / named)
    return displacement_transform(displacement, grid).itk


_BUILDERS: dict[str, Callable[[Parameters, Path], sitk.Transform]] = {
    'TranslationTransform': _translation,
    'EulerTransform': _euler,
    'SimilarityTransform': _similarity,
    'AffineTransform': _affine,
    'BSplineTransform': _bspline,
    'RecursiveBSplineTransform': _bspline,
    'DeformationFieldTransform': _field,
}
