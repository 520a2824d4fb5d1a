"""Randomness of the network as a function of (seed, rank, iteration)."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from mmreg.datasets.seeding import stable_seed
from mmreg.registry import HOOKS


@HOOKS.register_module()
class IterSeedHook(Hook):
    """Seeds all generators before each training iteration, so that dropout and the like repeat after a resume."""

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seed Python, NumPy and torch by seed, process and iteration."""
        seed = stable_seed(runner.seed or 0, get_rank(), runner.iter)
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
