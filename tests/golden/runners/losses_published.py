"""Cases that mix losses of several kinds: ``eoir/losses`` and ``textscf/textscf_losses``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.engine.schedulers import PolynomialRounded
from mmreg.evaluation.functional.overlap import dice
from mmreg.models.losses import LNCC, MSE, Dice, Diffusion
from mmreg.spatial import resize, scaling_and_squaring, warp, warp_labels
from tests.golden import fill
from tests.golden.harness import Case, runner

from .expressions import evaluate
from .inputs import at_stored

#: The published gradients of the correlation are rounded: exact arithmetic differs from them by up to 2e-4 of their
#: largest entry (window 3), so ours are held to this.
_NCC_GRADIENT = 5e-4


def _onehot(labels: Tensor, classes: int) -> Tensor:
    return F.one_hot(labels[:, 0], classes).movedim(-1, 1).float()


class EoirNames(dict):
    """Words of the ``args`` texts of ``eoir/losses``; ``flow`` and what is built from it keep their graph."""

    def __init__(self, case: Case):
        shape, classes = tuple(case.info['shape']), int(case.info['num_classes'])
        self.flows: list[Tensor] = []
        super().__init__(
            shape=shape,
            image=lambda seed, size=shape: fill.batch(fill.image(seed, size)),
            labels=lambda seed, size=shape, n=classes: fill.batch(fill.labels(seed, size, n)),
            flow=self._flow,
            onehot=lambda labels: _onehot(labels, classes),
            warp=warp,
            max=lambda image, low: image.clamp(min=low),
            NccLoss=lambda win=None: LNCC(9 if win is None else win),
            Grad3d=Diffusion,
            Grad2d=Diffusion,
            DiceLoss=lambda n, is_square=False: Dice(squared=is_square, absent='zero'),
            BinaryDiceLoss=lambda: Dice(absent='zero'),
        )
        published = re.fullmatch(r'linear warp of (\S.*) by (flow\(.*\))', case.info['soft'])
        assert published, case.info['soft']
        volume, field = published.groups()
        self['soft'] = evaluate(f'warp({volume}, {field})', {**self, 'onehot': self['onehot']}).detach()
        self.flows.clear()

    def _flow(self, seed: int, size: tuple[int, ...], amplitude: float) -> Tensor:
        self.flows.append(torch.from_numpy(fill.flow(seed, size, amplitude))[None].requires_grad_())
        return self.flows[-1]


@runner('eoir', lambda case: 'soft' in case.info and 'num_classes' in case.info)
def eoir_losses(case: Case) -> None:
    compared = set()
    for name, entry in case.info['values'].items():
        names = EoirNames(case)
        value, first = _published_value(name, entry['args'], names, case)
        rtol = 2e-5 if name.startswith('ncc') else case.tolerance['rtol']  # float32 sums in another order
        case.close(name, value, entry['value'], rtol=rtol)
        if 'grad_norm' in entry or 'grad_norm_wrt_flow' in entry:
            wrt_flow = 'grad_norm_wrt_flow' in entry
            (gradient,) = torch.autograd.grad(value, names.flows[0] if wrt_flow else first)
            compared |= _eoir_gradient(case, name, entry, gradient, '_flow' if wrt_flow else '')
    assert compared == set(case.arrays), f'{case.id}: not compared {set(case.arrays) - compared}'


def _eoir_gradient(case: Case, name: str, entry: dict, gradient: Tensor, suffix: str) -> set[str]:
    norm = entry['grad_norm_wrt_flow' if suffix else 'grad_norm']
    case.close(f'{name} gradient norm', gradient.norm(), norm, rtol=2e-4, atol=0)
    share = _NCC_GRADIENT if name.startswith('ncc') else 1e-4
    found = set()
    for key, stride in ((f'{name}_grad{suffix}', 1), (f'{name}_grad{suffix}_stride2', 2)):
        if key in case.arrays:
            strided = gradient[(..., *[slice(None, None, stride)] * (gradient.ndim - 2))]
            case.close(key, strided, rtol=0, atol=share * float(np.abs(case.arrays[key]).max()))
            found.add(key)
    return found


def _published_value(name: str, text: str, names: EoirNames, case: Case) -> tuple[Tensor, Tensor]:
    """Value of the loss and its first argument, which asks for a gradient."""
    batch = re.fullmatch(r'ncc_win(\d+)_batch(\d+)_channels(\d+)', name)
    sliced = re.fullmatch(r'dice2d_square_(True|False)', name)
    halved = re.fullmatch(r'dice_square_(True|False)_half_resolution_pred', name)
    if batch:
        window, samples, channels = map(int, batch.groups())
        seeds = [tuple(map(int, found)) for found in re.findall(r'image\((\d+)\+(\d+)b\+c\)', text)]
        pair = [_batched(first, step, samples, channels, names) for first, step in seeds]
        return _applied(LNCC(window), pair)
    if sliced:
        index = int(re.search(r'index (\d+)', text)[1])
        planes = [names['soft'][..., index], _target(case, sliced[1], text, names)[..., index]]
        return _applied(Dice(squared=sliced[1] == 'True', absent='zero'), planes)
    if halved:
        small = resize(names['soft'], scale=float(re.search(r'downsampled by ([\d.]+)', text)[1]))
        return _applied(
            Dice(squared=halved[1] == 'True', absent='zero'), [small, _target(case, halved[1], text, names)]
        )
    loss, arguments = re.fullmatch(r'(\w+\([^()]*\))\((.*)\)', text).groups()
    return _applied(evaluate(loss, names), list(evaluate(f'({arguments},)', names)))


def _target(case: Case, squared: str, text: str, names: EoirNames) -> Tensor:
    """The label map that a Dice compares with: of its own text, else of the whole volume's entry that it varies."""
    texts = [text, *(case.info['values'].get(f'dice_square_{flag}', {}).get('args', '') for flag in (squared, 'False'))]
    seed = next(found[-1] for found in (re.findall(r'labels\((\d+)', one) for one in texts) if found)
    return names['labels'](int(seed))


def _batched(first: int, step: int, samples: int, channels: int, names: EoirNames) -> Tensor:
    rows = [torch.cat([names['image'](first + step * b + c) for c in range(channels)], 1) for b in range(samples)]
    return torch.cat(rows)


def _applied(loss: Callable[..., Tensor], arguments: list[Tensor]) -> tuple[Tensor, Tensor]:
    first = arguments[0]
    if not first.requires_grad:
        first = first.clone().requires_grad_()
    return loss(first, *arguments[1:]), first


# TextSCF -------------------------------------------------------------------------------------------------------------


def _textscf_inputs(case: Case) -> dict[str, Any]:
    functions: dict[str, Any] = {
        'shape': tuple(case.info['shape']),
        'flow': fill.flow,
        'image': fill.image,
        'labels': fill.labels,
        'numpy.roll': np.roll,
    }
    inputs = {key: torch.from_numpy(evaluate(text, functions)) for key, text in case.info['inputs'].items()}
    for key in inputs.keys() - {'flow'}:
        inputs[key] = inputs[key][None, None]
    if inputs['flow'].dim() < inputs['moving'].dim():
        inputs['flow'] = inputs['flow'][None]
    inputs['flow'].requires_grad_()
    texts = [text for key, text in case.info['inputs'].items() if 'labels' in key]
    inputs['classes'] = int(re.search(r'labels\(.*?,\s*(\d+)\)', texts[0])[1])
    return inputs


@runner('textscf', lambda case: 'dice_loss_trilinear_onehot_incl_background' in case.info.get('values', {}))
def textscf_losses(case: Case) -> None:
    inputs = _textscf_inputs(case)
    flow, classes = inputs['flow'], inputs['classes']
    moving, fixed = inputs['moving_labels'], inputs['fixed_labels']
    warped = warp_labels(moving, flow)
    reference = Dice(squared=True, absent='zero')

    losses = {
        'grad3d_l1': Diffusion('l1')(flow),
        'grad3d_l2': Diffusion('l2')(flow),
        'dice_loss': reference.from_labels(moving, fixed, flow, range(classes)),
        'mse': MSE()(warp(inputs['moving'], flow), inputs['fixed']),
    }
    gradients = {key: torch.autograd.grad(value, flow)[0] for key, value in losses.items()}
    divisor = next(int(n) for note in case.info['notes'] for n in re.findall(r'divisible by (\d+)', note))
    absent = [torch.where(labels % divisor == 0, 0, labels) for labels in (warped, moving, fixed)]
    values = {
        **losses,
        'dice_loss_trilinear_onehot_incl_background': reference(warp(_onehot(moving, classes), flow), fixed),
        'dice_loss_absent': reference(_onehot(absent[1], classes), absent[2]),
        'dice_eval_excl_background': _evaluation(warped, fixed, classes),
        'dice_eval_incl_background': _evaluation(warped, fixed, classes, first_class=0),
        'dice_eval_before': _evaluation(moving, fixed, classes),
        'dice_eval_excl_background_absent': _evaluation(absent[0], absent[2], classes),
    }
    for key, expected in case.info['values'].items():
        case.close(key, values[key], expected)
    fields = {'warped_trilinear': warp(inputs['moving'], flow)}
    for key, expected in case.arrays.items():
        if key.startswith('vecint'):
            fields[key] = scaling_and_squaring(flow, int(key.removeprefix('vecint')))
        if key.startswith('grad_'):
            actual = gradients[key.removeprefix('grad_')]
            case.close(key, at_stored(actual, expected), rtol=1e-3, atol=1e-4 * float(np.abs(expected).max()))
        elif key == 'warped_labels_nearest':
            different = float((at_stored(warped, expected).numpy() != expected).mean())
            assert different <= 1e-3, f'{case.id} {key}: {different:.2%} of the voxels differ'
        else:
            case.close(key, at_stored(fields[key], expected))
    _learning_rates(case)


def _evaluation(first: Tensor, second: Tensor, classes: int, *, first_class: int = 1) -> float:
    return float(dice(first, second, range(first_class, classes), epsilon=1e-5, absent=0.0).mean())


def _learning_rates(case: Case) -> None:
    """The published schedule, taken through our scheduler."""
    published = case.info['lr_schedule']
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=published['base'])
    schedule = PolynomialRounded(optimizer, power=published['power'], total=published['max_epochs'])
    for epoch in range(published['max_epochs']):
        if str(epoch) in published['lr_at_epoch']:
            expected = published['lr_at_epoch'][str(epoch)]
            case.close(f'lr at epoch {epoch}', optimizer.param_groups[0]['lr'], expected, rtol=0, atol=1e-12)
        optimizer.step()
        schedule.step()
