"""A mesh as its points in the world and a way to write the same file with other points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmreg.errors import ConfigError, DataError, InputError
from mmreg.io.atomic import split_suffix
from mmreg.io.checks import check_points
from mmreg.io.files import regular_file, warn

from . import gifti, other, ply, stl, vtk
from .content import Content

#: Readers by ending; each returns the points as the file has them and what writes it again with others.
_READERS: dict[str, Callable[[Path], Content]] = {
    '.vtk': vtk.read_content,
    '.ply': ply.read_content,
    '.stl': stl.read_content,
    '.gii': gifti.read_content,
    **dict.fromkeys(other.ENDINGS, other.read_content),
}
MESH_ENDINGS = tuple(_READERS)
_FRAMES = ('ras', 'lps')
_LPS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Mesh:
    """Points of a mesh, and the file they came from.

    Attributes:
        points: (P, 3) RAS mm.
        frame: 'ras' or 'lps', what the numbers of the file are.
        content: the file.
    """

    points: np.ndarray
    frame: str
    content: Content

    def write(self, path: str | Path, points: np.ndarray) -> None:
        """The same file with other points (P, 3) RAS mm, in the frame of the file: cells and values stay, atomically.

        Raises:
            DataError: another number of points, or the file cannot be written.
        """
        checked = check_points(points, 3, 'points')
        if len(checked) != len(self.points):
            raise DataError(f'{path}: found {len(checked)} points for a mesh of {len(self.points)}, expected as many')
        self.content.write(Path(path), checked if self.frame == 'ras' else checked * _LPS)


def read_mesh(path: str | Path, frame: str | None = None) -> Mesh:
    """Read the points of a mesh or surface.

    GIFTI counts in RAS mm; other files may say ``SPACE=LPS`` or ``SPACE=RAS`` in their header, as 3D Slicer does, and
    are taken for RAS where they say nothing.

    Args:
        path: .vtk (legacy), .ply, .stl, .gii; .vtu, .obj, .off with the extra ``mesh``.
        frame: 'ras' or 'lps', where the file does not tell.

    Raises:
        ConfigError: an unknown frame, or meshio is needed and not installed.
        DataError: not such a file, or damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / 'a.ply'
        ...     _ = path.write_text('ply\\nformat ascii 1.0\\nelement vertex 1\\nproperty float x\\nproperty float y\\n'
        ...                         'property float z\\nend_header\\n1 2 3\\n')
        ...     read_mesh(path, 'lps').points.tolist()
        [[-1.0, -2.0, 3.0]]
    """
    if frame is not None and frame not in _FRAMES:
        raise ConfigError(f"mesh frame '{frame}' was given, expected {' or '.join(_FRAMES)}")
    path = regular_file(path, 'a mesh')
    suffix = split_suffix(path)[1].lower()
    if suffix not in _READERS:
        raise DataError(f"{path}: found the ending '{suffix}', expected a mesh: {', '.join(MESH_ENDINGS)}")
    try:
        content = _READERS[suffix](path)
        points = check_points(content.points, 3, str(path))
    except InputError:
        raise
    except (ValueError, IndexError, OverflowError, MemoryError) as error:
        raise DataError(f'{path}: found a mesh that cannot be read ({_brief(error)}), expected a whole one') from error
    if content.normals:
        warn(f'{path}: its normals are those of the mesh before it is moved; compute them again where they are used')
    found = content.frame or frame or 'ras'
    return Mesh(points if found == 'ras' else points * _LPS, found, content)


def is_mesh_file(path: str | Path) -> bool:
    """Tell meshes from images and landmarks by the ending."""
    return split_suffix(path)[1].lower() in MESH_ENDINGS


def _brief(error: Exception) -> str:
    return ' '.join(str(error).split())[:120] or type(error).__name__
