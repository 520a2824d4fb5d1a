"""Weights of losses that change while training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmreg.errors import ConfigError
from mmreg.registry import HOOKS


@HOOKS.register_module()
class LossWeightHook(Hook):
    """Sets weights of named losses before every step, linearly between given points and constant outside.

    A weight depends on the step alone, so that a resumed run goes on as it would have.

    Args:
        weights: Name of a loss -> points ``(step, weight)``, steps ascending.
        by_epoch: Steps are epochs (parts of them count), or iterations.

    Raises:
        ConfigError: no points, points out of order, or (when training starts) a loss that the model does not have.
    """

    def __init__(self, weights: Mapping[str, Sequence[tuple[float, float]]], by_epoch: bool = True):
        for name, points in weights.items():
            steps = [step for step, _ in points]
            if not steps or steps != sorted(steps):
                raise ConfigError(f'LossWeightHook.weights.{name} is {points}, expected (step, weight), ascending.')
        self.weights = {name: tuple(zip(*points)) for name, points in weights.items()}
        self.by_epoch = by_epoch

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Set the weights of this iteration."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        step = runner.iter / len(runner.train_dataloader) if self.by_epoch else runner.iter
        terms = model.objective.terms
        for name, (steps, values) in self.weights.items():
            if name not in terms:
                raise ConfigError(f'LossWeightHook.weights names the loss {name!r}, found {sorted(terms)}.')
            terms[name].config = replace(terms[name].config, weight=float(np.interp(step, steps, values)))
