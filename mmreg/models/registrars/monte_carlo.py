"""A registrar that runs a random network several times and tells how much its answers differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import REGISTRARS
from mmreg.spatial import warp
from mmreg.structures import Fields

from .registrar import MAPS, Registrar

CHOICES = ('mean', 'best')


class Moments:
    """Running mean and variance of tensors (Welford), so that no sample is kept."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, value: Tensor) -> None:
        """Count one more sample, a tensor of any shape ``(N, C, *spatial)``, the same for all."""
        self.count += 1
        if self.count == 1:
            self.mean, self._spread = value.clone(), torch.zeros_like(value)
            return
        change = value - self.mean
        self.mean = self.mean + change / self.count
        self._spread = self._spread + change * (value - self.mean)

    @property
    def variance(self) -> Tensor:
        """Unbiased; zero for one sample."""
        return self._spread / max(self.count - 1, 1)


@REGISTRARS.register_module()
class MonteCarloRegistrar(Registrar):
    """In evaluation: ``samples`` forward passes of a network with dropout, their mean and their variance.

    Training is that of :class:`Registrar`: one sample per step. In evaluation ``extras['maps']``, and every predicted
    sample's ``pred``, hold two variances over the samples: ``displacement_variance`` ``(N, ndim, *spatial)``, squared
    voxels, and ``warped_variance`` ``(N, C, *spatial)`` of the warped images, which TransMorph-Bayes calls
    uncertainty.

    Args:
        samples: Forward passes.
        choose: What is the displacement: ``'mean'``, or ``'best'``, of the sample whose warped image has the smallest
            squared difference to the fixed one, per pair (published script).
        kwargs: See :class:`Registrar`.

    Raises:
        ConfigError: fewer than two samples, an unknown choice, or a network that is not random in evaluation.

    Source: Gal and Ghahramani, ICML 2016; Chen et al., MedIA 2022 (TransMorph-Bayes).
    """

    def __init__(self, *args: Any, samples: int = 25, choose: str = 'mean', **kwargs: Any):
        super().__init__(*args, **kwargs)
        if samples < 2:
            raise ConfigError(f'model.samples is {samples}, expected 2 or more.')
        if choose not in CHOICES:
            raise ConfigError(f'model.choose is {choose!r}, expected one of {CHOICES}.')
        if not any(getattr(module, 'always', False) for module in self.modules()):
            raise ConfigError(
                f'model.type is {type(self).__name__}, expected a network with dropout in evaluation '
                '(backbone.monte_carlo=True with TransMorph).'
            )
        self.samples, self.choose = samples, choose

    def fields(self, inputs: Mapping[str, Any]) -> Fields:
        """In evaluation the chosen displacement and the variances over the samples."""
        if self.training:
            return super().fields(inputs)
        fixed, moving = inputs['fixed'].float(), inputs['moving'].float()
        field, image = Moments(), Moments()
        best: Tensor | None = None
        least: Tensor | None = None
        for _ in range(self.samples):
            displacement = super().fields(inputs).displacement.float()
            warped = warp(moving, displacement)
            field.add(displacement)
            image.add(warped)
            error = (warped - fixed).square().flatten(1).mean(1).view(-1, *[1] * (fixed.dim() - 1))
            if best is None or least is None:
                best, least = displacement, error
            else:
                best = torch.where(error < least, displacement, best)
                least = torch.minimum(error, least)
        chosen = field.mean if self.choose == 'mean' or best is None else best
        maps = {'displacement_variance': field.variance, 'warped_variance': image.variance}
        return Fields([chosen], extras={MAPS: maps})
