"""The registries: where every part of mmreg is looked up by its name.

Two families live here. The first mirrors MMEngine's 23 root registries, so that a Runner finds our classes under the
scope ``mmreg``. The second splits the models by the arrow of the pipeline they implement (``BACKBONES``,
``FLOW_HEADS``, ``INTEGRATORS``, ``LOSSES``, ``REGISTRARS``): each is a child of our ``MODELS``, and ``MODELS`` finds
what its children hold.

This module imports nothing but MMEngine: an ImportError here would be swallowed by the engine and reported as a
missing registry.
"""

from __future__ import annotations

import difflib
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import mmengine.registry as root
from mmengine.registry import Registry as _Registry

SCOPE = 'mmreg'


def _suggest(key: str, names: set[str]) -> str:
    """A half-sentence with the nearest of ``names``, empty when none is near."""
    lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(key.lower(), list(lower), n=3, cutoff=0.5)
    return f'; did you mean {" or ".join(repr(lower[c]) for c in close)}?' if close else '.'


class Registry(_Registry):
    """MMEngine's registry with an error that names the nearest registered parts."""

    def known(self) -> set[str]:
        """Names that :meth:`get` would find, here and in the parents."""
        self.import_from_location()
        names = set(self.module_dict)
        parent = self.parent
        while parent is not None:
            names |= set(parent.module_dict)
            parent = parent.parent
        return names

    def get(self, key: str) -> Any:
        """The class registered as ``key``; a KeyError with suggestions when there is none."""
        found = self._find(key)
        if found is None and '.' not in key:
            raise KeyError(
                f'type={key!r} is not a registered {self.name}{_suggest(key, self.known())} '
                '`mmreg list` prints every registered part; a part of your own is registered by --plugin FILE, or by '
                'custom_imports in the config.'
            )
        return found

    def _find(self, key: str) -> Any:
        try:
            return super().get(key)
        except RuntimeError:  # the engine's answer to a key that is no import path either
            return None


class PartRegistry(Registry):
    """Registry of one kind of model part, a child of ``MODELS``.

    MMEngine allows one child per scope; the parts therefore carry the scope ``mmreg_<kind>`` internally and are
    looked up under ``mmreg`` by everyone else.
    """

    def get(self, key: str) -> Any:
        """The class registered as ``key``, with or without the scope."""
        return super().get(key.removeprefix(f'{SCOPE}.'))

    @contextmanager
    def switch_scope_and_registry(self, scope: str | None) -> Generator[_Registry, None, None]:
        """This registry for our own scopes, MMEngine's choice for others."""
        if scope in (None, SCOPE, self.scope):
            yield self
        else:
            with super().switch_scope_and_registry(scope) as registry:
                yield registry


class ModelRegistry(Registry):
    """``MODELS``: also finds what the registries of the parts hold."""

    def known(self) -> set[str]:
        """Names here, in the parents, and of all parts."""
        names = super().known()
        for child in self.children.values():
            names |= set(child.module_dict)
        return names

    def _find(self, key: str) -> Any:
        found = super()._find(key)
        if found is not None:
            return found
        short = key.removeprefix(f'{SCOPE}.')
        for child in self.children.values():
            child.import_from_location()
            if short in child.module_dict:
                return child.module_dict[short]
        return None


def _child(parent: _Registry, *locations: str, cls: type[Registry] = Registry) -> Registry:
    return cls(parent.name, parent=parent, scope=SCOPE, locations=[f'{SCOPE}.{name}' for name in locations])


def _part(name: str, location: str) -> PartRegistry:
    return PartRegistry(name, parent=MODELS, scope=f'{SCOPE}_{location}', locations=[f'{SCOPE}.models.{location}'])


# Parts of the pipeline -------------------------------------------------------------------------------------------
MODELS = _child(root.MODELS, 'models', cls=ModelRegistry)
BACKBONES = _part('backbone', 'backbones')
FLOW_HEADS = _part('flow head', 'flow_heads')
INTEGRATORS = _part('integrator', 'integrators')
LOSSES = _part('loss', 'losses')
REGISTRARS = _part('registrar', 'registrars')

# Data and evaluation ---------------------------------------------------------------------------------------------
DATASETS = _child(root.DATASETS, 'datasets')
DATA_SAMPLERS = _child(root.DATA_SAMPLERS, 'datasets')
TRANSFORMS = _child(root.TRANSFORMS, 'datasets')
METRICS = _child(root.METRICS, 'evaluation')
EVALUATORS = _child(root.EVALUATOR, 'evaluation')
LABEL_SETS = Registry('label set', scope=SCOPE, locations=[f'{SCOPE}.text'])
TEXT_EMBEDDINGS = Registry('text embedding', scope=SCOPE, locations=[f'{SCOPE}.text'])
SEGMENTERS = Registry('segmenter', scope=SCOPE, locations=[f'{SCOPE}.segmenters'])
VISUALIZERS = _child(root.VISUALIZERS, 'visualization')
VISBACKENDS = _child(root.VISBACKENDS, 'visualization')

# Engine ----------------------------------------------------------------------------------------------------------
FUNCTIONS = _child(root.FUNCTIONS, 'engine', 'datasets')
HOOKS = _child(root.HOOKS, 'engine')
INFERENCERS = _child(root.INFERENCERS, 'registration')
LOG_PROCESSORS = _child(root.LOG_PROCESSORS, 'engine')
LOOPS = _child(root.LOOPS, 'engine')
MODEL_WRAPPERS = _child(root.MODEL_WRAPPERS, 'engine')
OPTIMIZERS = _child(root.OPTIMIZERS, 'engine')
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(root.OPTIM_WRAPPER_CONSTRUCTORS, 'engine')
PARAM_SCHEDULERS = _child(root.PARAM_SCHEDULERS, 'engine')
RUNNERS = _child(root.RUNNERS, 'engine')
RUNNER_CONSTRUCTORS = _child(root.RUNNER_CONSTRUCTORS, 'engine')
STRATEGIES = _child(root.STRATEGIES, 'engine')
TASK_UTILS = _child(root.TASK_UTILS, 'models', 'datasets')
WEIGHT_INITIALIZERS = _child(root.WEIGHT_INITIALIZERS, 'models')

#: What `mmreg list` prints, in this order.
PUBLIC: dict[str, Registry] = {
    'backbones': BACKBONES,
    'flow_heads': FLOW_HEADS,
    'integrators': INTEGRATORS,
    'losses': LOSSES,
    'registrars': REGISTRARS,
    'models': MODELS,
    'datasets': DATASETS,
    'transforms': TRANSFORMS,
    'data_samplers': DATA_SAMPLERS,
    'segmenters': SEGMENTERS,
    'label_sets': LABEL_SETS,
    'text_embeddings': TEXT_EMBEDDINGS,
    'metrics': METRICS,
    'visualizers': VISUALIZERS,
    'hooks': HOOKS,
    'loops': LOOPS,
    'optim_wrappers': OPTIM_WRAPPERS,
    'param_schedulers': PARAM_SCHEDULERS,
}
