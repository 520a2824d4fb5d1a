"""Made anatomies: smooth images with labels inside them, and the files they go into."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from mmreg.io import Geometry, Volume, write_volume

ENDING = '.nii.gz'


def anatomy(seed: int, shape: Sequence[int], labels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """A smooth image in [0, 1] with a dark border, and a label map of ``labels`` nested shells around its middle."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing='ij'))
    centre = rng.uniform(-0.08, 0.08, len(shape)).reshape(-1, *[1] * len(shape))
    radius = np.sqrt((((grid - centre) / rng.uniform(0.75, 0.9)) ** 2).sum(0))
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), 2)
    noise /= np.abs(noise).max()
    inside = radius < 1
    map_ = np.where(inside, 1 + np.minimum((radius * labels).astype(int), labels - 1), 0)
    image = np.where(inside, 0.25 + 0.6 * (map_ % 3) / 3 + 0.15 * noise, 0.0)
    image = ndimage.gaussian_filter(image, 0.5)
    return np.clip(image, 0, 1).astype(np.float32), map_.astype(np.int16)


def put(path: Path, array: np.ndarray, spacing: Sequence[float] | float = 1.0) -> Path:
    """A volume in a file; frames of a series are the last axis of four."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if array.ndim == 4:
        import SimpleITK as sitk

        frames = [
            Volume(np.ascontiguousarray(frame), _grid(frame, spacing)).to_sitk() for frame in np.moveaxis(array, -1, 0)
        ]
        sitk.WriteImage(sitk.JoinSeries(frames), str(path))
        return path
    write_volume(path, Volume(array, _grid(array, spacing)))
    return path


def _grid(array: np.ndarray, spacing: Sequence[float] | float) -> Geometry:
    return Geometry.from_parts(
        array.shape, spacing=np.broadcast_to(spacing, array.ndim).tolist(), origin=(-20.0, 10.0, 5.0)[: array.ndim]
    )


def put_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def put_pickle(path: Path, *arrays: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(arrays))
    return path


def put_points(path: Path, shape: Sequence[int], seed: int, count: int = 12) -> Path:
    """Key points in voxels, one a line."""
    points = np.random.default_rng(seed).uniform(0.3, 0.7, (count, len(shape))) * np.asarray(shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, points, delimiter=',', fmt='%.3f')
    return path
