"""What a checkpoint says of the network it belongs to: run from it alone, or told where a config does not fit it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log

from mmreg.converters import extract_weights
from mmreg.converters.files import fitting_families
from mmreg.converters.keras_files import read_published
from mmreg.errors import CheckpointError, InputError
from mmreg.models import Registrar
from mmreg.registry import BACKBONES, FLOW_HEADS, INTEGRATORS, LOSSES, MODELS, REGISTRARS, TEXT_EMBEDDINGS
from mmreg.utils.admit import admit
from mmreg.utils.checkpoint import check_architecture, read_checkpoint, weights_of
from mmreg.utils.merge import merge_options
from mmreg.zoo.published import known
from mmreg.zoo.store import sha256_of

#: Stands for a key that a config does not have.
_ABSENT = object()
_PARTS = (REGISTRARS, BACKBONES, FLOW_HEADS, INTEGRATORS, LOSSES, MODELS, TEXT_EMBEDDINGS)


def config_of_checkpoint(path: str | Path) -> Config:
    """The config that a converted checkpoint runs with: its own description of its model, and what is done to images.

    Raises:
        CheckpointError: the file does not describe its model.
    """
    meta = read_checkpoint(path).get('meta') or {}
    described = meta.get('model')
    if not isinstance(described, Mapping) or not described:
        raise CheckpointError(
            f'{path} does not say which network it belongs to, expected a file that mmreg convert wrote, or the config '
            f'of the network with it.{_published_hint(path)}'
        )
    model = {'type': 'Registrar', **admit(described, f'{path}: meta.model', _PARTS, CheckpointError)}
    untold = meta.get('untold')
    if isinstance(untold, list | tuple) and untold:
        guesses = '; '.join(f'{key}={_at(model, str(key))!r}' for key in untold)
        print_log(
            f'{path} does not tell {guesses}: these are guesses, which a config or --cfg-options model.KEY=... puts '
            'right.',
            logger='current', level=logging.WARNING,
        )  # fmt: skip
    plan = meta.get('plan')
    stated = plan.get('inference') if isinstance(plan, Mapping) else None
    return Config({'model': model, **({'inference': dict(stated)} if isinstance(stated, Mapping) else {})})


def explained(error: CheckpointError, model: Registrar, cfg: Config, path: str | Path) -> CheckpointError:
    """``error`` of weights that do not fit ``model``, with what the user can do about it."""
    try:
        content = read_checkpoint(path)
        weights = weights_of(content)
    except InputError:
        return CheckpointError(f'{error}{_published_hint(path)}')
    meta = content.get('meta')
    described = meta.get('model') if isinstance(meta, Mapping) else None
    if not isinstance(described, Mapping) or not described:
        return CheckpointError(f'{error}{_published_hint(path)}')
    options = fitting_options(admit(described, f'{path}: meta.model', _PARTS, CheckpointError), cfg, weights, path)
    if options is None:
        return CheckpointError(
            f'{error} The file says that it belongs to another kind of network: it runs without a config.'
        )
    return CheckpointError(f'{error} The file fits this config with --cfg-options {" ".join(options)}')


def fitting_options(
    described: Mapping[str, Any], cfg: Config, weights: Mapping[str, Any], path: str | Path
) -> list[str] | None:
    """The ``KEY=VALUE`` that make a config fit the weights, by the file's own description; None where none do."""
    network = {key: value for key, value in described.items() if key != 'integrator'}
    leaves = {f'model.{key}': value for key, value in _leaves(network)}
    differing = {key: value for key, value in leaves.items() if _at(cfg, key, value) != value}
    unstated = [key for key in leaves if _at(cfg, key, _ABSENT) is _ABSENT]
    if _fits(cfg, differing, weights, path):
        return _written(differing)
    chosen = {**differing, **{key: leaves[key] for key in unstated}}
    if not _fits(cfg, chosen, weights, path):
        return None
    for key in unstated:  # defaults that are right need not be said
        fewer = {name: value for name, value in chosen.items() if name != key}
        if _fits(cfg, fewer, weights, path):
            chosen = fewer
    return _written(chosen)


def leaves_that_differ(described: Mapping[str, Any], cfg: Config) -> dict[str, Any]:
    """Dotted keys of a config -> values of a description of its model that it does not say."""
    leaves = {f'model.{key}': value for key, value in _leaves(described)}
    return {key: value for key, value in leaves.items() if _at(cfg, key, _ABSENT) != value}


def _fits(cfg: Config, options: Mapping[str, Any], weights: Mapping[str, Any], path: str | Path) -> bool:
    trial = Config(cfg.to_dict())
    try:
        merge_options(trial, {f'+{key}': value for key, value in options.items()})
        with torch.device('meta'):
            built = REGISTRARS.build(trial.model)
        check_architecture(built, dict(weights), path)
    except (InputError, TypeError, RuntimeError, KeyError, ValueError):
        return False
    return True


def _written(options: Mapping[str, Any]) -> list[str]:
    return [f'{key}={value!r}'.replace(' ', '') for key, value in options.items()]


def _published_hint(path: str | Path) -> str:
    """What to do with a published file: take it into the zoo, or convert it; empty where it is none."""
    try:
        published = extract_weights(read_published(path), str(path))
        families = fitting_families(published)
    except InputError:
        return ''
    size = Path(path).stat().st_size
    for entry in known().values():
        if entry.sha256 and entry.size_bytes in (0, size) and sha256_of(Path(path)) == entry.sha256:
            return (
                f' It is the published file of {entry.name}: run `mmreg weights add {entry.name} {path}` once, then '
                f'use --weights {entry.name}.'
            )
    if not families:
        return ''
    return (
        f' It is a published file of the family {" or ".join(families)}: run `mmreg convert {families[0]} {path} '
        'OUT.pth` first (mmreg weights add where it is one of the zoo).'
    )


def _leaves(config: Mapping[str, Any], before: str = '') -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f'{before}{key}.')
        else:
            yield f'{before}{key}', list(value) if isinstance(value, tuple) else value


def _at(config: Any, key: str, default: Any = None) -> Any:
    for name in key.split('.'):
        if not isinstance(config, Mapping | Config) or name not in config:
            return default
        config = config[name]
    return list(config) if isinstance(config, tuple) else config
