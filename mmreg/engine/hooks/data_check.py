"""What the evaluators will ask for and the data do not have is said before the first step."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook

from mmreg.engine.data_check import check_evaluator
from mmreg.evaluation.metrics.base import name_apart
from mmreg.registry import HOOKS


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Compares what the metrics need with what the validation or test pairs carry, once, at the start.

    Metrics that would write into one file are told apart by a number: ``surface.csv``, ``surface_2.csv``.
    Pairs that lack labels, landmarks or masks are counted in one warning; the metrics that need them leave these pairs
    out. A metric with ``incomplete='error'`` stops the run here instead, before anything was trained.
    """

    priority = 'VERY_LOW'

    def before_train(self, runner: Any) -> None:
        """Look at the validation data."""
        if runner.val_loop is not None:
            self._check(runner, runner.val_loop, 'validation')

    def before_val(self, runner: Any) -> None:
        """Look at the validation data where nothing is trained."""
        if runner._train_loop is None or isinstance(runner._train_loop, dict):  # validation alone
            self._check(runner, runner.val_loop, 'validation')

    def before_test(self, runner: Any) -> None:
        """Look at the test data."""
        self._check(runner, runner.test_loop, 'test')

    def _check(self, runner: Any, loop: Any, name: str) -> None:
        name_apart(loop.evaluator.metrics)
        lacks = check_evaluator(loop.dataloader, loop.evaluator.metrics)
        runner.message_hub.update_info(f'{name}_lacks', [str(lack) for lack in lacks])
        if lacks:
            lines = [f'  {lack}' for lack in lacks]
            runner.logger.warning('\n'.join([f'The {name} data lack something that the evaluators ask for:', *lines]))
