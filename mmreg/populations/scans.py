"""The scans of a group: a list of files, or a table with what is known of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError, DataError, listed
from mmreg.io import Geometry, ImageFile, Volume, read_geometry, read_image_header
from mmreg.io.csv_text import read_plain_text, split_rows
from mmreg.registration.cohort.names import check_case_ids

#: Columns of a table of scans; only the first must be there.
COLUMNS = ('image', 'scan_id', 'labels', 'mask', 'frame', 'series', 'weight', 'date', 'group')
_TABLES = ('.csv', '.tsv')


@dataclass(frozen=True)
class Scan:
    """One scan of a group.

    Attributes:
        scan_id: Its name; folders are called so.
        image: The file, or DICOM folder.
        labels: Its label map.
        mask: Where its similarity counts.
        weight: How much it counts in means, above 0.
        more: What else the table says, by column.
    """

    scan_id: str
    image: ImageFile
    labels: str | None = None
    mask: str | None = None
    weight: float = 1.0
    more: dict[str, str] = field(default_factory=dict)

    @property
    def geometry(self) -> Geometry:
        """Its grid, by the header alone."""
        return read_geometry(self.image.path, series=self.image.series, frames=True, position=self.image.position)

    def read(self) -> Volume:
        """Its voxels, float32."""
        volume = self.image.read()
        return Volume(volume.array.astype('float32', copy=False), volume.geometry)

    def source(self) -> dict[str, Any]:
        """As the moving image of a case."""
        known = {'labels': self.labels, 'mask': self.mask, 'frame': self.image.frame, 'series': self.image.series}
        given = {key: value for key, value in known.items() if value is not None}
        return {'id': self.scan_id, 'image': str(self.image), **given}


def read_scans(given: Sequence[str | Path], labels: Sequence[str | Path] | None = None, least: int = 2) -> list[Scan]:
    """The scans that a user names.

    Args:
        given: Image files, or one table (CSV, TSV) with the columns :data:`COLUMNS`, paths relative to the table.
        labels: Label maps of the images, in their order; a table names its own.
        least: So many are needed.

    Raises:
        DataError: too few, unreadable, of different dimensions, or with names that collide; all of it before any work.
        ConfigError: labels that do not fit.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmreg.io import write_volume
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in 'ab':
        ...     write_volume(folder / f'{name}.nii', Volume(np.eye(4, dtype=np.float32), Geometry.from_parts((4, 4))))
        >>> [scan.scan_id for scan in read_scans([folder / 'a.nii', folder / 'b.nii'])]
        ['a', 'b']
    """
    if len(given) == 1 and Path(given[0]).suffix.lower() in _TABLES:
        if labels:
            raise ConfigError(f'--labels was given with the table {given[0]}, expected them in its column labels.')
        source, scans = str(given[0]), _from_table(Path(given[0]))
    else:
        source, scans = 'scans', _from_files(given, labels)
    if len(scans) < least:
        raise DataError(
            f'{source}: found {len(scans)} {"scan" if len(scans) == 1 else "scans"}, expected {least} or more'
        )
    check_case_ids(source, [scan.scan_id for scan in scans], 'scan', 'scan_id')
    _check_dimensions(scans)
    for scan in scans:
        _check_files(scan)
    return scans


def has_labels(scans: Sequence[Scan]) -> bool:
    """Whether every scan has a label map.

    Raises:
        DataError: some have, others have not.
    """
    without = [scan.scan_id for scan in scans if scan.labels is None]
    if without and len(without) < len(scans):
        raise DataError(f'labels: found none of {listed(without)}, expected a label map of every scan, or of none')
    return not without


def _from_files(given: Sequence[str | Path], labels: Sequence[str | Path] | None) -> list[Scan]:
    if labels and len(labels) != len(given):
        raise ConfigError(f'--labels: found {len(labels)} files for {len(given)} scans, expected one of each.')
    names = scan_names(given)
    files: Sequence[str | Path | None] = labels or [None] * len(given)
    return [
        Scan(name, ImageFile(path), None if own is None else str(own)) for name, path, own in zip(names, given, files)
    ]


def scan_names(paths: Sequence[str | Path]) -> list[str]:
    """File names without their endings; where two are alike, with the folders that tell them apart.

    Example:
        >>> scan_names(['a/t1.nii.gz', 'b/t1.nii.gz'])
        ['a_t1', 'b_t1']
    """
    parts = [(*Path(path).absolute().parts[:-1], Path(path).name.split('.')[0]) for path in paths]
    for depth in range(1, 5):
        names = ['_'.join(one[-depth:]) for one in parts]
        if len({name.casefold() for name in names}) == len(names):
            return names
    return [one[-1] for one in parts]  # refused by whoever checks names


def _from_table(path: Path) -> list[Scan]:
    rows = split_rows(read_plain_text(path, 'a table of scans'), path)
    header = rows[0][1] if rows else []
    strange = sorted(set(header) - set(COLUMNS))
    if 'image' not in header or strange:
        found = f'unknown columns {strange}' if strange else f'the columns {header}'
        raise DataError(f'{path}: found {found}, expected image and maybe some of {", ".join(COLUMNS[1:])}')
    folder = path.absolute().parent
    scans = []
    for number, cells in rows[1:]:
        if len(cells) > len(header):
            raise DataError(
                f'{path}: found {len(cells)} cells in row {number}, expected {len(header)} as in the header'
            )
        row = {key: cell for key, cell in zip(header, cells) if cell}
        if 'image' not in row:
            raise DataError(f'{path}: found no image in row {number}, expected a file')
        scans.append(_from_row(row, folder, f'{path}, row {number}'))
    return scans


def _from_row(row: dict[str, str], folder: Path, where: str) -> Scan:
    frame = row.get('frame')
    if frame is not None and not frame.isdigit():
        raise DataError(f'{where}: found the frame {frame!r}, expected the number of a volume, from 1')
    image = ImageFile(folder / row['image'], frame=None if frame is None else int(frame), series=row.get('series'))
    files = {name: str(folder / row[name]) if name in row else None for name in ('labels', 'mask')}
    name = row.get('scan_id') or scan_names([row['image']])[0]
    more: dict[str, str] = {key: row[key] for key in ('date', 'group') if key in row}
    return Scan(name, image, files['labels'], files['mask'], _weight(row.get('weight'), where), more)


def _weight(text: str | None, where: str) -> float:
    try:
        weight = 1.0 if text is None else float(text)
    except ValueError:
        weight = -1.0
    if not 0 < weight < 1e6:
        raise DataError(f'{where}: found the weight {text!r}, expected a number above 0')
    return weight


def _check_files(scan: Scan) -> None:
    """Refuse label maps and masks that are missing or of another dimension, and frames that a file does not have."""
    geometry = scan.geometry
    for name, path in (('labels', scan.labels), ('mask', scan.mask)):
        found = None if path is None else read_geometry(path, frames=True)
        if found is not None and found.ndim != geometry.ndim:
            raise DataError(f'{path}: found {name} in {found.ndim}-D, expected {geometry.ndim}-D as in {scan.image}')
    if scan.image.frame is not None and not Path(scan.image).is_dir():
        frames = max(1, read_image_header(scan.image.path).frames)
        if not 1 <= scan.image.frame <= frames:
            raise DataError(f'{scan.image}: found the frame {scan.image.frame} asked for, expected 1 to {frames}')


def _check_dimensions(scans: Collection[Scan]) -> None:
    dimensions = {scan.scan_id: scan.geometry.ndim for scan in scans}
    if len(set(dimensions.values())) > 1:
        flat = [name for name, ndim in dimensions.items() if ndim == 2]
        raise DataError(f'scans: found {listed(flat)} in 2-D among 3-D images, expected one dimension')
