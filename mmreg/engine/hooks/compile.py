"""torch.compile for the network alone."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmreg.errors import ConfigError
from mmreg.registry import HOOKS


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles parts of the model in place before the run; names of the weights do not change.

    The engine's own ``compile=True`` compiles the whole training step and compiles again for every pair's meta data.

    Args:
        modules: Names of sub-modules to compile.
        options: Arguments of :func:`torch.compile`.
    """

    def __init__(self, modules: tuple[str, ...] | list[str] = ('backbone',), options: dict[str, Any] | None = None):
        self.modules = tuple(modules)
        self.options = dict(options or {})

    def before_run(self, runner: Any) -> None:
        """Compile the chosen modules."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for name in self.modules:
            try:
                module = model.get_submodule(name)
            except AttributeError as error:
                known = ', '.join(child for child, _ in model.named_children())
                raise ConfigError(f'CompileHook.modules: the model has no part {name!r}, expected {known}.') from error
            module.compile(**self.options)
