"""LapIRN, its conditional form and SYMNet, through the converters of their checkpoints."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from mmreg.converters import FAMILIES
from mmreg.models import Objective, Registrar
from mmreg.registry import REGISTRARS
from mmreg.spatial import average_down, warp, warp_across
from mmreg.spatial.convert import displacement_to_normalised
from mmreg.structures import Fields
from tests.golden.harness import Case, runner

from .networks import check_outputs, check_parameters, check_scalars, published_weights, seeded_image


@runner('baselines', ('lapirn_', 'clapirn'))
def lapirn(case: Case) -> None:
    diffeomorphic = any('velocity' in key for key in case.info['outputs'])
    conditional = 'reg_code' in case.info['inputs']
    model = build(case, 'clapirn' if conditional else 'lapirn' if diffeomorphic else 'lapirn_disp')
    inputs = {'moving': seeded_image(case, 'moving'), 'fixed': seeded_image(case, 'fixed')}
    if conditional:
        inputs['smoothness_code'] = torch.tensor(case.info['inputs']['reg_code']).view(-1, 1)
    with torch.no_grad():
        fields = model(inputs)
        check_outputs(case, {key: lapirn_output(key, fields, inputs) for key in case.info['outputs']})
        for level, stored in case.info.get('scalars', {}).items():
            weight = float(re.search(r'weight (\d+(?:\.\d+)?)', case.info['loss_notes']).group(1))
            antifold = re.findall(r'antifold ([\d.]+)', ' '.join(stored))
            found = level_scalars(int(level.split()[-1]), weight, float(antifold[0] if antifold else 0), fields, inputs)
            for key, expected in stored.items():
                case.close(f'{level} {key}', found[key], expected)


def build(case: Case, name: str) -> Registrar:
    """Our model of the case, with its published weights."""
    family, published = FAMILIES[name], published_weights(case)
    weights = family.convert(published)
    model = REGISTRARS.build(
        {'type': 'Registrar', **family.model(weights, {'config': case.info['constructor']})}
    ).eval()
    model.load_state_dict(weights)
    check_parameters(case, model, {})
    return model


def lapirn_output(key: str, fields: Fields, inputs: dict[str, Tensor]) -> Tensor:
    """Our result for the stored name: ``[lvlK_](flow|velocity)[_raw]``, ``[lvlK_]warped``, ``lvlK_fixed``."""
    found = re.fullmatch(r'(?:lvl(\d+)_)?(flow|velocity|warped|fixed)(_raw)?', key)
    assert found, key
    level = len(fields.displacements) - int(found.group(1) or len(fields.displacements))
    what, raw = found.group(2), found.group(3)
    if what == 'fixed':
        return pooled(inputs['fixed'], level)
    if what == 'warped':
        return warp_across(inputs['moving'], fields.displacements[level], 'border')
    field = (fields.velocities if what == 'velocity' else fields.displacements)[level]
    return displacement_to_normalised(field, order='xyz') if raw else field


def pooled(image: Tensor, times: int) -> Tensor:
    for _ in range(times):
        image = average_down(image)
    return image


def level_scalars(
    number: int, weight: float, antifold: float, fields: Fields, inputs: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Losses of the published level ``number``, 1 the coarsest, as the recipe's config of named losses gives them."""
    levels: list[float | None] = [None] * len(fields.displacements)
    levels[len(levels) - number] = 1.0
    losses = {
        'similarity': {
            'type': 'MultiScaleLNCC',
            'windows': tuple(range(2 * number + 1, 1, -2)),
            'negative': True,
            'source': 'full',
            'outside': 'border',
        },
        # Twice the voxel displacement, squared: 4.
        'smooth': {'type': 'Diffusion', 'on': 'velocity', 'weight': 4 * weight},
        'neg_jacobian': {'type': 'JacobianFolding', 'on': 'displacement', 'weight': antifold},
    }
    terms = objective_terms({name: {**loss, 'levels': levels} for name, loss in losses.items()}, fields, inputs)
    return {
        'similarity': terms['similarity'],
        'smooth': 4 * terms['smooth'],
        'neg_jacobian': terms['neg_jacobian'],
        f'train_loss (antifold {antifold:g})': sum(value for key, value in terms.items() if key.startswith('loss_')),
    }


def objective_terms(losses: dict, fields: Fields, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Named losses on fields that are there already."""
    return Objective(losses, pyramid={'kernel': 'average'})(fields, inputs)


@runner('baselines', 'symnet')
def symnet(case: Case) -> None:
    model = build(case, 'symnet')
    model.backbone.first = model.flow_head.first = 'moving'  # the case calls the first image X, whatever its role
    unit = float(case.info['constructor']['range_flow'])
    x, y = (seeded_image(case, word) for word in 'XY')
    inputs = {'moving': x, 'fixed': y}
    with torch.no_grad():
        fields = model(inputs)
        forward, backward = fields.displacement, fields.inverse_displacements[0]
        raw = {'xy': fields.velocities[0], 'yx': fields.inverse_velocities[0]}
        results = {f'velocity_{key}_raw': value.flip(1) / unit for key, value in raw.items()}
        results |= {'flow_xy': forward, 'flow_yx': backward}
        results |= {'half_xy': fields.halves[0], 'half_yx': fields.inverse_halves[0]}
        results |= {'warped_x': warp(x, forward), 'warped_y': warp(y, backward)}
        check_outputs(case, results)
        check_scalars(case, {key: symnet_scalar(key, fields, inputs) for key in case.info.get('scalars', {})})


def symnet_scalar(key: str, fields: Fields, inputs: dict[str, Tensor]) -> Tensor:
    """The published loss, or a term of it, under its stored name, which tells window and weights."""
    whole = re.fullmatch(
        r'train_loss = mid \+ full \+ ([\d.]+) mag \+ ([\d.]+) jac \+ ([\d.]+) smooth \(win (\d+)\)', key
    )
    window = re.search(r'win ?(\d+)', key)
    magnitude, folding, smooth = (float(number) for number in whole.groups()[:3]) if whole else (1.0, 1.0, 1.0)
    similarity = {'type': 'LNCC', 'negative': True, 'window': int(window.group(1)) if window else 9}
    terms = objective_terms(
        {
            'middle': {**similarity, 'direction': 'middle'},
            # 'both' is the mean of the two directions, published is the sum.
            'similarity': {**similarity, 'direction': 'both', 'weight': 2.0},
            'magnitude': {'type': 'MagnitudeBalance', 'per_sample': False, 'on': 'half', 'weight': magnitude},
            'folding': {'type': 'JacobianFolding', 'on': 'displacement', 'weight': folding},
            'inverse_folding': {'type': 'JacobianFolding', 'on': 'inverse_displacement', 'weight': folding},
            'smoothness': {'type': 'Diffusion', 'on': 'velocity', 'weight': smooth},
            'inverse_smoothness': {'type': 'Diffusion', 'on': 'inverse_velocity', 'weight': smooth},
        },
        fields,
        inputs,
    )
    if whole:
        return sum(value for name, value in terms.items() if name.startswith('loss_'))
    return {
        'sim_mid': terms['middle'],
        'sim_full': 2 * terms['similarity'],
        'magnitude': terms['magnitude'],
        'neg_jacobian': terms['folding'] + terms['inverse_folding'],
        'smooth': terms['smoothness'] + terms['inverse_smoothness'],
    }[key.split()[0]]
