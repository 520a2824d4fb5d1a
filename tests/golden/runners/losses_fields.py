"""Golden cases of the losses on fields: regularity, rigidity, consistency."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.evaluation.functional import jacobian
from mmreg.models.losses import LNCC
from mmreg.models.losses.consistency import ICON, GradICON, GroupConsistency, InverseConsistency
from mmreg.models.losses.diffusion import Diffusion
from mmreg.models.losses.field_distance import field_distance, pyramid_distillation
from mmreg.models.losses.folding import JacobianFolding
from mmreg.models.losses.rigid_bodies import RigidDice, RigidField, bounding_box, euler_angles
from mmreg.models.losses.rigidity import OrthonormalityCondition, PropernessCondition
from mmreg.spatial import identity_grid, jacobian_determinant, rotation_matrix, warp
from tests.golden.harness import Case, runner

from .calls import array
from .inputs import at_stored

Values = list[Tensor | None]


def _batch(text: str, shape: Sequence[int], batch: int = 1) -> Tensor:
    """The array of a call in ``text``, one per batch element: seeds listed, or 100 apart, stacked."""
    text = text.replace('*shape', ', '.join(str(n) for n in shape))
    text = re.sub(r'numpy\.random\.default_rng\((\d+)\)\.standard_normal\(', r'noise(\1, ', text)
    text = re.sub(r'\s*\[\+100[^\]]*\]', '', text)
    listed = re.search(r'seeds \[([^\]]*)\]', text)
    if 'noise(' in text:
        return torch.from_numpy(array(text, shape))
    first = re.search(r'(flow|image|labels)\((\d+)', text)
    seeds = (
        [int(s) for s in listed.group(1).split(',')]
        if listed
        else [int(first.group(2)) + 100 * b for b in range(batch)]
    )
    items = [array(re.sub(r'(flow|image|labels)\((\d+|seed)', rf'\1({int(seed)}', text), shape) for seed in seeds]
    stacked = torch.from_numpy(np.stack(items))
    return stacked if 'flow(' in text else stacked[:, None]


def _batch_size(case: Case) -> int:
    declared = case.info.get('batch', case.info['inputs'].get('batch'))
    gradients = [a for key, a in case.arrays.items() if key.startswith('grad')]
    return int(declared or gradients[0].shape[0])


def _threshold(text: str, values: Tensor) -> Tensor:
    return (values > float(re.search(r'>\s*([\d.]+)', text).group(1))).float()


def _strided(gradient: Tensor, expected: np.ndarray) -> Tensor:
    """``gradient`` with the stride at which it was stored, one for all axes."""
    return at_stored(gradient, expected)


def _array(case: Case, key: str, gradient: Tensor, **tolerance: float) -> None:
    """Compare with a stored array, absolutely to a share of its largest entry."""
    expected = case.arrays[key]
    tolerance = {'rtol': 1e-3, 'atol': 1e-3 * float(np.abs(expected).max()), **tolerance}
    case.close(key, _strided(gradient, expected), **tolerance)


def _summary(case: Case, key: str, gradient: Tensor | None, expected: dict | None, rtol: float = 1e-3) -> None:
    """Compare norm, maximum and sum of a gradient."""
    if expected is None:
        assert gradient is None or not gradient.any(), f'{case.id} {key}: a gradient where the published one is none'
        return
    gradient = gradient.double()
    norm = float(gradient.norm())
    case.close(f'{key} l2', norm, expected['l2'], rtol=rtol, atol=1e-12)
    case.close(f'{key} absmax', gradient.abs().max(), expected['absmax'], rtol=rtol, atol=1e-12)
    rounding = 1e-3 * rtol * norm * gradient.numel() ** 0.5  # the sum of a cancelling gradient is noise
    case.close(f'{key} sum', gradient.sum(), expected['sum'], rtol=rtol, atol=max(rounding, 1e-9))


def _evaluate(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tensor, Values]:
    """Value and gradients of ``function`` at ``inputs``."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    value = function(*leaves)
    grads = torch.autograd.grad(value, leaves, allow_unused=True)
    return value.detach(), list(grads)


# ---------------------------------------------------------------------------------------------- spine_biomech


@runner('spine_biomech', lambda case: 'diffusion_l2' in case.info.get('results', {}))
def flow_regularity(case: Case) -> None:
    inputs, results = case.info['inputs'], case.info['results']
    field = _batch(inputs['flow'], inputs['shape'], _batch_size(case))
    for key, entry in results.items():
        if key == 'sdlogjac':
            continue
        config = entry['config']
        loss, factor = Diffusion(config['penalty']), config.get('loss_mult', 1)
        value, (grad,) = _evaluate(lambda u, loss=loss, factor=factor: factor * loss(u), field)
        case.close(key, value, entry['value'], rtol=1e-5, atol=0)
        _summary(case, key, grad, entry['grad'])
        _array(case, f'grad_{key}', grad)
    for name, expected in results['sdlogjac'].items():
        text = inputs['flow' if name == 'smooth' else name] if name != 'zero' else inputs['flow']
        volume = _batch(text, inputs['shape']) * (name != 'zero')
        determinants = jacobian_determinant(volume, scheme='central_zeros', crop=2)[0]
        deviation = jacobian.sd_log_jacobian(determinants, convention='learn2reg')
        case.close(f'sdlogjac {name}', deviation, expected['std'], atol=1e-6)
        share = jacobian.fold_count(determinants) / volume[0, 0].numel()
        case.close(f'folds {name}', share, expected['non_positive_fraction'], rtol=1e-6, atol=0)


@runner('spine_biomech', lambda case: 'oc' in case.info.get('results', {}))
def rigidity_losses(case: Case) -> None:
    inputs, results = case.info['inputs'], case.info['results']
    field = _batch(inputs['flow'], inputs['shape'], _batch_size(case))
    labels = _batch(inputs['source_oh'], inputs['shape'], _batch_size(case))
    for key, entry in results.items():
        for detached in (False, True):
            stored = entry['grad_labels_constant' if detached else 'grad_end_to_end']
            if stored is None:
                continue
            value, (grad,) = _evaluate(lambda u, key=key, d=detached: _rigidity(case, key, d)(u, labels), field)
            rtol = 5e-3 if key.startswith('rigid_dice') else 1e-4
            case.close(key, value, entry['value'], rtol=rtol, atol=0)
            _summary(case, key, grad, stored, 5e-3 if key.startswith('rigid_dice') else 1e-3)
            _array(case, f'grad_{"const_" if detached else ""}{key}', grad)
    _rigid_motions(case, field, labels)


def _rigidity(case: Case, key: str, detached: bool) -> torch.nn.Module:
    """The loss of a result, its random draw seeded as the case says."""
    if key in ('oc', 'pc'):
        part = OrthonormalityCondition if key == 'oc' else PropernessCondition
        return part(border='zeros', detach_labels=detached)
    seed = re.search(r'seed(\d+)', key)
    part = RigidField if key.startswith('rigid_field') else RigidDice
    if seed is None:
        return part()
    torch.manual_seed(int(seed.group(1)))
    count = case.info['results'][f'rigid_field_{seed.group(0)}']['config']['num_samples']
    return part(num_samples=count)


def _rigid_motions(case: Case, fields: Tensor, labels: Tensor) -> None:
    """Rotations, translations and closest rigid labels of the first sample."""
    expected, loss, field = case.info['utilities'], RigidDice(), fields[0]
    bodies = list(loss.bodies(field, labels[0]))
    motion = loss.motions(field, bodies, None)
    case.close('rotation', motion.rotation, expected['rotation_all'])
    case.close('translation', motion.translation, expected['translation_all'], atol=2e-4)
    angles = torch.stack([euler_angles(r) for r in motion.rotation])
    case.close('euler angles', angles, expected['euler_xyz_all'], atol=1e-5)
    case.close('matrix of the angles', rotation_matrix(angles), np.array(expected['matrix_from_euler_all'])[:, :, :3])
    case.close('voxels warped', [float(b.warped.sum()) for b in bodies], expected['voxels_warped'])
    case.close(
        'voxels of the points', [int((b.warped >= 0.5).sum()) for b in bodies], expected['voxels_warped_ge_half']
    )
    grid, cost, rigid, flows = identity_grid(field.shape[1:]), 0.0, torch.zeros(len(bodies), *field.shape[1:]), []
    for k, body in enumerate(bodies):
        box = bounding_box((body.warped > 0) | (body.source > 0), loss.margin)
        closest = loss.closest_motion(body, motion.body(k), box)
        rigid[k][box] = loss.rigid_label(body, closest, box)
        flows.append(closest.displacement(0, grid))
        cost += float((rigid[k] - body.warped).square().sum())
    case.close('cost after Adam', cost, expected['sum_squared_after_adam'], rtol=5e-3, atol=0)
    _array(case, 'closest_rigid_flow_all', torch.stack(flows), atol=1e-2)
    stored = case.arrays['closest_rigid_labels_all'][None]
    case.close('closest_rigid_labels_all', _strided(rigid[None], stored), stored, rtol=0, atol=1e-2)


# -------------------------------------------------------------------------------------------- pyramid_designs


@runner('pyramid_designs', lambda case: 'icon_detach' in case.info.get('results', {}))
def flow_losses(case: Case) -> None:
    inputs, batch = case.info['inputs'], _batch_size(case)
    shape = inputs['shape']
    data = {name: _batch(inputs[name], shape, batch) for name in ('forward', 'backward', 'third', 'folded', 'epsilon')}
    data['mask'] = _threshold(inputs['mask'], _batch(inputs['mask'], shape, batch))
    for seed, name in zip(re.findall(r'image\(\d+\)', inputs['images']), ('moving', 'fixed')):
        data[name] = _batch(seed, shape, batch)
    gradients = {}
    for key, entry in case.info['results'].items():
        function, leaves = _consistency(key, entry, data)
        value, grads = _evaluate(function, *leaves)
        rtol = 1e-2 if key.startswith('gradicon') else 1e-3
        case.close(key, value, entry['value'], rtol=min(rtol, 1e-4) if rtol < 1e-2 else rtol, atol=0)
        for n, (grad, expected) in enumerate(zip(grads, entry['grads'])):
            _summary(case, f'{key} gradient {n}', grad, expected, 5e-2 if rtol == 1e-2 else rtol)
        gradients[key] = grads
    for key in ('inverse_consistency_l2', 'icon'):
        _array(case, f'grad_forward_{key}', gradients[key][0])
    _array(case, 'composed', GroupConsistency().composed(data['forward'], data['backward']), atol=1e-4)


def _consistency(key: str, entry: dict, data: dict[str, Tensor]) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The loss of one result as a function of the tensors whose gradient is stored."""
    f, b, third = data['forward'], data['backward'], data['third']
    mask = data['mask'] if key.endswith('_masked') else None
    config = entry.get('config') if isinstance(entry.get('config'), dict) else {}
    penalty = config.get('flow_loss_cfg', config).get('penalty', 'l2')
    detach = config.get('compose_detach', False)
    if key.startswith('flow_'):
        return lambda u: field_distance(u - b, penalty, mask), [f]
    if key.startswith('inverse_consistency'):
        return lambda u, v: InverseConsistency(penalty)(u, v, mask), [f, b]
    if key.startswith('icon'):
        return lambda u, v: ICON(penalty, detach_inner=detach)(u, v, draw=data['epsilon']), [f, b]
    if key.startswith('gradicon'):
        loss = GradICON(config['delta'] * (f.shape[-1] // 2), detach_inner=detach)
        return lambda u, v: loss(u, v, draw=data['epsilon']), [f, b]
    if key.startswith('group_consistency_flow'):
        return GroupConsistency(penalty, detach_inner=detach), [f, b, third]
    if key.startswith('group_consistency_similarity'):
        similarity = LNCC(window=int(re.search(r'ncc (\d+)', entry['config']).group(1)), negative=True)
        return lambda u, v: similarity(warp(data['moving'], GroupConsistency().composed(u, v)), data['fixed']), [f, b]
    if key.startswith('longitudinal'):
        return GroupConsistency(penalty, detach_target=False).stacked, [torch.cat([f, b, third])]
    if key.startswith('pyramid_distillation'):
        return _distillation(entry, data, penalty)
    assert key.startswith('np_jacdet'), f'no loss for the result {key}'
    field = data['folded'] if 'folded' in key else f
    return lambda u: JacobianFolding(scheme='forward', crop=2)(u, mask=mask), [field]


def _distillation(entry: dict, data: dict[str, Tensor], penalty: str) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """Fields of three levels, coarsest first as stored."""
    text, shape = entry['inputs'], data['forward'].shape[2:]
    found = re.search(r'flow\((\d+)\+i, shape/\(([\d,]+)\)\[i\], ([\d.]+)\+i, sigma=([\d.]+)\)', text)
    divisors = [int(d) for d in found.group(2).split(',')]
    fields = [
        _batch(
            f'flow({int(found.group(1)) + i}, shape, {float(found.group(3)) + i}, sigma={found.group(4)})',
            [n // d for n in shape],
            len(data['forward']),
        )
        for i, d in enumerate(divisors)
    ]
    pool = F.avg_pool3d if len(shape) == 3 else F.avg_pool2d
    masks = [pool(data['mask'], int(k)) for k in re.findall(r'\b(\d+)\b', text.split('pooling')[1])]
    return lambda *u: pyramid_distillation(u[::-1], penalty, masks[::-1]), fields


# -------------------------------------------------------------------------------------------------- baselines


@runner('baselines', 'gradicon_loss')
def gradicon_loss(case: Case) -> None:
    inputs, shape, batch = case.info['inputs'], case.info['shape'], int(case.info['batch'])
    texts = {key.split()[0]: text for key, text in inputs.items()}
    first, second = (_batch(texts[name], shape, batch) for name in ('first', 'second'))
    noise = _batch(texts['noise'], shape, batch)
    moving, fixed = (_batch(texts[name], shape, batch) for name in ('image_A', 'image_B'))
    for key, entry in case.info['scalars'].items():
        form, pair, draw = key.split(' | ')
        backward = {'independent fields': second, 'second = minus first': -first, 'both zero': 0 * second}[pair]
        forward = 0 * first if pair == 'both zero' else first
        given = noise if draw == 'with noise' else torch.zeros_like(noise)
        value, grads = _evaluate(lambda u, v, form=form, e=given: _icon(form)(v, u, draw=e), forward, backward)
        rough = form.startswith('Gradient')
        case.close(key, value, entry['inverse_consistency'], rtol=2e-3 if rough else 1e-4, atol=1e-7)
        for grad, name in zip(grads, ('first', 'second')):
            norm = entry[f'grad_norm_wrt_{name}_voxel_field']
            case.close(f'{key} gradient', grad.norm(), norm, rtol=2e-2 if rough else 1e-3, atol=1e-8)
            stored = f'grad_{name}_{form}'
            if stored in case.arrays and (pair, draw) == ('independent fields', 'with noise'):
                _array(case, stored, grad, rtol=2e-2, atol=2e-2 * float(np.abs(case.arrays[stored]).max()))
        _similarity(case, key, entry, value, (moving, fixed), (forward, backward))


def _icon(form: str) -> torch.nn.Module:
    """The authors' classes by their names; each takes (phi_BA, phi_AB)."""
    common = {'unit': 'unit', 'padding': 'border'}
    if form == 'InverseConsistentNet':
        return ICON(reduction='components', **common)
    noise, stride = (2.0, 2) if form.endswith('Sparse') else (1.0, 1)
    return GradICON(step=1e-3, noise=noise, stride=stride, symmetric=False, **common)


def _similarity(
    case: Case, key: str, entry: dict, value: Tensor, images: tuple[Tensor, ...], fields: tuple[Tensor, ...]
) -> None:
    """The similarity of both warped images and the total, where the similarity is the LNCC."""
    found = re.fullmatch(r'LNCC\(sigma=([\d.]+)\)', case.info['constructor']['similarity'])
    loss = LNCC(kernel='gaussian', sigma=float(found.group(1)), form='signed', stabiliser='each')
    similarity = sum(loss(warp(images[k], fields[k], padding='border'), images[1 - k]) for k in range(2))
    case.close(f'{key} similarity', similarity, entry['similarity'], rtol=1e-4, atol=1e-5)
    total = case.info['constructor']['lmbda'] * value + similarity
    case.close(f'{key} total', total, entry['all'], rtol=1e-3, atol=1e-5)
    sizes = torch.tensor([n - 1 for n in fields[0].shape[2:]]).view(1, -1, *[1] * (fields[0].dim() - 2))
    case.close(f'{key} magnitude', (fields[0] / sizes).square().mean(), entry['transform_magnitude'], atol=1e-8)
