"""Where a published file keeps its weights: the dictionary that holds them, and names that wrappers put before keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmreg.errors import CheckpointError

#: Keys under which weights are kept, the first that is there; any other dictionary of tensors serves where none is.
CONTAINERS = (
    'model_state_dict',
    'state_dict',
    'model_state',
    'model',
    'net',
    'network',
    'weights',
    'params',
    'generator',
)
#: Dictionaries of tensors that are no weights.
_OTHERS = ('optim', 'sched', 'scaler', 'rng', 'discriminator', 'loss', 'hist')
#: Dictionaries are looked into so deep.
_DEPTH = 4
#: Wrappers put this anywhere into a key.
_COMPILED = '_orig_mod.'


def extract_weights(content: Any, source: str) -> dict[str, Tensor]:
    """The weights in the content of a published file.

    Raises:
        CheckpointError: there are none.
    """
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{source} holds a {type(content).__name__}, expected a dictionary of weights.')
    weights = weights_in(content)
    if not weights:
        found = ', '.join(f'{key} ({type(value).__name__})' for key, value in list(content.items())[:6])
        raise CheckpointError(f'{source} holds no tensors ({found or "nothing"}), expected a dictionary of weights.')
    return weights


def weights_in(content: Any) -> dict[str, Tensor]:
    """The tensors in the content of a published file, by name; empty where there are none."""
    found = _inner(content, _DEPTH)
    return {str(k): _tensor(v) for k, v in found.items() if isinstance(v, Tensor | np.ndarray)}


def _inner(content: Any, depth: int) -> Mapping[Any, Any]:
    """The dictionary of tensors in ``content``: by the usual names, else the largest that is no optimiser's."""
    if not isinstance(content, Mapping) or depth < 0:
        return {}
    named = [content[name] for name in CONTAINERS if isinstance(content.get(name), Mapping)]
    for inner in named:
        found = _inner(inner, depth - 1)
        if found:
            return found
    rest = [
        value
        for key, value in content.items()
        if isinstance(value, Mapping) and not any(word in str(key).lower() for word in _OTHERS)
    ]
    return max([content, *(_inner(value, depth - 1) for value in rest)], key=_count)


def _count(content: Mapping[Any, Any]) -> int:
    return sum(isinstance(value, Tensor | np.ndarray) for value in content.values())


def unwrapped(published: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The weights under their own keys and, one by one, without what all of them begin with.

    Parallel training, compilation and modules that hold the network put ``module.``, ``_orig_mod.``, ``net.`` and the
    like before every key.
    """
    state = {key.replace(_COMPILED, ''): value for key, value in published.items()}
    yield state
    while state:
        first = {key.partition('.')[0] for key in state}
        if len(first) > 1 or any('.' not in key for key in state):
            return
        state = {key.partition('.')[2]: value for key, value in state.items()}
        yield state


def _tensor(value: Tensor | np.ndarray) -> Tensor:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value.detach()
