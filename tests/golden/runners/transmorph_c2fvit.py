"""TransMorph in all its forms, and C2FViT, through the converters of their checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from mmreg.converters import FAMILIES
from mmreg.models import Registrar
from mmreg.models.backbones.transmorph import TransMorph
from mmreg.models.blocks.c2fvit import affine_from_parameters
from mmreg.models.blocks.swin.attention import relative_index
from mmreg.models.flow_heads.affine import AffineTransformerHead
from mmreg.models.integrators.bspline_ffd import BSplineFFD
from mmreg.models.losses import MSE, MultiScaleLNCC
from mmreg.models.losses.gaussian_kl import GaussianKL
from mmreg.models.registrars.centred import as_field
from mmreg.registry import REGISTRARS
from mmreg.spatial import affine_displacement, warp
from mmreg.spatial.affine import voxel_matrix_from_normalised
from mmreg.spatial.sampler import as_sampled
from mmreg.structures import Fields
from tests.golden.harness import Case, runner

from .networks import check_outputs, check_parameters, check_scalars, published_weights, seeded_image


@runner('baselines', 'transmorph')
def transmorph(case: Case) -> None:
    model = build(case)
    moving, fixed = seeded_image(case, 'moving'), seeded_image(case, 'fixed')
    inputs = {'fixed': fixed, 'moving': moving}
    if case.info['constructor'].get('time_steps') is not None:
        with torch.no_grad():
            check_outputs(case, time_varying(model, fixed, moving))
        return
    with torch.no_grad():
        fields = Registrar.fields(model, inputs)  # one pass, also of a Monte-Carlo model
        results = outputs(model, fields, moving) | stages(model, moving, fixed)
        check_outputs(case, {key: results[key] for key in case.info['outputs']})
        check_scalars(case, scalars(case, fields, warp(moving, fields.displacement), fixed))


def build(case: Case) -> Registrar:
    """Our model of the case with its published weights, from what a checkpoint file would hold."""
    family, arguments = FAMILIES['transmorph'], case.info['constructor']
    published = published_weights(case)
    index = relative_index(arguments['window_size'])
    buffers = {key: index for key in case.info['left_out_of_state_dict'] if key.endswith('relative_position_index')}
    file = {**published, **buffers}
    weights = family.convert(file)
    config = family.model(weights, {'state_dict': file, 'config': arguments})
    model = REGISTRARS.build({'type': 'Registrar', **config}).eval()
    model.load_state_dict(weights)
    check_parameters(case, model, {key: published[key] for key in family.unused(file) if key in trained(published)})
    if buffers:  # a file tells its window even without the arguments
        alone = family.model(weights, {'state_dict': file})
        assert alone['backbone']['window'] == list(arguments['window_size'])
    return model


def trained(published: Mapping[str, Tensor]) -> set[str]:
    """Published entries that are parameters, not buffers."""
    return {key for key in published if not re.search(r'running_(mean|var)|num_batches_tracked', key)}


def outputs(model: Registrar, fields: Fields, moving: Tensor) -> dict[str, Tensor]:
    """Our fields under the stored names; ``flow`` is the field before the published sampling."""
    result = {'warped': warp(moving, fields.displacement), 'flow': fields.displacement}
    if isinstance(model.integrator, BSplineFFD):
        control, size = fields.velocities[0], moving.shape[2:]
        result |= {'velocity': model.integrator._dense(control, size), 'flow': model.integrator(control, size=size)}
    elif 'log_variance' in fields.extras:
        result |= {'log_sigma': fields.extras['log_variance'], 'integrated_half': fields.integrated[0]}
    else:
        result['flow'] = fields.velocities[0]
    return result


def stages(model: Registrar, moving: Tensor, fixed: Tensor) -> dict[str, Tensor]:
    """Output of every stage of the encoder."""
    encoder = cast(TransMorph, model.backbone).encoder
    features = encoder(torch.cat([moving, fixed], dim=1))
    return {f'stage{k}': feature for k, feature in enumerate(features)}


def scalars(case: Case, fields: Fields, warped: Tensor, fixed: Tensor) -> dict[str, Tensor]:
    """Our losses under the stored names."""
    arguments = case.info['constructor']
    if 'log_variance' not in fields.extras:
        return {}
    divergence = GaussianKL(arguments['prior_lambda'], arguments['prior_lambda_mean'], derivative='published')
    return {
        'kl_loss': divergence(fields.integrated[0], log_variance=fields.extras['log_variance']),
        'recon_loss': MSE()(warped, fixed) / arguments['image_sigma'] ** 2,
    }


def time_varying(model: Registrar, fixed: Tensor, moving: Tensor) -> dict[str, Tensor]:
    """The fields of TransMorph-TVF. Its inputs are already averaged to half the image's resolution: each voxel is
    repeated, so that the average of ours is the input again."""
    double = [value.clone() for value in (fixed, moving)]
    for axis in range(2, fixed.dim()):
        double = [value.repeat_interleave(2, dim=axis) for value in double]
    fields = model({'fixed': double[0], 'moving': double[1]})
    full = fields.velocities[0]
    torch.testing.assert_close(fields.displacement, as_sampled(full, 'mixed_corners'))
    return {'flow': fields.extras['steps'][-1], 'flow_full': full}


@runner('baselines', 'c2fvit')
def c2fvit(case: Case) -> None:
    moving, fixed = seeded_image(case, 'moving'), seeded_image(case, 'fixed')
    model = build_affine(case)
    head = cast(AffineTransformerHead, model.flow_head)
    with torch.no_grad():
        fields = model({'fixed': fixed, 'moving': moving})
        start = fields.extras['start']
        com_moved = warp(moving, as_field(start, moving.shape[2:]))
        numbers = fields.extras['parameters']
        results = {
            'com_moved': com_moved,
            'com_matrix': _translation(start, moving.shape[2:]),
            'affine_params': numbers.flatten(0, 1),
            'affine_matrices': torch.cat([head.matrix(p, com_moved) for p in numbers.unbind(1)])[:, :3],
            **{f'warped_stage{k + 1}': warped for k, warped in enumerate(fields.extras['warped'])},
            **alone(case, head, moving),
        }
        check_outputs(case, results)
        check_scalars(case, {key: affine_loss(key, results, fixed) for key in case.info.get('scalars', {})})
    # The displacement is that of the last stage's map, with the start: pulled once instead of twice.
    u = fields.displacement - as_field(start, moving.shape[2:])
    last = results[f'warped_stage{len(fields.extras["warped"])}']
    torch.testing.assert_close(warp(com_moved, u), last, rtol=0, atol=1e-4)


def build_affine(case: Case) -> Registrar:
    """Our model of the case at the images' own resolution: the published scripts halve them before the network."""
    family, arguments, published = FAMILIES['c2fvit'], case.info['constructor'], published_weights(case)
    weights = family.convert(published)
    config = family.model(weights, {'config': arguments})
    widths, stages = config['flow_head']['channels'], len(arguments['depths'])
    assert (widths if isinstance(widths, list) else [widths] * stages) == list(arguments['embed_dims'])
    assert config['flow_head']['depths'] == list(arguments['depths'])
    assert config['flow_head']['patches'] == list(arguments['patch_size'])
    config['backbone'] |= {'levels': len(arguments['depths']), 'resized_levels': 0}
    model = REGISTRARS.build(config).eval()
    model.load_state_dict(weights)
    check_parameters(case, model, {})
    return model


def _translation(start: Tensor, size: torch.Size) -> Tensor:
    """Voxels as a published 3x4 matrix on [-1, 1] coordinates."""
    steps = 2 * start / torch.tensor([n - 1 for n in size])
    return torch.cat([torch.eye(3).expand(len(start), 3, 3), steps.flip(1).unsqueeze(-1)], dim=2)


def alone(case: Case, head: AffineTransformerHead, moving: Tensor) -> dict[str, Tensor]:
    """Matrices of given numbers, about the centre of mass and about that of the grid, and the image warped by one."""
    parameters = torch.tensor(case.info['inputs']['affine_alone_parameters'])
    parameters = parameters.expand(max(len(parameters), len(moving)), -1)
    centred = head.matrix(parameters, moving)
    plain = affine_from_parameters(parameters, torch.zeros(len(parameters), 3))
    size = moving.shape[2:]
    warped = warp(moving, affine_displacement(voxel_matrix_from_normalised(centred, size), size))
    return {'affine_alone_matrix': torch.cat([centred, plain])[:, :3], 'affine_alone_warped': warped}


def affine_loss(key: str, results: dict[str, Tensor], fixed: Tensor) -> Tensor:
    """The published multi-resolution NCC: windows 7, 5, 3 at weights 1, 1/2, 1/4, over average-pooled images."""
    found = re.fullmatch(r'multi-resolution NCC\(win (\d+), (\d+) scales\)\((\w+), fixed\)', key)
    assert found, key
    windows = [int(found.group(1)) - 2 * k for k in range(int(found.group(2)))]
    return MultiScaleLNCC(windows, negative=True)(results[found.group(3)], fixed)
