"""Image losses of the spine system and of the pyramid designs: value and gradient for every stored configuration."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor

from mmreg.models.losses import LNCC, MINDSSC, MSE, ImageLoss, MutualInformation
from tests.golden import fill
from tests.golden.harness import Case, runner

from .expressions import evaluate
from .inputs import at_stored

#: Our names of published arguments.
_ARGUMENTS = {'kernel_type': 'kernel', 'num_bins': 'bins', 'kernel_size': 'window', 'win': 'window'}
_WINDOWS = {'rectangular': 'box', 'triangular': 'triangular', 'gaussian': 'gaussian'}


def build(config: dict, older_monai: bool) -> ImageLoss:
    """Our loss for a published configuration.

    ``older_monai``: the pyramid designs carry MONAI's local correlation as it was before the window and the
    stabilisation were mended.
    """
    options = {_ARGUMENTS.get(key, key): value for key, value in config.items() if key != 'type'}
    for key in ('spatial_dims', 'fast'):
        options.pop(key, None)
    kind = config['type']
    if kind == 'mind':
        return MINDSSC(**options)
    if kind == 'global_mi':
        return MutualInformation(**options)
    if kind == 'IntensityLoss':
        assert options == {'penalty': 'l2'}, options
        return MSE(channels='sum')
    if kind in ('ncc', 'ncc_vxm'):
        return LNCC(**options, negative=True)
    if kind == 'ncc_squared':
        return LNCC(**options, negative=True, form='fourth')
    assert kind == 'lncc', f'no computation for the loss {kind!r}'
    window = _WINDOWS[options.pop('kernel', 'rectangular')]
    if older_monai:
        return LNCC(**options, negative=True, kernel='gaussian_tail' if window == 'gaussian' else window)
    return LNCC(options.pop('window', 3), negative=True, kernel=window, stabiliser='clamp', **options)


def images(case: Case, name: str, result: dict) -> tuple[Tensor, Tensor]:
    """Both images ``(N, 1, *spatial)`` of a result, built from the JSON's texts."""
    inputs = case.info['inputs']
    shape = tuple(result.get('shape', inputs['shape']))
    batch = int((re.search(r'_batch(\d+)', name) or [0, 1])[1])
    pair = []
    for which in ('first', 'second'):
        texts = [inputs[which]]
        texts += [inputs[f'batch{k}_{which}'].rpartition('batch element ')[2] for k in range(2, batch + 1)]
        names = {'shape': shape, 'image': lambda seed, size=shape: fill.image(seed, tuple(size))}
        volumes = [np.asarray(evaluate(text, names), np.float32) for text in texts]
        pair.append(fill.batch(*volumes))
    return pair[0], pair[1]


def check_gradient(case: Case, name: str, gradient: Tensor, result: dict) -> None:
    """Norms as numbers, the stored array relative to its largest entry."""
    rtol = case.info['tolerance']['grad']['rtol']
    largest = result['grad']['absmax']
    norms = {'l2': gradient.norm(), 'absmax': gradient.abs().max(), 'sum': gradient.sum()}
    for key, value in norms.items():
        atol = 2 * rtol * largest if key == 'sum' else 0.0  # a sum may cancel to nothing
        case.close(f'{name} gradient {key}', value, result['grad'][key], rtol=rtol, atol=atol)
    stored = case.arrays.get(f'grad_{name}')
    if stored is not None:
        case.close(f'grad_{name}', at_stored(gradient, stored), stored, rtol=0, atol=rtol * float(np.abs(stored).max()))


@runner('spine_biomech', 'image_losses')
def spine_image_losses(case: Case) -> None:
    _results(case, older_monai=False)
    pattern = re.compile(r'mind_descriptor_r(\d+)_d(\d+)')
    for key in case.arrays:
        found = pattern.fullmatch(key)
        if found:
            radius, dilation = map(int, found.groups())
            first, _ = images(case, key, {})
            descriptor = MINDSSC(radius=radius, dilation=dilation).descriptor(first)
            case.close(key, at_stored(descriptor, case.arrays[key]), atol=1e-5)
        else:
            assert key.removeprefix('grad_') in case.info['results'], f'{case.id}: no computation for {key}'


@runner('pyramid_designs', 'image_losses')
def pyramid_image_losses(case: Case) -> None:
    _results(case, older_monai=True)
    assert {key.removeprefix('grad_') for key in case.arrays} <= set(case.info['results'])


def _results(case: Case, older_monai: bool) -> None:
    tolerance = {'atol': 0.0, **case.info['tolerance']['value']}
    for name, result in case.info['results'].items():
        first, second = images(case, name, result)
        first.requires_grad_()
        value = build(result['config'], older_monai)(first, second)
        case.close(name, value, result['value'], **tolerance)
        if 'grad' in result:
            (gradient,) = torch.autograd.grad(value, first)
            check_gradient(case, name, gradient, result)
