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
        check_scalars(case, scalars(results, fixed))


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


def scalars(results: dict[str, Tensor], fixed: Tensor) -> dict[str, Tensor]:
    """Our losses under the stored names."""
    ndim = fixed.dim() - 2
    # The published 2-D code divides by window^3.
    kernel = 'box_cubed' if ndim == 2 else 'box'
    ncc = {window: LNCC(window, negative=True, kernel=kernel) for window in (9, _DEFAULT_WINDOW[ndim])}
    warped, smooth = results['warped'], Diffusion('l2', unit='lku')(results['flow'])
    return {
        'smooth (flow_raw)': smooth,
        'mse': MSE()(warped, fixed),
        'sad': L1()(warped, fixed),
        'ncc win 9': ncc[9](warped, fixed),
        'ncc default window': ncc[_DEFAULT_WINDOW[ndim]](warped, fixed),
        'train_loss of the IXI recipe: ncc(fixed, warped_diff) + 5.0*smooth(flow_raw)': (
            ncc[9](results['warped_diff'], fixed) + 5.0 * smooth
        ),
    }


@runner('baselines', lambda case: case.name.startswith('lku_') and 'kernel_size' in case.info['constructor'])
def large_kernel_block(case: Case) -> None:
    arguments, shape = case.info['constructor'], tuple(case.info['shape'])
    channels, kernel = arguments['in_channels'], arguments['kernel_size']
    block = LargeKernelBlock(len(shape), channels, arguments['out_channels'], kernel, act_cfg={'type': 'PReLU'}).eval()
    family = FAMILIES['lkunet']
    weights = family.convert({f'ec3.{name}': value for name, value in published_weights(case).items()})
    block.load_state_dict({key.removeprefix('backbone.down.0.1.'): value for key, value in weights.items()})
    check_parameters(case, block, {})
    assert case.info['inputs']['x'] == 'channel i = 2*image(1+i, shape, sigma=1.0) - 1'
    x = torch.from_numpy(np.stack([2 * fill.image(1 + i, shape, sigma=1.0) - 1 for i in range(channels)])[None])
    with torch.no_grad():
        branches = block(x)
        check_outputs(case, {'y': branches})
        block.reparameterise()
        fused = block(x)
    check_outputs(case, {'y': fused})
    torch.testing.assert_close(fused, branches, rtol=0, atol=1e-5)
