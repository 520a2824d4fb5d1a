"""Files that are written again only where they would change: their age tells what follows from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import InputError
from mmreg.io import Volume, affine_transform, read_image, read_transform, write_transform, write_volume
from mmreg.io.plain import plain
from mmreg.populations.scans import Scan
from mmreg.utils.file_state import file_state
from mmreg.utils.text_files import read_json


def keep_volume(path: Path, volume: Volume) -> None:
    """Write an image, unless the file holds it already."""
    try:
        old = read_image(path, check=False) if path.is_file() else None
    except InputError:
        old = None
    same = old is not None and old.geometry.same_grid(volume.geometry, 1e-5)
    if old is None or not same or not np.array_equal(old.array, volume.array):
        write_volume(path, volume)


def keep_matrix(path: Path, matrix: np.ndarray) -> None:
    """Write an affine, unless the file holds it already."""
    try:
        old = read_transform(path).affine if path.is_file() else None
    except InputError:
        old = None
    if old is None or not np.allclose(old, matrix, rtol=0, atol=1e-9):
        write_transform(path, affine_transform(matrix))


def request_of(scans: Sequence[Scan], settings: Mapping[str, Any]) -> str:
    """Digest of the files (path, size, time of change) and of everything else that results depend on."""
    files: list[list[Any]] = []
    for scan in scans:
        for path in (scan.image, scan.labels, scan.mask):
            files.append(file_state(path))
        files.append([scan.scan_id, scan.weight, scan.image.frame, scan.image.series])
    return text_digest({'files': files, 'settings': settings})


def text_digest(values: Mapping[str, Any]) -> str:
    """Digest of plain values and arrays."""
    return hashlib.sha256(json.dumps(plain(values), sort_keys=True).encode()).hexdigest()


def read_state(path: Path, request: str) -> dict[str, Any] | None:
    """What an earlier run left, None where it is of another request, or none of ours."""
    try:
        content = read_json(path)
    except InputError:
        return None
    return content if isinstance(content, dict) and content.get('request') == request else None
