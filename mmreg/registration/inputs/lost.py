"""Slices that an image has lost: blank between two slices that show something."""

from __future__ import annotations

import numpy as np

#: A lost slice varies less than this share of the slices beside it, and those vary at least so much of the usual.
_BLANK, _USUAL = 0.25, 0.4
#: What lies beside a lost slice goes on as it is: it varies at least this share of what is behind it. Two rounded
#: bodies with air between them fade towards each other.
_STEADY = 0.75
#: As many slices, or as many mm where those are more, are lost at most in one place: more is another thing.
_SLICES, _LENGTH = 3, 15.0
#: Slices are looked at in blocks of so many voxels, so that their noise does not count as something to see.
_BLOCK = 4
#: An axis of fewer voxels has no slices to lose.
_SHORTEST = 8


def lost_slices(array: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """Find blank slices and put what their neighbours show, linearly from one to the other, in their place.

    Args:
        array: ``(*S)`` in 3-D.
        spacing: mm.

    Returns:
        The mended array, and ``(*S)`` bool: where something was measured; None where no slice is lost.
    """
    if array.ndim != 3 or not np.issubdtype(array.dtype, np.number):
        return None
    bands = [(axis, band) for axis in range(3) for band in _bands(array, axis, spacing[axis])]
    if not bands:
        return None
    mended, measured = array.astype(np.float32), np.ones(array.shape, bool)
    for axis, (first, end) in bands:
        slices, seen = np.moveaxis(mended, axis, 0), np.moveaxis(measured, axis, 0)
        for i in range(first, end):
            share = (i - first + 1) / (end - first + 1)
            slices[i] = (1 - share) * slices[first - 1] + share * slices[end]
            seen[i] = False
    return mended, measured


def _bands(array: np.ndarray, axis: int, step: float) -> list[tuple[int, int]]:
    """First and one past the last slice of every blank band inside an axis."""
    if array.shape[axis] < _SHORTEST:
        return []
    contents = _contents(np.moveaxis(array, axis, 0))
    longest = max(_SLICES, int(_LENGTH / step))
    blank = _blank(contents, _USUAL * np.median(contents))
    edges = np.flatnonzero(np.diff(blank.astype(np.int8)))
    bands = [(int(first) + 1, int(end) + 1) for first, end in zip(edges[::2], edges[1::2])]
    return [
        (first, end)
        for first, end in bands
        if end - first <= longest and _steady(contents, first - 1, -1) and _steady(contents, end, 1)
    ]


def _blank(contents: np.ndarray, usual: float) -> np.ndarray:
    """Which slices vary much less than the nearest slices with usual contents on both sides, ``(n,)`` bool."""
    blank = np.zeros(len(contents), bool)
    full = np.flatnonzero(contents >= max(usual, np.finfo(np.float32).tiny))
    for first, end in zip(full, full[1:]):
        between = contents[first + 1 : end]
        blank[first + 1 : end] = between.size > 0 and between.max() < _BLANK * min(contents[first], contents[end])
    return blank


def _steady(contents: np.ndarray, beside: int, step: int) -> bool:
    """Whether the slice beside a blank band shows about as much as the next one, or that one is blank as well."""
    behind = beside + step
    if not 0 <= behind < len(contents):
        return True
    return bool(contents[beside] >= _STEADY * contents[behind] or contents[behind] < _BLANK * contents[beside])


def _contents(slices: np.ndarray) -> np.ndarray:
    """How much each slice varies, its noise averaged away, ``(n,)``."""
    blocks = [max(1, min(_BLOCK, n // 4)) for n in slices.shape[1:]]
    (a, b), (n, m) = blocks, (size // block for size, block in zip(slices.shape[1:], blocks))
    cut = slices[:, : n * a, : m * b].reshape(len(slices), n, a, m, b)
    return cut.mean(axis=(2, 4), dtype=np.float32).std(axis=(1, 2))
