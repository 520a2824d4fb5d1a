"""VoxelMorph: VxmDense with its switches and the older strided network, through the converter of its checkpoints."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from mmreg.converters import FAMILIES
from mmreg.models import Registrar
from mmreg.models.losses import LNCC, MSE, Diffusion
from mmreg.registry import REGISTRARS
from mmreg.spatial import warp
from mmreg.structures import Fields
from tests.golden.harness import Case, runner

from .networks import check_outputs, check_parameters, check_scalars, published_weights, seeded_image


@runner('baselines', 'vxm_')
def voxelmorph(case: Case) -> None:
    model = build(case)
    moving, fixed = seeded_image(case, 'moving'), seeded_image(case, 'fixed')
    with torch.no_grad():
        fields = model({'fixed': fixed, 'moving': moving})
        check_outputs(case, outputs(fields, moving, fixed))
        check_scalars(case, scalars(case, model, fields, moving, fixed))


def build(case: Case) -> Registrar:
    """Our model of the case, with its published weights, from what a checkpoint file would hold."""
    family, published = FAMILIES['voxelmorph'], published_weights(case)
    weights = family.convert(published)
    strided = any('downarm' in name for name in published)  # it has no arguments that concern the field
    config = family.model(weights, None if strided else {'config': case.info['constructor']})
    width = case.info['constructor'].get('nb_unet_features')
    if width is not None:  # the same network from the published arguments instead of from the shapes
        config['backbone'] = network_of(case.info['constructor'], len(case.info['shape']))
    model = REGISTRARS.build({'type': 'Registrar', 'losses': objective(case), **config}).eval()
    model.load_state_dict(weights)
    check_parameters(case, model, {})
    return model


def network_of(arguments: dict, ndim: int) -> dict:
    """Our backbone config of VxmDense's constructor arguments."""
    return {
        'type': 'UNet',
        'features': arguments['nb_unet_features'],
        'levels': arguments.get('nb_unet_levels'),
        'multiplier': arguments.get('unet_feat_mult', 1),
        'conv_per_level': arguments.get('nb_unet_conv_per_level', 1),
        'half_res': arguments.get('unet_half_res', False),
        'ndim': ndim,
    }


def objective(case: Case) -> dict:
    """The published training loss as a config of named losses."""
    arguments = case.info['constructor']
    told = re.search(r'mse \+ ([\d.]+) \*', ' '.join(case.info.get('scalars', {})))
    weight = float(told.group(1)) if told else 0.01
    direction = 'both' if arguments.get('bidir') else 'forward'
    return {
        'similarity': {'type': 'MSE', 'weight': 1.0, 'direction': direction},
        'smoothness': {'type': 'Diffusion', 'penalty': 'l2', 'weight': weight * arguments.get('int_downsize', 2)},
    }


def outputs(fields: Fields, moving: Tensor, fixed: Tensor) -> dict[str, Tensor]:
    """Our fields under the stored names."""
    result = {
        'velocity': fields.velocities[0],
        'flow': fields.displacement,
        'warped': warp(moving, fields.displacement),
    }
    if fields.inverse_displacements:
        inverse = fields.inverse_displacements[0]
        result |= {'inverse_flow': inverse, 'warped_fixed': warp(fixed, inverse)}
    return result


def scalars(case: Case, model: Registrar, fields: Fields, moving: Tensor, fixed: Tensor) -> dict[str, Tensor]:
    """Our losses under the stored names."""
    warped, velocity = warp(moving, fields.displacement), fields.velocities[0]
    terms = model({'fixed': fixed, 'moving': moving}, mode='loss')
    total = sum(value for key, value in terms.items() if key.startswith('loss_'))
    result = {'mse(fixed,warped)': MSE()(warped, fixed)}
    for key in case.info.get('scalars', {}):
        if window := re.fullmatch(r'ncc(\d+)\(fixed,warped\)', key):
            result[key] = LNCC(int(window.group(1)), negative=True)(warped, fixed)
        elif penalty := re.fullmatch(r'grad_(l\d)\(velocity\)', key):
            result[key] = Diffusion(penalty.group(1))(velocity)
        elif key.startswith('train_loss'):
            result[key] = total
    return result
