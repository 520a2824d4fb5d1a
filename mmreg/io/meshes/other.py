"""Meshes that meshio reads and writes."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.io.atomic import atomic_path

from .content import Content

ENDINGS = ('.vtu', '.obj', '.off')


def read_content(path: Path) -> Content:
    """Points of a mesh; cells and values are kept as far as meshio knows them.

    Raises:
        ConfigError: meshio is not installed.
        DataError: it cannot read the file.
    """
    try:
        import meshio
    except ImportError as error:
        raise ConfigError(
            f'{path}: {path.suffix} is read by meshio, which is not installed: pip install "mmreg[mesh]"'
        ) from error
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            mesh = meshio.read(str(path))
    except (Exception, SystemExit) as error:  # it ends the program where it cannot read a file
        raise DataError(f'{path}: found what meshio cannot read ({error}), expected a mesh') from error
    points = np.asarray(mesh.points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise DataError(f'{path}: found points of shape {points.shape}, expected three numbers each')

    def write(target: Path, moved: np.ndarray) -> None:
        mesh.points = moved.astype(np.asarray(mesh.points).dtype)
        with atomic_path(target) as temporary:
            meshio.write(str(temporary), mesh)

    return Content(points, write)
