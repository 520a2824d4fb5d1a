"""Another grid by linear interpolation with aligned corners: the resampling of the GraDIRN recipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmreg.errors import ConfigError
from mmreg.registry import TRANSFORMS
from mmreg.spatial import output_size, resize

from .roles import Group, groups, refuse_displacement, scale_axes, size_of

_Per = Sequence[float | None] | None


@TRANSFORMS.register_module()
class Resample:
    """Resizes images linearly with corners aligned, labels by the index ``floor(j n / m)``. Give one of the three.

    Args:
        size: Voxels per axis.
        factor: New voxels per old one; the size is ``floor(n * factor)``.
        spacing: Voxel size in mm, which makes the factor from the affine's.

    An axis with None keeps its voxels. Source: golden gradirn/data ``resample2d_*``, ``prep3d_*``.

    Raises:
        ConfigError: not exactly one of the three, or of another number of axes than the image.
    """

    def __init__(self, size: _Per = None, factor: _Per = None, spacing: _Per = None):
        given = [value for value in (size, factor, spacing) if value is not None]
        if len(given) != 1:
            raise ConfigError(f'Resample got {len(given)} of size, factor and spacing, expected exactly one.')
        self.values = tuple(given[0])
        self.kind = 'size' if size is not None else 'factor' if factor is not None else 'spacing'

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        refuse_displacement(sample, self)
        for group in list(groups(sample)):
            self._change(sample, group)
        return sample

    def _new_size(self, sample: dict[str, Any], group: Group) -> tuple[int, ...]:
        old = size_of(sample, group)
        if len(old) != len(self.values):
            raise ConfigError(f'Resample got {self.kind}={self.values} for an image of shape {old}.')
        if self.kind == 'size':
            return tuple(n if value is None else int(value) for n, value in zip(old, self.values))
        factors = [1.0 if value is None else float(value) for value in self.values]
        if self.kind == 'spacing':
            have = np.linalg.norm(np.asarray(sample[group.affine])[:-1, : len(old)], axis=0)
            # Headers hold float32: 1.8 mm read as 1.79999995 must not cost the last voxel.
            factors = [1.0 if value is None else round(float(h) / value, 6) for h, value in zip(have, self.values)]
        return output_size(old, scale=factors)

    def _change(self, sample: dict[str, Any], group: Group) -> None:
        old = np.array(size_of(sample, group))
        new = self._new_size(sample, group)
        sample[group.image] = _resized(sample[group.image], new, 'linear')
        for key in group.discrete:
            if sample.get(key) is not None:
                sample[key] = _resized(sample[key], new, 'floor')
        step = (old - 1) / np.maximum(np.array(new) - 1, 1)
        step = np.where(step > 0, step, 1.0)
        if sample.get(group.landmarks) is not None:
            sample[group.landmarks] = (sample[group.landmarks] / step).astype(np.float32)
        if sample.get(group.affine) is not None:
            sample[group.affine] = scale_axes(sample[group.affine], step)


def _resized(array: np.ndarray, size: Sequence[int], mode: str) -> np.ndarray:
    return resize(torch.from_numpy(np.ascontiguousarray(array))[None], size=size, mode=mode)[0].numpy()
