"""The pyramid designs: networks through the converter of their checkpoints, features, correlation, matching."""

from __future__ import annotations

import json
import re

import numpy as np
import torch
from torch import Tensor

from mmreg.converters import FAMILIES
from mmreg.models.backbones.pooling_pyramid import PoolingPyramid
from mmreg.registry import REGISTRARS
from mmreg.spatial import global_correlation, local_correlation, softmax_matching, warp
from mmreg.structures import Fields
from tests.golden import fill
from tests.golden.harness import Case, runner

from .inputs import at_stored, batched
from .networks import published_weights


def image_batch(text: str, shape: list[int], batch: int = 1) -> Tensor:
    """``image(SEED [+STEP ...], shape)`` for every element of the batch: ``(batch, 1, *shape)``."""
    return batched(text, shape, batch)


def strided(value: Tensor, stride: int) -> Tensor:
    return value[(..., *[slice(None, None, stride)] * (value.dim() - 2))]


# ------------------------------------------------------------------------------------------------------ networks


@runner('pyramid_designs', lambda case: 'state_dict' in case.info)
def network(case: Case) -> None:
    family = FAMILIES['pyramid_designs']
    published = published_weights(case)
    published |= {name: torch.tensor(value) for name, value in case.info.get('constants', {}).items()}
    weights = family.convert(published)
    model = REGISTRARS.build({'type': 'Registrar', **family.model(weights, {'config': case.info['config']})}).eval()
    model.load_state_dict(weights)
    counted = sum(p.numel() for p in model.parameters())
    assert counted == sum(value.numel() for value in published.values())
    assert counted - case.info['parameters'] in (0, len(case.info.get('constants', ())))
    inputs = case.info['inputs']
    images = {key: image_batch(inputs[key], inputs['shape'], inputs['batch']) for key in ('source', 'target')}
    with torch.no_grad():
        fields = model({'fixed': images['target'], 'moving': images['source']})
    results = outputs(fields, images['source'])
    assert set(case.arrays) == set(case.info['strides'])
    for key, stride in case.info['strides'].items():
        case.close(key, strided(results[key], stride), **case.info['tolerance'])


def outputs(fields: Fields, moving: Tensor) -> dict[str, Tensor]:
    """Our fields under the stored names; the first displacement is on the image's grid, the others where published."""
    full = fields.displacement
    result = {'full_flow': full, 'y_source': warp(moving, full), 'flow': fields.displacements[1]}
    result |= {f'flow_level{k}': u for k, u in enumerate(fields.displacements[:0:-1])}
    result |= {f'iteration{k}': u for k, u in enumerate(fields.extras['steps'])}
    if fields.inverse_displacements:
        result['backward_flow'] = fields.inverse_displacements[1]
        result |= {f'backward_flow_level{k}': u for k, u in enumerate(fields.inverse_displacements[:0:-1])}
    return result


@runner('pyramid_designs', 'pooling_encoder')
def pooling_encoder(case: Case) -> None:
    inputs = case.info['inputs']
    image = image_batch(inputs['image'], inputs['shape'], inputs.get('batch', 1))
    backbone = PoolingPyramid(levels=len(case.arrays), ndim=len(inputs['shape']))
    steps = {name: int(step) for name, step in re.findall(r'(level\d+) with stride (\d+)', case.info['subsample'])}
    features = {f'level{k + 1}': pair[0] for k, pair in enumerate(backbone(image, image))}
    assert set(features) == set(case.arrays)
    for name, value in features.items():
        case.close(name, at_stored(value, case.arrays[name], steps.get(name)))


# --------------------------------------------------------------------------------------------------- correlation


def noise(case: Case, name: str, shape: tuple[int, ...]) -> Tensor:
    """The array that the case calls ``name``: ``noise(SEED, ...)``."""
    seed = re.match(r'noise\((\d+)', case.info['inputs'][name])
    assert seed
    return torch.from_numpy(np.random.default_rng(int(seed.group(1))).standard_normal(shape).astype(np.float32))


def features(case: Case, axes: str) -> tuple[Tensor, Tensor]:
    """The two feature maps with ``axes`` = ``'3d'`` or ``'2d'``."""
    inputs = case.info['inputs']
    channels = re.search(r'\(b,(\d+),\*size\)', inputs['x'])
    assert channels
    shape = (inputs['b'], int(channels.group(1)), *inputs[f'size{axes}'])
    return noise(case, 'x', shape).requires_grad_(), noise(case, 'y', shape).requires_grad_()


@runner('pyramid_designs', 'correlation')
def correlation(case: Case) -> None:
    arrays = set(case.arrays)
    first, step = re.search(
        r'first (\d+) voxels.*3-D.*every (\d+)\w\w candidate', case.info['inputs']['global_']
    ).groups()
    for key, stored in case.info['results'].items():
        arrays -= check_volume(case, key, stored)
    for key in sorted(arrays):
        kind, axes, radius = re.fullmatch(r'(global|match)(\dd)(?:_(r\d+|global))?', key).groups()
        x, y = features(case, axes)
        if kind == 'global' or radius == 'global':
            x, y = (f[(..., *[slice(0, int(first))] * (f.dim() - 2))] for f in (x, y))
        if kind == 'global':
            volume = global_correlation(x, y)[:, :: int(step) if axes == '3d' else 1]
            case.close(key, volume, **case.info['tolerance'])
        else:
            match = softmax_matching(y, x, None if radius == 'global' else int(radius[1:]), normalise=False)
            case.close(key, match, **case.info['tolerance'])


def check_volume(case: Case, key: str, stored: dict) -> set[str]:
    """A local volume and its gradients; the stored arrays it covers."""
    tolerance = case.info['tolerance']
    x, y = features(case, key[len('corr') :][:2])
    padding = {'constant': 'zeros', 'replicate': 'border'}[stored['padding']]
    volume = local_correlation(x, y, stored['radius'], stored['norm_vectors'], stored['scale'], padding)
    assert list(volume.shape) == stored['shape']
    weighted = (volume * noise(case, 'w', tuple(volume.shape))).sum()
    gradients = dict(zip(('grad_x', 'grad_y'), torch.autograd.grad(weighted, (x, y))))
    length = float(volume.detach().norm())  # sums cancel
    case.close(f'{key} abs_sum', volume.abs().sum(), stored['abs_sum'], **tolerance)
    for name, value in (('sum', volume.sum()), ('weighted_sum', weighted)):
        case.close(f'{key} {name}', value, stored[name], atol=1e-4 * length, rtol=1e-4)
    for name, gradient in gradients.items():
        case.close(f'{key} {name} l2', gradient.norm(), stored[name]['l2'], **tolerance)
        case.close(f'{key} {name} absmax', gradient.abs().max(), stored[name]['absmax'], **tolerance)
        case.close(f'{key} {name} sum', gradient.sum(), stored[name]['sum'], atol=1e-4 * stored[name]['l2'], rtol=1e-4)
    covered = set()
    for name, value in {key: volume, **{f'{key}_{name}': g for name, g in gradients.items()}}.items():
        if name in case.arrays:
            case.close(name, value, **tolerance)
            covered.add(name)
    return covered


# ----------------------------------------------------------------------------------------------------- objective

#: Widths of the small golden networks, for a folder that lacks their files.
_WIDTHS = {'encoder': [4, 6, 8, 10, 12], 'decoder': [8, 10, 12, 16]}
_SWITCHES = {'dwp': {}, 'dwcpi': {'correlation': {'radius': 1}, 'iterations': [2, 2, 1, 1]}}


def small_network(case: Case, name: str) -> dict:
    """Model config of the golden network ``name``, from its own case where the folder has it."""
    file = case.path.with_name(f'{name}.json')
    if file.exists():
        info = json.loads(file.read_text(encoding='utf-8'))
        family = FAMILIES['pyramid_designs']
        empty = {key: torch.zeros(shape) for key, shape in info['state_dict']}
        return family.model(family.convert(empty), {'config': info['config']})
    head = {'type': 'PyramidHead', 'channels': _WIDTHS['decoder'], 'bidirectional': True, **_SWITCHES[name]}
    return {'backbone': {'type': 'ConvPyramid', 'channels': _WIDTHS['encoder']}, 'flow_head': head}


def deep_supervision(result: dict, scales: list[int], weights: list[float]) -> dict:
    """The published objective as a config of named losses: full resolution, half (flow only), the coarser levels."""
    options = dict(result['similarity'])
    kind = options.pop('type')
    if kind == 'ncc':
        loss = {'type': 'LNCC', 'window': options['kernel_size'], 'negative': True}
    else:
        loss = {'mind': {'type': 'MINDSSC'}}[kind] | options
    coarse = dict(zip(scales, weights))
    coarse = [coarse.get(2**level) for level in range(2, 1 + max(scales).bit_length() - 1)]
    regular = {'type': 'Diffusion', 'weight': 0.5 * result['lambda_'] * result['loss_mult']}
    return {
        'similarity_forward': loss | {'weight': 0.5, 'levels': [1.0, None, *coarse]},
        'similarity_backward': loss | {'weight': 0.5, 'direction': 'backward', 'levels': [1.0, None, *coarse]},
        'smooth': regular | {'on': 'displacement', 'levels': [None, 1.0, *coarse]},
        'smooth_back': regular | {'on': 'inverse_displacement', 'levels': [None, 1.0, *coarse]},
    }


@runner('pyramid_designs', 'pyramid_objective')
def pyramid_objective(case: Case) -> None:
    inputs = case.info['inputs']
    batch = inputs.get('batch', 1)
    images = {key: image_batch(inputs[key], inputs['shape'], batch) for key in ('source', 'target')}
    pair = {'fixed': images['target'], 'moving': images['source']}
    for name, result in case.info['results'].items():
        losses = deep_supervision(result, case.info['scale_pyramid'], case.info['scale_loss_weights'])
        config = small_network(case, name) | {'losses': losses, 'pyramid': {'kernel': 'block'}}
        model = REGISTRARS.build({'type': 'Registrar', **config})
        load_filled(model, result)
        check_parts(case, name, result, model, pair)
        check_gradients(case, name, result, model, pair)


def load_filled(model: torch.nn.Module, result: dict) -> None:
    """Weights by the published names of the entries, shapes from our model."""
    ours = FAMILIES['pyramid_designs']._ours
    parameters = dict(model.named_parameters())
    names = list(result['gradient_norms'])
    assert {ours(key) for key in names} == set(parameters)
    for key in names:
        scale = result['flow_layer_scale'] if re.search(r'flow_convs\.\d+\.0\.weight', key) else 1.0
        parameter = parameters[ours(key)]
        parameter.data = torch.from_numpy(fill.fill(key, tuple(parameter.shape)) * np.float32(scale))


def check_parts(case: Case, name: str, result: dict, model: torch.nn.Module, pair: dict) -> None:
    with torch.no_grad():
        fields = model(pair)
        terms = model.objective.level_terms(fields, pair)
    case.close(
        f'{name} flow_max', torch.stack([u.abs().max() for u in fields.displacements[:0:-1]]), result['flow_max']
    )
    smooth = [None if a is None else 0.5 * (a + b) for a, b in zip(terms['smooth'], terms['smooth_back'])]
    smooth = [None if value is None else result['loss_mult'] * value for value in smooth]
    for key, expected in result['parts'].items():
        if key == 'total':
            continue
        part, _, scale = re.fullmatch(r'(similarity_forward|similarity_backward|diffusion)(_(\d+))?', key).groups()
        values = smooth if part == 'diffusion' else terms[part]
        level = int(scale).bit_length() - 1 if scale else int(part == 'diffusion')
        case.close(f'{name} {key}', values[level], expected, **{'atol': 0.0, **case.info['tolerance']['parts']})


def check_gradients(case: Case, name: str, result: dict, model: torch.nn.Module, pair: dict) -> None:
    total = sum(value for key, value in model(pair, mode='loss').items() if key.startswith('loss_'))
    case.close(f'{name} total', total, result['parts']['total'], **{'atol': 0.0, **case.info['tolerance']['parts']})
    total.backward()
    parameters = dict(model.named_parameters())
    norms = {key: parameters[FAMILIES['pyramid_designs']._ours(key)].grad.norm() for key in result['gradient_norms']}
    for key, norm in norms.items():
        case.close(
            f'{name} gradient of {key}', norm, result['gradient_norms'][key], **case.info['tolerance']['gradients']
        )
    whole = torch.stack(list(norms.values())).norm()
    case.close(f'{name} gradient', whole, result['gradient_norm_total'], **case.info['tolerance']['gradients'])
