"""Pictures during validation and test."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook

from mmreg.registry import HOOKS


@HOOKS.register_module()
class VisualizationHook(Hook):
    """Hands panels (images, differences, grid, Jacobian) of the first cases to the visualizer's backends.

    Args:
        cases: How many cases of each validation; 0 for none.
        interval: Draw in every so many validations.
        test_cases: How many cases of a test run; -1 for all.
        out_dir: Folder for a PNG of each picture, besides the visualizer's backends.
    """

    priority = 'LOW'

    def __init__(self, cases: int = 1, interval: int = 1, test_cases: int = 0, out_dir: str | None = None):
        self.cases, self.interval, self.test_cases = cases, interval, test_cases
        self.out_dir = None if out_dir is None else Path(out_dir)
        self._validations = 0
        self._drawn = 0

    def before_val_epoch(self, runner: Any) -> None:
        """Count the validation; begin with its first case."""
        self._drawn = 0
        self._validations += 1

    def before_test_epoch(self, runner: Any) -> None:
        """Begin with the first case."""
        self._drawn = 0

    def after_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Draw the first cases of every ``interval``-th validation."""
        if (self._validations - 1) % self.interval == 0:
            self._draw(runner, outputs, self.cases, 'val')

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Draw the first cases."""
        self._draw(runner, outputs, self.test_cases, 'test')

    @master_only
    def _draw(self, runner: Any, samples: Sequence[Any] | None, limit: int, stage: str) -> None:
        samples = list(samples or ())
        for sample in samples if limit < 0 else samples[: max(0, limit - self._drawn)]:
            if not all(key in sample for key in ('pred', 'fixed', 'moving')):
                continue
            name = f'{stage}_{self._drawn}_{re.sub(r"[^A-Za-z0-9_-]+", "_", str(sample.get("case_id", "case")))}'
            out_file = None if self.out_dir is None else self.out_dir / f'{name}.png'
            runner.visualizer.add_datasample(name, None, sample, out_file=out_file, step=_step(runner))
            self._drawn += 1


def _step(runner: Any) -> int:
    """Iterations trained so far; asking the runner outside training would build a training loop."""
    loop = getattr(runner, '_train_loop', None)
    return getattr(loop, 'iter', 0) if not isinstance(loop, dict) else 0
