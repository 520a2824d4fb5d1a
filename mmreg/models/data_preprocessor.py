"""Batches: single pairs of one shape stacked on the model's device."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmreg.errors import DataError
from mmreg.registry import MODELS

#: Entries that stay lists, because each pair has its own number of points.
_LISTS = ('fixed_landmarks', 'moving_landmarks')


@MODELS.register_module()
class RegDataPreprocessor(BaseDataPreprocessor):
    """Stacks the tensors of single pairs ``(C, *spatial)`` to ``(N, C, *spatial)``; landmarks stay a list.

    Intensities are not touched: normalisation belongs to the dataset's pipeline, where it is recorded.

    Args:
        non_blocking: Let a GPU copy from pinned memory (``pin_memory`` of a loader) while the processor goes on.
    """

    def __init__(self, non_blocking: bool = True):
        super().__init__(non_blocking)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Batch of a dataloader to the arguments of ``Registrar.forward``.

        Args:
            data: ``inputs``: dict of lists of tensors (or of tensors already stacked); ``data_samples``: list.

        Raises:
            DataError: pairs of different shapes in one batch.
        """
        data = self.cast_data(data)
        inputs = {key: self._stack(key, value) for key, value in data['inputs'].items()}
        return {'inputs': inputs, 'data_samples': data.get('data_samples')}

    def _stack(self, key: str, value: Any) -> Any:
        if isinstance(value, Tensor) or key in _LISTS:
            return value
        shapes = {tuple(item.shape) for item in value}
        if len(shapes) > 1:
            raise DataError(
                f'inputs[{key!r}] of one batch has the shapes {sorted(shapes)}, expected a single one; '
                'use batch_size=1 or a transform that crops to one size.'
            )
        return torch.stack(list(value))
