"""Window sums by shifted additions: the base of local correlation and of patch descriptors.

The number of terms is doubled (1, 2, 4, 8) and the rest added (8 + 1 = 9), in plain float32: no convolution (which
loses digits to reduced-precision arithmetic on some devices) and no prefix sums (which lose them to cancellation).

The volume is walked in blocks that fit a processor's cache. In a block every row and slice carries a margin of zeros,
so that a shift along any axis is a shift of flat memory and nothing wraps into a voxel that is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from mmreg.errors import InputError

from ._checks import coordinate_dtype, per_axis, spatial_ndim
from ._linear import linear_map
from .compiled.summing import box, serves_box

#: Elements per block on a CPU; a few such buffers fit its second-level cache. Other devices take one block.
BLOCK = 1 << 16
#: With several threads a block stays below the size from which PyTorch splits an operation between them: hundreds of
#: short parallel regions cost far more than they bring, most of all beside other processes.
BLOCK_THREADED = (1 << 15) - 1


def box_sum(x: Tensor, window: int | Sequence[int]) -> Tensor:
    """Sum over a window around every voxel, zeros outside, in float32 or float64.

    Args:
        x: ``(N, C, *spatial)``.
        window: voxels per axis, one number or one per axis, any positive integers. An odd window is centred; an even
            window ``w`` covers the offsets ``-w/2 .. w/2 - 1``.

    Returns:
        ``(N, C, *spatial)``; the number of terms is counted by the caller (the window volume for LNCC, also at the
        border). Backward is one box sum and nothing is saved.

    Raises:
        InputError: windows are not positive integers or of the wrong number.

    Example:
        >>> box_sum(torch.ones(1, 1, 4), 3).tolist()
        [[[2.0, 3.0, 3.0, 2.0]]]
    """
    windows = per_axis(window, spatial_ndim(x, 'x'), 'window')
    if not all(w >= 1 and w % 1 == 0 for w in windows):
        raise InputError(f'window is {window!r}, expected positive integers.')
    before = tuple(int(w) // 2 for w in windows)
    after = tuple(int(w) - 1 - b for w, b in zip(windows, before))
    return linear_map(
        x.to(coordinate_dtype(x)),
        partial(_box, before=before, after=after),
        partial(_box, before=after, after=before),
    )


def _box(x: Tensor, before: tuple[int, ...], after: tuple[int, ...]) -> Tensor:
    """Sum over ``[-before, after]`` along each axis; a window needs to be no larger than the image."""
    before, after = (
        tuple(min(reach, max(n - 1, 0)) for reach, n in zip(ends, x.shape[2:])) for ends in (before, after)
    )
    if serves_box(x):
        return box(x, before, after)
    missing = 3 - len(before)
    starts = (0,) * missing + before
    windows = tuple(b + a + 1 for b, a in zip(starts, (0,) * missing + after))
    shape = (*[1] * missing, *x.shape[2:])
    volume = x.reshape(-1, *shape)
    out = torch.empty(volume.shape, dtype=x.dtype, device=x.device)
    if x.device.type != 'cpu' or torch.compiler.is_compiling():  # a graph cannot ask for threads
        block = max(x.numel(), 1) * math.prod(windows)
    else:
        block = BLOCK if torch.get_num_threads() == 1 else BLOCK_THREADED
    if windows[0] == 1:
        _box_slices(volume.flatten(0, 1), out.flatten(0, 1), windows[1:], starts[1:], block)
        return out.view(x.shape)
    for source, target in zip(volume, out):
        _box_slices(source, target, windows[1:], starts[1:], block)
        _box_first_axis(target.flatten(1), windows[0], starts[0], block)
    return out.view(x.shape)


def _box_slices(source: Tensor, target: Tensor, windows: tuple[int, ...], starts: tuple[int, ...], block: int) -> None:
    """Sum within the slices of ``source`` ``(D, H, W)``, several slices at a time, into ``target``."""
    if max(windows) == 1:
        target.copy_(source)
        return
    depth, height, width = source.shape
    rows, columns = height + windows[0] - 1, width + windows[1] - 1
    step = min(depth, max(1, block // (rows * columns)))
    padded = source.new_zeros((step, rows, columns))
    inner = padded[:, starts[0] : starts[0] + height, starts[1] : starts[1] + width]
    scratch = source.new_empty((max(map(_doublings, windows)) + 1, padded.numel()))
    for first in range(0, depth, step):
        count = min(step, depth - first)
        inner[:count] = source[first : first + count]
        free = list(scratch)
        total = _window_sum(padded.view(-1), windows[1], 1, free)
        total = _window_sum(total, windows[0], columns, free)
        target[first : first + count] = total.as_strided((count, height, width), (rows * columns, columns, 1))


def _box_first_axis(volume: Tensor, window: int, start: int, block: int) -> None:
    """Sum along the first axis of ``volume`` ``(D, V)`` in place, several columns at a time."""
    depth, width = volume.shape
    rows = depth + window - 1
    step = min(width, max(16, block // rows))
    scratch = volume.new_empty((_doublings(window) + 1, rows * step))
    for first in range(0, width, step):
        columns = volume[:, first : first + step]
        padded, *free = (line[: rows * columns.shape[1]].view(rows, -1) for line in scratch)
        padded[:start].zero_()
        padded[start + depth :].zero_()
        padded[start : start + depth] = columns
        columns.copy_(_window_sum(padded, window, 1, free))


def _doublings(window: int) -> int:
    return window.bit_length() - 1


def _window_sum(source: Tensor, window: int, stride: int, free: list[Tensor]) -> Tensor:
    """``y[j] = sum of source[j + k * stride], k < window`` along the first axis, as far as the source reaches.

    Buffers are taken from ``free``; all but the one of the result are given back.
    """
    powers, taken = [source], []
    for k in range(_doublings(window)):
        shift = stride << k
        length = powers[k].shape[0] - shift
        taken.append(free.pop())
        torch.add(powers[k][:length], powers[k][shift:], out=taken[k][:length])
        powers.append(taken[k][:length])
    total, terms = powers[-1], 1 << _doublings(window)
    for k in reversed(range(_doublings(window))):
        if window >> k & 1:
            length = source.shape[0] - stride * (terms + (1 << k) - 1)
            total = total[:length].add_(powers[k][stride * terms :][:length])
            terms += 1 << k
    free.extend(taken[:-1])
    return total
