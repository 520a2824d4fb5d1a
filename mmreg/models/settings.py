"""Settings that weights do not show: a checkpoint may fit a model that treats its weights otherwise."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn

from mmreg.errors import CheckpointError
from mmreg.registry import BACKBONES, FLOW_HEADS, INTEGRATORS, LOSSES, MODELS, REGISTRARS
from mmreg.utils.admit import admit, admitted_names, is_module, largest_number

_REGISTRIES = (REGISTRARS, BACKBONES, FLOW_HEADS, INTEGRATORS, LOSSES, MODELS)
#: Numbers above this, and above every size in the weights, are no settings of a network.
_LARGEST = 4096
_PARTS = ('backbone', 'flow_head', 'integrator')
#: Attributes that change memory or mode, not results.
_NO_SETTINGS = ('training', 'checkpoint_levels', 'use_checkpoint', 'checkpoint_steps', 'record')
_PLAIN = (int, float, str, bool, type(None))


def warn_of_other_settings(model: nn.Module, meta: Mapping[str, Any], source: str | Path) -> str | None:
    """Log one sentence where ``model`` is set otherwise than the checkpoint's own description of its model.

    Args:
        model: The model that the weights of ``source`` are loaded into; they fit.
        meta: Of the checkpoint; ``model`` there is the config that a converter found to belong to the weights.
        source: Name of the checkpoint.

    Returns:
        The sentence, None where both agree or the checkpoint does not describe its model.
    """
    described = meta.get('model')
    if not isinstance(described, Mapping) or not described:
        return None
    described = admitted_description(described, model, source)
    differing = other_settings(model, described)
    for key in _untold(meta):
        differing = {name: pair for name, pair in differing.items() if name != key and not name.startswith(f'{key}.')}
    if not differing:
        return None
    found = '; '.join(f'{key} is {theirs!r} there and {ours!r} here' for key, (theirs, ours) in differing.items())
    sentence = (
        f'{source} belongs to a model with other settings than the config: {found}; '
        'its weights fit, but will not give what they were trained for.'
    )
    print_log(sentence, logger='current', level=logging.WARNING)
    return sentence


def _untold(meta: Mapping[str, Any]) -> list[str]:
    """Keys of the description that its converter could only guess."""
    told = meta.get('untold')
    return [key for key in told if isinstance(key, str)] if isinstance(told, list | tuple) else []


def admitted_description(described: Mapping[str, Any], model: nn.Module, source: str | Path) -> dict[str, Any]:
    """The parts of a checkpoint's description of its model that are compared, fit to be built.

    Empty where it asks for much more than ``model`` has: that belongs to another one, or to nobody.

    Raises:
        CheckpointError: it names something else than registered parts, or says more than plain values.
    """
    kept = {key: value for key, value in described.items() if key in ('type', 'ndim', *_PARTS)}
    if 'type' in kept and not isinstance(kept['type'], str):
        raise CheckpointError(f'{source}: meta.model has type={kept["type"]!r}, expected the name of a registrar.')
    kept = {'type': 'Registrar', **kept}
    unknown = _unknown_names(kept)
    if unknown and not any('.' in name or is_module(name) for name in unknown):
        return {}  # made by another version: nothing to compare with
    plain = admit(kept, f'{source}: meta.model', _REGISTRIES, CheckpointError)
    largest = max(
        (max(value.shape, default=1) for value in model.state_dict().values() if hasattr(value, 'shape')), default=1
    )
    return plain if largest_number(plain) <= max(_LARGEST, largest) else {}


def _unknown_names(config: Any) -> list[str]:
    """Names under ``type``, at any depth, that no registry of model parts has."""
    if isinstance(config, Mapping):
        inner = [name for value in config.values() for name in _unknown_names(value)]
        own = config.get('type')
        return [*inner, *([own] if isinstance(own, str) and own not in admitted_names(_REGISTRIES) else [])]
    return [name for value in config for name in _unknown_names(value)] if isinstance(config, tuple | list) else []


def other_settings(model: nn.Module, described: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings of the parts of ``described`` that ``model`` has otherwise: name -> (described, found in ``model``).

    Both models are compared as built, so that a default and the same value written out are the same. Parts that the
    description leaves out are not compared.
    """
    try:
        with torch.device('meta'):
            theirs = REGISTRARS.build({'type': 'Registrar', **described})
    except Exception:  # made by another version, or arguments that do not fit: nothing to compare with
        return {}
    differing: dict[str, tuple[Any, Any]] = {}
    for part in (name for name in _PARTS if name in described and hasattr(model, name)):
        expected, found = _settings(getattr(theirs, part)), _settings(getattr(model, part))
        for key in expected:
            if key not in found or expected[key] != found[key]:
                name = f'{part}.{key.rpartition(".")[2]}'
                differing.setdefault(name, (expected[key], found.get(key)))
    written = {key: value for key, value in differing.items() if key.partition('.')[2] in _keys(described)}
    return written or differing


def _settings(module: nn.Module) -> dict[str, Any]:
    """Plain values that the modules inside ``module`` hold, by path; its own class as ``type``."""
    result: dict[str, Any] = {'type': type(module).__name__}
    for path, inner in module.named_modules():
        # what a user chooses anew for every run belongs to no weights
        free = (*_NO_SETTINGS, *getattr(inner, 'chosen_when_run', ()))
        for name, value in vars(inner).items():
            if name not in free and not name.startswith('_forward') and _is_plain(value):
                result[f'{path}.{name.lstrip("_")}'.lstrip('.')] = value
    return result


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _PLAIN)


def _keys(config: Any) -> set[str]:
    """Names of all keys in a config, at any depth."""
    if isinstance(config, Mapping):
        return set(config).union(*(_keys(value) for value in config.values()))
    return set().union(*(_keys(value) for value in config)) if isinstance(config, tuple | list) else set()
