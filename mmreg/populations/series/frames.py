"""The frames of a series: volumes of one 4-D file, or files in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io import ImageFile, Volume, read_image_header, write_volume
from mmreg.io.formats.build import TIME_STEP, TIME_UNIT
from mmreg.io.volumes import read_sitk, write_sitk
from mmreg.populations.scans import Scan, read_scans

#: A 4-D file is taken apart into this folder, since each frame would unpack all of it.
FOLDER = 'frames'


@dataclass(frozen=True)
class Series:
    """Frames in their order.

    Attributes:
        frames: One scan each.
        step: Distance of two frames in the unit of the file; 1 where it is unknown.
        facts: What the file says of its time axis.
    """

    frames: Sequence[Scan]
    step: float
    facts: dict[str, str]

    def write(self, path: Path, arrays: Sequence[np.ndarray], like: Volume) -> None:
        """Write frames on one grid as a 4-D file, in 2-D as a volume, with the time step of the series."""
        joined = sitk.JoinSeries([Volume(array, like.geometry).to_sitk() for array in arrays])
        spacing = list(joined.GetSpacing())
        spacing[-1] = self.step if self.step > 0 else 1.0
        joined.SetSpacing(spacing)
        for key, value in self.facts.items():
            joined.SetMetaData(key, value)
        write_sitk(path, joined)


def read_series(given: Sequence[str | Path], out_dir: Path) -> Series:
    """The frames that a user names.

    Args:
        given: One file with a time axis, a table, or a file per frame in their order.
        out_dir: A 4-D file is taken apart below it, once.

    Raises:
        DataError: unreadable, fewer than two frames, or of different dimensions.

    Example:
        >>> import tempfile
        >>> from mmreg.io import Geometry
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in 'ab':
        ...     write_volume(folder / f'{name}.nii', Volume(np.eye(4, dtype=np.float32), Geometry.from_parts((4, 4))))
        >>> len(read_series([folder / 'a.nii', folder / 'b.nii'], folder / 'out').frames)
        2
    """
    path = Path(given[0])
    if len(given) > 1 or path.is_dir() or path.suffix.lower() in ('.csv', '.tsv'):
        return Series(read_scans(list(given)), 1.0, {})
    header = read_image_header(path)
    if header.frames < 2:
        raise DataError(f'{path}: found one frame, expected a file with a time axis, or several files')
    return _taken_apart(path, header.frames, out_dir / FOLDER)


def _taken_apart(path: Path, count: int, folder: Path) -> Series:
    names = [f'frame_{number:04d}' for number in range(1, count + 1)]
    files = [folder / f'{name}.nii' for name in names]
    image = read_sitk(path)
    facts = {key: image.GetMetaData(key) for key in (TIME_STEP, TIME_UNIT) if image.HasMetaDataKey(key)}
    stamp = path.stat().st_mtime
    for number, file in enumerate(files):
        if not file.is_file() or file.stat().st_mtime < stamp:
            write_volume(file, Volume.from_sitk(image[:, :, :, number]))
    return Series(
        [Scan(name, ImageFile(file)) for name, file in zip(names, files)], float(image.GetSpacing()[3]), facts
    )
