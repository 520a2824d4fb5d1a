"""Weights and inputs of the golden cases, rebuilt from their names.

A golden file stores neither weights nor inputs: a parameter follows from the name that the published code gives it,
an input from a seed. These functions are the definition of that rule.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter


def fill(name: str, shape: Sequence[int]) -> np.ndarray:
    """Value of the parameter or buffer that the published code calls ``name`` (float32, or int64 counters)."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    draw = rng.standard_normal(tuple(shape)).astype(np.float32)
    if name.endswith('num_batches_tracked'):
        return np.zeros(tuple(shape), np.int64)
    if name.endswith('running_var'):
        return (1.0 + 0.1 * np.abs(draw)).astype(np.float32)
    if len(shape) <= 1:
        norm_scale = 'norm' in name.lower() and name.endswith('weight')
        return (float(norm_scale) + 0.05 * draw).astype(np.float32)
    return (draw / np.sqrt(int(np.prod(shape[1:])))).astype(np.float32)


def image(seed: int, shape: Sequence[int], sigma: float = 3.0) -> np.ndarray:
    """Smooth random volume with values in [0, 1], spatial shape ``shape``, float32."""
    noise = np.random.default_rng(seed).standard_normal(tuple(shape))
    smooth = gaussian_filter(noise, sigma)
    return ((smooth - smooth.min()) / (smooth.max() - smooth.min())).astype(np.float32)


def labels(seed: int, shape: Sequence[int], n: int, sigma: float = 4.0) -> np.ndarray:
    """Integer volume with values 0..n-1: the argmax of ``n`` smooth random fields, int64."""
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.standard_normal(tuple(shape)), sigma) for _ in range(n)]
    return np.stack(fields).argmax(0).astype(np.int64)


def flow(seed: int, shape: Sequence[int], amplitude: float = 3.0, sigma: float = 4.0) -> np.ndarray:
    """Smooth field ``(ndim, *shape)``, float32, voxels, largest component ``amplitude``."""
    rng = np.random.default_rng(seed)
    field = np.stack([gaussian_filter(rng.standard_normal(tuple(shape)), sigma) for _ in shape])
    return (field / np.abs(field).max() * amplitude).astype(np.float32)


def batch(*volumes: np.ndarray) -> torch.Tensor:
    """Spatial volumes stacked as ``(N, 1, *spatial)``."""
    return torch.from_numpy(np.stack(volumes)[:, None])
