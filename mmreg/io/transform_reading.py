"""A transform of any program, told by what its file says: the one door through which transforms are read."""

from __future__ import annotations

from pathlib import Path

from mmreg.errors import DataError

from .foreign.recognise import read_any
from .foreign.space import Spaces
from .transforms import Transform


def read_transform(
    path: str | Path,
    *,
    invert: bool = False,
    form: str | None = None,
    spaces: Spaces | None = None,
    frame: int | None = None,
) -> Transform:
    """Read a transform that ITK, ANTs, Slicer or another program wrote, as a map fixed -> moving.

    ITK's and ANTs' are affine, B-spline, composite, or a displacement-field image. Matrices and fields of FSL,
    FreeSurfer, AFNI, SPM, NiftyReg and elastix are told by what they say of themselves.

    Args:
        path: the file.
        invert: return the inverse (linear transforms only).
        form: whose it is, one of :data:`mmreg.io.foreign.FORMATS`, where the file does not tell.
        spaces: grids of the two images, which FSL's need.
        frame: which one of a file with one transform per time point, counted from 1.

    Raises:
        DataError: missing, not a transform, one that may mean several things, or not invertible though asked for.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmreg.io import affine_transform, write_transform
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_transform(f'{folder}/affine.tfm', affine_transform(np.diag([2.0, 1.0, 1.0])))
        ...     read_transform(f'{folder}/affine.tfm').affine.diagonal().tolist()
        [2.0, 1.0, 1.0]
    """
    transform = read_any(path, spaces, form, frame)
    if not invert:
        return transform
    try:
        return transform.inverse()
    except DataError as error:
        raise DataError(f'{path}: {error}') from error
