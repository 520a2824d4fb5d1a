"""Numbers in text files of other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmreg.errors import DataError
from mmreg.utils.text_files import read_text


def rows_of_numbers(path: Path, expected: str) -> list[list[float]]:
    """Rows of a text file with nothing but numbers (and comments behind ``#``), split at spaces and commas.

    Raises:
        DataError: something else is in it, or nothing, or a number that is not finite.
    """
    rows = []
    for number, line in enumerate(read_text(path, expected).splitlines(), 1):
        cells = line.partition('#')[0].replace(',', ' ').split()
        if not cells:
            continue
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError as error:
            raise DataError(f"{path}: found '{line.strip()[:60]}' in row {number}, expected {expected}") from error
    if not rows:
        raise DataError(f'{path}: found no numbers, expected {expected}')
    if not all(np.isfinite(row).all() for row in rows):
        raise DataError(f'{path}: found numbers that are not finite, expected {expected}')
    return rows


def numbers_in(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """A matrix of one shape.

    Raises:
        DataError: another shape.
    """
    expected = f'{shape[0]}x{shape[1]} numbers'
    rows = rows_of_numbers(path, expected)
    if len(rows) != shape[0] or any(len(row) != shape[1] for row in rows):
        raise DataError(f'{path}: found {len(rows)} rows of {sorted({len(row) for row in rows})}, expected {expected}')
    return np.array(rows)
