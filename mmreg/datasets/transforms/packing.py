"""The last transform of every pipeline: a flat sample becomes what the model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmreg.errors import DataError
from mmreg.registry import TRANSFORMS
from mmreg.structures import RegSample

from .roles import DISPLACEMENT, DISPLACEMENT_VALID

_FLOATS = ('fixed_mask', 'moving_mask', 'fixed_landmarks', 'moving_landmarks', DISPLACEMENT)
_INTEGERS = ('fixed_labels', 'moving_labels', 'fixed_prompt', 'moving_prompt')


@TRANSFORMS.register_module()
class PackRegInputs:
    """Turns a pair's flat dict into ``dict(inputs=..., data_samples=RegSample)``.

    ``inputs`` holds, where the sample has them: ``fixed``, ``moving`` ``(C, *spatial)`` float32; their ``_labels`` and
    ``_prompt`` ``(1, *spatial)`` int64, ``_mask`` ``(1, *spatial)`` float32, ``_landmarks`` ``(P, ndim)`` float32
    voxels; ``true_displacement`` ``(ndim, *spatial)`` float32 and ``true_displacement_valid`` ``(1, *spatial)`` bool.
    The sample's meta information: ``case_id``; ``shape``, ``spacing`` (mm) and ``affine`` of the fixed grid;
    ``moving_affine``, ``fixed_path``, ``moving_path``.

    Args:
        extra_inputs: Further keys that go into ``inputs`` as they are (a prompt map, a text embedding).
        extra_meta: Further keys that go into the meta information; keep them small.

    Raises:
        DataError: no ``fixed`` or ``moving`` in the sample, or an extra input is missing.
    """

    def __init__(self, extra_inputs: Sequence[str] = (), extra_meta: Sequence[str] = ()):
        self.extra_inputs = tuple(extra_inputs)
        self.extra_meta = tuple(extra_meta)

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        inputs = {key: as_tensor(self._required(sample, key), torch.float32) for key in ('fixed', 'moving')}
        inputs |= {key: as_tensor(sample[key], torch.float32) for key in _FLOATS if sample.get(key) is not None}
        inputs |= {key: as_tensor(sample[key], torch.int64) for key in _INTEGERS if sample.get(key) is not None}
        if sample.get(DISPLACEMENT_VALID) is not None:
            inputs[DISPLACEMENT_VALID] = as_tensor(sample[DISPLACEMENT_VALID], torch.bool)
        inputs |= {key: as_tensor(self._required(sample, key)) for key in self.extra_inputs}
        return {'inputs': inputs, 'data_samples': RegSample(metainfo=self._meta(sample))}

    def _required(self, sample: dict[str, Any], key: str) -> Any:
        if sample.get(key) is None:
            raise DataError(f'{type(self).__name__} found no {key!r} in the sample, only {sorted(sample)}.')
        return sample[key]

    def _meta(self, sample: dict[str, Any]) -> dict[str, Any]:
        size = tuple(int(n) for n in sample['fixed'].shape[1:])
        affine = sample.get('fixed_affine')
        affine = np.eye(len(size) + 1) if affine is None else np.asarray(affine, dtype=np.float64)
        meta = {
            'case_id': str(sample.get('case_id', '')),
            'shape': size,
            'spacing': tuple(float(s) for s in np.linalg.norm(affine[:-1, : len(size)], axis=0)),
            'affine': as_tuples(affine),
            'moving_affine': as_tuples(sample.get('moving_affine', affine)),
            'fixed_path': str(sample.get('fixed_path') or ''),
            'moving_path': str(sample.get('moving_path') or ''),
        }
        return meta | {key: sample[key] for key in self.extra_meta if key in sample}


def as_tensor(value: Any, dtype: torch.dtype | None = None) -> Tensor:
    """A plain contiguous tensor on the CPU, MONAI's meta tensors included."""
    if isinstance(value, Tensor):
        tensor = value.as_subclass(Tensor)
    else:
        array = np.ascontiguousarray(value)
        tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
    return tensor.to(dtype or tensor.dtype).contiguous()


def as_tuples(matrix: Any) -> tuple[tuple[float, ...], ...]:
    """A matrix as nested tuples of floats: small, hashable, comparable."""
    return tuple(tuple(float(x) for x in row) for row in np.asarray(matrix))
