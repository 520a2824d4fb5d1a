"""Intensities of files as training had them: which of its steps matter, and how they are applied to whole images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmreg.datasets.transforms import (
    CenterCrop,
    CropAroundLabels,
    CropForeground,
    ImageTransform,
    PadTo,
    RandomGamma,
)
from mmreg.registry import TRANSFORMS

#: Transforms that decide which part of an image later intensity transforms take their numbers from.
VIEWS = (CenterCrop, CropAroundLabels, CropForeground, PadTo)
#: Augmentation, which files do not go through.
RANDOM = (RandomGamma,)


def intensity_steps(transforms: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of the transforms of a data set those that decide intensities: the intensity transforms and crops before them."""
    steps: list[dict[str, Any]] = []
    last = 0
    for config in transforms:
        kind = transform_class(config)
        if issubclass(kind, RANDOM) or not issubclass(kind, (ImageTransform, *VIEWS)):
            continue
        steps.append(dict(config))
        if issubclass(kind, ImageTransform):
            last = len(steps)
    return steps[:last]


def transform_class(config: Mapping[str, Any]) -> type:
    """The class that a transform's config names; ``object`` for functions."""
    kind = TRANSFORMS.get(config['type']) if isinstance(config['type'], str) else config['type']
    return kind if isinstance(kind, type) else object


def normalise(image: np.ndarray, intensity: Sequence[Mapping[str, Any]], role: str = 'image') -> np.ndarray:
    """Intensity steps, built from their configs, on one image ``(C, *spatial)`` that is ``role`` in its pair.

    Crops among them do not change the image: what follows takes its numbers (percentiles, range) from the crop and is
    applied to the whole. A crop around labels is one around the middle of the grid, since files need no labels. Steps
    for stacks are applied to a single slice as to a stack of one.
    """
    built = [TRANSFORMS.build(dict(config)) for config in intensity]
    lifted = image.ndim == 3 and any(len(getattr(step, 'size', ())) == 3 for step in built)
    whole = image[..., None] if lifted else image
    view = whole
    for step in built:
        if not isinstance(step, ImageTransform):
            view = step({'image': view, 'role': role})['image']
        elif step.meant_for('image', role):
            change = step.fit(view, {'image': view, 'role': role})
            cropped = view is not whole
            whole = change(whole).astype(np.float32)
            view = change(view).astype(np.float32) if cropped else whole
    whole = whole[..., 0] if lifted else whole
    return np.ascontiguousarray(whole, dtype=np.float32)


def normalise_slices(
    image: np.ndarray, intensity: Sequence[Mapping[str, Any]], role: str, axis: int | None
) -> np.ndarray:
    """:func:`normalise` of every slice along spatial ``axis`` by itself, of the whole where ``axis`` is None."""
    if not intensity:
        return image
    if axis is None:
        return normalise(image, intensity, role)
    slices = [normalise(np.take(image, k, axis + 1), intensity, role) for k in range(image.shape[axis + 1])]
    return np.stack(slices, axis + 1)
