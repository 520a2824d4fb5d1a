"""One evaluated pair, seen through the names of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmreg.errors import DataError
from mmreg.spatial import warp_labels

#: How moving labels may be warped before they are scored; both give hard labels.
WARP_MODES = ('nearest', 'linear')


class Case:
    """What a metric reads from one data sample and its share of the batch.

    Args:
        sample: A data sample as MMEngine's evaluator hands it over (``RegSample.to_dict()``).
        images: The raw inputs of the pair: ``fixed``, ``moving`` ``(C, *spatial)``, may be empty.
        number: Running number, the name of a case without ``case_id``.
    """

    def __init__(self, sample: Mapping[str, Any], images: Mapping[str, Tensor] | None = None, number: int = 0):
        self._sample = sample
        self._pred = sample.get('pred') or {}
        self._images = images or {}
        self.case_id = str(sample.get('case_id', number))

    @property
    def displacement(self) -> Tensor:
        """``(ndim, *spatial)`` voxels."""
        return self.predicted('displacement')

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self.displacement.shape[0]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size of the fixed grid in mm; 1 where the sample does not say."""
        found = self._sample.get('spacing')
        return (1.0,) * self.ndim if found is None else tuple(float(s) for s in found)

    def has(self, *names: str) -> bool:
        """Whether the sample carries all of ``names``."""
        return all(self._sample.get(name) is not None for name in names)

    def given(self, name: str) -> Tensor:
        """A tensor of the sample, such as ``fixed_labels``."""
        if self._sample.get(name) is None:
            raise DataError(f'case {self.case_id} carries no {name}, expected it for this metric.')
        return _tensor(self._sample[name])

    def predicted(self, name: str) -> Tensor:
        """A tensor of the prediction, such as ``displacement``."""
        if self._pred.get(name) is None:
            raise DataError(f'case {self.case_id}: the model predicted no {name}, expected it for this metric.')
        return _tensor(self._pred[name])

    def has_predicted(self, name: str) -> bool:
        """Whether the prediction holds that."""
        return self._pred.get(name) is not None

    def image(self, name: str) -> Tensor:
        """``fixed`` or ``moving`` image ``(C, *spatial)``, from the sample, else from the batch."""
        for source in (self._pred, self._sample, self._images):
            if source.get(name) is not None:
                return _tensor(source[name])
        raise DataError(f'case {self.case_id} carries no {name} image, expected it for this metric.')

    def warped_labels(self, mode: str) -> Tensor:
        """Hard warped moving labels ``(1, *spatial)``: those of the prediction where it used ``mode``, else our own."""
        if self.has_predicted('warped_labels') and self._sample.get('label_warp') == mode:
            return self.predicted('warped_labels')
        moving, displacement = self.given('moving_labels'), self.displacement
        return warp_labels(moving[None].to(displacement.device), displacement[None], mode=mode)[0]


def array(tensor: Tensor) -> np.ndarray:
    """Tensor ``(1, *S)`` on the CPU as numpy ``(*S)``."""
    return tensor.detach().cpu().numpy()[0]


def _tensor(value: Any) -> Tensor:
    return value.detach() if isinstance(value, Tensor) else torch.as_tensor(value)
