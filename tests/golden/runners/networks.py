"""What the runners of converted networks share: published weights, inputs by their seeds, stored outputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from tests.golden import fill
from tests.golden.harness import Case

from .inputs import batched

#: ``absmax`` is stored with five decimals.
_ROUNDED = 1e-5


def published_weights(case: Case) -> dict[str, Tensor]:
    """The case's state dict by its published names."""
    scale = case.info.get('scale', {})
    return {
        name: torch.from_numpy(np.asarray(fill.fill(name, shape) * np.float32(_factor(name, scale))))
        for name, shape in case.info['state_dict']
    }


def _factor(name: str, scale: Mapping[str, float]) -> float:
    """Factor of a parameter: under its own name, or under ``every *ending``."""
    for pattern, factor in scale.items():
        if name == pattern or (pattern.startswith('every *') and name.endswith(pattern.removeprefix('every *'))):
            return factor
    return 1.0


def seeded_image(case: Case, word: str) -> Tensor:
    """The input whose description begins with ``word``: ``(N, 1, *spatial)``, one seed per sample."""
    (text,) = [text for key, text in case.info['inputs'].items() if key.split()[0] == word]
    return batched(text, case.info['shape'], case.info.get('batch'))


def check_outputs(case: Case, results: Mapping[str, Tensor], atol: Mapping[str, float] | None = None) -> None:
    """Compare every stored output: its values at the stored stride, its shape and its statistics.

    ``atol`` replaces the case's tolerance for the outputs it names.
    """
    assert set(case.arrays) == set(case.info['outputs'])
    for key, stored in case.info['outputs'].items():
        value = results[key].detach()
        assert list(value.shape) == stored['shape'], f'{case.id} {key}: {tuple(value.shape)}'
        steps = (slice(None, None, stored['stride']),) * (value.dim() - 2)
        value = value[(..., *steps)]
        tolerance = (atol or {}).get(key, case.tolerance['atol'])
        case.close(key, value, atol=tolerance)
        statistics = {'absmax': value.abs().max(), 'mean': value.mean(), 'std': value.std(correction=0)}
        for name, statistic in statistics.items():
            if name in stored:
                spare = _ROUNDED if name == 'absmax' else 0.0
                case.close(f'{key} {name}', statistic, stored[name], atol=tolerance + spare)


def check_scalars(case: Case, results: Mapping[str, Tensor | float]) -> None:
    """Compare every stored scalar."""
    missing = set(case.info.get('scalars', {})) - set(results)
    assert not missing, f'{case.id}: not computed {missing}'
    for key, expected in case.info.get('scalars', {}).items():
        case.close(key, results[key], expected)


def check_parameters(case: Case, module: torch.nn.Module, unused: Mapping[str, Tensor]) -> None:
    """The published number of parameters: ours and those of published entries without use."""
    ours = sum(p.numel() for p in module.parameters())
    assert ours + sum(value.numel() for value in unused.values()) == case.info['n_parameters'], case.id
