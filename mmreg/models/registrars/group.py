"""A registrar that trains on groups of images instead of independent pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import ConfigError, DataError
from mmreg.registry import REGISTRARS

from .registrar import Registrar


@REGISTRARS.register_module()
class GroupRegistrar(Registrar):
    """The pipeline on the pairs of a circle of images, for losses that compare the pairs (:class:`GroupCycle`).

    In training, every ``group`` consecutive *moving* images of a batch form a group (the fixed images are not used):
    pair k has image k as fixed and image k + 1 as moving, the last one image 1. With ``pairing='random'`` every subject
    is the moving image once per epoch, so the images of a group differ. Predictions and fields are those of
    :class:`Registrar`.

    Args:
        group: Images per group; the batch size must be a multiple.
        kwargs: See :class:`Registrar`.

    Raises:
        ConfigError: fewer than two images.

    Source: second stage of the LUMIR 2024 winner (SITReg).
    """

    def __init__(self, *args: Any, group: int = 3, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if group < 2:
            raise ConfigError(f'model.group is {group}, expected 2 images or more.')
        self.group = group

    def training_pairs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The batch of pairs around every group; what only fixed images have is left out.

        Raises:
            DataError: a batch that is no multiple of the group.
        """
        count = len(inputs['moving'])
        if count % self.group:
            raise DataError(f'the batch has {count} pairs, expected a multiple of {self.group} (model.group).')
        following = [k - k % self.group + (k + 1) % self.group for k in range(count)]
        result: dict[str, Any] = {}
        for key, value in inputs.items():
            if key.startswith('moving'):
                result[key.replace('moving', 'fixed', 1)] = value
                result[key] = (
                    value[torch.tensor(following, device=value.device)]
                    if isinstance(value, Tensor)
                    else [value[k] for k in following]
                )
        return result
