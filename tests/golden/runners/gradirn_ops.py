"""Operations of the GraDIRN release, and the B-spline transform and losses of its annex."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mmreg.models.backbones.image_pyramid import ImagePyramid
from mmreg.models.blocks.descent import DescentBlock, Regulariser, build_force
from mmreg.models.blocks.descent.step import kappa
from mmreg.models.flow_heads.gradirn import _to_grid
from mmreg.models.integrators.bspline_ffd import BSplineFFD
from mmreg.models.losses import LNCC, MSE, NCC, NMI, BendingEnergy, Diffusion
from mmreg.models.losses.field_base import forward_difference
from mmreg.spatial import resize, scaling_and_squaring, warp
from mmreg.spatial.bspline import cubic_bspline
from mmreg.spatial.interpolation import warp_with_gradient
from tests.golden.fill import fill
from tests.golden.harness import Case, runner

from .calls import array

DOUBLE = {'rtol': 1e-5, 'atol': 1e-5}
#: Scalars are stored with all digits.
EXACT = {'rtol': 1e-9, 'atol': 1e-10}


class Inputs:
    """The inputs of an ops case on the shape of one of its variants, ``(N, C, *spatial)`` float64."""

    def __init__(self, case: Case, shape: str = 'shape'):
        self.texts, self.shape = case.info['inputs'], tuple(case.info['inputs'][shape])
        self.batch = int(self.texts.get('batch', 1))

    def __getitem__(self, name: str) -> Tensor:
        found = array(self.texts[name], self.shape)
        one = torch.from_numpy(found)
        one = one.double() if found.dtype.kind == 'f' else one
        one = one if one.dim() > len(self.shape) else one[None]
        return one[None].expand(self.batch, *one.shape)


def norm(tensor: Tensor) -> float:
    return float(tensor.detach().square().sum().sqrt())


def gradient(function: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    at = at.clone().requires_grad_()
    value = function(at)
    return value.detach(), torch.autograd.grad(value, at)[0]


@runner('gradirn', lambda case: case.info.get('what', '').startswith('Operations'))
def operations(case: Case) -> None:
    done = _warps(case) | _similarities(case) | _losses(case) | _differences(case)
    done |= _network(case) | _pyramids(case) | _exponential(case)
    stored = set(case.arrays) | set(case.info['values'])
    assert stored <= done, f'{case.id}: not checked {sorted(stored - done)}'


def _warps(case: Case) -> set[str]:
    inputs = Inputs(case)
    moving, disp, label = inputs['moving'], inputs['disp'], inputs['label']
    true = disp * kappa(disp)
    case.close('warp_linear', warp(moving, true), **DOUBLE)
    case.close('warp_border_exact', warp_with_gradient(moving, true)[0], **DOUBLE)
    cubic = Inputs(case, 'cubic_shape')
    shift = cubic['disp']
    case.close('warp_border_published_cubic', warp_with_gradient(cubic['moving'], shift * kappa(shift))[0], **DOUBLE)
    assert case.info['values']['border_warp_published_vs_exact'] < 1e-12
    # The published nearest warp reads x S/(S-1) - 1/2 + d: kept as a reference only.
    for key, field in (('warp_nearest', disp), ('warp_nearest_zero_disp', torch.zeros_like(disp))):
        case.close(key, warp(label, _published_nearest(field), mode='nearest'), rtol=0, atol=0)
    changed = (warp(label, _published_nearest(torch.zeros_like(disp)), mode='nearest') != label).sum()
    assert int(changed) == case.info['values']['warp_nearest_zero_disp_changed_voxels']
    assert torch.equal(warp(label, torch.zeros_like(disp), mode='nearest'), label)
    return {
        *('warp_linear', 'warp_border_exact', 'warp_border_published_cubic', 'border_warp_published_vs_exact'),
        *('warp_nearest', 'warp_nearest_zero_disp', 'warp_nearest_zero_disp_changed_voxels'),
    }


def _published_nearest(disp: Tensor) -> Tensor:
    shift = torch.empty_like(disp)
    for axis, n in enumerate(disp.shape[2:]):
        index = torch.arange(n, dtype=disp.dtype).view(-1, *[1] * (disp.dim() - 3 - axis))
        shift[:, axis] = index * n / (n - 1) - 0.5 + disp[:, axis] - index
    return shift


def _similarities(case: Case) -> set[str]:
    done: set[str] = set()
    for term in ('ssd', 'ncc'):
        for variant, shape in (('published_cubic', 'cubic_shape'), ('exact', 'shape')):
            name = f'{term}_{variant}'
            _similarity(case, name, term, Inputs(case, shape))
            done |= {name, *(f'{name}_{part}' for part in ('grad', 'step', 'grad_vjp'))}
    inputs = Inputs(case)
    force, disp = build_force('ssd'), inputs['disp']
    warped = warp(inputs['moving'], disp * kappa(disp))
    slope = force(warped, inputs['fixed'])
    # A switch of the release that no configuration reaches: differences of the warped image, zeros outside.
    forward = torch.cat([_difference(warped, axis, 'forward', 'Neumann') for axis in range(disp.shape[1])], dim=1)
    case.close('ssd_forwarddiff_grad', slope * forward, **DOUBLE)
    case.close('its norm', norm(slope * forward), case.info['values']['ssd_forwarddiff_grad_l2'], **EXACT)
    return done | {'ssd_forwarddiff_grad', 'ssd_forwarddiff_grad_l2'}


def _similarity(case: Case, name: str, term: str, inputs: Inputs) -> None:
    moving, fixed, disp, force = inputs['moving'], inputs['fixed'], inputs['disp'], build_force(term)
    values = case.info['values'][name]
    disp = disp.clone().requires_grad_()
    block = DescentBlock(None, step_size=1.0, step_scale=1.0).double()
    found = block.increments(force, disp, fixed, moving).similarity
    (product,) = torch.autograd.grad((found * inputs['direction']).sum(), disp)
    told = next(m for note in case.info['notes'] if (m := re.search(r'grad \* tau\(([\d.]+)\) \* ([\d.]+\d)', note)))
    size, scale = (float(number) for number in told.groups())
    step = DescentBlock(None, step_size=size, step_scale=scale).double().increments(force, disp, fixed, moving)
    warped, _ = warp_with_gradient(moving, disp * kappa(disp))
    case.close(f'{name} energy', force.energy(warped, fixed).mean(), values['energy'], **EXACT)
    for key, tensor in (('grad', found), ('step', step.similarity), ('grad_vjp', product)):
        if f'{name}_{key}' in case.arrays:
            case.close(f'{name}_{key}', tensor, **DOUBLE)
    # The step size is a float32 parameter.
    for key, tensor, rtol in (('grad_l2', found, 1e-9), ('step_l2', step.similarity, 1e-7), ('hvp_l2', product, 1e-9)):
        case.close(f'{name} {key}', norm(tensor), values[key], rtol=rtol, atol=1e-10)


def _losses(case: Case) -> set[str]:
    inputs, values = Inputs(case), case.info['values']
    moving, fixed, disp = inputs['moving'], inputs['fixed'], inputs['disp']
    for name, loss in (('ssd', MSE()), ('ncc', NCC(negative=True))):
        value, grad = gradient(lambda image, loss=loss: loss(image, fixed), moving)
        case.close(f'{name}_loss', value, values[f'{name}_loss'], **EXACT)
        case.close(f'{name}_loss_grad', grad, **DOUBLE)
        case.close(f'{name} norm', norm(grad), values[f'{name}_loss_grad_l2'], **EXACT)
    pairs = torch.cat([moving, fixed]), torch.cat([0.5 * fixed + 0.1 * moving, moving**2])
    case.close('ncc_batch2', NCC(negative=True)(*pairs), values['ncc_batch2'], **EXACT)
    energy = Diffusion(reduction='energy')
    value, grad = gradient(energy, disp)
    case.close('diffusion', value, values['diffusion'], **EXACT)
    case.close('diffusion_grad', grad, **DOUBLE)
    case.close('diffusion norm', norm(grad), values['diffusion_grad_l2'], **EXACT)
    value, grad = gradient(lambda field: energy(field, mask=fixed), disp)
    case.close('weighted', value, values['diffusion_weighted_by_fixed'], **EXACT)
    case.close('weighted norm', norm(grad), values['diffusion_weighted_grad_l2'], **EXACT)
    return {
        *(f'{name}_{what}' for name in ('ssd', 'ncc') for what in ('loss', 'loss_grad', 'loss_grad_l2')),
        *('ncc_batch2', 'diffusion', 'diffusion_grad', 'diffusion_grad_l2'),
        *('diffusion_weighted_by_fixed', 'diffusion_weighted_grad_l2'),
    }


def _difference(field: Tensor, axis: int, mode: str, boundary: str) -> Tensor:
    """Forward or backward difference on the whole grid; outside: the edge repeated, or zero."""
    inner, edge = forward_difference(field, axis), field.narrow(axis + 2, 0, 1)
    if mode == 'forward':
        last = -field.narrow(axis + 2, field.shape[axis + 2] - 1, 1)
        return torch.cat([inner, last * (boundary == 'Dirichlet')], dim=axis + 2)
    return torch.cat([edge * (boundary == 'Dirichlet'), inner], dim=axis + 2)


def _differences(case: Case) -> set[str]:
    disp, done = Inputs(case)['disp'], set()
    for key, stored in case.info['values'].items():
        found = re.fullmatch(r'diff_(forward|backward)_(Neumann|Dirichlet)_axis(\d)', key)
        if found:
            value = _difference(disp, int(found.group(3)), found.group(1), found.group(2))
            first, last = value[(0, 0, *[0] * (disp.dim() - 2))], value[(-1, -1, *[-1] * (disp.dim() - 2))]
            numbers = {'sum': value.sum(), 'l2': norm(value), 'at_first': first, 'at_last': last}
            for name, expected in stored.items():
                case.close(f'{key} {name}', numbers[name], expected, rtol=1e-6, atol=1e-6)
            done.add(key)
    return done


def _network(case: Case) -> set[str]:
    inputs, described = Inputs(case), case.info['values']['cnn_regulariser']
    made = described['constructor']
    network = Regulariser(
        made['ndim'], layers=made['num_layers'], channels=made['num_channels'], image_inputs=made['input_images']
    ).double()
    assert sum(p.numel() for p in network.parameters()) == described['parameters']
    weights = {}
    for name, shape in described['state_dict']:
        number, last = re.fullmatch(r'layers\.(\d+)(?:\.0)?\.(weight|bias)', name).groups()
        weights[f'layers.{number}.conv.{last}'] = torch.as_tensor(fill(name, shape)).double()
    network.load_state_dict(weights)
    moving, fixed, disp = inputs['moving'], inputs['fixed'], inputs['disp']
    # Stored for the bare network: the third input is the moving image as it is.
    case.close('cnn_regulariser', network(disp, fixed, moving, moving), **DOUBLE)
    half = inputs['half_disp']
    case.close('upsampled_disp', _to_grid(half, inputs.shape), **DOUBLE)
    return {'cnn_regulariser', 'upsampled_disp'}


def _pyramids(case: Case) -> set[str]:
    done = set()
    for shape, suffix in (('shape', ''), ('odd_shape', '_odd')):
        inputs = Inputs(case, shape)
        keys = [key for key in case.arrays if re.fullmatch(rf'pyramid_(image|label){suffix}_lvl\d', key)]
        levels = 2 + max(int(key[-1]) for key in keys) if keys else 0
        for key in keys:
            coarser = levels - 1 - int(key[-1])
            if 'image' in key:
                pyramid = ImagePyramid(levels, any_size=True, ndim=len(inputs.shape))
                value = pyramid(inputs['moving'], inputs['fixed'])[coarser][0]
            else:
                value = resize(inputs['label'], scale=2.0**-coarser, mode='floor')
            case.close(key, value, **DOUBLE)
            done.add(key)
    return done


def _exponential(case: Case) -> set[str]:
    disp, done = Inputs(case)['disp'], set()
    for key, stored in case.info['values'].items():
        found = re.fullmatch(r'svf_steps(\d+)_scale(-?\d+)', key)
        if not found:
            continue
        steps, scale = (int(number) for number in found.groups())
        unit = kappa(disp)

        def exponential(
            field: Tensor, steps: int = steps, factor: Tensor = scale * unit, unit: Tensor = unit
        ) -> Tensor:
            return scaling_and_squaring(field * factor, steps=steps) / unit

        value, grad = gradient(lambda field, f=exponential: f(field).square().mean(), disp)
        result = exponential(disp)
        numbers = {'l2': norm(result), 'mean_sq': value, 'grad_l2': norm(grad)}
        for name, expected in stored.items():
            case.close(f'{key} {name}', numbers[name], expected, **EXACT)
        if key in case.arrays:
            case.close(key, result, **DOUBLE)
        done.add(key)
    return done


@runner('gradirn', lambda case: case.info.get('what', '').startswith('Annex'))
def free_form_deformation(case: Case) -> None:
    inputs, values = Inputs(case), case.info['values']
    spacing = case.info['inputs']['control_point_spacing']
    fixed, moving = inputs['fixed'], inputs['moving']
    transform = BSplineFFD(spacing=spacing)
    control = torch.from_numpy(array(case.info['inputs']['control_points'], inputs.shape)).double()[None]
    control = control.expand(inputs.batch, *control.shape[1:])
    assert list(transform.control_size(inputs.shape)) == values['ffd']['control_points'] == list(control.shape[2:])
    case.close('ffd_disp', transform(control, size=inputs.shape), **DOUBLE)
    value, grad = gradient(lambda points: transform(points, size=inputs.shape).square().mean(), control)
    # The published kernel is in single precision.
    case.close('ffd mean_sq', value, values['ffd']['mean_sq'], rtol=1e-6)
    case.close('ffd norm', norm(grad), values['ffd']['grad_l2'], rtol=1e-6)
    case.close('ffd_grad', grad, **DOUBLE)
    done = {'ffd', 'ffd_disp', 'ffd_grad'}
    for key, expected in values.items():
        if key.startswith('kernel_cps'):
            step = int(key.removeprefix('kernel_cps'))
            taps = cubic_bspline(torch.arange(1 - 2 * step, 2 * step, dtype=torch.float64) / step)
            case.close(key, taps, expected, **EXACT)
            done.add(key)
    for key, loss in _annex_losses(case).items():
        argument = inputs['disp'] if key == 'bending' else moving
        value, grad = gradient(loss if key == 'bending' else lambda image, f=loss: f(image, fixed), argument)
        case.close(key, value, values[key], rtol=1e-7, atol=1e-9)
        done.add(key)
        if f'{key}_grad' in case.arrays:
            scale = float(np.abs(case.arrays[f'{key}_grad']).max())
            case.close(f'{key}_grad', grad, rtol=1e-5, atol=1e-5 * scale)
            done.add(f'{key}_grad')
    assert set(values) | set(case.arrays) == done


def _annex_losses(case: Case) -> dict[str, Callable]:
    losses: dict[str, Callable] = {'bending': BendingEnergy(scheme='forward')}
    for key in case.info['values']:
        if key.startswith('lncc_window'):
            losses[key] = LNCC(window=int(key.removeprefix('lncc_window')), negative=True)
    bins = next(int(b) for note in case.info['notes'] for b in re.findall(r'(\d+) bins', note))
    return {**losses, 'nmi': NMI(bins=bins), 'mi': NMI(bins=bins, ratio=False)}
