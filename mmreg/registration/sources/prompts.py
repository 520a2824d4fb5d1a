"""The label map that a prompted model needs besides the two images: given, or made by the segmenter of its config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmreg.datasets.transforms import ImageTransform, SegmentPrompt
from mmreg.engine.plan import preprocess_of
from mmreg.io import Geometry, Volume, affine_transform, resample_to
from mmreg.models import FlowHead
from mmreg.registration.inputs import Image
from mmreg.registration.working.intensities import transform_class
from mmreg.registry import TRANSFORMS


def label_inputs(
    cfg: Mapping[str, Any],
    head: FlowHead,
    images: Mapping[str, Image],
    labels: Mapping[str, Image],
    prepared: np.ndarray,
    grid: Geometry,
    affine: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """What the ``prompt`` of a head asks for: label maps ``(1, *grid.shape)`` int64 on the working grid.

    Args:
        cfg: Config of the model; its data set's ``SegmentPrompt`` is run where no ``fixed_prompt`` is given.
        head: Flow head of the model.
        images: ``fixed`` and ``moving``.
        labels: Where given: ``fixed`` and ``moving`` labels, and ``prompt``.
        prepared: The fixed image as the network sees it, ``(C, *grid.shape)``.
        grid: Working grid.
        affine: fixed world -> moving world in RAS mm.
    """
    wanted = head.prompt
    if wanted == 'fixed_prompt' and 'prompt' in labels:
        return {wanted: _on(_told(preprocess_of(cfg) or (), labels['prompt']), grid)}
    if wanted == 'fixed_prompt':
        made = _segmented(preprocess_of(cfg) or (), images['fixed'], prepared, grid)
        return {} if made is None else {wanted: made}
    if wanted == 'fixed_labels' and 'fixed' in labels:
        return {wanted: _on(labels['fixed'].volume, grid)}
    if wanted in ('propagate', 'moving_labels') and 'moving' in labels:
        return {'moving_labels': _on(labels['moving'].volume, grid, affine)}
    return {}


def needed_files(head: FlowHead) -> tuple[str, ...]:
    """Arguments besides the two images that a prompted head cannot do without."""
    return {'fixed_prompt': ('fixed_prompt',), 'fixed_labels': ('fixed_labels',), 'propagate': ('moving_labels',)}.get(
        head.prompt or '', ()
    )


def _told(preprocess: Sequence[Mapping[str, Any]], prompt: Image) -> Volume:
    """The map that was handed over, in the numbers that training made of the segmenter's."""
    for config in preprocess:
        kind = transform_class(config)
        if issubclass(kind, SegmentPrompt):
            return TRANSFORMS.build(dict(config)).segmenter.told(prompt.volume, prompt.name)
    return prompt.volume


def _segmented(
    preprocess: Sequence[Mapping[str, Any]], fixed: Image, prepared: np.ndarray, grid: Geometry
) -> np.ndarray | None:
    """The map of the config's segmenter, None where it has none.

    A ``SegmentPrompt`` that is the last step sees the image on the network's grid; any other sees the image's own grid
    after the intensity transforms before it.
    """
    sample: dict[str, Any] = {'image': fixed.volume.channel_first(), 'affine': np.array(fixed.geometry.affine)}
    sample['path'] = fixed.name
    for position, config in enumerate(preprocess):
        kind = TRANSFORMS.get(config['type']) if isinstance(config['type'], str) else config['type']
        if isinstance(kind, type) and issubclass(kind, SegmentPrompt):
            geometry = fixed.geometry
            if position == len(preprocess) - 1:
                sample |= {'image': prepared, 'affine': np.array(grid.affine)}
                geometry = grid
            labels = TRANSFORMS.build(dict(config))(sample)['prompt'][0]
            return _on(Volume(np.ascontiguousarray(labels), geometry), grid)
        if isinstance(kind, type) and issubclass(kind, ImageTransform):
            sample = TRANSFORMS.build(dict(config))(sample)
    return None


def _on(volume: Volume, grid: Geometry, affine: np.ndarray | None = None) -> np.ndarray:
    transform = None if affine is None else affine_transform(affine)
    return resample_to(volume, grid, 'nearest', transform=transform).channel_first().astype(np.int64)
