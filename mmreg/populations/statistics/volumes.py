"""Local volumes of scans in the space of their template: the logarithm of the Jacobian determinant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from scipy.ndimage import gaussian_filter

from mmreg.errors import DataError, InputError
from mmreg.evaluation.functional.similarity import foreground
from mmreg.io import Volume, read_image, read_labels, read_mask, write_volume
from mmreg.io.tables import write_json, write_table
from mmreg.populations.kept import read_state, text_digest
from mmreg.transforms.files import load_transform
from mmreg.transforms.jacobian import jacobian_map
from mmreg.utils.file_state import file_state
from mmreg.version import __version__

#: Called with what is done, how much of it, and how much there is.
Told: TypeAlias = Callable[[str, int, int], None]
REGION_COLUMNS = ('scan_id', 'label', 'volume_ml', 'mean_log_jacobian')


def silent(what: str, done: int, of: int) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class TemplateSpace:
    """A folder that `mmreg template` wrote.

    Attributes:
        folder: The folder.
        template: The template.
        scan_ids: Of the scans that have a place in it, in alphabetical order.
        mask: ``S`` bool: what counts.
        regions: ``S`` int labels, None without.
    """

    folder: Path
    template: Volume
    scan_ids: Sequence[str]
    mask: np.ndarray
    regions: np.ndarray | None = None

    @classmethod
    def read(cls, folder: str | Path, mask: str | None = None, regions: str | None = None) -> TemplateSpace:
        """Read it.

        Args:
            folder: Where `mmreg template` wrote.
            mask: On the template's grid; where the template shows something by default.
            regions: Label map on its grid; the template's own labels by default, where it has some.

        Raises:
            DataError: not such a folder, or another grid.
        """
        folder = Path(folder)
        path = folder / 'template.nii.gz'
        names = sorted(one.parent.name for one in (folder / 'transforms').glob('*/transform.h5'))
        if not path.is_file() or len(names) < 2:
            raise DataError(
                f'{folder}: found no template with transforms of two scans, expected a folder of `mmreg template`'
            )
        template = read_image(path)
        own = folder / 'labels.nii.gz'
        labels = regions or (str(own) if own.is_file() else None)
        inside = foreground(template.array) if mask is None else _on_grid(read_mask(mask), template, mask) > 0
        parts = None if labels is None else _on_grid(read_labels(labels), template, labels)
        return cls(folder, template, names, inside, parts)

    def transform_of(self, scan_id: str) -> Path:
        """The file that leads from the template to a scan."""
        return self.folder / 'transforms' / scan_id / 'transform.h5'

    def log_jacobian(self, scan_id: str, smooth_mm: float = 0.0) -> np.ndarray:
        """``S`` float32: above 0 where the scan is larger than the template.

        Args:
            scan_id: Which scan.
            smooth_mm: Standard deviation of a Gaussian, mm.
        """
        transform = load_transform(self.transform_of(scan_id))
        grid = self.template.geometry
        values = jacobian_map(transform, grid, log=True).volume.array
        if smooth_mm > 0:
            values = gaussian_filter(values, [smooth_mm / step for step in grid.spacing])
        return values

    def region_lines(self, scan_id: str, values: np.ndarray) -> list[dict[str, object]]:
        """Per label the volume in the scan (the sum of determinants) and the mean of the logarithm."""
        parts = self.mask.astype(int) if self.regions is None else self.regions
        voxel = float(np.prod(self.template.geometry.spacing)) / 1000
        return [
            {
                'scan_id': scan_id,
                'label': int(label),
                'volume_ml': float(np.exp(values[parts == label], dtype=np.float64).sum() * voxel),
                'mean_log_jacobian': float(values[parts == label].mean()),
            }
            for label in np.unique(parts[parts != 0])
        ]


def write_jacobians(
    space: TemplateSpace, out_dir: Path, smooth_mm: float = 0.0, told: Told = silent
) -> list[dict[str, object]]:
    """Write the map of every scan, their mean and standard deviation, and the table of regions.

    Memory does not grow with the number of scans. Maps that an earlier run wrote from the same files are kept.
    """
    kept = KeptMaps(space, out_dir / 'jacobians', smooth_mm)
    total = np.zeros(space.template.geometry.shape)
    squares = np.zeros_like(total)
    lines: list[dict[str, object]] = []
    for number, scan_id in enumerate(space.scan_ids, 1):
        values = kept.map_of(scan_id)
        lines += space.region_lines(scan_id, values)
        total += values
        squares += np.square(values, dtype=np.float64)
        told('maps of volume', number, len(space.scan_ids))
    count = len(space.scan_ids)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares - count * mean**2, 0) / (count - 1))
    for name, array in (('mean', mean), ('sd', deviation)):
        write_volume(out_dir / f'{name}.nii.gz', Volume(array.astype(np.float32), space.template.geometry))
    write_table(out_dir / 'regions.csv', REGION_COLUMNS, lines, digits=7)
    return lines


class KeptMaps:
    """The maps of all scans in a folder, and a file that says what each was made from.

    Args:
        space: The template and its scans.
        folder: Where the maps are.
        smooth_mm: As in :meth:`TemplateSpace.log_jacobian`.
    """

    def __init__(self, space: TemplateSpace, folder: Path, smooth_mm: float):
        self.space, self.folder, self.smooth_mm = space, folder, smooth_mm
        grid = space.template.geometry
        self._request = text_digest({'grid': [grid.shape, grid.affine], 'smooth_mm': smooth_mm, 'mmreg': __version__})
        known = (read_state(self._list, self._request) or {}).get('maps')
        self._known: dict[str, Any] = known if isinstance(known, dict) else {}

    @property
    def _list(self) -> Path:
        return self.folder / 'made_from.json'

    def map_of(self, scan_id: str) -> np.ndarray:
        """``S`` float32, computed and written where it is not there yet."""
        path = self.folder / f'{scan_id}.nii.gz'
        source = file_state(self.space.transform_of(scan_id))
        if self._known.get(scan_id) == source:
            with suppress(InputError):
                return read_image(path, check=False).array
        values = self.space.log_jacobian(scan_id, self.smooth_mm)
        write_volume(path, Volume(values, self.space.template.geometry))
        self._known[scan_id] = source
        write_json(self._list, {'request': self._request, 'maps': self._known})
        return values


def read_jacobian(out_dir: Path, scan_id: str) -> np.ndarray:
    """A map that :func:`write_jacobians` wrote, ``S`` float32."""
    return read_image(out_dir / 'jacobians' / f'{scan_id}.nii.gz', check=False).array


def _on_grid(volume: Volume, template: Volume, name: str) -> np.ndarray:
    if not volume.geometry.same_grid(template.geometry):
        raise DataError(f'{name}: found another grid than that of the template, expected the same')
    return volume.array
