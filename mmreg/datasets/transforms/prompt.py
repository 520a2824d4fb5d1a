"""The label map that a network is prompted with, made by a segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmreg.io import Geometry
from mmreg.registry import SEGMENTERS, TRANSFORMS

from .roles import groups


@TRANSFORMS.register_module()
class SegmentPrompt:
    """Adds ``prompt`` ``(1, *spatial)``: what a segmenter sees in the image. Metrics never see it.

    Meant for ``preprocess``, where a data set's cache keeps the result; a prompt that is there already stays.

    Args:
        segmenter: Config in SEGMENTERS.
    """

    def __init__(self, segmenter: Mapping[str, Any]):
        self.config = {key: value for key, value in segmenter.items() if not callable(value)}  # for fingerprints
        self.segmenter = SEGMENTERS.build(dict(segmenter))

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        for group in groups(sample):
            if sample.get(group.prompt) is None:
                image = np.asarray(sample[group.image], dtype=np.float32)
                affine = sample.get(group.affine)
                affine = np.eye(image.ndim) if affine is None else np.asarray(affine)
                geometry = Geometry(image.shape[1:], affine)
                path, name = (str(sample.get(f'{group.prefix}{key}') or '') for key in ('path', 'id'))
                sample[group.prompt] = self.segmenter(image, geometry, path, name)
        return sample
