"""LKU-Net and its large-kernel block, through the converter of its checkpoints, in both forms of the block."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor

from mmreg.converters import FAMILIES, Family
from mmreg.models import Registrar
from mmreg.models.blocks.branches import reparameterise
from mmreg.models.blocks.layers import LargeKernelBlock
from mmreg.models.losses import L1, LNCC, MSE, Diffusion
from mmreg.registry import REGISTRARS
from mmreg.spatial import warp
from mmreg.spatial.convert import displacement_to_normalised
from tests.golden import fill
from tests.golden.harness import Case, runner

from .expressions import evaluate
from .networks import check_outputs, check_parameters, check_scalars, published_weights, seeded_image

#: The window that the published NCC takes when none is given, per number of axes.
_DEFAULT_WINDOW = {2: 5, 3: 9}
_DIFFEOMORPHIC = {'type': 'ScalingSquaring', 'steps': 7, 'padding': 'border'}


@runner('baselines', lambda case: case.name.startswith('lku_') and 'kernel_size' not in case.info['constructor'])
def lkunet(case: Case) -> None:
    family = FAMILIES[
        'lkunet_half' if re.search('half', case.info['what'] + case.info['reference'], re.I) else 'lkunet'
    ]
    moving, fixed = seeded_image(case, 'moving'), seeded_image(case, 'fixed')
    for fused in (False, True):
        results: dict[str, Tensor] = {}
        for suffix, integrator in (('', {'type': 'IdentityIntegrator'}), ('_diff', _DIFFEOMORPHIC)):
            model = build(case, family, integrator)
            if fused:
                reparameterise(model)
            with torch.no_grad():
                displacement = model({'fixed': fixed, 'moving': moving}).displacement
            results |= {
                f'flow{suffix}_raw': displacement_to_normalised(displacement),
                f'flow{suffix}': displacement,
                f'warped{suffix}': warp(moving, displacement),
            }
        check_outputs(case, {key: results[key] for key in case.info['outputs']})
        check_scalars(case, {key: scalar(key, results, fixed) for key in case.info.get('scalars', {})})


def build(case: Case, family: Family, integrator: dict) -> Registrar:
    """Our model of the case with its published weights."""
    published = published_weights(case)
    weights = family.convert(published)
    config = family.model(weights) | {'integrator': integrator}
    assert config['backbone']['channels'] == case.info['constructor']['start_channel']
    model = REGISTRARS.build({'type': 'Registrar', **config}).eval()
    model.load_state_dict(weights)
    check_parameters(case, model, {key: published[key] for key in family.unused(published)})
    return model


def scalar(key: str, results: dict[str, Tensor], fixed: Tensor) -> Tensor:
    """Our loss under the stored name, which tells window, weights and which image."""
    ndim, smooth = fixed.dim() - 2, Diffusion('l2', unit='lku')(results['flow'])

    def ncc(warped: Tensor, window: int) -> Tensor:
        # The published 2-D code divides by window^3.
        return LNCC(window, negative=True, kernel='box_cubed' if ndim == 2 else 'box')(warped, fixed)

    recipe = re.search(r'ncc\(fixed, (\w+)\) \+ ([\d.]+)\*smooth', key)
    window = re.search(r'win (\d+)', key)
    size = int(window.group(1)) if window else _DEFAULT_WINDOW[ndim]
    if recipe:
        return ncc(results[recipe.group(1)], int(window.group(1)) if window else 9) + float(recipe.group(2)) * smooth
    losses = {'smooth': lambda: smooth, 'mse': lambda: MSE()(results['warped'], fixed)}
    losses |= {'sad': lambda: L1()(results['warped'], fixed), 'ncc': lambda: ncc(results['warped'], size)}
    return losses[key.split()[0]]()


@runner('baselines', lambda case: case.name.startswith('lku_') and 'kernel_size' in case.info['constructor'])
def large_kernel_block(case: Case) -> None:
    arguments, shape = case.info['constructor'], tuple(case.info['shape'])
    channels, kernel = arguments['in_channels'], arguments['kernel_size']
    block = LargeKernelBlock(
        len(shape),
        channels,
        arguments['out_channels'],
        kernel,
        {'type': 'BN'} if arguments.get('batchnorm') else None,
        {'type': 'PReLU'},
        bias=arguments.get('bias', True),
    ).eval()
    family = FAMILIES['lkunet']
    weights = family.convert({f'ec3.{name}': value for name, value in published_weights(case).items()})
    block.load_state_dict({key.removeprefix('backbone.down.0.1.'): value for key, value in weights.items()})
    check_parameters(case, block, {})
    x = channels_of(case, channels, shape)
    with torch.no_grad():
        branches = block(x)
        check_outputs(case, {'y': branches})
        block.reparameterise()
        fused = block(x)
    check_outputs(case, {'y': fused})
    torch.testing.assert_close(fused, branches, rtol=0, atol=1e-5)


def channels_of(case: Case, channels: int, shape: tuple[int, ...]) -> Tensor:
    """``channel i = FORMULA``, or ``channel i of sample b = FORMULA``: ``(N, channels, *shape)``."""
    formula = case.info['inputs']['x'].split('=', 1)[1]
    names = {'shape': shape, 'image': fill.image}
    samples = [
        np.stack([evaluate(formula, {**names, 'i': i, 'c': i, 'b': b}) for i in range(channels)])
        for b in range(int(case.info.get('batch', case.info['outputs']['y']['shape'][0])))
    ]
    return torch.from_numpy(np.stack(samples).astype(np.float32))
