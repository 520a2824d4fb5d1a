"""SITReg and uniGradICON through the converters of their checkpoints."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from mmreg.converters import FAMILIES
from mmreg.models import Registrar
from mmreg.models.losses import LNCC, Diffusion, NonDiffeomorphicVolume
from mmreg.registry import REGISTRARS
from mmreg.spatial import warp
from mmreg.spatial.view import in_view
from mmreg.structures import Fields
from tests.golden.harness import Case, runner

from .networks import check_outputs, check_parameters, check_scalars, published_weights, seeded_image


@runner('baselines', 'sitreg')
def sitreg(case: Case) -> None:
    model = sitreg_model(case)
    moving, fixed = seeded_image(case, 'image_1'), seeded_image(case, 'image_2')
    with torch.no_grad():
        fields = model({'fixed': fixed, 'moving': moving})
        swapped = model({'fixed': moving, 'moving': fixed})
        results = sitreg_fields(fields)
        for level, (own, other) in enumerate(model.backbone(fixed, moving)):
            results[f'features{level}'] = torch.cat([other, own])
        results['warped_1'] = warp(moving, results['flow_level0'], padding='border')
        results['warped_2'] = warp(fixed, results['inverse_flow_level0'], padding='border')
        # Flows come out of an iteration.
        loose = float(re.search(r'atol ([\d.e-]+) voxel', case.info['conventions']).group(1))
        check_outputs(case, results, {key: loose for key in results if 'flow' in key or 'warped' in key})
        windows = {int(n) for n in re.findall(r'lncc(\d+)', ' '.join(case.info.get('scalars', {})))}
        check_scalars(case, sitreg_scalars(fields, swapped, results, moving, fixed, windows))


def sitreg_model(case: Case) -> Registrar:
    """Our model of the case, with its published weights; inverted as precisely as the stored numbers."""
    family, published = FAMILIES['sitreg'], published_weights(case)
    weights = family.convert(published)
    config = family.model(weights, {'config': case.info['constructor']})
    config['flow_head']['keep_levels'] = True
    told = case.info['constructor'].get('fixed_point', {}).get('stop', '')
    stop = re.search(r'< ([\d.e-]+).*\.\.(\d+) iterations', told)
    tolerance, iterations = stop.groups() if stop else ('1e-4', '100')
    config['integrator'] |= {'iterations': int(iterations), 'tolerance': float(tolerance)}
    model = REGISTRARS.build({'type': 'Registrar', **config}).eval()
    model.load_state_dict(weights)
    check_parameters(case, model, {name: published[name] for name in family.unused(published)})
    return model


def sitreg_fields(fields: Fields) -> dict[str, Tensor]:
    """What every level had reached, under the stored names."""
    result: dict[str, Tensor] = {}
    for level, (there, back) in enumerate(zip(fields.extras['stages'], fields.extras['inverse_stages'])):
        result |= {f'flow_level{level}': there, f'inverse_flow_level{level}': back}
    return result


def sitreg_scalars(
    fields: Fields, swapped: Fields, results: Mapping[str, Tensor], moving: Tensor, fixed: Tensor, windows: set[int]
) -> dict[str, Tensor]:
    """Our losses under the stored names."""
    there, back = fields.displacement, fields.inverse_displacements[0]
    pairs = {'forward': (there, results['warped_1'], fixed), 'inverse': (back, results['warped_2'], moving)}
    values = {'max |forward(A,B) - inverse(B,A)| voxels': (there - swapped.inverse_displacements[0]).abs().max()}
    for name, (field, warped, target) in pairs.items():
        values[f'gradient {name}'] = Diffusion('l2')(field)
        seen = in_view(field).float()  # published: neither image counts where the moving one ends
        for window in windows:
            values[f'lncc{window} {name}'] = LNCC(window, negative=True)(warped * seen, target * seen)
        count = math.prod(n - 2 for n in field.shape[2:])
        values[f'ndv {name}'] = NonDiffeomorphicVolume()(field) * count
    return values


@runner('baselines', 'unigradicon')
def unigradicon(case: Case) -> None:
    four = case.info['constructor'].get('include_last_step', True)
    family, published = FAMILIES['unigradicon' if four else 'gradicon'], published_weights(case)
    weights = family.convert(published)
    model = REGISTRARS.build({'type': 'Registrar', **family.model(weights)}).eval()
    model.load_state_dict(weights)
    check_parameters(case, model, {})
    moving, fixed = seeded_image(case, 'image_A'), seeded_image(case, 'image_B')
    with torch.no_grad():
        displacement = model({'fixed': fixed, 'moving': moving}).displacement
    check_outputs(case, {'flow': displacement, 'warped': warp(moving, displacement, padding='border')})
