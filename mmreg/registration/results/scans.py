"""The scans of a folder that a person would look at: a result with the pair it was made from, or any images."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mmreg.errors import DataError
from mmreg.io import ImageFile, write_volume
from mmreg.io.formats import meta, mgh, nrrd
from mmreg.visualization.viewer import ShownScan

from .folder import read_marker

_NIFTI = ('.nii', '.nii.gz')
_ENDINGS = (*_NIFTI, *meta.ENDINGS, *nrrd.ENDINGS, *mgh.ENDINGS)
#: Parts of names of files that hold vectors, and of such that hold labels.
_VECTORS, _LABELS = ('displacement', 'field'), ('label', 'seg', 'mask')
MOST = 60


def scans_of(folder: str | Path, inputs: bool = True) -> list[ShownScan]:
    """What a page can show of a folder, the most telling first.

    Args:
        folder: A result, or any folder of images. Links that lead out of it are left out.
        inputs: Of a result: the fixed and the moving image too, where its plan says that they are.

    Raises:
        DataError: no folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f'{folder}: found no such folder, expected results of a registration, or images')
    found = list(_inputs(folder)) if inputs else []
    inside = folder.resolve()
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        if not name.endswith(_ENDINGS) or any(part in name for part in _VECTORS):
            continue
        if path.is_file() and path.resolve().is_relative_to(inside):
            found.append(ShownScan(path.name, _loader(path), any(part in name for part in _LABELS)))
    if not any(not scan.labels for scan in found):
        raise DataError(f'{folder}: found no image, expected results of a registration, or NIfTI, NRRD, MHA or MGZ')
    return sorted(found, key=_place)[:MOST]


def _place(scan: ShownScan) -> int:
    """Fixed, warped and moving beside each other, then the rest."""
    starts = ('fixed: ', 'warped.', 'moving: ')
    return next((n for n, start in enumerate(starts) if scan.title.startswith(start)), len(starts))


def _inputs(folder: Path) -> Iterator[ShownScan]:
    """Both images of a result, as its plan says how they were read, where they still are images."""
    plan = read_marker(folder)
    given = (plan or {}).get('inputs')
    for role in ('fixed', 'moving'):
        described = given.get(role) if isinstance(given, dict) else None
        if not isinstance(described, dict):
            continue
        path = described.get('path')
        if not isinstance(path, str) or not Path(path).exists():
            continue
        kinds = {'frame': int, 'series': str, 'position': str}
        known = {key: described[key] for key, kind in kinds.items() if isinstance(described.get(key), kind)}
        yield ShownScan(f'{role}: {Path(path).name}', _converted(path, known))


def _loader(path: Path) -> Callable[[], bytes]:
    return path.read_bytes if path.name.lower().endswith(_NIFTI) else _converted(str(path), {})


def _converted(path: str, known: dict[str, Any]) -> Callable[[], bytes]:
    """Reads an image of any format, checked as for a registration, as NIfTI."""

    def load() -> bytes:
        volume = ImageFile(path, **known).read(check=False)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / 'scan.nii.gz'
            write_volume(target, volume)
            return target.read_bytes()

    return load
