"""What a user hands over as a transform, in any form, as one point map fixed world -> moving world."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io import Geometry, Transform, affine_transform, read_transform
from mmreg.io.displacement import is_image_file
from mmreg.io.foreign import FORMATS, Spaces
from mmreg.io.transform_parts import parts_of, simplified
from mmreg.io.transforms import READABLE

#: A path (file, folder of results, or prefix of ANTs' outputs; ``[path,1]`` for the inverse), a transform, a SimpleITK
#: transform, a (ndim+1, ndim+1) matrix fixed -> moving in RAS mm, or a result with a ``transform``.
TransformLike: TypeAlias = str | Path | Transform | sitk.Transform | np.ndarray | Any

FORWARD, BACKWARD = 'transform.h5', 'inverse_transform.h5'
_BRACKETS = re.compile(r'\[\s*(.+?)\s*,\s*([01])\s*\]$')
#: ANTs numbers its outputs in the order in which a moving point meets them.
_ANTS = re.compile(r'(\d+)(Warp\.nii(?:\.gz)?|InverseWarp\.nii(?:\.gz)?|\w+\.mat)$')


@dataclass(frozen=True)
class Reading:
    """How files are read that do not tell it themselves.

    Attributes:
        form: Whose they are, one of :data:`mmreg.io.foreign.FORMATS`.
        fixed: Grid of the fixed image, which FSL's need.
        moving: Grid of the moving image.
        frame: Which one of a file with one transform per time point, from 1.
    """

    form: str | None = None
    fixed: Geometry | None = None
    moving: Geometry | None = None
    frame: int | None = None

    def read(self, path: str | Path) -> Transform:
        """One file."""
        return read_transform(path, form=self.form, spaces=Spaces(self.fixed, self.moving), frame=self.frame)


_PLAIN = Reading()


def load_chain(sources: TransformLike | Sequence[TransformLike], reading: Reading = _PLAIN) -> Transform:
    """One transform, or several chained: the first one meets the fixed point first, as in ``antsApplyTransforms``.

    Args:
        sources: See :data:`TransformLike`.
        reading: What is known of files that do not tell it themselves.

    Raises:
        DataError: none is given, one cannot be read or inverted, or their dimensions differ.
    """
    given = list(sources) if isinstance(sources, list | tuple) else [sources]
    if not given:
        raise DataError('transform: found none, expected at least one')
    loaded = [load_transform(source, reading) for source in given]
    if len(loaded) == 1:
        return loaded[0]
    dimensions = [part.ndim for part in loaded]
    if len(set(dimensions)) > 1:
        told = ', '.join(f'{_name(s)} ({n}-D)' for s, n in zip(given, dimensions))
        raise DataError(f'transforms: found {told}, expected one dimension')
    return _chain(loaded)


def load_transform(source: TransformLike, reading: Reading = _PLAIN) -> Transform:
    """One transform, fixed world -> moving world; see :data:`TransformLike`.

    ``'[path,1]'`` is the inverse of a file, as in ANTs; a displacement is inverted numerically; ``'fsl:path'`` says
    whose a file is. A folder of results stands for its ``transform.h5``, and brings its ``inverse_transform.h5`` along.
    A prefix such as ``out_`` stands for ANTs' ``out_1Warp.nii.gz`` after ``out_0GenericAffine.mat``, together with
    ``out_1InverseWarp.nii.gz``.

    Args:
        source: What was handed over.
        reading: What is known of files that do not tell it themselves.

    Raises:
        DataError: not a transform, or not invertible though asked for.
    """
    if isinstance(source, str | Path):
        bracketed = _BRACKETS.match(str(source).strip())
        if bracketed:
            transform = _load_path(Path(bracketed[1]), reading)
            return inverted(transform, bracketed[1]) if bracketed[2] == '1' else transform
        return _load_path(Path(source), reading)
    if isinstance(source, Transform):
        return source
    if isinstance(source, sitk.Transform):
        return Transform(source)
    if isinstance(source, np.ndarray | list):
        return affine_transform(np.asarray(source))
    if isinstance(getattr(source, 'transform', None), Transform):
        backward = getattr(source, 'inverse_transform', None)
        return Transform(source.transform.itk, None if backward is None else backward.itk)
    raise DataError(f'transform: found a {type(source).__name__}, expected a path, a transform or a 4x4 matrix')


def inverted(transform: Transform, name: str = 'the transform') -> Transform:
    """The inverse: the given one where it is known, in closed form for affines, else by iteration on its grid."""
    with suppress(DataError):
        return transform.inverse()
    from .inverse import invert_parts

    return invert_parts(transform, name=name)[0]


def _load_path(path: Path, reading: Reading) -> Transform:
    if path.is_dir():
        return _load_folder(path)
    form, colon, _ = str(path).partition(':')
    if path.exists() or (colon and form in FORMATS):
        return reading.read(path)
    found = ants_outputs(path)
    if found:
        return _load_ants(found)
    if path.suffix.lower() in READABLE or is_image_file(path):
        raise DataError(f'{path}: found no such file, expected a transform')
    raise DataError(
        f'{path}: found no such file, nor {path}0GenericAffine.mat or {path}1Warp.nii.gz, expected a transform, a '
        "folder of results, or the prefix of ANTs' outputs"
    )


def _load_folder(path: Path) -> Transform:
    if not (path / FORWARD).is_file():
        raise DataError(f'{path}: found a folder without {FORWARD}, expected a folder of results')
    forward = read_transform(path / FORWARD)
    if not (path / BACKWARD).is_file():
        return forward
    return Transform(forward.itk, read_transform(path / BACKWARD).itk)


def ants_outputs(prefix: Path) -> list[Path]:
    """Files that ANTs wrote under a prefix, in the order in which ``antsApplyTransforms`` takes them; or none."""
    start = prefix.name
    if not prefix.parent.is_dir():
        return []
    found = {}
    for path in prefix.parent.iterdir():
        match = _ANTS.fullmatch(path.name[len(start) :]) if path.name.startswith(start) else None
        if match:
            found[path] = (int(match[1]), match[2])
    return sorted(found, key=lambda path: found[path], reverse=True)


def _load_ants(files: Sequence[Path]) -> Transform:
    """The chain of ANTs' outputs; inverse fields serve the way back."""
    forward = {path: read_transform(path) for path in files if 'InverseWarp.nii' not in path.name}
    if not forward:
        raise DataError(f'{files[0]}: found only an inverse field of ANTs, expected its forward field beside it')
    parts = []
    for path, transform in forward.items():
        beside = path.with_name(re.sub(r'Warp(\.nii(?:\.gz)?)$', r'InverseWarp\1', path.name))
        known = beside != path and beside.is_file()
        parts.append(Transform(transform.itk, read_transform(beside).itk) if known else transform)
    return parts[0] if len(parts) == 1 else _chain(parts)


def _chain(parts: Sequence[Transform]) -> Transform:
    """Chain maps; the inverse is known where that of each part is."""
    forward = simplified([single for part in parts for single in parts_of(part)])
    with suppress(DataError):
        backward = [single for part in reversed(parts) for single in parts_of(part.inverse())]
        return Transform(forward.itk, simplified(backward).itk)
    return forward


def _name(source: TransformLike) -> str:
    return str(source) if isinstance(source, str | Path) else type(source).__name__
