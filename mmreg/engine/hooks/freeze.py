"""Parts of the model that stand still at the beginning of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmreg.errors import ConfigError
from mmreg.registry import HOOKS


@HOOKS.register_module()
class FreezeHook(Hook):
    """Trains without some modules for a number of iterations, then with everything.

    Which parameters stand still is a function of the iteration alone, so that a resumed run goes on as it would have.
    With several processes set ``find_unused_parameters=True``.

    Args:
        modules: Names of modules of the model, such as ``'flow_head.pyramid.networks.2'``.
        iterations: For how long; -1: for the whole run.

    Raises:
        ConfigError: no module, or one that the model does not have.
    """

    def __init__(self, modules: Sequence[str], iterations: int = -1):
        if not modules:
            raise ConfigError('FreezeHook.modules is empty, expected names of modules of the model.')
        self.modules, self.iterations = list(modules), iterations
        self._frozen: bool | None = None

    def before_train(self, runner: Any) -> None:
        """Find the modules, and what of them is trained at all."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        known = dict(model.named_modules())
        missing = [name for name in self.modules if name not in known]
        if missing:
            raise ConfigError(f'FreezeHook.modules has {missing}, which the model does not have.')
        self._parameters = [p for name in self.modules for p in known[name].parameters()]
        self._frozen = None

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Freeze or release them as the iteration says."""
        frozen = self.iterations < 0 or runner.iter < self.iterations
        if frozen != self._frozen:
            self._frozen = frozen
            for parameter in self._parameters:
                parameter.requires_grad_(not frozen)
                parameter.grad = None

    def after_train(self, runner: Any) -> None:
        """Leave everything as it was found."""
        for parameter in self._parameters:
            parameter.requires_grad_(True)
