"""Whether a deformation comes from the images or from chance: two halves of the voxels are asked apart.

Where two images share too little, any loss can still be driven down, by a field that other voxels would have drawn
otherwise. Two fields are fitted on coarse levels, each to its own half of the blocks that the fixed image is cut into;
what they agree on is what the images say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mmreg.models import Registrar
from mmreg.registration.optimisation import Settings, optimise
from mmreg.registration.optimisation.levels import Grid, on_grid
from mmreg.registration.optimisation.stiffness import likeness

#: Blocks along the longest edge of the image.
_BLOCKS = 12
#: At most so many levels are run, and never the last one.
_LEVELS = 2
#: Two halves that agree on less than this share of what they say are not believed. Wrong fields (histology of two
#: stains that correlate hardly anywhere, made textures) reach 0.28, right ones 0.54 (hearts) to 0.96.
BELIEVED = 0.35
#: Images that are as alike as this before the deformation (mean squared local correlation) need not be asked. Brains of
#: two persons reach 0.59, sections of two stains 0.12.
_ALIKE = 0.3


def doubtful(inputs: Mapping[str, Any]) -> list[bool]:
    """Which pairs of a batch, as they lie, are hardly alike at half the resolution: any field may look like a gain."""
    full = Grid(tuple(inputs['fixed'].shape[2:]), tuple(inputs['spacing']))
    data = on_grid(inputs, full, full.coarser(2 * full.finest))
    return [value < _ALIKE for value in likeness(data['moving'], data['fixed'], data.get('fixed_mask'))]


def agreement(model: Registrar, inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> list[float]:
    """How much two halves of the voxels agree, of each pair of a batch: 1 wholly, 0 not at all.

    Args:
        model: With its losses.
        inputs: As :func:`mmreg.registration.optimisation.optimise` takes them.
        settings: The ``optimisation`` section of a config.
    """
    whole = Settings.parse(settings)
    count = max(1, min(_LEVELS, len(whole.levels) - 1))
    coarse = replace(whole, levels=whole.levels[:count], inverse=False, unfold=0)
    fixed = inputs['fixed']
    shown = inputs.get('fixed_mask', torch.ones_like(fixed[:, :1]))
    half = _half(tuple(fixed.shape[2:])).to(fixed.device)
    parts = [optimise(model, {**inputs, 'fixed_mask': shown * kept}, coarse).displacement for kept in (half, 1 - half)]
    weight = shown * _content(fixed)

    def product(first: Tensor, second: Tensor) -> Tensor:
        return ((first * second).sum(1, keepdim=True) * weight).flatten(1).sum(1)

    own = (product(parts[0], parts[0]) + product(parts[1], parts[1])) / 2
    shares = product(*parts) / own.clamp(min=1e-9)
    return [1.0 if float(length) < 1e-6 else float(share) for share, length in zip(shares, own)]


def _half(size: tuple[int, ...]) -> Tensor:
    """``(1, 1, *size)`` zeros and ones: every second block of the image, at random."""
    edge = max(2, round(max(size) / _BLOCKS))
    counts = [-(-n // edge) for n in size]
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(int(torch.tensor(counts).prod()), generator=generator)
    blocks = (order % 2).float().view(1, 1, *counts)
    for axis in range(len(size)):
        blocks = blocks.repeat_interleave(edge, 2 + axis)
    cut = (slice(None), slice(None), *(slice(0, n) for n in size))
    return blocks[cut]


def _content(fixed: Tensor) -> Tensor:
    """``(N, 1, *S)`` zeros and ones: where an image is no background, which is what its border shows most."""
    image = fixed.mean(1, keepdim=True)
    faces = torch.cat([image.select(axis, end).flatten(1) for axis in range(2, image.dim()) for end in (0, -1)], 1)
    ground = faces.median(1).values.view(-1, *[1] * (image.dim() - 1))
    return ((image - ground).abs() > 0.1).to(image.dtype)
