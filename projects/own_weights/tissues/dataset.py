"""Brains of any contrast with the tissue of every voxel, without end: nobody's scans are in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmreg.datasets.any_contrast import AnyBrains
from mmreg.datasets.image_synthesis import random_maps
from mmreg.registry import DATASETS

from .folds import Folds
from .soft_brains import Borders, Painting, class_shares, paint_shares, source_size, tissue_shares


@DATASETS.register_module()
class TissueBrains(AnyBrains):
    """Pairs of images of one random anatomy each, with ``fixed_tissues`` and ``moving_tissues``.

    Unlike those of :class:`AnyBrains` the labels are shares ``(5, *size)`` float32 that sum to 1: background with all
    coverings, fluid, outer grey, white and inner grey matter. They are read from the packaged maps at deformed places,
    not from a label map, so that images have partial volumes. What a cropped image does not show is background.

    Args:
        borders: Arguments of :class:`.soft_brains.Borders`.
        margin: mm around the packaged brain.
        folds: Arguments of :class:`.folds.Folds`; None: the cortex is as smooth as in the packaged maps.
        painting: Arguments of :class:`.soft_brains.Painting`.
        kwargs: See :class:`AnyBrains`.
    """

    def __init__(
        self,
        size: Sequence[int] = (64, 72, 64),
        resolution: int = 1,
        borders: dict[str, Any] | None = None,
        margin: int = 24,
        folds: dict[str, Any] | None = None,
        painting: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        self.borders, self.margin = Borders(**(borders or {})), margin
        self.painting = Painting(**(painting or {}))
        self.folds = None if folds is None else Folds(**folds)
        pipeline = [dict(type='PackRegInputs', extra_inputs=['fixed_tissues', 'moving_tissues'])]
        super().__init__(size=size, resolution=resolution, **{'pipeline': pipeline, **kwargs})

    def adapt_pair(self, sample: dict[str, Any], info: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """Both images, made from ``rng``."""
        margin = self.margin // self.resolution
        maps = random_maps(rng, self.size, source_size(self.resolution, margin), self.deformation)
        hidden = self.hidden(rng)
        for role, displacement, affine, unseen in zip(('fixed', 'moving'), maps[0], maps[2], hidden):
            shares = tissue_shares(
                rng, displacement, affine, self.borders, self.resolution, margin, not unseen, self.folds
            )
            image, seen = paint_shares(rng, shares, self.appearance, self.painting)
            tissues = class_shares(shares) * seen
            tissues[0] += ~seen[0]
            sample |= {
                role: image.numpy(),
                f'{role}_tissues': tissues.numpy(),
                f'{role}_affine': np.eye(4),
                f'{role}_path': '',
            }
        return sample
