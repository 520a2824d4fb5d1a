"""The plan: what a checkpoint must carry so that its weights can be applied to new images the way they were trained."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mmreg.io.plain import plain
from mmreg.registry import DATASETS
from mmreg.spatial.compiled import compiled_in_use
from mmreg.version import __version__

FORMAT = 1
_PACKAGES = ('torch', 'numpy', 'mmengine', 'monai', 'SimpleITK', 'scipy')


def versions() -> dict[str, str]:
    """Versions of Python, mmreg and what the numbers depend on; packages that are absent are left out.

    ``kernels`` tells whether the compiled ones ran: they round differently.
    """
    return {**_versions(), 'kernels': 'compiled' if compiled_in_use() else 'torch'}


@cache
def _versions() -> dict[str, str]:
    found = {'python': platform.python_version(), 'mmreg': __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def make_plan(cfg: Any, seed: int | None = None, dataset_meta: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The plan of a run as plain values (JSON).

    Keys: ``format``, ``experiment``, ``pipelines`` (transforms of the train, val and test loaders),
    ``preprocess`` (transforms of a single image), ``pair`` (of a pair after that), ``data_preprocessor``,
    ``inference`` (what is done to files), ``spacing`` (mm, where the config states one), ``dataset_meta``, ``seed``,
    ``versions`` and ``config`` (the whole merged config as text).

    Args:
        cfg: Merged config of the run.
        seed: Seed of the run.
        dataset_meta: What the training dataset says about itself.
    """
    pipelines = {}
    for stage in ('train', 'val', 'test'):
        pipeline = _pipeline(cfg.get(f'{stage}_dataloader'))
        if pipeline is not None:
            pipelines[stage] = plain(pipeline)
    model = cfg.get('model') or {}
    preprocessor = model.get('data_preprocessor') if isinstance(model, Mapping) else None
    return {
        'format': FORMAT,
        'experiment': cfg.get('experiment_name'),
        'pipelines': pipelines,
        'preprocess': plain(preprocess_of(cfg)),
        'pair': plain(pair_transforms_of(cfg)),
        'inference': plain(cfg.get('inference')),
        'data_preprocessor': plain(preprocessor or cfg.get('data_preprocessor')),
        'spacing': plain(cfg.get('spacing')),
        'dataset_meta': plain(dict(dataset_meta or {})),
        'seed': seed,
        'versions': versions(),
        'config': cfg.pretty_text,
    }


def preprocess_of(cfg: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    """Transforms of a single image: what the test, validation or training data set of a config states, else its own.

    None where the config names no data set; wrappers such as ConcatDataset are looked through.
    """
    for stage in _STAGES:
        node = _dataset(cfg, stage, 'preprocess')
        if isinstance(node, Mapping):
            if node.get('preprocess') is not None:
                return node['preprocess']
            kind = node.get('type')
            return getattr(DATASETS.get(kind) if isinstance(kind, str) else kind, 'PREPROCESS', ())
    return None


def pair_transforms_of(cfg: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Transforms of a pair that the data set of :func:`preprocess_of` states: of a stack of slices first, then others.

    Empty where it states none.
    """
    for stage in _STAGES:
        node = _dataset(cfg, stage, 'pipeline')
        if isinstance(node, Mapping):
            return [step for key in ('stack', 'pipeline') for step in node.get(key) or () if isinstance(step, Mapping)]
    return []


_STAGES = ('test', 'val', 'train')


def _dataset(cfg: Mapping[str, Any], stage: str, key: str) -> Any:
    """The data set of a loader; wrappers are looked through until one states ``key`` or wraps no other."""
    node = (cfg.get(f'{stage}_dataloader') or {}).get('dataset')
    while isinstance(node, Mapping) and node.get(key) is None and (node.get('dataset') or node.get('datasets')):
        inner = node.get('dataset') or node.get('datasets')
        node = inner[0] if isinstance(inner, list | tuple) else inner
    return node


def _pipeline(loader: Any) -> Any:
    """The first pipeline in a loader's dataset config, looking through wrappers."""
    node = loader.get('dataset') if isinstance(loader, Mapping) else None
    while isinstance(node, Mapping):
        if 'pipeline' in node:
            return node['pipeline']
        inner = node.get('dataset') or node.get('datasets')
        node = inner[0] if isinstance(inner, list | tuple) and inner else inner
    return None
